"""The Square attack: random squares, kept where they help; it uses the logits only, so no gradient can mislead it.

Pixel values are from 0 to 1, and every image stays in that range; norms are of differences of pixel values.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache

import torch
from torch import Tensor

from engine.adversary.kept_maps import KeptMaps, Span
from engine.adversary.names import NormName
from engine.adversary.network import AttackedNetwork, Iterate
from engine.adversary.norm_ball import Ball, norms, projected
from engine.adversary.objectives import Misclassification
from engine.geometry import IMAGE_SIZE
from engine.network.seeds import generator

SHARE = 0.8
"""The share of the pixels that the first squares cover; AutoAttack's."""
HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""After how many of 10,000 queries the share of the pixels is halved; of fewer queries, proportionally sooner."""
LOOK = 50
"""Queries between two looks at which images remain: leaving some out copies the maps of all others."""
_STREAM = 1 << 20  # tells the random numbers of this attack from those of random starts
_TINY = 1e-12


def side(query: int, queries: int, norm: NormName) -> int:
    """The side of the squares of a query, counted from 0, in pixels (section 5 of the paper); in L2 odd, at least 3."""
    place = query * 10_000 // queries
    share = SHARE / 2 ** sum(place > halving for halving in HALVINGS)
    found = max(1, round(math.sqrt(share) * IMAGE_SIZE))
    return found if norm == "linf" else max(3, found + 1 - found % 2)


def square(  # noqa: PLR0917
    network: AttackedNetwork,
    originals: Tensor,
    objective: Misclassification,
    epsilon: float,
    norm: NormName,
    queries: int,
    seed: int,
    indices: Sequence[int],
    *,
    stop: bool = False,
) -> Iterator[Iterate]:
    """The Square attack (Andriushchenko et al. 2020, arXiv:1912.00049, algorithms 1 to 3), maximising the margin.

    `originals` are (n, 1, 28, 28), with their `indices` in the split. The squares of a query are at the same place in
    all images, as `seed` and the query have it; their signs depend on the seed and the image. So what becomes of an
    image does not depend on the others. Yields the images before each query and, last, with their logits computed
    afresh. With `stop`, an image is left as it is once it reaches the objective.
    """
    draws = [generator(seed, _STREAM, index) for index in indices]
    signs = torch.stack([torch.randint(0, 2, (queries,), generator=draw) for draw in draws]).bool().to(originals.device)
    places = torch.rand((queries, 5), generator=generator(seed, _STREAM)).tolist()
    walk = (_Squares if norm == "linf" else _Bumps)(network, originals, epsilon, draws)
    images, logits = walk.images.clone(), walk.renewed()
    active, margins = torch.arange(len(images), device=images.device), objective.margin(logits)
    for query in range(queries):
        if stop and query % LOOK == 0:
            logits[active] = now = walk.renewed()
            left = ~objective.at(active).reached(now)
            if not bool(left.all()):
                active, margins = active[left], margins[left]
                walk.keep(left)
            if not len(active):
                break
        yield Iterate(images, logits)
        now = walk.proposed(side(query, queries, norm), places[query], signs[active, query])
        margin = objective.at(active).margin(now)
        better = (margin > margins).nonzero()[:, 0]
        if len(better):
            walk.accept(better)
            margins[better], chosen = margin[better], active[better]
            images[chosen], logits[chosen] = walk.images[better], now[better]
    yield Iterate(images, network.logits(images))


def _place(size: int, chance: float) -> Span:
    """The rows or columns of a square of `size` pixels, by a number from 0 to 1."""
    first = int(chance * (IMAGE_SIZE - size + 1))
    return first, first + size


class _Squares:
    """In L-infinity: each square is as light or as dark as the bound permits; at first, so is each column."""

    def __init__(
        self, network: AttackedNetwork, originals: Tensor, epsilon: float, draws: Sequence[torch.Generator]
    ) -> None:
        self._network, self._ball = network, Ball(originals, epsilon, "linf")
        light = torch.stack([torch.randint(0, 2, (IMAGE_SIZE,), generator=draw) for draw in draws]).bool()
        light = light.to(originals.device)[:, None, None]
        self.images = torch.where(light, self._ball.high, self._ball.low)

    def renewed(self) -> Tensor:
        """The logits (n, 10), computed afresh: each change adds its rounding to the maps that are kept."""
        self._kept = KeptMaps(self._network.layers, self.images)
        return self._kept.logits

    def proposed(self, size: int, chances: Sequence[float], signs: Tensor) -> Tensor:
        """Logits (n, 10) with another square, of `size` pixels a side; `signs` (n,) says whether it is light."""
        self._rows, self._columns = _place(size, chances[0]), _place(size, chances[1])
        high, low = self._window(self._ball.high), self._window(self._ball.low)
        self._pixels = torch.where(signs[:, None, None], high, low)
        self._change = self._kept.changed(self._rows, self._columns, self._pixels)
        return self._change.logits

    def _window(self, images: Tensor) -> Tensor:
        return images[:, 0, slice(*self._rows), slice(*self._columns)]

    def accept(self, chosen: Tensor) -> None:
        """Keep the square in the images whose indices are `chosen`."""
        self._window(self.images)[chosen] = self._pixels[chosen]
        self._kept.accept(self._change, chosen)

    def keep(self, chosen: Tensor) -> None:
        """Go on with some of the images only, chosen by a mask (n,)."""
        self.images, self._ball = self.images[chosen], self._ball.at(chosen)
        self._kept.keep(chosen)


class _Bumps:
    """In L2: two adjoining bumps of opposite signs, for which the changes elsewhere in another window make room."""

    def __init__(
        self, network: AttackedNetwork, originals: Tensor, epsilon: float, draws: Sequence[torch.Generator]
    ) -> None:
        self._network, self._originals, self._epsilon = network, originals, epsilon
        tile, count = IMAGE_SIZE // 5, len(originals)
        edge = (IMAGE_SIZE - 5 * tile) // 2
        drawn = torch.stack([torch.randint(0, 2, (2, 5, 5), generator=draw) for draw in draws]).to(originals)
        bump = bumps(tile).to(originals)
        upright = drawn[:, 1, :, None, :, None]
        tiles = upright * bump[:, None, :] + (1 - upright) * bump.t()[:, None, :]  # (n, 5, tile, 5, tile)
        tiles = tiles * (2 * drawn[:, 0, :, None, :, None] - 1)
        start = torch.zeros_like(originals)
        inside = slice(edge, edge + 5 * tile)
        start[:, 0, inside, inside] = tiles.reshape(count, 5 * tile, 5 * tile)
        self.images = projected(originals + epsilon * start / norms(start, "l2"), originals, epsilon, "l2")

    def renewed(self) -> Tensor:
        """The logits (n, 10), computed afresh."""
        return self._network.logits(self.images)

    def proposed(self, size: int, chances: Sequence[float], signs: Tensor) -> Tensor:
        """Logits (n, 10) with other bumps in a window of `size` pixels a side, of the sign that `signs` (n,) says."""
        change = self.images - self._originals
        window, given_up = (
            (slice(None), 0, slice(*_place(size, chances[at])), slice(*_place(size, chances[at + 1]))) for at in (0, 2)
        )
        rest = change.clone()
        rest[window] = rest[given_up] = 0.0
        room = (self._epsilon**2 - norms(rest, "l2")[:, 0].square()).clamp(min=0).sqrt()
        bump = bumps(size).to(change)
        bump = (bump if chances[4] < 0.5 else bump.t()) * (2.0 * signs[:, None, None] - 1)
        there = change[window]
        bump = bump + there / _length(there)
        rest[window] = room * bump / _length(bump)
        self._proposed = projected(self._originals + rest, self._originals, self._epsilon, "l2")
        return self._network.logits(self._proposed)

    def accept(self, chosen: Tensor) -> None:
        """Keep the bumps in the images whose indices are `chosen`."""
        self.images[chosen] = self._proposed[chosen]

    def keep(self, chosen: Tensor) -> None:
        """Go on with some of the images only, chosen by a mask (n,)."""
        self.images, self._originals = self.images[chosen], self._originals[chosen]


def _length(windows: Tensor) -> Tensor:
    found: Tensor = windows.flatten(1).norm(dim=1).clamp(min=_TINY)
    return found[:, None, None]


@lru_cache(maxsize=64)
def bumps(size: int) -> Tensor:
    """A window (size, size) of norm 1: a bump in its upper part, and one of the opposite sign in its lower part.

    The value at a distance d from the middle of a bump, in rows or columns whichever are more, is the sum of
    1 / (k + 1)^2 over k from d to the farthest distance. Both bumps are of the same norm.
    """
    half = size // 2
    found = torch.cat((_bump(half, size), -_bump(size - half, size)))
    length: Tensor = found.norm()
    return found / length


def _bump(high: int, wide: int) -> Tensor:
    rows, columns = (torch.arange(size) - size // 2 for size in (high, wide))
    distance = torch.maximum(rows.abs()[:, None], columns.abs()[None])
    terms = 1 / torch.arange(1, int(distance.max()) + 2) ** 2
    found = terms.flip(0).cumsum(0).flip(0)[distance]
    length: Tensor = found.norm()
    return found / length
