"""What is certified: never what an attack breaks, less within a larger epsilon, and all that is right within 0."""

from __future__ import annotations

import itertools

import pytest
import torch

from engine.adversary.network import AttackedNetwork
from engine.adversary.norm_ball import random_starts
from engine.adversary.objectives import ANY, Misclassification
from engine.adversary.pgd import pgd
from engine.bounds.affine import AffineLayers
from engine.bounds.certified import certified, proved_margins
from engine.bounds.names import BoundName
from engine.data.datasets import Dataset
from engine.network.model import CNN
from engine.network.requests import Architecture
from tests.engine.bounds.networks import ARCHITECTURES, network, trained_by_bounds

pytestmark = pytest.mark.numeric

BOUNDS: tuple[BoundName, ...] = ("ibp", "crown", "best")


def withstood(model: CNN, images: torch.Tensor, labels: torch.Tensor, epsilon: float) -> torch.Tensor:
    """Whether each image withstands PGD from two starts, by the network itself."""
    attacked = AttackedNetwork(model, torch.float32)
    objective = Misclassification(labels, torch.full_like(labels, ANY))
    starts = [images, random_starts(images, epsilon, "linf", 0, range(len(images)))]
    *_, last = pgd(attacked, images, objective, epsilon, "linf", epsilon / 4, 10, starts, stop=True)
    with torch.inference_mode():
        answers: torch.Tensor = model(last.images).argmax(dim=1)
    return answers == labels


@pytest.mark.parametrize("architecture", [None, *ARCHITECTURES])
def test_no_attack_breaks_what_is_certified(architecture: Architecture | None, mnist: Dataset) -> None:
    model = trained_by_bounds(mnist) if architecture is None else network(architecture)
    images = mnist.test.images[:20]
    with torch.inference_mode():  # of untrained networks, their own answers
        labels = mnist.test.labels[:20] if architecture is None else model(images).argmax(dim=1)
    shares = []
    for epsilon in (0.003, 0.03, 0.5):
        stands = withstood(model, images, labels, epsilon)
        for bound in BOUNDS:
            proved = certified(model, images, labels, epsilon, bound)
            assert not (proved & ~stands).any()
            shares.append(proved.double().mean().item())
    assert max(shares) > 0
    assert min(shares) < 1


@pytest.mark.parametrize("bound", BOUNDS)
def test_within_nothing_it_is_what_is_right(bound: BoundName, mnist: Dataset) -> None:
    model = trained_by_bounds(mnist)
    images, labels = mnist.test.images[:300], mnist.test.labels[:300]
    with torch.inference_mode():
        right = model(images).argmax(dim=1) == labels
    assert 0 < int(right.sum()) < 300
    assert torch.equal(certified(model, images, labels, 0.0, bound), right)


def test_a_larger_epsilon_certifies_less_and_the_better_bound_most(mnist: Dataset) -> None:
    model = trained_by_bounds(mnist)
    images, labels = mnist.test.images[:20], mnist.test.labels[:20]
    layers = AffineLayers.to_prove(model)
    found = {}
    with torch.inference_mode():
        for bound in BOUNDS:
            found[bound] = [proved_margins(layers, images, labels, each, bound) for each in (0.01, 0.05, 0.1, 0.2)]
            for inner, outer in itertools.pairwise(found[bound]):
                assert (outer <= inner).all()
    for plain, crown, best in zip(*found.values(), strict=True):
        assert (best >= torch.maximum(plain, crown)).all()
