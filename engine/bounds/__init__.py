"""What no perturbation within an epsilon can do to a network: bounds of its logits, and training by them."""
