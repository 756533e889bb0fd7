"""Corruptions: how well a network recognises digits that are noisy, blurred, moved, or drawn over."""
