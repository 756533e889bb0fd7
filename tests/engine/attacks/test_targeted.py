"""Digits that become another class: the notebook's loop, and plain gradient ascent from noise."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch

from engine.adversary.objectives import Misclassification
from engine.attacks.attack import iterates
from engine.attacks.noise import noise
from engine.attacks.requests import GALLERY, AttackPgd, AttackTargeted
from engine.attacks.targeted import from_digits
from engine.benchmark import notebook
from engine.data.datasets import Dataset
from tests.engine.attacks.samples import Networks, finished, last, of, plain_ascent

pytestmark = pytest.mark.numeric


@pytest.mark.parametrize(("variant", "target"), [("cnn", 5), ("cnn-bn", 0)])
def test_digits_become_what_the_notebook_makes_of_them(mnist: Dataset, variant: str, target: int) -> None:
    networks = of(variant)
    originals = mnist.test.images[list(GALLERY)].double()
    kept = originals.clone()
    request = AttackTargeted(target=target)
    assert (request.steps, request.beta, request.step_size) == (25, 1e-5, 0.01)
    found = last(from_digits(networks.attacked, originals, request))
    assert torch.equal(originals, kept)
    for number in range(len(GALLERY)):
        image = notebook.targeted_attack(networks.theirs, originals[number : number + 1], target, 25, 0.01, 1e-5)
        assert (found.images[number] - image.detach()[0]).abs().mean() < 1e-9
        assert found.logits[number].argmax() == networks.theirs(image)[0].argmax()


def test_the_penalty_is_the_notebooks_too(mnist: Dataset) -> None:
    """With the notebook's weight it is too small to be seen."""
    networks, originals = of("cnn-bn"), mnist.test.images[[61, 0]].double()
    request = AttackTargeted(beta=1e4, steps=20, step_size=0.02)
    found = last(from_digits(networks.attacked, originals, request)).images
    for number in range(2):
        image = notebook.targeted_attack(networks.theirs, originals[number : number + 1], 5, 20, 0.02, 1e4)
        torch.testing.assert_close(found[number], image.detach()[0], rtol=0, atol=1e-9)
    free = last(from_digits(networks.attacked, originals, msgspec.structs.replace(request, beta=0.0))).images
    assert (free - found).abs().max() > 0.01


@pytest.mark.parametrize(("steps", "step_size", "beta"), [(20, 0.003, 1e-4), (10, 0.003, 180.0), (1, 40.0, 180.0)])
def test_the_targeted_attack_from_noise(
    networks: Networks, mnist: Dataset, steps: int, step_size: float, beta: float
) -> None:
    originals, starts = mnist.test.images[[61, 0]].double(), noise([61, 0], 2)
    request = AttackTargeted(optimizer="plain", steps=steps, step_size=step_size, beta=beta, start="noise", seed=2)
    found = last(
        iterates(networks.attacked, request, originals, Misclassification(torch.empty(0), torch.empty(0)), [61, 0])
    ).images
    for number in range(2):
        start, original = (images[number : number + 1].double() for images in (starts, originals))
        expected = plain_ascent(networks.theirs, start, original, 5, steps, step_size, beta)
        torch.testing.assert_close(found[number], expected[0], rtol=0, atol=1e-9)


@pytest.mark.usefixtures("few_images")
def test_from_noise_a_strong_penalty_comes_back_to_the_digit() -> None:
    """The penalty alone, with a step that halves the difference: 2 / 784 of beta times the step is one half."""
    request = AttackTargeted(
        what="pretrained:cnn",
        indices=(61,),
        start="noise",
        optimizer="plain",
        step_size=784 / 4e12,
        beta=1e12,
        steps=30,
    )
    event = finished(request)
    assert event.settings["start"] == "noise"
    assert (event.frames[0] < 0).any()  # normal noise, not clamped before the first step
    assert np.abs(event.frames[0] - event.original).mean() > 0.3
    assert event.linf.max() < 1e-6
    assert event.images[0].before == 8  # the answer to the digit, not to the noise
    assert (
        finished(msgspec.structs.replace(request, steps=1, seed=1)).linf[0]
        != finished(msgspec.structs.replace(request, steps=1)).linf[0]
    )


@pytest.mark.usefixtures("few_images")
def test_digits_of_the_target_are_left_out(small: Dataset) -> None:
    event = finished(AttackTargeted(what="pretrained:cnn", target=5, steps=1))
    assert event.indices == tuple(index for index in GALLERY if index != 8)
    assert int(small.test.labels[8]) == 5
    assert finished(AttackPgd(what="pretrained:cnn", target=5, steps=1)).indices == event.indices
    assert finished(AttackPgd(what="pretrained:cnn", steps=1)).indices == GALLERY
