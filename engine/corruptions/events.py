"""The events of corrupted images."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from engine.corruptions.requests import CLEAN
from engine.event import Event, Progress
from engine.inspection.events import ImagesEvent

if TYPE_CHECKING:
    from engine.event import Array


class CorruptionMeasured(Event, frozen=True):
    """The accuracy of one network on images under one corruption."""

    name: str
    """The corruption; `clean` for the images as they are."""
    network: str
    count: int
    """Images."""
    correct: int
    """Number of images that are classified correctly."""
    accuracy: float
    """`correct` divided by `count`, 0 to 1."""
    low: float
    """Lower limit of the 95 % confidence interval (Wilson 1927)."""
    high: float


class DigitCorrupted(ImagesEvent, frozen=True):
    """One digit under each corruption, and what each network takes it for."""

    index: int
    count: int
    """Number of images in the split."""
    actual: int
    seed: int
    networks: tuple[str, ...]
    corruptions: tuple[str, ...]
    """What the images are under: first nothing, named `clean`, then each corruption."""
    predicted: tuple[tuple[int, ...], ...]
    """The classes that each network predicts: a row is a network, a column an image."""
    probabilities: Array
    """(networks, images, 10) float32."""
    images: Array
    """(images, 28, 28) float32 in [0, 1]."""

    def wrong(self, network: int) -> int:
        """Number of corruptions under which a network, given by its position, does not recognise the digit."""
        return sum(answer != self.actual for answer in self.predicted[network][1:])


class CorruptionsMeasured(DigitCorrupted, frozen=True):
    """The accuracy of each network under each corruption, and one digit as an example."""

    asked: int
    """Images to measure on."""
    points: tuple[CorruptionMeasured, ...]
    """Ordered by network and corruption; the first of each network is of the images as they are."""

    def of(self, network: str) -> dict[str, CorruptionMeasured]:
        """The points of one network by the name of the corruption."""
        return {point.name: point for point in self.points if point.network == network}

    def mean(self, network: str) -> float:
        """The mean accuracy of a network over the corruptions, 0 to 1."""
        found = [point.accuracy for name, point in self.of(network).items() if name != CLEAN]
        return sum(found) / len(found)


class CorruptionsAdvanced(CorruptionsMeasured, Progress, frozen=True):
    """The accuracies so far, over fewer images."""

    at_once: ClassVar[bool] = True
