"""The losses of IBP and CROWN-IBP: their values, their gradients, and their ramp."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from engine.bounds.affine import AffineLayers
from engine.bounds.crown import crown_margins
from engine.bounds.interval import interval_bounds, interval_margins, others
from engine.bounds.objective import CrownIntervalObjective, IntervalObjective
from engine.network.model import CNN, seeded_cnn
from engine.network.requests import Architecture

pytestmark = pytest.mark.numeric

IMAGES = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
LABELS = torch.tensor([3, 0, 9, 3])
KINDS = (IntervalObjective, CrownIntervalObjective)


def doubled(channels: int = 2, hidden: int = 5) -> CNN:
    return seeded_cnn(Architecture(channels=channels, hidden=hidden), 1).double().train()


def worst_logits(margins: Tensor) -> Tensor:
    """The logits (n, 10) whose margins are the lowest."""
    return torch.zeros(len(margins), 10, dtype=margins.dtype).scatter(1, others(LABELS), -margins)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_ramp_it_is_the_clean_loss(kind: type[IntervalObjective]) -> None:
    model = doubled()
    found = kind(model, 0.3, 0.5).loss(IMAGES, LABELS, model, 0.0, 0)
    assert found.item() == pytest.approx(cross_entropy(model(IMAGES), LABELS).item(), rel=1e-12)


@pytest.mark.parametrize("ramp", [0.4, 1.0])
def test_the_loss_is_that_of_the_worst_logits(ramp: float) -> None:
    model = doubled()
    layers = AffineLayers.to_train(model)
    bounds = interval_bounds(layers, IMAGES, 0.3 * ramp)
    plain, crown = interval_margins(layers, bounds, LABELS), crown_margins(layers, bounds, LABELS)
    clean, share = cross_entropy(model(IMAGES), LABELS), 1 - 0.75 * ramp
    for kind, margins in ((IntervalObjective, plain), (CrownIntervalObjective, ramp * plain + (1 - ramp) * crown)):
        expected = share * clean + (1 - share) * cross_entropy(worst_logits(margins), LABELS)
        for given in (ramp, torch.tensor(ramp, dtype=torch.float64), torch.tensor([ramp], dtype=torch.float64)):
            found = kind(model, 0.3, 0.25).loss(IMAGES, LABELS, model, given, torch.tensor(7))
            assert found.item() == pytest.approx(expected.item(), rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_finite_differences(kind: type[IntervalObjective]) -> None:
    model = doubled()
    objective = kind(model, 0.2, 0.5)
    torch.autograd.backward(objective.loss(IMAGES, LABELS, model, 0.6, 0))
    generator = torch.Generator().manual_seed(8)
    for parameter in model.parameters():
        assert parameter.grad is not None
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        ends = []
        for sign in (-1, 1):
            with torch.no_grad():
                parameter.add_(direction, alpha=sign * 1e-7)
                ends.append(objective.loss(IMAGES, LABELS, model, 0.6, 0).item())
                parameter.sub_(direction, alpha=sign * 1e-7)
        slope = (ends[1] - ends[0]) / 2e-7
        assert (parameter.grad * direction).sum().item() == pytest.approx(slope, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_training_with_it_proves_what_was_not(kind: type[IntervalObjective]) -> None:
    """Three classes, each with its own bright quarter of the image."""
    images, labels = torch.zeros(3, 1, 28, 28, dtype=torch.float64), torch.arange(3)
    images[0, 0, :14, :14] = images[1, 0, :14, 14:] = images[2, 0, 14:, :14] = 1
    model = doubled(4, 20)
    before = copy.deepcopy(model)
    objective, optimizer = kind(model, 0.2, 0.0), torch.optim.Adam(model.parameters(), 1e-2)
    for step in range(60):
        optimizer.zero_grad()
        torch.autograd.backward(objective.loss(images, labels, model, min(1.0, step / 40), step))
        optimizer.step()
    least = []
    for network in (before, model):
        layers = AffineLayers.to_prove(network)
        least.append(interval_margins(layers, interval_bounds(layers, images, 0.1), labels).min().item())
    assert least[0] < 0 < least[1]


def test_without_a_share_of_the_clean_loss_it_is_the_worst_case_from_the_first_step_on() -> None:
    model = doubled()
    worst, mixed = IntervalObjective(model, 0.1, 0.0), IntervalObjective(model, 0.1, 0.5)
    first, other = (each.loss(IMAGES, LABELS, model, 0.0, 0).item() for each in (worst, mixed))
    assert first == pytest.approx(other, rel=1e-9)
    # Half-way, the mixed loss is three quarters the clean one, which is below the worst.
    assert worst.loss(IMAGES, LABELS, model, 0.5, 0) > mixed.loss(IMAGES, LABELS, model, 0.5, 0)
