"""The batch size of inference."""

EVALUATION_BATCH = 250
"""Images per batch: larger batches are no faster, and their feature maps would need more memory than training."""
