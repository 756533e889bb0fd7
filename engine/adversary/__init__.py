"""Attacks on the pixels as algorithms on tensors, and training against them; knows no data sets or runs."""
