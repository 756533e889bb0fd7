"""The objectives that attacks maximise, as functions of the logits: a logit, a misclassification, a margin."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from engine.geometry import CLASSES

ANY = -1
"""Instead of a target class: any class other than the actual one."""


class Objective:
    """A function of the logits to maximise."""

    def gradient(self, logits: Tensor) -> Tensor:
        """Its gradient with respect to `logits` (n, 10), of the same shape."""
        raise NotImplementedError


class LogitObjective(Objective):
    """The logit of a class, one for each image."""

    def __init__(self, classes: Tensor) -> None:
        """`classes` is (n,) int64."""
        self._gradient = one_hot(classes, CLASSES)

    def gradient(self, logits: Tensor) -> Tensor:
        """1 at the class, 0 elsewhere."""
        if self._gradient.dtype != logits.dtype:
            self._gradient = self._gradient.to(logits.dtype)
        return self._gradient


@dataclass(frozen=True, eq=False)
class Misclassification(Objective):
    """A predicted class other than the actual one, or a target class. Maximises the cross-entropy of the actual class,
    or minimises that of the target.

    The gradient is scaled for each image so that it never underflows to zero, however confident the network is. Attacks
    that use only its sign or direction are unaffected, except that they never meet a zero gradient.
    """

    actual: Tensor
    """(n,) int64."""
    target: Tensor
    """(n,) int64; ANY for any other class."""

    def at(self, chosen: Tensor) -> Misclassification:
        """The objective of some of the images, given as indices or a mask."""
        return Misclassification(self.actual[chosen], self.target[chosen])

    @property
    def pivot(self) -> Tensor:
        """The class that all others are compared with, (n,): the target, or else the actual class."""
        return torch.where(self.target == ANY, self.actual, self.target)

    @property
    def sign(self) -> Tensor:
        """(n,): 1 where the logit of the pivot must be the highest, -1 where it must not."""
        return torch.where(self.target == ANY, -1.0, 1.0)

    def rivals(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """The highest logit of the classes other than the pivot, (n,), and the class that has it, (n,)."""
        found = logits.scatter(1, self.pivot[:, None], -torch.inf).max(dim=1)
        return found.values, found.indices

    def margin(self, logits: Tensor) -> Tensor:
        """The margin in logits, (n,): positive where the objective is reached."""
        best, _ = self.rivals(logits)
        return self.sign.to(logits) * (logits.gather(1, self.pivot[:, None])[:, 0] - best)

    def reached(self, logits: Tensor) -> Tensor:
        """Whether the predicted class meets the objective, (n,)."""
        answer = logits.argmax(dim=1)
        return torch.where(self.target == ANY, answer != self.actual, answer == self.target)

    def gradient(self, logits: Tensor) -> Tensor:
        """The gradient of the cross-entropy by logits (n, 10), up to a positive factor for each image."""
        shifted = (logits - self.rivals(logits)[0][:, None]).double()
        weights = shifted.exp().scatter(1, self.pivot[:, None], 0.0)  # the softmax without the pivot, its largest is 1
        towards = weights.scatter(1, self.pivot[:, None], -weights.sum(dim=1, keepdim=True))
        return towards * -self.sign[:, None].double()


@dataclass(frozen=True, eq=False)
class MarginObjective(Objective):
    """The margin of an objective while it is below `confidence`, in logits."""

    objective: Misclassification
    confidence: float = 0.0

    def gradient(self, logits: Tensor) -> Tensor:
        """1 and -1 at two classes, 0 elsewhere."""
        objective = self.objective
        _, rivals = objective.rivals(logits)
        short = (objective.margin(logits) < self.confidence).to(logits) * objective.sign.to(logits)
        found = torch.zeros_like(logits).scatter_(1, objective.pivot[:, None], short[:, None])
        return found.scatter_(1, rivals[:, None], -short[:, None])
