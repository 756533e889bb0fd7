"""AutoAttack: four attacks that need no tuning, one after the other, each on the images that the ones before left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from engine.adversary.apgd import apgd
from engine.adversary.fab import fab, likely_targets
from engine.adversary.names import NormName
from engine.adversary.network import AttackedNetwork, Iterate
from engine.adversary.norm_ball import norms, random_starts
from engine.adversary.objectives import LogitRatio, Loss, Misclassification
from engine.adversary.square import square
from engine.geometry import CLASSES

TARGETS = CLASSES - 1
"""The classes that targeted attacks approach one after the other: all but the actual one."""
STEPS = 100
"""Of APGD and FAB, from each start and towards each target."""
QUERIES = 5000
"""Of the Square attack."""
STARTS = 1 + TARGETS
"""Random starting points of an image that withstands everything: one for APGD, and one for each of its targets."""


def targeted_ratios(objective: Misclassification, logits: Tensor) -> list[Loss]:
    """The logit ratio towards each of the nine other classes, the most likely first, by logits (n, 10)."""
    targets = likely_targets(logits, objective.actual).unbind(1)
    return [LogitRatio(Misclassification(objective.actual, target)) for target in targets]


def autoattack(  # noqa: PLR0917
    network: AttackedNetwork,
    originals: Tensor,
    objective: Misclassification,
    epsilon: float,
    norm: NormName,
    seed: int,
    indices: Sequence[int],
    *,
    steps: int = STEPS,
    queries: int = QUERIES,
) -> Iterator[Iterate]:
    """AutoAttack, its standard version (Croce and Hein 2020, arXiv:2003.01690, section 6): APGD with cross-entropy,
    APGD with the targeted logit ratio, targeted FAB and Square, of 100 steps and 5,000 queries.

    `originals` are (n, 1, 28, 28), with their `indices` in the split; the objective is any other class. An image that
    is misclassified as it is, or that one of the attacks fools within `epsilon`, costs nothing from then on; one that
    withstands all of them stays as it is. Yields after each step the images as the attacks finished so far left them.
    """
    images = originals.clone()
    logits = network.logits(images)
    for stage in range(4):
        left = (~objective.reached(logits)).nonzero()[:, 0]
        if not len(left):
            break
        some, among, numbers = originals[left], objective.at(left), [indices[at] for at in left.tolist()]

        def starts(first: int, last: int, some: Tensor = some, numbers: Sequence[int] = numbers) -> list[Tensor]:
            return [random_starts(some, epsilon, norm, seed, numbers, number) for number in range(first, last)]

        work: Iterator[Iterate]
        match stage:
            case 0:
                work = apgd(network, some, among, epsilon, norm, steps, starts(0, 1), [among], stop=True)
            case 1:
                ratios = targeted_ratios(among, logits[left])
                work = apgd(network, some, among, epsilon, norm, steps, starts(1, STARTS), ratios, stop=True)
            case 2:
                work = fab(network, some, among, norm, steps, enough=epsilon)
            case _:
                work = square(network, some, among, epsilon, norm, queries, seed, numbers, stop=True)
        found = Iterate(some, logits[left])
        for iterate in work:
            found = iterate
            yield Iterate(images, logits)
        fell = among.reached(found.logits)
        if stage == 2:  # the only one that does not stay within epsilon
            fell &= norms(found.images - some, norm).flatten() <= epsilon
        images[left[fell]], logits[left[fell]] = found.images[fell], found.logits[fell]
    yield Iterate(images, logits)
