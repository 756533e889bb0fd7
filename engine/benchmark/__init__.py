"""The benchmark: how fast this machine does what the program does, beside the notebook's own code and the hardware."""
