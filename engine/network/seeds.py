"""Randomness that hangs on a seed and on what it is for, and on nothing else."""

from __future__ import annotations

import numpy as np
import torch


def generator(seed: int, *numbers: int) -> torch.Generator:
    """Randomness on the CPU for what `numbers` name, an image for example, so that none depends on its batch mates."""
    return torch.Generator().manual_seed(int(np.random.SeedSequence((seed, *numbers)).generate_state(1)[0]))
