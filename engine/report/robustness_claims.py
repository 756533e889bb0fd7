"""What is said of training against attacks, compared with measurements, from which a verdict follows.

Each observation compares every robust network with every other one: it is supported if it holds for all of these pairs,
contradicted if it holds for none, and mixed else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine.attacks.events import RobustnessPointMeasured
from engine.attribution.events import ClassOcclusionReady, Faithfulness, FaithfulnessMeasured
from engine.inspection.events import FiltersShown, SplitEvaluated
from engine.inspection.intervals import Z
from engine.inspection.kernels import NEAR_ZERO, ONE_PIXEL
from engine.report.claims import CONTRADICTED, MIXED, SUPPORTED, Claim, each_of, verdict_of
from engine.report.likeness import Likeness
from engine.runs.comparison import spread
from engine.words import percent

if TYPE_CHECKING:
    from engine.event import Array


class Sides(NamedTuple):
    """The numbers of the networks that are compared: which are robust, and which are not."""

    robust: tuple[int, ...]
    others: tuple[int, ...]

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Each robust network with each other one."""
        return [(robust, other) for robust in self.robust for other in self.others]


def price_claim(names: Sequence[str], sides: Sides, events: Sequence[SplitEvaluated]) -> Claim:
    """Section 4.1: is a robust network less accurate on unperturbed images? All are measured on the same ones."""
    words, holds = [], []
    for robust, other in sides.pairs:
        right, right_other = (event.predictions == event.labels for event in (events[robust], events[other]))
        lost, won = int((right_other & ~right).sum()), int((right & ~right_other).sum())
        # McNemar's test: of the images that only one of two equally good networks gets right, half are of each.
        significant = abs(lost - won) > Z * math.sqrt(lost + won)
        holds.append(significant and lost > won)
        how = "significant" if significant else "not significant"
        words.append(f"{names[robust]} loses {lost} that {names[other]} gets right, and wins {won} ({how})")
    count = events[0].count
    return Claim(
        "4.1",
        "Robustness costs accuracy on unperturbed images (Tsipras et al. 2019).",
        verdict_of(*holds),
        f"Of {count:,} unperturbed test images: {'; '.join(words)}. By McNemar's test at 95 %.",
    )


def ensemble_claim(points: Sequence[Sequence[RobustnessPointMeasured]]) -> Claim:
    """Section 4.1: does AutoAttack leave fewer images correct than PGD? `points` are those of each robust network."""
    words = [f"{pgd.correct} and {ensemble.correct} of {pgd.count:,}" for pgd, ensemble in points]
    return Claim(
        "4.1",
        "PGD from one start overstates how robust a network is, and an ensemble of attacks less so (Croce and Hein "
        "2020).",
        verdict_of(*(ensemble.correct < pgd.correct for pgd, ensemble in points)),
        f"Correct under PGD, then AutoAttack, of the same images: {each_of([pgd.name for pgd, _ in points], words)}.",
    )


def thresholds_claim(names: Sequence[str], sides: Sides, events: Sequence[FiltersShown]) -> Claim:
    """Section 4.2: are there more kernels that are near zero, or that one pixel dominates?"""
    shares = [(event.near_zero + event.one_pixel) / (event.shape[0] * event.shape[1]) for event in events]
    words = [
        f"{event.near_zero} of {event.shape[0] * event.shape[1]} near zero, {event.one_pixel} dominated by one pixel"
        for event in events
    ]
    return Claim(
        "4.2",
        "The first convolution of a robust network learns thresholds: few kernels are not zero, and these have one "
        "large weight (Madry et al. 2018).",
        verdict_of(*(shares[robust] > shares[other] for robust, other in sides.pairs)),
        f"{each_of(names, words)}. Near zero: a norm below {100 * NEAR_ZERO:.0f} % of the largest; one pixel: at least "
        f"{100 * ONE_PIXEL:.0f} % of the energy, as in fewer than 1 % of random 3x3 kernels.",
    )


def white_claim(names: Sequence[str], sides: Sides, events: Sequence[ClassOcclusionReady]) -> Claim:
    """Section 4.3: is less of the drop off the strokes?"""
    off = [1 - event.strokes.drop for event in events]
    return Claim(
        "4.3",
        "A white patch beside the digit disturbs a robust network less: more of the drop in confidence is where the "
        "patch covers strokes.",
        verdict_of(*(off[robust] < off[other] for robust, other in sides.pairs)),
        f"Share of the drop off the strokes: {each_of(names, [percent(share) for share in off])}.",
    )


def _better(robust: Faithfulness, other: Faithfulness, count: int) -> list[int]:
    """For deletion and insertion: 1 where the robust network's area is significantly better, -1 worse, 0 neither."""
    found = []
    for curve, sign in (("deletion", -1), ("insertion", 1)):
        ours, theirs = getattr(robust, curve), getattr(other, curve)
        half = Z * math.sqrt((ours.area_spread**2 + theirs.area_spread**2) / count)
        gain = sign * (ours.area - theirs.area)
        found.append(0 if abs(gain) <= half else 1 if gain > 0 else -1)
    return found


def faithful_claim(sides: Sides, events: Sequence[FaithfulnessMeasured]) -> Claim:
    """Section 4.4: are the areas of deletion smaller, and those of insertion larger?"""
    found = []
    for robust, other in sides.pairs:
        theirs = {each.method: each for each in events[other].faithfulness}
        for ours in events[robust].faithfulness:
            if ours.method != "random":
                found += _better(ours, theirs[ours.method], events[robust].averaged)
    better, worse = found.count(1), found.count(-1)
    return Claim(
        "4.4",
        "The maps of a robust network are more faithful: its probability falls sooner in deletion, and rises sooner in "
        "insertion.",
        verdict_of(*(value > 0 for value in found)),
        f"Of {len(found)} comparisons of a robust network with another (by method, deletion and insertion), {better} "
        f"are significantly in its favour, {worse} against it, and {len(found) - better - worse} neither (95 % "
        "interval of the difference of the mean areas).",
    )


def digits_claim(names: Sequence[str], sides: Sides, made: Sequence[Likeness], real: Sequence[Likeness]) -> Claim:
    """Section 4.5: do images from noise look like digits now (the notebook's question 3.1.3)?

    Supported if at least half of the images of each robust network are as near to a training digit as real digits are;
    contradicted if the images of no robust network resemble the mean digit of their class significantly more than those
    of any other network, over the classes; mixed else.
    """
    like = [each.like_digits(one) for each, one in zip(made, real, strict=True)]
    count = len(made[0].nearest)
    if all(2 * like[robust] >= count for robust in sides.robust):
        verdict = SUPPORTED
    else:
        nearer = [_above(made[robust].mean - made[other].mean) for robust, other in sides.pairs]
        verdict = MIXED if any(nearer) else CONTRADICTED
    words = [f"{number} of {count}" for number in like]
    means = [f"{_mean(each.mean):.2f}" for each in made]
    return Claim(
        "4.5",
        "Images that a robust network makes from noise look like digits.",
        verdict,
        f"As near to a training digit as 95 % of real digits (supported if half are): {each_of(names, words)}. Mean "
        f"correlation with the mean digit of the class (mixed if only that is significantly higher): "
        f"{each_of(names, means)}. How they look to people is not measured.",
    )


def _above(values: Array) -> bool:
    """Whether the mean of the values that are not NaN is significantly above 0 (95 % interval, Student's t)."""
    known = values[~np.isnan(values)].tolist()
    return len(known) > 1 and spread(known).low > 0


def _mean(values: Array) -> float:
    """The mean of the values that are not NaN; NaN where there are none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan
