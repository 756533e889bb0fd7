"""The kinds of kernels, beside a loop over them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from engine.inspection.events import FiltersShown
from engine.inspection.kernels import kinds_of
from engine.inspection.requests import ShowFilters
from engine.operations import perform


def counted(weights: np.ndarray) -> tuple[int, int]:
    kernels = [kernel.ravel().tolist() for row in weights for kernel in row]
    largest = max(math.hypot(*kernel) for kernel in kernels)
    near_zero = [math.hypot(*kernel) < largest / 10 for kernel in kernels]
    one_pixel = [
        not zero and max(w * w for w in kernel) >= 0.8 * sum(w * w for w in kernel)
        for kernel, zero in zip(kernels, near_zero, strict=True)
    ]
    return sum(near_zero), sum(one_pixel)


@pytest.mark.parametrize("seed", range(3))
def test_kinds_are_counted_as_defined(seed: int) -> None:
    generator = np.random.default_rng(seed)
    weights = generator.normal(size=(40, 2, 3, 3)).astype(np.float32)
    weights[::4] *= 0.01
    weights[1::4, :, 1, 2] = 8
    kinds = kinds_of(weights)
    assert kinds == counted(weights)
    assert min(kinds) > 10
    assert max(kinds) < 60


def test_kernels_that_are_all_zero_are_near_zero() -> None:
    assert kinds_of(np.zeros((5, 1, 3, 3), np.float32)) == (5, 0)


def test_the_event_tells_the_kinds_of_its_weights() -> None:
    *_, shown = perform(ShowFilters(what="pretrained:cnn"), Path("none"))
    assert isinstance(shown, FiltersShown)
    assert (shown.near_zero, shown.one_pixel) == counted(shown.weights)
    assert shown.mean_size == pytest.approx(np.abs(shown.weights.astype(float)).mean())
