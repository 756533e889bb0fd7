"""Initial weights for training against interval bounds."""

from __future__ import annotations

import pytest
import torch

from engine.bounds.affine import AffineLayers
from engine.bounds.initial import tighten
from engine.bounds.interval import Bounds, interval_bounds
from engine.network.model import CNN, seeded_cnn
from engine.network.requests import Architecture


def widths(model: CNN) -> list[float]:
    """The mean width of the bounds of each layer before its ReLU, for images of noise and epsilon 0.1."""
    images = torch.rand((20, 1, 28, 28), generator=torch.Generator().manual_seed(0)) * 0.6 + 0.2
    bounds: Bounds = interval_bounds(AffineLayers.to_train(model), images, 0.1)
    return [(each.upper - each.lower).mean().item() for each in (bounds.conv1, bounds.conv2, bounds.fc1)]


def test_bounds_keep_their_width_through_the_layers() -> None:
    model = seeded_cnn(Architecture(), 0)
    before = widths(model)
    tighten(model, 0, 0.1)
    after = widths(model)
    # Padding and the maxima of windows bend the rule, which holds for one layer with its ReLU.
    assert max(after) < 4 * min(after)
    assert max(before) > 20 * min(before)


def test_initial_weights_depend_on_the_seed_alone() -> None:
    one, other, third = (CNN(Architecture()) for _ in range(3))
    for model, seed in ((one, 4), (other, 4), (third, 5)):
        tighten(model, seed, 0.3)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert not torch.equal(one.conv1[0].weight, third.conv1[0].weight)  # type: ignore[arg-type]


@pytest.mark.parametrize("architecture", [Architecture(), Architecture(channels=5, kernel_size=5, mean=0.13, std=0.3)])
def test_first_maps_tell_black_from_white_whatever_moves_within_epsilon(architecture: Architecture) -> None:
    model = seeded_cnn(architecture, 0)
    tighten(model, 0, 0.3)
    first = model.conv1[0]
    assert isinstance(first, torch.nn.Conv2d)
    first.padding = (0, 0)
    noise = torch.rand((50, 1, 28, 28), generator=torch.Generator().manual_seed(0)) * 0.3
    with torch.no_grad():
        black, white = (first(model.inputs(each)).amax(dim=(0, 2, 3)) for each in (noise, 1 - noise))
    # Of each pair, one is nearly silent on black and one on white; the rest is what remains of random kernels.
    assert (black[::2] < 0.2).all()
    assert (white[::2] > 0.4).all()
    assert (white[1::2] < 0.2).all()
    assert (black[1::2] > 0.4).all()
