"""FGSM, and PGD of the same objectives, against torchattacks; and gradients where a network is sure."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torchattacks
from torch import Tensor, nn

from engine.adversary.fgsm import fgsm
from engine.adversary.network import AttackedNetwork, Iterate
from engine.adversary.objectives import ANY, Misclassification
from engine.adversary.pgd import pgd
from engine.data.datasets import Dataset
from tests.engine.attacks.samples import EXACT, NORMS, Networks, any_other, digits, last, of, unsure

pytestmark = pytest.mark.numeric

# torchattacks takes the gradient of torch's cross-entropy, whose 1 - p keeps few digits where the network is sure: what
# is compared are networks whose logits are a tenth, and of the others the images of which they are less sure.

SURE = 20.0


@pytest.mark.parametrize("share", [0.1, 1.0])
@pytest.mark.parametrize("targeted", [False, True])
def test_fgsm_and_pgd_are_those_of_torchattacks(
    networks: Networks, mnist: Dataset, targeted: bool, share: float
) -> None:
    images, labels = digits(mnist, 100 if share < 1 else 60)
    wanted = (labels + 1) % 10
    model = unsure(networks, share)
    network, objective = (
        AttackedNetwork(model, EXACT),
        Misclassification(labels, wanted if targeted else torch.full_like(labels, ANY)),
    )
    compared = any_other(labels).margin(network.logits(images)) > -SURE
    assert compared.sum() >= (100 if share < 1 else 20)

    def theirs(attack: Any) -> Tensor:
        if targeted:
            attack.set_mode_targeted_by_label(quiet=True)
        found: Tensor = attack(images, wanted if targeted else labels)
        return found

    def assert_equal(found: Iterate, expected: Tensor) -> None:
        torch.testing.assert_close(found.images[compared], expected[compared], rtol=0, atol=1e-5)

    assert_equal(last(fgsm(network, images, objective, 0.15, "linf")), theirs(torchattacks.FGSM(model, eps=0.15)))
    settings: dict[str, Any] = {"steps": 4, "random_start": False}
    attack = torchattacks.PGD(model, eps=0.2, alpha=0.07, **settings)
    assert_equal(last(pgd(network, images, objective, 0.2, "linf", 0.07, 4, [images])), theirs(attack))
    # What theirs adds to a gradient's length is of no weight in it any more.
    attack = torchattacks.PGDL2(model, eps=1.5, alpha=0.6, eps_for_division=1e-300, **settings)
    assert_equal(last(pgd(network, images, objective, 1.5, "l2", 0.6, 4, [images])), theirs(attack))


def test_a_gradient_never_rounds_to_zero_where_the_network_is_sure(mnist: Dataset) -> None:
    model = copy.deepcopy(of("cnn").model)
    with torch.no_grad():
        model.state_dict()["fc.3.weight"].mul_(50)
    images, labels = mnist.test.images[:20].clone().requires_grad_(), mnist.test.labels[:20]
    logits = model(images)
    sure = torch.softmax(logits, dim=1).gather(1, labels[:, None])[:, 0] == 1.0
    assert sure.sum() >= 15
    (blind,) = torch.autograd.grad(nn.functional.cross_entropy(logits, labels, reduction="sum"), images)
    assert not blind[sure].any()
    network, objective = AttackedNetwork(model, torch.float32), any_other(labels)
    _, gradient = network.ascent(images.detach(), objective)
    assert gradient.isfinite().all()
    assert gradient.flatten(1).any(dim=1).all()
    for norm in NORMS:
        found = last(fgsm(network, images.detach(), objective, 0.3 if norm == "linf" else 3.0, norm))
        assert objective.reached(found.logits).sum() >= 3
