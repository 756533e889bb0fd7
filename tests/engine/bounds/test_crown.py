"""CROWN's bounds hold, and are those of explicit matrices."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.bounds.affine import AffineLayers
from engine.bounds.crown import crown_margins
from engine.bounds.interval import interval_bounds, others
from engine.network.model import CNN
from engine.network.requests import Architecture
from tests.engine.bounds.networks import ARCHITECTURES, Numbers, explicit, near, network

pytestmark = pytest.mark.numeric

IMAGES = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(5))
LABELS = torch.tensor([0, 4, 9])


def line(lower: Numbers, upper: Numbers, *, above: bool) -> tuple[Numbers, float]:
    """Slopes and constant of an affine function above or below the maximum of 0 and inputs within bounds."""
    slopes = np.zeros(len(lower))
    if not above:
        best = int(np.argmax(lower + upper))
        slopes[best] = float(lower[best] + upper[best] > 0)
        return slopes, 0.0
    best = int(np.argmax(upper))
    rival = float(max([0.0, *np.delete(upper, best)]))
    if upper[best] <= rival:
        return slopes, rival
    if lower[best] >= rival:
        slopes[best] = 1.0
        return slopes, 0.0
    slopes[best] = (upper[best] - rival) / (upper[best] - lower[best])
    return slopes, rival - slopes[best] * lower[best]


def by_matrices(model: CNN, image: torch.Tensor, label: int, epsilon: float) -> list[float]:
    """CROWN's lower bound of each margin, one output after another."""
    plain = explicit(model)
    low, high = plain.box(model, image, epsilon)
    intervals = plain.intervals(low, high)
    groups = [*plain.windows, np.arange(len(intervals[2][0]))[:, None]]
    found = []
    for other in (each for each in range(10) if each != label):
        row = plain.weights[3][label] - plain.weights[3][other]
        constant = plain.biases[3][label] - plain.biases[3][other]
        for number in (2, 1, 0):
            lower, upper = intervals[number]
            inputs = np.zeros(len(lower))
            for coefficient, group in zip(row, groups[number], strict=True):
                slopes, intercept = line(lower[group], upper[group], above=coefficient < 0)
                inputs[group] += coefficient * slopes
                constant += coefficient * intercept
            constant += inputs @ plain.biases[number]
            row = inputs @ plain.weights[number]
        found.append(constant + np.minimum(row * low, row * high).sum())
    return found


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_they_are_those_of_explicit_matrices_less_what_rounding_asks(architecture: Architecture) -> None:
    model = network(architecture)
    layers = AffineLayers.to_prove(model)
    for epsilon in (0.02, 0.2):
        found = crown_margins(layers, interval_bounds(layers, IMAGES, epsilon), LABELS).numpy()
        expected = np.array([by_matrices(model, *each, epsilon) for each in zip(IMAGES[:, None], LABELS, strict=True)])
        assert (found < expected).all()
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_no_image_of_the_box_breaks_them(architecture: Architecture) -> None:
    """Also as the network itself computes, in single precision."""
    model, epsilon = network(architecture), 0.05
    layers = AffineLayers.to_prove(model)
    margins = crown_margins(layers, interval_bounds(layers, IMAGES, epsilon), LABELS)
    for number in range(5):
        for images in near(IMAGES, epsilon, 20, number):
            with torch.inference_mode():
                logits = model(images)
            assert (logits.gather(1, LABELS[:, None]) - logits.gather(1, others(LABELS)) >= margins).all()


@pytest.mark.parametrize("architecture", ARCHITECTURES[:3])
def test_within_nothing_they_are_the_margins(architecture: Architecture) -> None:
    model = network(architecture)
    layers = AffineLayers.to_prove(model)
    found = crown_margins(layers, interval_bounds(layers, IMAGES, 0.0), LABELS)
    with torch.inference_mode():
        logits = model(IMAGES)
    margins = logits.gather(1, LABELS[:, None]) - logits.gather(1, others(LABELS))
    assert torch.allclose(found, margins.double(), rtol=0, atol=1e-3)
