"""APGD: its schedule, its steps against a plain loop, and what it breaks beside torchattacks."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import pytest
import torch
import torchattacks
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from engine.adversary.apgd import apgd, checkpoints
from engine.adversary.fab import likely_targets
from engine.adversary.names import LossName, NormName
from engine.adversary.network import AttackedNetwork
from engine.adversary.norm_ball import random_starts
from engine.adversary.objectives import ANY, LogitRatio, Misclassification, loss_of
from engine.data.datasets import Dataset
from tests.engine.attacks.samples import EXACT, NORMS, any_other, digits, last, of, unsure

pytestmark = pytest.mark.numeric


@pytest.mark.parametrize("steps", [1, 7, 10, 50, 100, 1000])
def test_checkpoints_are_those_of_the_paper(steps: int) -> None:
    shares, period = [Fraction(0), Fraction(22, 100)], Fraction(22, 100)
    while shares[-1] <= 1:
        period = max(period - Fraction(3, 100), Fraction(6, 100))
        shares.append(shares[-1] + period)
    assert checkpoints(steps) == sorted({ceil(share * steps) for share in shares[1:] if share <= 1})


def test_of_a_hundred_steps_the_checkpoints_are_well_known() -> None:
    assert checkpoints(100) == [22, 41, 57, 70, 80, 87, 93, 99]


def losses(logits: Tensor, actual: int, name: LossName, target: int) -> Tensor:
    """The loss of one image, as the paper has it."""
    if name == "ce":
        return cross_entropy(logits[None], torch.tensor([actual]))
    ordered = logits.sort(descending=True).values
    if target != ANY:
        return (logits[target] - logits[actual]) / (ordered[0] - (ordered[2] + ordered[3]) / 2)
    others = torch.cat((logits[:actual], logits[actual + 1 :]))
    if name == "cw":
        return others.max() - logits[actual]
    return (others.max() - logits[actual]) / (ordered[0] - ordered[2])


def by_the_paper(  # noqa: PLR0917
    model: nn.Module, image: Tensor, start: Tensor, epsilon: float, norm: NormName, steps: int, loss: LossName,
    actual: int, target: int,
) -> list[Tensor]:  # fmt: skip
    """Algorithm 1, for one image (1, 28, 28): the images at each step."""

    def at(point: Tensor) -> tuple[float, Tensor]:
        point = point.clone().requires_grad_()
        value = losses(model(point[None])[0], actual, loss, target)
        return value.item(), torch.autograd.grad(value, point)[0]

    def back(point: Tensor) -> Tensor:
        change = point - image
        if norm == "linf":
            change = change.clamp(-epsilon, epsilon)
        elif change.norm() > epsilon:
            change = change * epsilon / change.norm()
        return (image + change).clamp(0, 1)

    def ascended(point: Tensor, slope: Tensor, size: float) -> Tensor:
        return back(point + size * (slope.sign() if norm == "linf" else slope / slope.norm()))

    size, halved_before = 2 * epsilon, True
    (value, slope), before, now = at(start), start, start
    best, best_value, best_slope = start, value, slope
    best_at_checkpoint, rises, since, found = value, 0, 0, []
    for step in range(1, steps + 1):
        found.append(now)
        aim = ascended(now, slope, size)
        if step > 1:
            aim = back(now + 0.75 * (aim - now) + 0.25 * (now - before))
        before, now = now, aim
        previous, (value, slope) = value, at(now)
        rises, since = rises + (value > previous), since + 1
        if value > best_value:
            best, best_value, best_slope = now, value, slope
        if step in checkpoints(steps):
            halved = rises < 0.75 * since or (not halved_before and best_at_checkpoint >= best_value)
            if halved:
                size, now, value, slope = size / 2, best, best_value, best_slope
            halved_before, best_at_checkpoint, rises, since = halved, best_value, 0, 0
    return found


@pytest.mark.parametrize(
    ("norm", "epsilon", "loss", "targeted"),
    [("linf", 0.1, "ce", False), ("l2", 1.0, "ce", False), ("linf", 0.1, "dlr", True), ("l2", 1.0, "cw", False)],
)
def test_the_steps_are_those_of_the_algorithm(
    norm: NormName, epsilon: float, loss: LossName, targeted: bool, mnist: Dataset
) -> None:
    images, labels = digits(mnist, 3)
    model = unsure(of("cnn"), 0.1)  # of a confident one, autograd's gradient of the cross-entropy is all rounding
    network = AttackedNetwork(model, EXACT)
    starts = random_starts(images, epsilon, norm, 0, range(3))
    targets = likely_targets(network.logits(images), labels)[:, 1] if targeted else torch.full_like(labels, ANY)
    kind = loss_of(loss, Misclassification(labels, targets))
    shown = [
        each.images.clone() for each in apgd(network, images, any_other(labels), epsilon, norm, 30, [starts], [kind])
    ]
    assert len(shown) == 31
    for i in range(3):
        expected = by_the_paper(model, images[i], starts[i], epsilon, norm, 30, loss, int(labels[i]), int(targets[i]))
        # A yielded image is the one that was evaluated; at a checkpoint the plain loop has gone back to the best.
        away = [step for step in range(30) if not torch.allclose(shown[step][i], expected[step], rtol=0, atol=1e-7)]
        assert set(away) <= set(checkpoints(30))


@pytest.mark.parametrize("norm", NORMS)
def test_apgd_breaks_what_torchattacks_breaks(norm: NormName, mnist: Dataset) -> None:
    networks, (images, labels) = of("cnn"), digits(mnist, 20)
    epsilon, theirs_norm = (0.1, "Linf") if norm == "linf" else (1.2, "L2")
    theirs = torchattacks.APGD(networks.exact, norm=theirs_norm, eps=epsilon, steps=12, loss="ce")(images, labels)
    starts = random_starts(images, epsilon, norm, 0, range(20))
    objective = any_other(labels)
    ours = last(apgd(networks.attacked, images, objective, epsilon, norm, 12, [starts], [objective], stop=True))
    left, left_by_them = (int((networks.exact(found).argmax(dim=1) == labels).sum()) for found in (ours.images, theirs))
    assert 0 < left < 20
    assert abs(left - left_by_them) <= 2


def test_an_image_that_is_broken_is_left_alone(mnist: Dataset) -> None:
    networks, (images, labels) = of("cnn"), digits(mnist, 14)
    starts = [random_starts(images, 0.12, "linf", 0, range(14), number) for number in range(2)]
    objective = any_other(labels)
    ratio = LogitRatio(objective)
    plain = last(apgd(networks.attacked, images, objective, 0.12, "linf", 8, starts, [objective, ratio]))
    spared = last(apgd(networks.attacked, images, objective, 0.12, "linf", 8, starts, [objective, ratio], stop=True))
    assert torch.equal(objective.reached(plain.logits), objective.reached(spared.logits))
    assert 0 < int(objective.reached(plain.logits).sum()) < 14
    torch.testing.assert_close(networks.exact(spared.images).detach(), spared.logits, rtol=0, atol=1e-9)
    assert (objective.margin(plain.logits) >= objective.margin(spared.logits) - 1e-9).all()
