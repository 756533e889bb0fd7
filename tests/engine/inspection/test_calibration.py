"""Calibration, held against plain loops, SciPy's minimum, and what must hold of any sample."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from torch.nn.functional import cross_entropy

from engine.inspection.calibration import (
    COLDEST,
    HOTTEST,
    calibration_error,
    equal_mass,
    error_interval,
    fit_temperature,
    reliability,
)
from engine.inspection.intervals import wilson

if TYPE_CHECKING:
    from engine.event import Array


def sample(count: int, *, off: float = 0.0, seed: int = 0) -> tuple[Array, Array]:
    """Confidences, and whether each prediction is correct: with this probability less `off`."""
    random = np.random.default_rng(seed)
    sure = random.uniform(0.5, 1.0, count)
    return sure, random.uniform(size=count) < sure - off


def naive_error(confidence: Array, correct: Array, bins: int) -> float:
    """The calibration error by its definition, bin by bin and image by image."""
    pairs = sorted(zip(confidence.tolist(), correct.tolist(), strict=True), key=lambda pair: pair[0])
    total, error = len(pairs), 0.0
    for number in range(bins):
        inside = pairs[number * total // bins : (number + 1) * total // bins]
        if inside:
            mean = sum(sure for sure, _ in inside) / len(inside)
            accuracy = sum(right for _, right in inside) / len(inside)
            error += len(inside) / total * abs(accuracy - mean)
    return error


def logits_of(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (N, 10), and labels (N,) drawn with the probabilities that they give."""
    random = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn((count, 10), generator=random, dtype=torch.float64)
    return logits, torch.multinomial(torch.softmax(logits, dim=1), 1, generator=random)[:, 0]


@pytest.mark.parametrize(("count", "bins"), [(1000, 15), (1001, 15), (7, 15), (1, 1), (15, 15), (50, 1)])
def test_the_error_is_that_of_a_plain_loop(count: int, bins: int) -> None:
    sure, right = sample(count, off=0.1)
    expected = naive_error(sure, right, min(bins, count))
    assert calibration_error(sure, right, bins) == pytest.approx(expected, abs=1e-12)


def test_bins_have_the_same_mass_and_are_those_of_the_error() -> None:
    sure, right = sample(1000, off=0.1)
    found = reliability(sure, right, 15)
    assert {each.count for each in found} == {66, 67}
    assert sum(each.count for each in found) == 1000
    assert [each.confidence for each in found] == sorted(each.confidence for each in found)
    error = sum(each.count / 1000 * abs(each.accuracy - each.confidence) for each in found)
    assert calibration_error(sure, right, 15) == pytest.approx(error, abs=1e-12)
    for each in found:
        assert (each.low, each.high) == wilson(round(each.accuracy * each.count), each.count)
    assert equal_mass(4, 9).tolist() == [0, 1, 2, 3, 4]


def test_a_calibrated_sample_has_a_small_error_and_another_one_does_not() -> None:
    assert calibration_error(*sample(100_000), 15) < 0.01
    assert calibration_error(*sample(100_000, off=0.2), 15) == pytest.approx(0.2, abs=0.01)
    assert calibration_error(np.ones(9), np.zeros(9), 15) == 1.0


def test_the_order_of_the_images_does_not_matter() -> None:
    sure, right = sample(500, off=0.1)
    order = np.random.default_rng(1).permutation(500)
    assert calibration_error(sure[order], right[order], 15) == pytest.approx(calibration_error(sure, right, 15))


def test_the_interval_is_that_of_a_plain_bootstrap() -> None:
    sure, right = sample(600, off=0.1)
    low, high = error_interval(sure, right, 15, seed=3)
    random = np.random.default_rng(7)
    errors = []
    for _ in range(400):
        chosen = random.integers(600, size=600)
        errors.append(naive_error(sure[chosen], right[chosen], 15))
    assert (low, high) == pytest.approx(np.percentile(errors, (2.5, 97.5)), abs=0.01)
    assert low <= calibration_error(sure, right, 15) <= high
    assert error_interval(sure, right, 15, seed=3) == (low, high)
    assert error_interval(sure, right, 15, seed=4) != (low, high)


def test_the_interval_is_narrower_with_more_images() -> None:
    few, many = (error_interval(*sample(count, off=0.1), 15, seed=0) for count in (400, 6400))
    assert (many[1] - many[0]) < 0.5 * (few[1] - few[0])


def test_what_is_no_number_has_no_error() -> None:
    sure, right = sample(20)
    sure[3] = math.nan
    assert math.isnan(calibration_error(sure, right, 5))
    assert all(map(math.isnan, error_interval(sure, right, 5, seed=0)))


def test_the_temperature_is_the_minimum_that_scipy_finds() -> None:
    logits, labels = logits_of(2000)
    skewed = 2.2 * logits + 0.5 * logits**2 / 3

    def loss(temperature: float) -> float:
        return cross_entropy(skewed / temperature, labels).item()

    found = fit_temperature(skewed, labels)
    best = minimize_scalar(loss, bounds=(0.1, 20), method="bounded", options={"xatol": 1e-9})
    assert found == pytest.approx(best.x, rel=1e-4)
    assert loss(found) <= min(loss(found * 1.01), loss(found / 1.01), loss(1.0))


def test_logits_three_times_as_large_have_three_times_the_temperature() -> None:
    logits, labels = logits_of(3000)
    once = fit_temperature(logits, labels)
    assert once == pytest.approx(1, abs=0.1)  # the labels were drawn with these probabilities
    assert fit_temperature(3 * logits, labels) == pytest.approx(3 * once, rel=1e-9)


def test_the_limits_of_the_temperature() -> None:
    logits, _ = logits_of(50)
    assert fit_temperature(logits, logits.argmax(dim=1)) == pytest.approx(COLDEST)
    assert fit_temperature(logits, logits.argmin(dim=1)) == pytest.approx(HOTTEST)
    assert math.isnan(fit_temperature(logits * math.nan, logits.argmax(dim=1)))
