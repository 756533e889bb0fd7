"""DeepFool, against that of torchattacks, and on the boundary."""

from __future__ import annotations

import pytest
import torch
import torchattacks

from engine.adversary.deepfool import deepfool
from engine.adversary.network import AttackedNetwork
from engine.data.datasets import Dataset
from tests.engine.attacks.samples import Networks, any_other, digits, last, needed, of

pytestmark = pytest.mark.numeric


def test_deepfool_needs_no_more_than_that_of_torchattacks(mnist: Dataset) -> None:
    model, images, labels = of("cnn-bn").model, mnist.test.images[:12], mnist.test.labels[:12]
    theirs = torchattacks.DeepFool(model, steps=12, overshoot=0.02)(images, labels)
    network = AttackedNetwork(model, torch.float32)
    ours = last(deepfool(network, images, any_other(labels), 50, 0.02)).images
    found, expected = needed(model, ours, images, labels), needed(model, theirs, images, labels)
    assert found.median() <= expected.median()
    assert found.isfinite().sum() >= expected.isfinite().sum()


def test_deepfool_ends_on_the_boundary(networks: Networks, mnist: Dataset) -> None:
    images, labels = digits(mnist, 40)
    objective = any_other(labels)
    found = last(deepfool(networks.attacked, images, objective, 50, 0.02))
    fooled = objective.reached(found.logits)
    assert fooled.sum() >= 39
    # A few hundredths back towards the original, and it is none the worse.
    back = images + 0.97 * (found.images - images)
    changed = fooled & (found.images != images).flatten(1).any(dim=1)
    assert not objective.reached(networks.attacked.logits(back))[changed].any()
