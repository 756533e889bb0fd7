"""The fast adaptive boundary attack: the smallest perturbation, by projections onto the linearised decision boundary.

Pixel values are from 0 to 1, and every image stays in that range; norms are of differences of pixel values.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from engine.adversary.names import NormName
from engine.adversary.network import AttackedNetwork, Iterate
from engine.adversary.norm_ball import norms
from engine.adversary.objectives import ANY, LogitGap, Misclassification
from engine.geometry import CLASSES

MOST_BIAS = 0.1
"""The largest weight of the projection of the original image beside that of the current one (alpha_max)."""
OVERSHOOT = 1.05
"""How far a step goes, as a multiple of the projection (eta): the boundary is not quite where it is linearised."""
BACK = 0.9
"""How much of its perturbation an adversarial image keeps in order to find a smaller one (beta)."""
TARGETS = CLASSES - 1
"""The number of other classes."""
_MOST_BENDS = 30
_NEAR = 1e-6
_TINY = 1e-30
_threshold_back = torch.ops.aten.threshold_backward.default


def likely_targets(logits: Tensor, actual: Tensor) -> Tensor:
    """The other classes than `actual` (n,), the most likely first, (n, 9), by logits (n, 10)."""
    return logits.scatter(1, actual[:, None], -torch.inf).argsort(dim=1, descending=True)[:, :TARGETS]


def projection(points: Tensor, normals: Tensor, shortfall: Tensor, norm: NormName) -> Tensor:
    """The smallest changes (n, d) of `points` (n, d) within [0, 1] along which `normals` (n, d) gain `shortfall` (n,).

    A change c solves: minimise the norm of c such that <normal, c> = shortfall and 0 <= point + c <= 1 (Croce and Hein
    2020, arXiv:1907.02044, equation 4). Where no such c exists, the one that comes nearest: every pixel at its limit.

    All pixels move at once in the direction that gains, at the same pace in L-infinity and in proportion to their
    weight in L2, each until its limit. So what is gained is concave and piecewise linear in the time, and Newton's
    method from time 0 never overshoots and reaches the solution after a few pieces.
    """
    directions = normals.sign() * shortfall.sign()[:, None]
    room = torch.where(directions > 0, 1 - points, points)
    weights, wanted = normals.abs(), shortfall.abs()
    pace = torch.ones_like(weights) if norm == "linf" else weights
    missing = wanted - (weights * room).sum(dim=1)  # even where every pixel is at its limit
    time = torch.zeros_like(wanted)
    for _ in range(_MOST_BENDS):
        left = torch.addcmul(room, pace, time[:, None], value=-1)
        moving = _threshold_back(weights, left, 0)
        lack, rate = missing + _dots(moving, left), _dots(moving, pace)
        todo = (lack > _NEAR * wanted) & (rate > _TINY)
        if not bool(todo.any()):
            break
        time = torch.where(todo, time + lack / rate.clamp(min=_TINY), time)
    return torch.minimum(pace * time[:, None], room).mul_(directions)


def _dots(one: Tensor, other: Tensor) -> Tensor:
    """The inner products (n,) of the rows of both (n, d)."""
    return torch.bmm(one[:, None], other[:, :, None])[:, 0, 0]


def fab(  # noqa: PLR0917
    network: AttackedNetwork,
    originals: Tensor,
    objective: Misclassification,
    norm: NormName,
    steps: int,
    targets: int = TARGETS,
    *,
    enough: float = 0.0,
) -> Iterator[Iterate]:
    """Targeted FAB (Croce and Hein 2020, arXiv:1907.02044), towards each of the `targets` likeliest other classes.

    `originals` are (n, 1, 28, 28). From each image `steps` steps go towards the boundary between the actual class and
    one other, which needs a single gradient. Yields the images before the first step and after each and, last, of each
    image the smallest perturbation that reaches the objective, whichever class it leads to, or the original where none
    was found. An image that was fooled with a norm of at most `enough` is left as it is. With a target class, only that
    is approached.
    """
    logits = network.logits(originals)
    best = _Smallest(originals, logits, objective, norm)
    if bool((objective.target != ANY).all()):
        towards = objective.target[:, None]
    else:
        towards = likely_targets(logits, objective.actual)[:, :targets]
    yield Iterate(originals, logits)
    for target in towards.unbind(1):
        active = (best.least > enough).nonzero()[:, 0]
        if not len(active):
            break
        images, shown = best.images.clone(), best.logits.clone()
        start = now = originals[active]
        gap = LogitGap(objective.actual[active], target[active])
        logits, gradient = network.ascent(now, gap)
        for _ in range(steps):
            now = _stepped(now, start, gap.value(logits), gradient, norm)
            logits, gradient = network.ascent(now, gap)
            images[active], shown[active] = now, logits
            back = best.take(active, now, logits)
            yield Iterate(images, shown)
            if len(back):
                now[back] = start[back] + BACK * (now[back] - start[back])
                logits[back], gradient[back] = network.ascent(now[back], gap.at(back))
                best.take(active[back], now[back], logits[back])
                left = (best.least[active] > enough).nonzero()[:, 0]
                active, start, now, gap = active[left], start[left], now[left], gap.at(left)
                logits, gradient = logits[left], gradient[left]
                if not len(active):
                    break
    yield Iterate(best.images, best.logits)


class _Smallest:
    """The smallest perturbation of each image so far that reaches the objective."""

    def __init__(self, originals: Tensor, logits: Tensor, objective: Misclassification, norm: NormName) -> None:
        self._originals, self._objective, self._norm = originals, objective, norm
        self.images, self.logits = originals.clone(), logits.clone()
        self.least = torch.where(objective.reached(logits), 0.0, torch.inf).to(originals)
        """(n,): its norm; infinite where there is none."""

    def take(self, active: Tensor, images: Tensor, logits: Tensor) -> Tensor:
        """Keep those of `images`, of the images `active`, that are smaller; returns the indices of those that reach
        the objective."""
        there = self._objective.at(active).reached(logits).nonzero()[:, 0]
        found = active[there]
        size = norms(images[there] - self._originals[found], self._norm)[:, 0, 0, 0]
        better = (size < self.least[found]).nonzero()[:, 0]
        found, chosen = found[better], there[better]
        self.least[found] = size[better]
        self.images[found], self.logits[found] = images[chosen], logits[chosen]
        return there


def _stepped(images: Tensor, originals: Tensor, gap: Tensor, gradient: Tensor, norm: NormName) -> Tensor:
    """`images` after a step, (n, 1, 28, 28): towards their projection onto the linearised boundary, where `gap` (n,)
    is zero, and a little towards that of `originals`, the more the farther the images are from the boundary."""
    count, normals = len(images), gradient.flatten(1)
    points = torch.cat((images, originals)).flatten(1)
    # On the line from `images` to `originals` the gap changes by what the gradient says.
    of_originals = gap + ((points[count:] - points[:count]) * normals).sum(dim=1)
    changes = projection(points, normals.repeat(2, 1), -torch.cat((gap, of_originals)), norm)
    sizes = norms(changes, norm).view(2, count).clamp(min=1e-8)
    share = (sizes[0] / sizes.sum(dim=0)).clamp(max=MOST_BIAS)[:, None]
    ends = points + OVERSHOOT * changes
    return torch.lerp(ends[:count], ends[count:], share).clamp_(0, 1).view_as(images)
