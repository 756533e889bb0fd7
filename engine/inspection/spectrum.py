"""How fine the structure of images is, and how much alike images are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from engine.event import Array

FINE = 0.25
"""Cycles a pixel from which on a spatial frequency counts as high: half of the most that pixels can hold."""


def high_frequencies(images: Array) -> Array:
    """The share of the power of each of `images` (n, H, W) at high spatial frequencies, (n,) float64 from 0 to 1.

    The power is that of the discrete Fourier transform without the mean; 0 for an image of one gray.
    """
    values = images.astype(np.float64)
    power = np.abs(np.fft.fft2(values - values.mean(axis=(1, 2), keepdims=True))) ** 2
    rows, columns = np.fft.fftfreq(images.shape[1]), np.fft.fftfreq(images.shape[2])
    high = np.hypot(rows[:, None], columns[None, :]) > FINE
    total = power.sum(axis=(1, 2))
    found: Array = np.where(total > 1e-12, power[:, high].sum(axis=1) / np.where(total > 1e-12, total, 1.0), 0.0)
    return found


def likeness(images: Array) -> float:
    """The mean correlation of pairs of `images` (n, H, W), -1 to 1; NaN for one image, or where one is of one gray."""
    flat = images.reshape(len(images), -1).astype(np.float64)
    flat -= flat.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(flat, axis=1)
    if len(flat) < 2 or norms.min() < 1e-9:
        return float("nan")
    flat /= norms[:, None]
    return float((flat @ flat.T)[np.triu_indices(len(flat), 1)].mean())
