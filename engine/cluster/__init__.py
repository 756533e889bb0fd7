"""Training on a cluster: sweeps of runs on the cores, GPUs and machines that Ray manages."""
