"""Carlini and Wagner's attack, against that of torchattacks, and against its own promises."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchattacks

from engine.adversary.carlini_wagner import carlini_wagner
from engine.adversary.network import AttackedNetwork
from engine.attacks.requests import AttackCarliniWagner
from engine.data.datasets import Dataset
from tests.engine.attacks.samples import any_other, finished, last, needed, of

pytestmark = pytest.mark.numeric


def test_carlini_wagner_needs_no_more_than_that_of_torchattacks(mnist: Dataset) -> None:
    model, images, labels = of("cnn-bn").model, mnist.test.images[:20], mnist.test.labels[:20]
    theirs = torchattacks.CW(model, c=1, steps=200, lr=0.01)(images, labels)
    network, own = AttackedNetwork(model, torch.float32), AttackCarliniWagner()
    settings = (own.steps, own.step_size, own.binary_search_steps, own.confidence)
    ours = last(carlini_wagner(network, images, any_other(labels), *settings)).images
    found, expected = needed(model, ours, images, labels), needed(model, theirs, images, labels)
    assert found.isfinite().all()
    assert found.median() <= expected.median()


def test_carlini_wagner_moves_pixels_at_the_ends_of_their_range(mnist: Dataset) -> None:
    """In the paper's tanh space, whose slope is zero there, they stand still."""
    images = mnist.test.images[[61, 3]].clone()
    images[:, :, 8:12] = 1.0
    labels = of("cnn-bn").model(images).argmax(dim=1)
    found = last(
        carlini_wagner(AttackedNetwork(of("cnn-bn").model, torch.float32), images, any_other(labels), 30, 0.02, 2, 0.0)
    )
    moved = found.images != images
    assert (moved & (images == 0)).any()
    assert (moved & (images == 1)).any()


@pytest.mark.usefixtures("few_images")
def test_carlini_wagner_leads_by_its_confidence_and_takes_a_target() -> None:
    fields: dict[str, Any] = {
        "what": "pretrained:cnn-bn",
        "indices": (61, 0, 1, 3),
        "steps": 40,
        "binary_search_steps": 4,
    }
    plain, sure = (finished(AttackCarliniWagner(confidence=confidence, **fields)) for confidence in (0.0, 5.0))
    assert plain.successes == sure.successes == 4
    assert (plain.history[:, -1] < 5).all()
    assert (sure.history[:, -1] >= 5).all()
    assert (sure.l2 > plain.l2).all()
    wanted = finished(AttackCarliniWagner(target=3, confidence=2.0, **fields))
    assert wanted.targets == (3,) * 4
    assert wanted.prediction.tolist() == [3] * 4
    assert (wanted.history[:, -1] >= 2).all()
