"""Confidence intervals of shares, such as an accuracy."""

from __future__ import annotations

Z = 1.959964
"""Standard deviations on either side of the mean that contain 95 % of a normal distribution."""


def wilson(correct: int, count: int) -> tuple[float, float]:
    """The 95 % confidence interval of the share `correct` / `count`, limits from 0 to 1 (Wilson 1927)."""
    share, spread = correct / count, Z**2 / count
    middle = (share + spread / 2) / (1 + spread)
    half = Z * ((share * (1 - share) + spread / 4) / count) ** 0.5 / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)
