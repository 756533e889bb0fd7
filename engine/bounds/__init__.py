"""Bounds that no perturbation within an epsilon can break, and training for them; knows no data sets or runs."""
