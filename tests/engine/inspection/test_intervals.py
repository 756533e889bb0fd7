"""Confidence intervals."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest

from engine.inspection.intervals import wilson


@pytest.mark.parametrize(("correct", "count"), [(0, 1), (1, 1), (0, 50), (50, 50), (37, 50), (9812, 10_000)])
def test_intervals_are_wilsons(correct: int, count: int) -> None:
    expected = binomtest(correct, count).proportion_ci(method="wilson")
    assert wilson(correct, count) == pytest.approx((expected.low, expected.high), abs=1e-7)
