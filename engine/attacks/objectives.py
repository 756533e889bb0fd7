"""What attacks want, as functions of the logits: a logit, another prediction, a margin."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from engine.geometry import CLASSES

ANY = -1
"""In place of a target: any class but the actual one."""


class Objective:
    """What is to rise, as a function of the logits."""

    def gradient(self, logits: Tensor) -> Tensor:
        """Its gradient by logits (n, 10), like them."""
        raise NotImplementedError


class LogitObjective(Objective):
    """The logit of a class, one for each image."""

    def __init__(self, classes: Tensor) -> None:
        """Of classes (n,) int64."""
        self._gradient = one_hot(classes, CLASSES)

    def gradient(self, logits: Tensor) -> Tensor:
        """One at the class, zero elsewhere."""
        if self._gradient.dtype != logits.dtype:
            self._gradient = self._gradient.to(logits.dtype)
        return self._gradient


@dataclass(frozen=True, eq=False)
class Misclassification(Objective):
    """Another answer than the actual class, or a certain one. What is to rise is the cross-entropy of the actual class,
    or less that of the target.

    Its gradient is scaled for each image so that it never rounds to zero, however sure the network is: attacks that
    use its sign or its direction alone do not notice, and those that would be blind see.
    """

    actual: Tensor
    """(n,) int64."""
    target: Tensor
    """(n,) int64, ANY where any other class will do."""

    def at(self, chosen: Tensor) -> Misclassification:
        """For some of the images: indices or a mask."""
        return Misclassification(self.actual[chosen], self.target[chosen])

    @property
    def pivot(self) -> Tensor:
        """The class that all others are weighed against, (n,): the target, else the actual class."""
        return torch.where(self.target == ANY, self.actual, self.target)

    @property
    def sign(self) -> Tensor:
        """(n,): 1 where the logit of the pivot must be the highest, -1 where it must not."""
        return torch.where(self.target == ANY, -1.0, 1.0)

    def rivals(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """The highest logit of the classes that are not the pivot, (n,), and which that is, (n,)."""
        found = logits.scatter(1, self.pivot[:, None], -torch.inf).max(dim=1)
        return found.values, found.indices

    def margin(self, logits: Tensor) -> Tensor:
        """How far the objective is reached, (n,) in logits: more than 0 where it is."""
        best, _ = self.rivals(logits)
        return self.sign.to(logits) * (logits.gather(1, self.pivot[:, None])[:, 0] - best)

    def reached(self, logits: Tensor) -> Tensor:
        """Whether the network's answer is what is wanted, (n,)."""
        answer = logits.argmax(dim=1)
        return torch.where(self.target == ANY, answer != self.actual, answer == self.target)

    def gradient(self, logits: Tensor) -> Tensor:
        """Of the cross-entropy by logits (n, 10), up to a factor for each image."""
        shifted = (logits - self.rivals(logits)[0][:, None]).double()
        weights = shifted.exp().scatter(1, self.pivot[:, None], 0.0)  # the softmax without the pivot, its largest is 1
        towards = weights.scatter(1, self.pivot[:, None], -weights.sum(dim=1, keepdim=True))
        return towards * -self.sign[:, None].double()


@dataclass(frozen=True, eq=False)
class MarginObjective(Objective):
    """The margin of a objective, while it is below `confidence`."""

    objective: Misclassification
    confidence: float = 0.0

    def gradient(self, logits: Tensor) -> Tensor:
        """One and minus one at two classes, zero elsewhere."""
        objective = self.objective
        _, rivals = objective.rivals(logits)
        short = (objective.margin(logits) < self.confidence).to(logits) * objective.sign.to(logits)
        found = torch.zeros_like(logits).scatter_(1, objective.pivot[:, None], short[:, None])
        return found.scatter_(1, rivals[:, None], -short[:, None])
