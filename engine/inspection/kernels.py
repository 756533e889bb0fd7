"""What kinds of kernels a convolution has: near zero, or thresholds on a single pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from engine.event import Array

NEAR_ZERO = 0.1
"""A kernel is near zero if its L2 norm is less than this share of the largest norm in its layer."""
ONE_PIXEL = 0.8
"""A kernel is dominated by one pixel if this has at least so much of its energy, the sum of squares."""


def kinds_of(weights: Array) -> tuple[int, int]:
    """Of kernels (outputs, inputs, rows, columns), how many are near zero, and how many others one pixel dominates.

    Networks trained against L-infinity perturbations learn such thresholds (Madry et al. 2018, appendix C).
    """
    kernels = weights.reshape(-1, *weights.shape[-2:]).astype(np.float64)
    energy = (kernels**2).sum(axis=(1, 2))
    near_zero = np.sqrt(energy) < NEAR_ZERO * np.sqrt(energy.max()) if energy.max() else np.ones(len(kernels), bool)
    one_pixel = ~near_zero & ((kernels**2).max(axis=(1, 2)) >= ONE_PIXEL * energy)
    return int(near_zero.sum()), int(one_pixel.sum())
