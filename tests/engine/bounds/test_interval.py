"""Interval bounds hold, are those of exact interval arithmetic, and allow for rounding."""

from __future__ import annotations

import copy
import itertools
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

from engine.bounds.affine import AffineLayers
from engine.bounds.interval import interval_bounds, interval_logits, interval_margins, others
from engine.network.requests import Architecture
from tests.engine.bounds.networks import ARCHITECTURES, explicit, near, network

pytestmark = pytest.mark.numeric

IMAGES = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(5))
LABELS = torch.tensor([0, 4, 9])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_they_are_those_of_interval_arithmetic_and_as_much_wider_as_rounding_asks(architecture: Architecture) -> None:
    model = network(architecture)
    layers = AffineLayers.to_prove(model)
    for epsilon in (0.03, 0.3):
        lower, upper = interval_logits(layers, interval_bounds(layers, IMAGES, epsilon))
        for image, low, high in zip(IMAGES, lower.numpy(), upper.numpy(), strict=True):
            plain = explicit(model)
            expected = plain.intervals(*plain.box(model, image[None], epsilon))[-1]
            assert (low < expected[0]).all()
            assert (high > expected[1]).all()
            width = (expected[1] - expected[0]).max()
            np.testing.assert_allclose((low, high), expected, rtol=0, atol=1e-3 * width + 1e-4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_no_image_of_the_box_breaks_them(architecture: Architecture) -> None:
    """Also as the network itself computes, in single precision."""
    model, epsilon = network(architecture), 0.1
    layers = AffineLayers.to_prove(model)
    bounds = interval_bounds(layers, IMAGES, epsilon)
    lower, upper = interval_logits(layers, bounds)
    margins = interval_margins(layers, bounds, LABELS)
    for number in range(5):
        for images in near(IMAGES, epsilon, 20, number):
            with torch.inference_mode():
                logits = model(images)
            assert (logits >= lower).all()
            assert (logits <= upper).all()
            assert (logits.gather(1, LABELS[:, None]) - logits.gather(1, others(LABELS)) >= margins).all()


def test_eliding_the_last_layer_is_tighter() -> None:
    layers = AffineLayers.to_prove(network(ARCHITECTURES[0]))
    bounds = interval_bounds(layers, IMAGES, 0.1)
    lower, upper = interval_logits(layers, bounds)
    apart = lower.gather(1, LABELS[:, None]) - upper.gather(1, others(LABELS))
    assert (interval_margins(layers, bounds, LABELS) > apart).all()


@pytest.mark.parametrize("architecture", ARCHITECTURES[:3])
def test_a_larger_epsilon_has_wider_bounds(architecture: Architecture) -> None:
    layers = AffineLayers.to_prove(network(architecture))
    ends = [interval_logits(layers, interval_bounds(layers, IMAGES, epsilon)) for epsilon in (0.0, 0.01, 0.1, 0.5, 1.0)]
    for (lower, upper), (further, above) in itertools.pairwise(ends):
        assert (further <= lower).all()
        assert (above >= upper).all()


def test_single_precision_errs_less_than_is_allowed_for() -> None:
    """A sum of 500 thirds, one after the other, against exact fractions."""
    layers = AffineLayers.to_prove(network(Architecture(channels=1, hidden=500)))
    third, total = torch.tensor(1 / 3), torch.zeros(())
    for _ in range(500):
        total = total + third
    exact = 500 * Fraction(third.item())
    assert 0 < abs(Fraction(total.item()) - exact) < Fraction(layers.fc2.rounding) * exact


def test_rounding_is_counted_where_weights_cancel() -> None:
    """Single precision then gets logits wrong, and the bounds of the image alone hold both them and the exact ones."""
    model = copy.deepcopy(network(ARCHITECTURES[0]))
    with torch.no_grad():
        fc1 = model.fc[1]
        assert isinstance(fc1, nn.Linear)
        fc1.weight.mul_(1e4)
        fc1.bias.copy_(-fc1.weight @ model.conv2(model.conv1(IMAGES[:1])).flatten() + 1)
    layers = AffineLayers.to_prove(model)
    lower, upper = interval_logits(layers, interval_bounds(layers, IMAGES[:1], 0.0))
    with torch.inference_mode():
        single, double = model(IMAGES[:1]).double(), copy.deepcopy(model).double()(IMAGES[:1].double())
    assert (single - double).abs().max() > 1e-5
    for logits in (single, double):
        assert (lower <= logits).all()
        assert (logits <= upper).all()
