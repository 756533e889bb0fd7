"""How many images a network takes at once where it learns nothing."""

EVALUATION_BATCH = 250
"""Images: more are no faster, and their maps need memory that training never had."""
