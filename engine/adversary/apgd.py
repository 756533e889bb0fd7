"""Auto-PGD: projected gradient descent with momentum that finds its own step size.

Pixel values are from 0 to 1, and every image stays in that range; norms are of differences of pixel values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from engine.adversary.names import NormName
from engine.adversary.network import AttackedNetwork, Iterate
from engine.adversary.norm_ball import Ball, moved
from engine.adversary.objectives import Loss, Misclassification

MOMENTUM = 0.75
"""Share of the new step in a move; the rest is the previous move."""
RISING = 0.75
"""Share of the steps since the last checkpoint that must have raised the loss, or the step size is halved."""


def checkpoints(steps: int) -> list[int]:
    """The steps after which the step size is reconsidered (section 3.1 of the paper), in order, none beyond `steps`.

    After 22 % of the steps for the first time, then after periods that are 3 % shorter each, until they are 6 %.
    """
    found, before, now = [], 0, 22
    while (place := -(-now * steps // 100)) <= steps:
        found.append(place)
        before, now = now, now + max(now - before - 3, 6)
    return list(dict.fromkeys(found))


def apgd(  # noqa: PLR0917
    network: AttackedNetwork,
    originals: Tensor,
    objective: Misclassification,
    epsilon: float,
    norm: NormName,
    steps: int,
    starts: Sequence[Tensor],
    losses: Sequence[Loss],
    *,
    stop: bool = False,
) -> Iterator[Iterate]:
    """APGD (Croce and Hein 2020, arXiv:2003.01690, algorithm 1), once from each of `starts` with the loss beside it.

    `originals` and each start are (n, 1, 28, 28), all losses of these n images. The first step is of norm 2 epsilon.
    Where too few steps raised the loss since the last checkpoint, or the best was not improved at the same step size,
    that is halved and the search goes on from the best image. Yields the images before each step and, last, of each
    image the result with the largest margin. With `stop`, an image is left as it is once it reaches the objective, and
    costs nothing from then on.
    """
    logits = network.logits(originals)
    best = Iterate(originals.clone(), logits.clone())
    margins, fooled = objective.margin(logits), objective.reached(logits)
    places = checkpoints(steps)
    for start, loss in zip(starts, losses, strict=True):
        active = (~fooled if stop else torch.ones_like(fooled)).nonzero()[:, 0]
        if not len(active):
            break
        images, shown = best.images.clone(), best.logits.clone()
        ball = Ball(originals[active], epsilon, norm)
        climb = _Climb(network, ball, start[active], loss.at(active))
        for step in range(steps + 1):
            images[active], shown[active] = climb.images, climb.logits
            among = objective.at(active)
            now, there = among.margin(climb.logits), among.reached(climb.logits)
            better = ((now > margins[active]) | (there & ~fooled[active])).nonzero()[:, 0]
            chosen = active[better]
            margins[chosen], fooled[chosen] = now[better], there[better]
            best.images[chosen], best.logits[chosen] = climb.images[better], climb.logits[better]
            if step == steps:
                break
            yield Iterate(images, shown)
            if stop and bool(there.any()):
                left = (~there).nonzero()[:, 0]
                active = active[left]
                climb.keep(left)
                if not len(active):
                    break
            if step in places:
                climb.reconsider()
            climb.step()
    yield best


class _Climb:
    """The ascent of some images from one start: what is kept of each image, and the steps."""

    def __init__(self, network: AttackedNetwork, ball: Ball, start: Tensor, loss: Loss) -> None:
        self._network, self._ball, self._loss = network, ball, loss
        self.images = start
        self.logits, self._gradient = network.ascent(start, loss)
        self._previous, self._value = start, loss.value(self.logits)
        self._top, self._top_gradient, self._top_value = start.clone(), self._gradient.clone(), self._value.clone()
        """The image of the highest loss so far, its gradient and its loss."""
        self._size = torch.full_like(self._value, 2 * ball.epsilon)
        self._rises, self._steps = torch.zeros_like(self._value), 0
        """The number of steps since the last checkpoint that raised the loss, of each image, and of all steps."""
        self._top_before = self._top_value.clone()
        self._halved = torch.ones_like(self._value, dtype=torch.bool)
        """The highest loss at the last checkpoint, and whether the step size was halved there: at the first one, only
        the number of rises counts."""
        self._momentum = 1.0  # there is no previous move

    def step(self) -> None:
        """Move all images, and keep what is best."""
        aim = self._ball.put_back(moved(self.images, self._gradient, self._size[:, None, None, None], self._ball.norm))
        if self._momentum < 1:
            aim = torch.lerp(self.images, aim, self._momentum)
            rest = 1 - self._momentum
            aim = self._ball.put_back(aim.add_(self.images, alpha=rest).sub_(self._previous, alpha=rest))
        self._previous, self.images, self._momentum = self.images, aim, MOMENTUM
        self.logits, self._gradient = self._network.ascent(aim, self._loss)
        value = self._loss.value(self.logits)
        self._rises += value > self._value
        self._steps += 1
        self._value = value
        better = (value > self._top_value).nonzero()[:, 0]
        self._top[better], self._top_gradient[better] = aim[better], self._gradient[better]
        self._top_value[better] = value[better]

    def reconsider(self) -> None:
        """Halve the step size of images that get nowhere, and let them go on from their best."""
        stuck = ~self._halved & (self._top_before >= self._top_value)
        self._halved = (self._rises < RISING * self._steps) | stuck
        halve = self._halved.nonzero()[:, 0]
        self._size[halve] /= 2
        self.images[halve], self._gradient[halve] = self._top[halve], self._top_gradient[halve]
        self._value[halve] = self._top_value[halve]
        self._top_before = self._top_value.clone()
        self._rises, self._steps = torch.zeros_like(self._rises), 0

    def keep(self, chosen: Tensor) -> None:
        """Go on with some of the images only, given as indices."""
        for name, value in list(vars(self).items()):
            if isinstance(value, Tensor):
                setattr(self, name, value[chosen])
        self._ball, self._loss = self._ball.at(chosen), self._loss.at(chosen)
