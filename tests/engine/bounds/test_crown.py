"""CROWN's bounds hold, and are those of explicit matrices."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.bounds.affine import AffineLayers
from engine.bounds.crown import crown_margins, tightened
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
    weight, bias = plain.weights[3], plain.biases[3]
    rows = [(weight[label] - weight[other], bias[label] - bias[other]) for other in range(10) if other != label]
    return [lowest(model, image, epsilon, row, constant, (2, 1, 0)) for row, constant in rows]


def lowest(  # noqa: PLR0917
    model: CNN, image: torch.Tensor, epsilon: float, row: Numbers, constant: float, layers: tuple[int, ...]
) -> float:
    """CROWN's lower bound of an affine function of the outputs that follow the first of `layers`."""
    plain = explicit(model)
    low, high = plain.box(model, image, epsilon)
    intervals = plain.intervals(low, high)
    groups = [*plain.windows, np.arange(len(intervals[2][0]))[:, None]]
    for number in layers:
        lower, upper = intervals[number]
        inputs = np.zeros(len(lower))
        for coefficient, group in zip(row, groups[number], strict=True):
            slopes, intercept = line(lower[group], upper[group], above=coefficient < 0)
            inputs[group] += coefficient * slopes
            constant += coefficient * intercept
        constant += float(inputs @ plain.biases[number])
        row = inputs @ plain.weights[number]
    return float(constant + np.minimum(row * low, row * high).sum())


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


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_tighter_bounds_of_the_second_convolution_are_crowns_own(architecture: Architecture) -> None:
    model, epsilon = network(architecture), 0.05
    layers, plain = AffineLayers.to_prove(model), explicit(model)
    bounds = interval_bounds(layers, IMAGES[:2], epsilon)
    tight = tightened(layers, bounds)
    assert (tight.conv2.lower >= bounds.conv2.lower).all()
    assert (tight.conv2.upper <= bounds.conv2.upper).all()
    assert (tight.fc1.lower >= bounds.fc1.lower - 1e-9).all()
    rows = range(0, len(plain.weights[1]), 53)
    for place in range(2):
        ends = [each[place].flatten()[list(rows)].numpy() for each in (tight.conv2.lower, tight.conv2.upper)]
        before = plain.intervals(*plain.box(model, IMAGES[place : place + 1], epsilon))[1]
        for sign, end, interval in zip((1, -1), ends, before, strict=True):
            expected = [
                sign
                * lowest(
                    model,
                    IMAGES[place : place + 1],
                    epsilon,
                    sign * plain.weights[1][row],
                    sign * plain.biases[1][row],
                    (0,),
                )
                for row in rows
            ]
            best = (np.maximum, np.minimum)[sign < 0](expected, interval[list(rows)])
            assert (sign * end < sign * best).all()
            np.testing.assert_allclose(end, best, rtol=0, atol=2e-4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_no_image_of_the_box_breaks_the_tighter_ones(architecture: Architecture) -> None:
    model, epsilon = network(architecture), 0.05
    layers = AffineLayers.to_prove(model)
    bounds = interval_bounds(layers, IMAGES, epsilon)
    tight = tightened(layers, bounds)
    margins = crown_margins(layers, tight, LABELS)
    one = crown_margins(layers, tight.at(torch.tensor([1])), LABELS[1:2])
    assert torch.allclose(one, margins[1:2])
    for images in near(IMAGES, epsilon, 50, 7):
        with torch.inference_mode():
            logits = model(images)
        assert (logits.gather(1, LABELS[:, None]) - logits.gather(1, others(LABELS)) >= margins).all()
