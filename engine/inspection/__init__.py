"""Looking inside a network: its layers, its kernels, its maps, and what it says of images."""
