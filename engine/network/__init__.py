"""The network: model, training kernels, weights files and devices."""
