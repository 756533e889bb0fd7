"""The requests for proofs of robustness."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from engine.bounds.names import BoundName
from engine.inspection.requests import InspectImages
from engine.request import RequestError

BOUND_TITLES = {"ibp": "interval bounds", "crown": "CROWN", "best": "the better of interval bounds and CROWN"}
"""How each bound is called on screens, in tables and in figures."""
Bound = Annotated[
    BoundName, Meta(description="bounds: ibp (intervals), crown (linear), or best, the better of both for each image")
]


class Certify(InspectImages, frozen=True, tag="certify"):
    """Certified accuracy: the share of images whose class no perturbation within epsilon (L-infinity) can change."""

    epsilons: Annotated[
        tuple[float, ...],
        Meta(max_length=100, description="maximum perturbations to prove, in pixel values (none: 0.05, 0.1, 0.2, 0.3)"),
    ] = ()
    count: Annotated[int, Meta(ge=1, le=60_000, description="number of images: the first n of the split")] = 1000
    bound: Bound = "best"
    digit: Annotated[
        int, Meta(ge=-1, description="index of one image, to find the largest epsilon proved for it (-1: none)")
    ] = -1

    def check_together(self) -> None:
        """Refuse epsilons out of range, and epsilons for one digit, whose own epsilon is looked for."""
        if self.epsilons and not 0 <= min(self.epsilons) <= max(self.epsilons) <= 1:
            raise RequestError("epsilons must be from 0 to 1, in pixel values")
        if self.epsilons and self.digit >= 0:
            raise RequestError("for a digit, the largest epsilon is looked for: leave epsilons out, or the digit")

    @property
    def sizes(self) -> tuple[float, ...]:
        """The epsilons to prove, sorted, without duplicates, with the defaults resolved."""
        return tuple(sorted(set(self.epsilons))) or (0.05, 0.1, 0.2, 0.3)


class CertifyDigit(InspectImages, frozen=True, tag="certify-digit"):
    """How far one digit is safe: the largest epsilon that is proved, and the smallest that PGD breaks."""

    index: Annotated[int, Meta(ge=0, description="index of the image in the split")] = 61
    bound: Bound = "best"
    steps: Annotated[int, Meta(ge=1, le=10_000, description="number of PGD steps at each epsilon tried")] = 40
    restarts: Annotated[int, Meta(ge=1, le=1000, description="number of starting points of PGD")] = 4
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="random seed of the starting points")] = 0
