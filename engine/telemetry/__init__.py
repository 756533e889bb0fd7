"""What the devices do meanwhile: CPU, memory, disk and GPUs of a machine, and what training used of them."""
