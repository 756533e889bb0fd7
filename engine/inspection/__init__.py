"""Inspection of a network: layers, kernels, activations and predictions."""
