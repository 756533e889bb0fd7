"""Figures: an event, or the history of a run, as a PNG file."""
