"""Calibration: whether a network is right as often as it is confident, and the temperature that makes it so."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from engine.inspection.audit_events import ReliabilityBin
from engine.inspection.intervals import wilson

if TYPE_CHECKING:
    from engine.event import Array

RESAMPLES = 1000
"""Number of bootstrap samples of an interval."""
COLDEST, HOTTEST = 0.01, 100.0
"""Limits of the temperature: a network that makes no mistake on the validation split would be best at 0."""
_HALVINGS = 50
"""Number of halvings of the interval of temperatures: what remains is below the resolution of a double."""


def equal_mass(count: int, bins: int) -> Array:
    """The ends of `bins` bins of `count` sorted values: (bins + 1,) int64 from 0 to `count`.

    The sizes differ by at most one. There are no empty bins: of fewer values than bins, each has its own.
    """
    bins = min(bins, count)
    return (np.arange(bins + 1) * count) // bins


def sorted_pairs(confidence: Array, correct: Array) -> tuple[Array, Array]:
    """Confidences (N,) in ascending order, and whether each prediction is correct (N,) as 0.0 or 1.0.

    Equal confidences stay in the order of the split.
    """
    order = np.argsort(confidence, kind="stable")
    return confidence[order].astype(np.float64), correct[order].astype(np.float64)


def reliability(confidence: Array, correct: Array, bins: int) -> tuple[ReliabilityBin, ...]:
    """The reliability diagram: `bins` bins of equal mass by ascending confidence (Nguyen and O'Connor 2015).

    `confidence` (N,) is the probability of the predicted class, 0 to 1, `correct` (N,) whether it is the actual one.
    """
    sure, right = sorted_pairs(confidence, correct)
    ends = equal_mass(len(sure), bins)
    found = []
    for first, last in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
        hits = int(right[first:last].sum())
        low, high = wilson(hits, last - first)
        mean = float(sure[first:last].mean())
        found.append(
            ReliabilityBin(count=last - first, confidence=mean, accuracy=hits / (last - first), low=low, high=high)
        )
    return tuple(found)


def _error(gaps: Array, ends: Array) -> float:
    """The calibration error of differences (N,) of correctness and confidence, sorted by confidence."""
    return float(np.abs(np.add.reduceat(gaps, ends[:-1])).sum() / len(gaps))


def calibration_error(confidence: Array, correct: Array, bins: int) -> float:
    """Expected calibration error, 0 to 1: the mean distance of accuracy and confidence in bins, weighted by their size.

    After Naeini et al. 2015 and Guo et al. 2017 (arXiv:1706.04599), but with bins of equal mass instead of equal width:
    of a good network, nearly all images would be in one of the latter. Arguments are as for `reliability`; NaN where a
    confidence is.
    """
    sure, right = sorted_pairs(confidence, correct)
    return _error(right - sure, equal_mass(len(sure), bins))


def error_interval(confidence: Array, correct: Array, bins: int, seed: int) -> tuple[float, float]:
    """A 95 % confidence interval of `calibration_error`, by bootstrap: percentiles of resampled images (Efron 1979).

    Sampling noise adds to the error, so that percentiles lie too high where it is close to zero; the interval is
    widened to contain the error itself. It is determined by `seed`. Arguments are as for `reliability`.
    """
    sure, right = sorted_pairs(confidence, correct)
    gaps, ends = right - sure, equal_mass(len(sure), bins)
    error = _error(gaps, ends)
    if not math.isfinite(error):
        return math.nan, math.nan
    random = np.random.default_rng(seed)
    # Sorted indices of sorted confidences are a sorted sample.
    chosen = (np.sort(random.integers(len(gaps), size=len(gaps), dtype=np.int32)) for _ in range(RESAMPLES))
    low, high = np.percentile([_error(gaps[each], ends) for each in chosen], (2.5, 97.5))
    return min(error, float(low)), max(error, float(high))


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature T for which logits (N, 10) divided by T have the least cross-entropy with labels (N,).

    Temperature scaling (Guo et al. 2017, arXiv:1706.04599): above 1 for a network that is too sure. The cross-entropy
    is convex in 1 / T, so its minimum is where its derivative changes sign. T is from 0.01 to 100; NaN where logits are
    not finite.
    """
    z = logits.double()
    if not torch.isfinite(z).all():
        return math.nan
    of_label = z.gather(1, labels[:, None])[:, 0].mean()
    low, high = math.log(1 / HOTTEST), math.log(1 / COLDEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        slope = (torch.softmax(z * math.exp(middle), dim=1) * z).sum(dim=1).mean() - of_label
        if slope < 0:
            low = middle
        else:
            high = middle
    return math.exp(-(low + high) / 2)
