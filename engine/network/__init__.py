"""The network: its model and kernels, its weights in files, and the device that it is on."""
