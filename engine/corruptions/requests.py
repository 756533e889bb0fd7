"""The requests about corrupted images."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from msgspec import Meta

from engine.inspection.requests import InspectImages
from engine.request import RequestError

CorruptionName = Literal[
    "shot-noise",
    "impulse-noise",
    "glass-blur",
    "motion-blur",
    "shear",
    "scale",
    "rotate",
    "brightness",
    "translate",
    "stripe",
    "fog",
    "spatter",
    "dotted-line",
    "zigzag",
    "canny-edges",
]
"""The corruptions of MNIST-C (Mu and Gilmer 2019, arXiv:1906.02337), in the paper's order."""
CORRUPTIONS: tuple[CorruptionName, ...] = get_args(CorruptionName)
CleanName = Literal["clean"]
CLEAN: CleanName = "clean"
"""The name of images as they are, in whose row everything else is compared."""
CORRUPTION_TITLES: dict[str, str] = {
    **{name: name.replace("-", " ") for name in (CLEAN, *CORRUPTIONS)},
    "canny-edges": "Canny edges",
}
"""How each corruption is called on screens, in tables and in figures."""

Others = Annotated[
    tuple[str, ...], Meta(max_length=7, description="other networks to show the same images to, one or more")
]
Index = Annotated[int, Meta(ge=0, description="index in the split of the digit to show under each corruption")]
Seed = Annotated[int, Meta(ge=0, le=2**31 - 1, description="random seed of the corruptions")]


class ShowCorruptions(InspectImages, frozen=True, tag="show-corruptions"):
    """One digit under each corruption, and what networks take it for."""

    others: Others = ()
    index: Index = 61
    seed: Seed = 0

    @property
    def names(self) -> tuple[CorruptionName, ...]:
        """All corruptions."""
        return CORRUPTIONS


class MeasureCorruptions(InspectImages, frozen=True, tag="measure-corruptions"):
    """Accuracy on corrupted images (after Mu and Gilmer's MNIST-C, 2019)."""

    others: Others = ()
    corruptions: Annotated[
        tuple[CorruptionName, ...],
        Meta(
            max_length=15,
            description="corruptions to measure (none: all fifteen)",
            title=f"some of {', '.join(CORRUPTIONS)}",
        ),
    ] = ()
    count: Annotated[int, Meta(ge=1, le=60_000, description="number of images: the first n of the split")] = 1000
    index: Index = 61
    seed: Seed = 0

    def check_together(self) -> None:
        """Refuse a corruption that is listed twice."""
        if len(set(self.corruptions)) < len(self.corruptions):
            raise RequestError("a corruption is listed twice: name each corruption once")

    @property
    def names(self) -> tuple[CorruptionName, ...]:
        """The corruptions to measure, in the paper's order."""
        return tuple(name for name in CORRUPTIONS if name in (self.corruptions or CORRUPTIONS))
