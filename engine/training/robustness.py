"""How robust a network is after an epoch, in a few seconds: what PGD leaves, and what interval bounds prove."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator

import torch

from engine.adversary.network import AT_ONCE, AttackedNetwork
from engine.adversary.norm_ball import random_starts
from engine.adversary.objectives import ANY, Misclassification
from engine.adversary.pgd import pgd
from engine.adversary.training_pgd import PGD_STEP
from engine.bounds.certified import certified
from engine.data.datasets import Split
from engine.network.model import CNN
from engine.training.events import ROBUST_IMAGES, ROBUST_STEPS, BatchEvaluated
from engine.training.requests import Train


def robust_accuracy(model: CNN, split: Split, request: Train) -> Generator[BatchEvaluated, None, float]:
    """The accuracy of `model` (0 to 1) on the first images of `split` under PGD at the training epsilon of `request`.

    PGD (Madry et al. 2018) has ROBUST_STEPS steps from one start, uniform in the L-infinity ball; it is the same at
    each call, so that epochs can be compared. Other attacks can find more: it is an upper bound of what they leave.
    `model` stays as it is.
    """
    split, epsilon = split.first(ROBUST_IMAGES), request.train_epsilon
    network, left = AttackedNetwork(model, torch.float32), 0
    for start in range(0, len(split), AT_ONCE):
        images, labels = (each[start : start + AT_ONCE] for each in (split.images, split.labels))
        indices = range(start, start + len(images))
        starts = random_starts(images, epsilon, "linf", request.seed, indices)
        objective = Misclassification(labels, torch.full_like(labels, ANY))
        step = PGD_STEP * epsilon / ROBUST_STEPS
        steps = pgd(network, images, objective, epsilon, "linf", step, ROBUST_STEPS, [starts], stop=True)
        best = deque(steps, maxlen=1)[0]
        left += int((~objective.reached(best.logits)).sum())
        yield BatchEvaluated(split="attacked", done=start + len(images), total=len(split))
    return left / len(split)


def certified_accuracy(model: CNN, split: Split, request: Train) -> Generator[BatchEvaluated, None, float]:
    """The share (0 to 1) of the first images of `split` whose class interval bounds prove at the training epsilon.

    `model` is in evaluation mode afterwards.
    """
    split, proved = split.first(ROBUST_IMAGES), 0
    for start in range(0, len(split), AT_ONCE):
        images, labels = (each[start : start + AT_ONCE] for each in (split.images, split.labels))
        proved += int(certified(model.eval(), images, labels, request.train_epsilon, "ibp").sum())
        yield BatchEvaluated(split="certified", done=start + len(images), total=len(split))
    return proved / len(split)
