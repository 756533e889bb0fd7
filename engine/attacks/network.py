"""A network as attacks need it: logits and gradients by the pixels, of many images at once; and what attacks want."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from engine.allocator import keep_freed_memory
from engine.attacks.passes import Passes
from engine.geometry import CLASSES
from engine.network.model import CNN, inference_network

AT_ONCE = 125
"""Images that an attack on many takes at once: enough to keep the cores busy, few enough for a step to end soon."""

ANY = -1
"""In place of a target: any class but the actual one."""


class Iterate(NamedTuple):
    """Where an attack is after a step. Both tensors may change with the next one."""

    images: Tensor
    """(n, 1, 28, 28) in [0, 1]."""
    logits: Tensor
    """(n, 10) of these images."""


class AttackedNetwork:
    """A frozen copy of a network with its batch norm folded: good until the weights change.

    It is laid out channels last, in which a CPU goes forth and back in two thirds of the time. In double precision what
    becomes of an image depends on nothing but the image: in single, rounding differs from batch to batch, and over the
    notebook's 1,500 steps Adam makes differences of a percent of it.
    """

    def __init__(self, model: CNN, dtype: torch.dtype) -> None:
        keep_freed_memory()  # else each step waits for pages that the one before gave back
        layers = inference_network(copy.deepcopy(model).double()).to(dtype).requires_grad_(False)
        self._passes = Passes(layers.to(memory_format=torch.channels_last))
        self.device, self.dtype = next(model.parameters()).device, dtype

    def logits(self, images: Tensor) -> Tensor:
        """Logits (n, 10) of images (n, 1, 28, 28) in [0, 1]."""
        return self._passes.forth(images)[0]

    def ascent(self, images: Tensor, wish: Wish) -> tuple[Tensor, Tensor]:
        """Logits (n, 10) of images (n, 1, 28, 28), and like `images` the gradient by them of what `wish` says."""
        logits, back = self._passes.forth(images)
        return logits, back(wish.gradient(logits).to(logits.dtype))

    def jacobian(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (n, 10) of images (n, 1, 28, 28), and the gradient of each by the pixels, (n, 10, 1, 28, 28)."""
        count, each = len(images), torch.eye(CLASSES, dtype=images.dtype, device=images.device)
        if self.device.type == "cpu":
            logits, back = self._passes.forth(images)
            return logits, torch.stack([back(one.expand(count, -1)) for one in each], dim=1)
        # A GPU takes as long for one way back of ten times the images as for one of the ten.
        logits, back = self._passes.forth(images.repeat(CLASSES, 1, 1, 1))
        gradients = back(each.repeat_interleave(count, dim=0))
        return logits[:count], gradients.reshape(CLASSES, *images.shape).transpose(0, 1)


class Wish:
    """What is to rise, as a function of the logits."""

    def gradient(self, logits: Tensor) -> Tensor:
        """Its gradient by logits (n, 10), like them."""
        raise NotImplementedError


class Logit(Wish):
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
class Goal(Wish):
    """Another answer than the actual class, or a certain one. What is to rise is the cross-entropy of the actual class,
    or less that of the target.

    Its gradient is scaled for each image so that it never rounds to zero, however sure the network is: attacks that
    use its sign or its direction alone do not notice, and those that would be blind see.
    """

    actual: Tensor
    """(n,) int64."""
    target: Tensor
    """(n,) int64, ANY where any other class will do."""

    def at(self, chosen: Tensor) -> Goal:
        """For some of the images: indices or a mask."""
        return Goal(self.actual[chosen], self.target[chosen])

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
        """How far the goal is reached, (n,) in logits: more than 0 where it is."""
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
class Margin(Wish):
    """The margin of a goal, while it is below `confidence`."""

    goal: Goal
    confidence: float = 0.0

    def gradient(self, logits: Tensor) -> Tensor:
        """One and minus one at two classes, zero elsewhere."""
        goal = self.goal
        _, rivals = goal.rivals(logits)
        short = (goal.margin(logits) < self.confidence).to(logits) * goal.sign.to(logits)
        found = torch.zeros_like(logits).scatter_(1, goal.pivot[:, None], short[:, None])
        return found.scatter_(1, rivals[:, None], -short[:, None])
