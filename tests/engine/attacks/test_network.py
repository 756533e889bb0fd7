"""The network that attacks ask: it is left as it was, and how rounding falls decides nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest
import torch
from torch import Tensor

from engine.adversary.carlini_wagner import carlini_wagner
from engine.adversary.deepfool import deepfool
from engine.adversary.fgsm import fgsm
from engine.adversary.network import AttackedNetwork
from engine.adversary.pgd import pgd
from engine.attacks.attack import precision
from engine.attacks.requests import AttackTargeted
from engine.attacks.targeted import from_digits
from engine.data.datasets import Dataset
from engine.inspection.loaded import LoadedNetwork
from engine.network.checkpoints import load_weights
from engine.runs.finding import pretrained
from tests.engine.attacks.samples import EXACT, Networks, any_other, digits, last
from tests.ties import rounded_otherwise

pytestmark = pytest.mark.numeric


def test_attacks_do_not_depend_on_how_rounding_falls(networks: Networks, mnist: Dataset) -> None:
    images, labels = digits(mnist, 4)
    objective = any_other(labels)

    def attacks(seed: int) -> list[Tensor]:
        network = networks.attacked
        with rounded_otherwise(seed):
            return [
                last(from_digits(network, images, AttackTargeted())).images,
                last(fgsm(network, images, objective, 0.15, "linf")).images,
                last(pgd(network, images, objective, 0.2, "linf", 0.05, 8, [images])).images,
                last(pgd(network, images, objective, 1.5, "l2", 0.4, 8, [images])).images,
                last(deepfool(network, images, objective, 20, 0.02)).images,
                last(carlini_wagner(network, images, objective, 20, 0.01, 2, 0.0)).images,
            ]

    for one, other in zip(attacks(1), attacks(2), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-9)


@dataclass
class Somewhere:
    device: torch.device
    dtype: torch.dtype = torch.float32


@pytest.mark.parametrize(
    ("device", "exact", "expected"),
    [("cpu", False, EXACT), ("cpu", True, EXACT), ("cuda", False, torch.float32), ("cuda", True, EXACT)],
)
def test_a_gpu_computes_in_single_precision_unless_asked(device: str, exact: bool, expected: torch.dtype) -> None:
    assert precision(cast(LoadedNetwork, Somewhere(torch.device(device))), exact=exact) == expected


def test_single_precision_makes_images_as_good(networks: Networks, mnist: Dataset) -> None:
    """Not the same images: a maximum or a ReLU on the other side of its boundary changes whole steps of Adam."""
    images, labels = digits(mnist, 8)
    images = images[labels != 5]
    exact = last(from_digits(networks.attacked, images, AttackTargeted()))
    single = last(from_digits(AttackedNetwork(networks.model, torch.float32), images.float(), AttackTargeted()))
    assert single.images.dtype == torch.float32
    assert (single.images - exact.images).abs().mean() < 0.03
    torch.testing.assert_close(single.logits[:, 5].double(), exact.logits[:, 5], rtol=0.1, atol=0.5)


def test_the_network_asked_is_left_as_it_was(mnist: Dataset) -> None:
    model = load_weights(pretrained("cnn-bn").model_file)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    network = AttackedNetwork(model, EXACT)
    images, labels = digits(mnist, 3)
    last(pgd(network, images, any_other(labels), 0.3, "linf", 0.1, 2, [images]))
    last(deepfool(network, images, any_other(labels), 3, 0.02))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(parameter.requires_grad and parameter.dtype == torch.float32 for parameter in model.parameters())
    torch.testing.assert_close(images, mnist.test.images[:3].double(), rtol=0, atol=0)
