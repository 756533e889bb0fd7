"""The events of audits: scores by class, calibration, and labels in doubt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from engine.inspection.events import Digit, ImagesEvent

if TYPE_CHECKING:
    from engine.event import Array


class ClassScores(Struct, frozen=True, kw_only=True):
    """How well a network recognises one class."""

    count: int
    """Number of images of the class."""
    predicted: int
    """Number of images that the network predicts as it."""
    precision: float
    """Share of those predicted as the class that are of it, 0 to 1; NaN where none is predicted so."""
    recall: float
    """Share of the images of the class that are predicted as it, 0 to 1; NaN for a class without images."""
    f1: float
    """Harmonic mean of both, 0 to 1; NaN where the class has neither images nor predictions."""


class ReliabilityBin(Struct, frozen=True, kw_only=True):
    """Images of about the same confidence: one point of a reliability diagram."""

    count: int
    """Number of images."""
    confidence: float
    """Mean probability of the predicted class, 0 to 1."""
    accuracy: float
    """0 to 1."""
    low: float
    """Lower limit of the accuracy's 95 % confidence interval (Wilson 1927)."""
    high: float


class NetworkAudited(ImagesEvent, frozen=True):
    """How well a network recognises each class, and whether its confidence is its accuracy."""

    count: int
    """Number of images."""
    accuracy: float
    """0 to 1."""
    accuracy_without_doubtful: float | None
    """Without the images whose label raters doubt, 0 to 1; null for a data set without a published list of them."""
    classes: tuple[ClassScores, ...]
    ece: float
    """Expected calibration error: the mean distance of confidence and accuracy in bins of equal mass, 0 to 1."""
    ece_low: float
    """Lower limit of its 95 % confidence interval, by bootstrap."""
    ece_high: float
    temperature: float
    """What the logits are divided by to calibrate the network, fitted on the validation split."""
    ece_calibrated: float
    """Expected calibration error at this temperature."""
    ece_calibrated_low: float
    ece_calibrated_high: float
    loss: float
    """Mean cross-entropy, in nats."""
    loss_calibrated: float
    """At this temperature."""
    bins: tuple[ReliabilityBin, ...]
    """The reliability diagram, by ascending confidence."""
    bins_calibrated: tuple[ReliabilityBin, ...]
    """At this temperature."""


class DisputedLabel(Struct, frozen=True):
    """A label that most raters of a published study did not choose."""

    index: int
    """Index of the image in the split."""
    label: int
    other: int
    """The other class that raters could choose."""
    for_label: int
    """Number of raters who chose the label."""
    for_other: int
    for_neither: int


class NetworksAudited(NetworkAudited, frozen=True):
    """The audit of a network and, if there are any, of others; and the labels that they doubt together."""

    others: tuple[NetworkAudited, ...]
    doubtful: tuple[int, ...]
    """Indices of the images whose label the networks believe least, the most doubtful first."""
    digits: tuple[Digit, ...]
    """These images: probabilities are normalised geometric means over the networks, and `predicted` is the most
    probable class by them."""
    known: tuple[DisputedLabel, ...]
    """The published list of labels that raters doubt; empty for a data set without one."""
    known_found: int | None
    """How many of those are in `doubtful`; null without a list."""
    seed: int
    """Of the bootstrap."""
    self_confidence: Array
    """(N,) float64: the probability of each image's label, as the networks' normalised geometric mean."""
    images: Array
    """(n, 28, 28) float32 in [0, 1]: those of `doubtful`."""

    @property
    def audits(self) -> tuple[NetworkAudited, ...]:
        """The network's audit, then those of the others."""
        return self, *self.others

    @property
    def disputed(self) -> dict[int, DisputedLabel]:
        """The published labels by index."""
        return {each.index: each for each in self.known}
