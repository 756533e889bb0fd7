"""The notebook's observations, compared with measurements, from which a verdict follows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine.attacks.events import AttackFinished
from engine.attribution.events import OcclusionMapReady, StrokeShare
from engine.inspection.events import ActivationsComputed, FiltersShown

if TYPE_CHECKING:
    from engine.event import Array

SUPPORTED, CONTRADICTED, MIXED = "Supported", "Contradicted", "Mixed"


class Claim(NamedTuple):
    """An observation of the notebook, and its verdict."""

    section: str
    said: str
    """The observation as in the notebook, shortened."""
    verdict: str
    evidence: str


def verdict_of(*holds: bool) -> str:
    """Supported if all `holds`, contradicted if none does, mixed else."""
    return SUPPORTED if all(holds) else MIXED if any(holds) else CONTRADICTED


def each_of(names: Sequence[str], words: Sequence[str]) -> str:
    """What is said of each network, as one sentence."""
    return "; ".join(f"{name}: {each}" for name, each in zip(names, words, strict=True))


def plane_share(kernels: Array) -> float:
    """The share of the energy of kernels (n, k, k) that a constant and two linear gradients explain, 0 to 1.

    For random 3x3 kernels, that is 3 of 9 dimensions, a third. NaN where all are zero.
    """
    side = kernels.shape[-1]
    along = np.arange(side) - (side - 1) / 2
    flat = np.ones((side, side))
    basis = np.stack([flat, flat * along, flat * along[:, None]]).reshape(3, -1)
    kept = basis[(norms := np.linalg.norm(basis, axis=1)) > 0] / norms[norms > 0, None]
    every = kernels.reshape(len(kernels), -1).astype(np.float64)
    energy = float((every**2).sum())
    return float(((every @ kept.T) ** 2).sum()) / energy if energy else math.nan


def filters_claim(names: Sequence[str], pairs: Sequence[tuple[FiltersShown, FiltersShown]]) -> Claim:
    """Sections 2.1 and 2.2: are the first filters the simpler ones?"""
    shares = [
        tuple(plane_share(event.weights.reshape(-1, *event.weights.shape[-2:])) for event in pair) for pair in pairs
    ]
    words = [f"{100 * first:.0f} % in conv1, {100 * second:.0f} % in conv2" for first, second in shares]
    return Claim(
        "2.2",
        "Conv1 filters are simpler and capture edges and gradients; conv2 filters combine them, more intricate and "
        "less interpretable.",
        verdict_of(*(first > second for first, second in shares)),
        "By one measure of simplicity, the share of the kernels' energy that a constant and two linear gradients "
        f"explain: {each_of(names, words)} (a third for random 3x3 kernels).",
    )


def resemblance(image: Array, maps: Array) -> float:
    """The mean absolute correlation of non-constant maps (C, h, w) with the image (28, 28) scaled to their size."""
    _, high, wide = maps.shape
    rows, columns = (np.array_split(np.arange(28), n) for n in (high, wide))
    small = np.array([[image[np.ix_(r, c)].mean() for c in columns] for r in rows]).ravel()
    found = [abs(float(np.corrcoef(small, each.ravel())[0, 1])) for each in maps if each.std() > 0 and small.std() > 0]
    return float(np.mean(found)) if found else math.nan


def activations_claim(names: Sequence[str], events: Sequence[ActivationsComputed]) -> Claim:
    """Section 2.3: do deeper maps look less like the digit?"""
    shares = [(resemblance(event.image, event.conv1), resemblance(event.image, event.conv2)) for event in events]
    words = [f"{first:.2f} in conv1, {second:.2f} in conv2" for first, second in shares]
    sizes = " to ".join(f"{maps.shape[1]}x{maps.shape[2]}" for maps in (events[0].conv1, events[0].conv2))
    return Claim(
        "2.3",
        "Deeper activations are more abstract and less visually interpretable, and their resolution is smaller.",
        verdict_of(*(first > second for first, second in shares)),
        f"Mean correlation of a map with the digit, scaled to the size of the map: {each_of(names, words)}. "
        f"The maps go from {sizes}. Measured only on the digit that is shown.",
    )


def occlusion_claim(
    names: Sequence[str],
    black: Sequence[StrokeShare],
    white: Sequence[StrokeShare],
    single: Sequence[OcclusionMapReady],
) -> Claim:
    """Section 2.4: does confidence drop only where the patch covers strokes?"""
    words = [
        f"patches over strokes are {100 * b.positions:.0f} % of the positions and have {100 * b.drop:.0f} % of the "
        f"drop with a black patch, {100 * w.drop:.0f} % with a white one"
        for b, w in zip(black, white, strict=True)
    ]
    first = single[0]
    return Claim(
        "2.4",
        "Confidence drops significantly only when the patch covers strokes: the network looks at the digit, not at the "
        "background.",
        verdict_of(*(share.drop > share.positions for share in (*black, *white))),
        f"{each_of(names, words)} (4x4 patches over many images of the class). A black patch cannot change the black "
        "background, so with it no other result is possible. For the notebook's own digit, the lowest probability is "
        f"{first.minimum:.4f}, the highest {first.maximum:.4f}.",
    )


def noise_claims(
    names: Sequence[str], events: Sequence[AttackFinished], taken: Sequence[Mapping[str, int]]
) -> list[Claim]:
    """Section 3.1: high confidence, images unlike digits, and a rising logit.

    `taken` is, for each network, how many of its images each other network, by its name, classifies as their target.
    """
    sure = [float(event.probabilities[range(len(event.targets)), list(event.targets)].min()) for event in events]
    ups = [float((np.diff(event.history, axis=1) > 0).mean()) for event in events]
    climbed = [bool((event.history[:, -1] > event.history[:, 0]).all()) for event in events]
    count = len(events[0].targets)
    claims = [
        Claim(
            "3.1.2",
            "The model predicts the target class with very high confidence.",
            verdict_of(*(value > 0.99 for value in sure)),
            "The lowest of the ten probabilities: " + each_of(names, [f"{100 * value:.2f} %" for value in sure]) + ".",
        ),
        Claim(
            "3.1.4",
            "The cost function, the logit, increases.",
            verdict_of(*climbed),
            "Steps in which it rose: "
            + each_of(names, [f"{100 * value:.1f} %" for value in ups])
            + f"; it ended above its start in {sum(climbed)} of {len(climbed)} networks for all ten classes.",
        ),
    ]
    if any(taken):
        several = any(len(each) > 1 for each in taken)
        words = [
            ", ".join(f"{right} of {count}" + f" by {other}" * several for other, right in each.items())
            for each in taken
        ]
        noisy = Claim(
            "3.1.3",
            "They do not look like numbers, but like noise that triggers the class in this network.",
            SUPPORTED if all(right < count / 2 for each in taken for right in each.values()) else MIXED,
            f"Classified as their target class by the other network{'s' * several}, for which they were not made: "
            + each_of(names, words)
            + ". For these the pattern is not specific to one network; how they look to people is not measured.",
        )
        claims.insert(1, noisy)
    return claims


def targeted_claim(names: Sequence[str], pairs: Sequence[tuple[AttackFinished, AttackFinished]]) -> Claim:
    """Section 3.2: does the squared error keep the image close to the digit? Each pair is with and without penalty."""
    fooled = [f"{with_penalty.successes} of {len(with_penalty.images)} fooled" for with_penalty, _ in pairs]
    closer = [float((free.l2 - bound.l2).mean() / free.l2.mean()) if free.l2.mean() else 0.0 for bound, free in pairs]
    words = [f"{count}, L2 smaller by {100 * share:.1g} %" for count, share in zip(fooled, closer, strict=True)]
    works = [share > 0.01 for share in closer]
    wins = [bound.successes > len(bound.images) / 2 for bound, _ in pairs]
    return Claim(
        "3.2.1",
        "The images resemble the digits due to the squared error in the cost, yet are classified as the target.",
        MIXED if any(wins) and not all(works) else verdict_of(*works, *wins),
        f"With the penalty, compared with none: {each_of(names, words)}. The images stay close because of the few "
        f"small steps: no pixel changed by more than {max(float(bound.linf.max()) for bound, _ in pairs):.3f}.",
    )
