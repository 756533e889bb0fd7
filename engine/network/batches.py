"""The batch size of inference."""

EVALUATION_BATCH = 250
"""Images per batch on a CPU: larger batches are no faster, and their feature maps would need more memory."""
_ON_GPU, _LARGEST, _CHANNELS = 2500, 5000, 32


def evaluation_batch(device: str, channels: int) -> int:
    """Images per batch on a device of type `device` (`cpu`, `cuda`), for a network with `channels` maps a block.

    A GPU needs thousands of images to be busy: 2,500 for the notebook's 32 channels, whose maps then take half a GB,
    and otherwise as many as take no more than that, if they are at least as many as on a CPU.
    """
    if device == "cpu":
        return EVALUATION_BATCH
    return max(EVALUATION_BATCH, min(_LARGEST, _ON_GPU * _CHANNELS // channels))
