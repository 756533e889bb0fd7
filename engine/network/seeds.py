"""Random generators that depend only on a seed and on what they are for."""

from __future__ import annotations

import numpy as np
import torch


def generator(seed: int, *numbers: int) -> torch.Generator:
    """A CPU generator for what `numbers` identify, for example an image: so no image depends on others in its batch."""
    return torch.Generator().manual_seed(int(np.random.SeedSequence((seed, *numbers)).generate_state(1)[0]))
