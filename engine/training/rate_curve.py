"""What the loss says about learning rates that rose from step to step (Smith 2017, arXiv:1506.01186, section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

SHARE = 10
"""The suggested rate is so many times smaller than the one from which on the loss rises, as is usual (fastai)."""
FALL = 0.1
"""Share of the first smoothed loss that the loss must fall by, if the rates are to say anything."""
WIDTH = 0.02
"""Standard deviation of the smoothing, as a share of the planned number of steps."""
DIVERGED, LATEST = 4.0, 10
"""The loss has diverged where the mean of the LATEST losses is more than DIVERGED times the lowest such mean."""


class RateCurve(NamedTuple):
    """What the smoothed losses say."""

    smoothed: tuple[float, ...]
    """A loss for each rate, in nats."""
    steepest: float | None
    """The rate at which the loss falls fastest, per factor of the rate; None where it does not fall."""
    rises_from: float | None
    """The rate with the lowest loss, from which on it rises; None where it does not fall, or still falls at the end."""
    suggested: float | None
    """`rises_from` divided by SHARE, to two digits; None where that is."""


def rates_between(lowest: float, highest: float, steps: int) -> list[float]:
    """`steps` rates from `lowest` to `highest`, each the same factor above the one before."""
    return [lowest * (highest / lowest) ** (step / (steps - 1)) for step in range(steps)]


def smooth(losses: Sequence[float], steps: int) -> list[float]:
    """Each of `losses` as the mean of its neighbours on both sides, so that nothing is moved to higher rates.

    Weights are those of a normal distribution with a standard deviation of WIDTH * `steps`, at least one step; at both
    ends they are those of the neighbours that there are.
    """
    values, width = np.asarray(losses, np.float64), max(1.0, WIDTH * steps)
    reach = int(4 * width)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    padded = np.pad(values, reach)
    there = np.pad(np.ones_like(values), reach)
    found: list[float] = (np.convolve(padded, kernel, "valid") / np.convolve(there, kernel, "valid")).tolist()
    return found


def has_diverged(losses: Sequence[float]) -> bool:
    """Whether the latest of `losses` are so high that no higher rate is worth trying."""
    if len(losses) <= LATEST:
        return False
    sums = np.cumsum([0.0, *losses])
    means = sums[LATEST:] - sums[:-LATEST]
    return bool(means[-1] > DIVERGED * means.min())


def read_curve(rates: Sequence[float], losses: Sequence[float], steps: int) -> RateCurve:
    """What `losses` (nats) at ascending `rates`, the first of `steps` planned ones, say about the learning rate.

    The loss falls fastest where its slope over the logarithm of the rate is lowest; it rises from where it is lowest.
    """
    if len(losses) < 2:
        return RateCurve(tuple(losses), None, None, None)
    smoothed = np.array(smooth(losses, steps))
    lowest = int(smoothed.argmin())
    if smoothed[0] - smoothed[lowest] < FALL * smoothed[0]:
        return RateCurve(tuple(smoothed.tolist()), None, None, None)
    slopes = np.gradient(smoothed, np.log10(rates))
    steepest = rates[int(slopes[: lowest + 1].argmin())]
    # Within the reach of the smoothing, the end is no rise.
    if lowest >= len(losses) - 1 - max(1.0, WIDTH * steps):
        return RateCurve(tuple(smoothed.tolist()), steepest, None, None)
    rises_from = rates[lowest]
    return RateCurve(tuple(smoothed.tolist()), steepest, rises_from, float(f"{rises_from / SHARE:.1e}"))
