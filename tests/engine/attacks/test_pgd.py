"""PGD: from random starts, against torchattacks, and against its own promises."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torchattacks
from torch import Tensor

from engine.adversary.names import NormName
from engine.adversary.network import AttackedNetwork
from engine.adversary.norm_ball import random_starts
from engine.adversary.pgd import pgd
from engine.attacks import verdicts
from engine.attacks.requests import AttackPgd
from engine.attacks.verdicts import attack_many
from engine.data.datasets import Dataset
from tests.engine.attacks.samples import EXACT, NORMS, any_other, digits, finished, last, measured, of, unsure

pytestmark = pytest.mark.numeric


def test_pgd_from_a_random_start_is_that_of_torchattacks(mnist: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = digits(mnist, 40)
    model = unsure(of("cnn"), 0.1)
    starts = random_starts(images, 0.2, "linf", 0, range(40))
    monkeypatch.setattr(Tensor, "uniform_", lambda *_: starts - images)
    expected = torchattacks.PGD(model, eps=0.2, alpha=0.05, steps=5)(images, labels)
    found = last(pgd(AttackedNetwork(model, EXACT), images, any_other(labels), 0.2, "linf", 0.05, 5, [starts]))
    torch.testing.assert_close(found.images, expected, rtol=0, atol=1e-5)


def test_the_best_of_all_starts_counts(mnist: Dataset) -> None:
    networks, (images, labels) = of("cnn"), digits(mnist, 25)
    objective = any_other(labels)
    starts = [random_starts(images, 0.15, "linf", 0, range(25), restart) for restart in range(3)]
    alone = [last(pgd(networks.attacked, images, objective, 0.15, "linf", 0.05, 4, [start])) for start in starts]
    best = last(pgd(networks.attacked, images, objective, 0.15, "linf", 0.05, 4, starts))
    margins = torch.stack([objective.margin(each.logits) for each in alone])
    torch.testing.assert_close(objective.margin(best.logits), margins.max(dim=0).values, rtol=0, atol=1e-9)
    torch.testing.assert_close(networks.exact(best.images).detach(), best.logits, rtol=0, atol=1e-9)
    assert (margins.argmax(dim=0) > 0).any()
    # To leave an image as it is once it is mistaken changes no verdict for the worse.
    lazy = last(pgd(networks.attacked, images, objective, 0.15, "linf", 0.05, 4, starts, stop=True))
    assert (objective.reached(lazy.logits) | ~objective.reached(best.logits)).all()
    torch.testing.assert_close(networks.exact(lazy.images).detach(), lazy.logits, rtol=0, atol=1e-9)


@pytest.mark.parametrize("norm", NORMS)
def test_pgd_sees_through_a_saturated_network(norm: NormName, mnist: Dataset) -> None:
    """With logits ten thousand times as large the answers are the same, and gradients of cross-entropy vanish."""
    saturated = copy.deepcopy(of("cnn").model)
    with torch.no_grad():
        for name in ("fc.3.weight", "fc.3.bias"):
            saturated.state_dict()[name].mul_(10_000)
    images, labels = mnist.test.images[:20], mnist.test.labels[:20]
    setting = verdicts.Setting("pgd", norm, 0.3 if norm == "linf" else 4.0, 10, 1, 0)
    for model in (of("cnn").model, saturated):
        found = last(attack_many(AttackedNetwork(model, torch.float32), images, labels, range(20), setting))
        assert any_other(labels).reached(found.logits).sum() >= 19


@pytest.mark.usefixtures("few_images", "unremembered")
def test_a_larger_bound_never_saves_an_image_from_pgd(small: Dataset) -> None:
    found = measured(what="pretrained:cnn-bn", attack=("pgd", "random"), epsilons=(0, 0.1, 0.2, 0.3), steps=5, count=60)
    with torch.inference_mode():
        right = int((of("cnn-bn").model(small.test.images[:60]).argmax(dim=1) == small.test.labels[:60]).sum())
    for attack in ("pgd", "random"):
        assert found.curve("pretrained:cnn-bn", attack)[0].correct == right
    counts = [point.correct for point in found.curve("pretrained:cnn-bn", "pgd")]
    assert counts == sorted(counts, reverse=True)


@pytest.mark.usefixtures("few_images")
def test_within_nothing_no_target_is_reached() -> None:
    event = finished(AttackPgd(what="pretrained:cnn", target=5, epsilon=0.0, steps=3))
    np.testing.assert_array_equal(event.adversarial, event.original)
    assert [(image.success, image.steps_to_success) for image in event.images] == [(False, None)] * 9
