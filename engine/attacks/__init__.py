"""Adversarial attacks: the notebook's section 3, and attacks that bound or minimise the perturbation."""
