"""What attacks climb: its gradients, against autograd."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engine.adversary.objectives import ANY, MarginObjective, Misclassification
from engine.data.datasets import Dataset
from tests.engine.attacks.samples import digits, of

pytestmark = pytest.mark.numeric


def test_a_goal_climbs_the_cross_entropy_and_a_margin_what_it_says(mnist: Dataset) -> None:
    images, labels = digits(mnist, 30)
    logits = of("cnn").attacked.logits(images) / 10  # unsure, where torch's own does not round
    for target in (ANY, 4):
        objective = Misclassification(labels, torch.full_like(labels, target))
        free = logits.clone().requires_grad_()
        loss = nn.functional.cross_entropy(free, objective.pivot, reduction="none")
        (expected,) = torch.autograd.grad((loss if target == ANY else -loss).sum(), free)
        found = objective.gradient(logits)
        torch.testing.assert_close(nn.functional.normalize(found), nn.functional.normalize(expected))
        reached = objective.margin(logits) > 0
        assert torch.equal(reached, objective.reached(logits))
        gradient = MarginObjective(objective, 0.0).gradient(logits)
        assert torch.equal(gradient.abs().sum(dim=1), 2 * (~reached).double())
        climbed = objective.margin(logits + 1e-3 * gradient) - objective.margin(logits)
        torch.testing.assert_close(climbed, 2e-3 * (~reached).double(), rtol=0, atol=1e-12)
