"""The events of certification. Epsilons are L-infinity norms, in pixel values from 0 to 1."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from engine.event import Progress
from engine.inspection.events import ImagesEvent

if TYPE_CHECKING:
    from engine.event import Array


class CertifiedPointMeasured(ImagesEvent, frozen=True):
    """The share of images that are certified within one epsilon: a point of a curve."""

    bound: str
    """ibp, crown or best."""
    epsilon: float
    count: int
    """Images."""
    certified: int
    """Number of images whose class is right, and proved not to change within epsilon."""
    certified_accuracy: float
    """`certified` divided by `count`, 0 to 1: no attack leaves fewer images correct."""
    low: float
    """Lower limit of the 95 % confidence interval (Wilson 1927)."""
    high: float


class CertificationMeasured(ImagesEvent, frozen=True):
    """Certified accuracy by epsilon."""

    bound: str
    asked: int
    """Images."""
    points: tuple[CertifiedPointMeasured, ...]
    """By epsilon, ascending."""
    epsilons: Array
    """(points,) float64."""
    certified: Array
    """(points, images) bool."""
    margin: Array
    """(points, images) float64: a proved lower bound, in logits, of the margin of the actual class over the others
    within epsilon; above 0 where an image is certified. For epsilon 0, the margin itself."""


class CertificationAdvanced(CertificationMeasured, Progress, frozen=True):
    """Certified accuracy so far, over fewer images."""

    at_once: ClassVar[bool] = True


class DigitCertified(ImagesEvent, frozen=True):
    """How far one digit is safe. Between `proved` and `broken_from` nothing is known."""

    index: int
    """Index of the image in its split."""
    count: int
    """Images in the split."""
    actual: int
    predicted: int
    """The class that the network predicts for the unchanged image."""
    bound: str
    proved: float
    """The largest epsilon found within which no image is misclassified, to 0.0001; 0 where none is proved."""
    broken_from: float | None
    """The smallest L-infinity norm found of a change that the network misclassifies; 0 where it misclassifies the
    unchanged image, null where none was found."""
    taken_for: int
    """The class that the network predicts with this change; -1 where none was found."""
    image: Array
    """(28, 28) float32 in [0, 1]."""
    adversarial: Array
    """(28, 28) float32: with this change; the unchanged image where none was found."""
    seconds: float

    @property
    def limits(self) -> tuple[str, str]:
        """`proved` and `broken_from` with four decimals, each rounded to its safe side; the second empty where null."""
        broken = "" if self.broken_from is None else f"{math.ceil(1e4 * self.broken_from) / 1e4:.4f}"
        return f"{math.floor(1e4 * self.proved) / 1e4:.4f}", broken


class DigitCertificationAdvanced(DigitCertified, Progress, frozen=True):
    """The limits found so far: first that of the proof rises, then that of the attack falls."""

    at_once: ClassVar[bool] = True
