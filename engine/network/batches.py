"""The batch size of inference."""

EVALUATION_BATCH = 250
"""Images per batch: more are no faster, and their maps would need more memory than training."""
