"""The objectives that attacks maximise, as functions of the logits: a logit, a cross-entropy, a margin, a ratio."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from engine.adversary.names import LossName
from engine.geometry import CLASSES

_TINY = 1e-12  # the least denominator, for logits that are all equal
ANY = -1
"""Instead of a target class: any class other than the actual one."""


class Objective:
    """A function of the logits to maximise."""

    def gradient(self, logits: Tensor) -> Tensor:
        """Its gradient with respect to `logits` (n, 10), of the same shape."""
        raise NotImplementedError


class Loss(Objective):
    """An objective of some images of which each can tell how far it has come, so that an attack keeps the best."""

    def value(self, logits: Tensor) -> Tensor:
        """(n,): the larger, the closer to what the attack wants. Comparable between steps of the same image."""
        raise NotImplementedError

    def at(self, chosen: Tensor) -> Loss:
        """The loss of some of the images, given as indices or a mask."""
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
class Misclassification(Loss):
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

    def value(self, logits: Tensor) -> Tensor:
        """The log-odds that the cross-entropy grows with, (n,): in nats, and never lost to rounding as it is near 0."""
        rest = logits.scatter(1, self.pivot[:, None], -torch.inf).logsumexp(dim=1)
        return self.sign.to(logits) * (logits.gather(1, self.pivot[:, None])[:, 0] - rest)

    def gradient(self, logits: Tensor) -> Tensor:
        """The gradient of the cross-entropy by logits (n, 10), up to a positive factor for each image."""
        shifted = (logits - self.rivals(logits)[0][:, None]).double()
        weights = shifted.exp().scatter(1, self.pivot[:, None], 0.0)  # the softmax without the pivot, its largest is 1
        towards = weights.scatter(1, self.pivot[:, None], -weights.sum(dim=1, keepdim=True))
        return towards * -self.sign[:, None].double()


@dataclass(frozen=True, eq=False)
class MarginObjective(Loss):
    """The margin of an objective while it is below `confidence`, in logits (Carlini and Wagner 2017)."""

    objective: Misclassification
    confidence: float = 0.0

    def at(self, chosen: Tensor) -> MarginObjective:
        """The margin of some of the images, given as indices or a mask."""
        return MarginObjective(self.objective.at(chosen), self.confidence)

    def value(self, logits: Tensor) -> Tensor:
        """The margin, at most `confidence`, (n,)."""
        return self.objective.margin(logits).clamp(max=self.confidence)

    def gradient(self, logits: Tensor) -> Tensor:
        """1 and -1 at two classes, 0 elsewhere."""
        objective = self.objective
        _, rivals = objective.rivals(logits)
        short = (objective.margin(logits) < self.confidence).to(logits) * objective.sign.to(logits)
        found = torch.zeros_like(logits).scatter_(1, objective.pivot[:, None], short[:, None])
        return found.scatter_(1, rivals[:, None], -short[:, None])


@dataclass(frozen=True, eq=False)
class LogitGap(Loss):
    """The logit of one class minus that of another, for each image."""

    actual: Tensor
    """(n,) int64: the class to leave."""
    target: Tensor
    """(n,) int64: the class to approach."""

    def at(self, chosen: Tensor) -> LogitGap:
        """The gap of some of the images, given as indices or a mask."""
        return LogitGap(self.actual[chosen], self.target[chosen])

    def value(self, logits: Tensor) -> Tensor:
        """The gap, (n,): positive where the other class has the higher logit."""
        return (logits.gather(1, self.target[:, None]) - logits.gather(1, self.actual[:, None]))[:, 0]

    def gradient(self, logits: Tensor) -> Tensor:
        """1 and -1 at the two classes, 0 elsewhere."""
        found = torch.zeros_like(logits).scatter_(1, self.target[:, None], 1.0)
        return found.scatter_(1, self.actual[:, None], -1.0)


@dataclass(frozen=True, eq=False)
class LogitRatio(Loss):
    """The difference-of-logits ratio, DLR (Croce and Hein 2020, arXiv:2003.01690, section 5): scaling the logits does
    not change it.

    With z1 >= z2 >= ... the logits in order and y the actual class, it is (max of the others - zy) / (z1 - z3), and
    towards a target t (zt - zy) / (z1 - (z3 + z4) / 2).
    """

    objective: Misclassification

    def at(self, chosen: Tensor) -> LogitRatio:
        """The ratio of some of the images, given as indices or a mask."""
        return LogitRatio(self.objective.at(chosen))

    def value(self, logits: Tensor) -> Tensor:
        """The ratio, (n,), positive where another class (the target) has the higher logit."""
        gap, spread, _ = self._parts(logits)
        return gap.value(logits) / spread

    def gradient(self, logits: Tensor) -> Tensor:
        """Its gradient by logits (n, 10) times the square of its denominator: only the direction is kept."""
        gap, spread, order = self._parts(logits)
        wide = torch.zeros_like(logits).scatter_(1, order[:, :1], 1.0)
        aimed = (self.objective.target != ANY)[:, None]
        third = torch.where(aimed, -0.5, -1.0).to(logits)
        wide.scatter_(1, order[:, 2:3], third).scatter_(1, order[:, 3:4], torch.where(aimed, -0.5, 0.0).to(logits))
        return spread[:, None] * gap.gradient(logits) - gap.value(logits)[:, None] * wide

    def _parts(self, logits: Tensor) -> tuple[LogitGap, Tensor, Tensor]:
        """Numerator and denominator (n,), and the four likeliest classes (n, 4)."""
        objective, (top, order) = self.objective, logits.topk(4)
        aimed = objective.target != ANY
        other = logits.scatter(1, objective.actual[:, None], -torch.inf).argmax(dim=1)
        spread = top[:, 0] - torch.where(aimed, (top[:, 2] + top[:, 3]) / 2, top[:, 2])
        gap = LogitGap(objective.actual, torch.where(aimed, objective.target, other))
        return gap, spread.clamp(min=_TINY), order


def loss_of(name: LossName, objective: Misclassification) -> Loss:
    """The loss that requests call `name`, for an objective: its cross-entropy, its margin, or its logit ratio."""
    match name:
        case "ce":
            return objective
        case "cw":
            return MarginObjective(objective, torch.inf)
        case "dlr":
            return LogitRatio(objective)
