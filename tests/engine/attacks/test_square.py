"""Square: its schedule and its windows against torchattacks', and the partial forward pass against the whole one."""

from __future__ import annotations

import math
import random

import pytest
import torch
import torchattacks

from engine.adversary.kept_maps import KeptMaps
from engine.adversary.names import NormName
from engine.adversary.network import AttackedNetwork
from engine.adversary.norm_ball import norms
from engine.adversary.square import bumps, side, square
from engine.data.datasets import Dataset
from engine.network.model import seeded_cnn
from engine.network.requests import Architecture
from tests.engine.attacks.samples import ARCHITECTURES, EXACT, NORMS, any_other, digits, last, odd_network, of

pytestmark = pytest.mark.numeric


@pytest.mark.parametrize("queries", [100, 5000, 10_000])
def test_sides_are_those_of_torchattacks(queries: int) -> None:
    attack = torchattacks.Square(of("cnn").model, n_queries=queries)
    for query in range(queries):
        share = attack.p_selection(query)
        wide = max(round(math.sqrt(share * 784)), 1)
        assert side(query, queries, "linf") == wide
        odd = max(wide, 3)
        assert side(query, queries, "l2") == odd + (odd % 2 == 0)


@pytest.mark.parametrize("size", [3, 5, 9, 25])
def test_bumps_are_those_of_torchattacks(size: int) -> None:
    attack = torchattacks.Square(of("cnn").model)
    theirs = attack.eta(size)
    ours = bumps(size)
    assert ours.norm() == pytest.approx(1)
    assert min((theirs - ours).abs().max(), (theirs - ours.t()).abs().max()) < 1e-6


@pytest.mark.parametrize("architecture", [Architecture(), *ARCHITECTURES], ids=lambda a: f"{a.kernel_size}-{a.stride}")
def test_a_change_of_a_square_is_as_if_all_was_computed(architecture: Architecture, mnist: Dataset) -> None:
    model = odd_network(architecture, mnist.train.images[:50])
    images, dice = mnist.test.images[:5].double(), random.Random(3)
    network = AttackedNetwork(model, EXACT)
    kept = KeptMaps(network.layers, images)
    for _ in range(40):
        size = dice.choice((1, 1, 2, 3, 7, 28))
        top, left = dice.randint(0, 28 - size), dice.randint(0, 28 - size)
        pixels = torch.rand((5, size, size), dtype=EXACT)
        change = kept.changed((top, top + size), (left, left + size), pixels)
        changed = images.clone()
        changed[:, 0, top : top + size, left : left + size] = pixels
        torch.testing.assert_close(change.logits, network.logits(changed), rtol=0, atol=1e-12)
        torch.testing.assert_close(kept.logits, network.logits(images), rtol=0, atol=1e-12)
        chosen = torch.tensor([i for i in range(5) if dice.random() < 0.5], dtype=torch.int64)
        kept.accept(change, chosen)
        images[chosen] = changed[chosen]
    kept.keep(torch.tensor([True, False, True, True, False]))
    torch.testing.assert_close(kept.logits, network.logits(images[[0, 2, 3]]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("norm", NORMS)
def test_square_breaks_as_many_as_torchattacks(norm: NormName, mnist: Dataset) -> None:
    images, labels = digits(mnist, 24)
    model = of("cnn").model
    images = images.float()
    epsilon = 0.15 if norm == "linf" else 2.0
    attack = torchattacks.Square(model, norm="Linf" if norm == "linf" else "L2", eps=epsilon, n_queries=120)
    with torch.no_grad():
        theirs = int((model(attack(images, labels)).argmax(dim=1) == labels).sum())
    network = AttackedNetwork(model, torch.float32)
    found = last(square(network, images, any_other(labels), epsilon, norm, 120, 0, range(24), stop=True))
    with torch.no_grad():
        ours = int((model(found.images).argmax(dim=1) == labels).sum())
    assert norms(found.images - images, norm).max() <= epsilon + 1e-5
    assert 0 < ours < 24
    assert abs(ours - theirs) <= 7  # two standard deviations of a difference of two counts of 24


def test_the_margin_never_gets_worse_and_the_first_columns_are_at_the_bound(mnist: Dataset) -> None:
    networks, (images, labels) = of("cnn"), digits(mnist, 5)
    objective = any_other(labels)
    low, high = (images - 0.1).clamp(min=0), (images + 0.1).clamp(max=1)
    before = torch.full((5,), -torch.inf, dtype=EXACT)
    for query, iterate in enumerate(square(networks.attacked, images, objective, 0.1, "linf", 60, 0, range(5))):
        at_bound = (iterate.images == low) | (iterate.images == high)
        assert at_bound.all()
        if query == 0:
            bright = (iterate.images == high) | (low == high)
            assert (bright.all(dim=2) | (iterate.images == low).all(dim=2)).all()
        margin = objective.margin(iterate.logits)
        assert (margin >= before - 1e-9).all()
        before = margin
    torch.testing.assert_close(networks.attacked.logits(iterate.images), iterate.logits, rtol=0, atol=1e-9)


def test_an_unknown_network_has_no_windows_of_nothing() -> None:
    model = seeded_cnn(Architecture(kernel_size=4, padding=0), 0).eval()
    kept = KeptMaps(AttackedNetwork(model, EXACT).layers, torch.zeros((2, 1, 28, 28), dtype=EXACT))
    corner = kept.changed((27, 28), (27, 28), torch.ones((2, 1, 1), dtype=EXACT))
    torch.testing.assert_close(corner.logits, kept.logits, rtol=0, atol=0)  # pooling leaves it out
