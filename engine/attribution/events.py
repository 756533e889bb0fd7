"""Why a network says what it says: occlusion, attributions, and how far these can be trusted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from msgspec import Struct

from engine.event import Progress
from engine.inspection.events import ImagesEvent

if TYPE_CHECKING:
    from engine.event import Array


class DigitEvent(ImagesEvent, frozen=True):
    """The base of what was asked about one image and one class."""

    index: int
    count: int
    """Images in the split."""
    actual: int
    predicted: int
    watched: int
    """The class that is asked about."""
    unoccluded_probability: float
    """Of the watched class, for the image as it is: 0 to 1."""
    image: Array
    """(28, 28) float32 in [0, 1]."""


class OcclusionMap(DigitEvent, frozen=True):
    """What a network says of an image with a patch at each position on it (the notebook's section 2.4).

    Row r and column c of a map belong to the patch whose left top pixel is (r * stride, c * stride).
    """

    patch_size: int
    """Pixels."""
    stride: int
    baseline: str
    covers: Array
    """(28, 28) float32 in [0, 1]: what the patch shows of itself, wherever it is."""
    unoccluded: Array
    """(10,) float32: the probabilities of all classes for the image as it is."""
    probabilities: Array
    """(rows, columns) float32: of the watched class; NaN where it is not known yet. The notebook's `heat_map`."""
    winners: Array
    """(rows, columns) int64: the class of the highest probability; -1 where it is not known yet."""
    all_probabilities: Array
    """(rows, columns, 10) float32."""

    @property
    def other_answers(self) -> list[tuple[int, int]]:
        """The classes that win where the patch changes the prediction, and at how many positions, the most first."""
        others = self.winners[(self.winners != self.predicted) & (self.winners >= 0)]
        return Counter(others.tolist()).most_common()


class OcclusionMapAdvanced(OcclusionMap, Progress, frozen=True):
    """The map so far."""

    at_once: ClassVar[bool] = True


class StrokeShare(Struct, frozen=True, kw_only=True):
    """Whether the network looks at the strokes: what the patches over them do, against how many they are.

    A patch is over a stroke where it covers a pixel brighter than one half.
    """

    positions: float
    """Share of the positions of the patch that are over a stroke, 0 to 1."""
    drop: float
    """Share of the drop in probability, summed over the map, that is at these positions; NaN where nothing drops."""


class OcclusionMapReady(OcclusionMap, frozen=True):
    """The whole map, with its extremes."""

    minimum: float
    minimum_at: tuple[int, int]
    """(row, column) in the image of the left top pixel of the patch, the first of equals."""
    maximum: float
    maximum_at: tuple[int, int]
    strokes: StrokeShare
    computed: int
    """Positions for which the network was run; at the others the patch changes no pixel."""
    seconds: float
    """For the whole map, pauses for a training step left out."""


class ClassOcclusionReady(ImagesEvent, frozen=True):
    """The occlusion maps of several images of one class, averaged."""

    digit: int
    """Their class."""
    watch: str
    """The class watched, as asked for: it may differ from image to image."""
    averaged: int
    """Images."""
    matching: int
    """Images of this class in the split."""
    patch_size: int
    stride: int
    baseline: str
    unoccluded_probability: float
    """Mean over the images."""
    strokes: StrokeShare
    """The mean of the shares of positions; of the drops of all images together, the share that is over strokes."""
    mean_image: Array
    """(28, 28) float32."""
    mean_probabilities: Array
    """(rows, columns) float32: mean over the images of the probability of the class watched."""
    deviation: Array
    """(rows, columns) float32: its standard deviation over the images; 0 for one image."""
    changed: Array
    """(rows, columns) float32: share of the images whose predicted class the patch changes there."""

    @property
    def minimum_at(self) -> tuple[int, int]:
        """(row, column) in the image of the left top pixel of the patch where the mean is lowest."""
        return self._pixel(int(self.mean_probabilities.argmin()))

    @property
    def most_changed_at(self) -> tuple[int, int]:
        """The same where the patch changes most predictions."""
        return self._pixel(int(self.changed.argmax()))

    def _pixel(self, position: int) -> tuple[int, int]:
        row, column = divmod(position, self.changed.shape[1])
        return row * self.stride, column * self.stride


class FaithfulnessCurve(Struct, frozen=True, kw_only=True):
    """The probability of the watched class as pixels go, or come, in the order of a map."""

    values: tuple[float, ...]
    """At each of the event's `shares`; where averaged, the mean over the images."""
    area: float
    """Under the curve, 0 to 1: its mean over the shares, by trapezoids."""
    spread: tuple[float, ...] = ()
    """Where averaged: the standard deviation over the images at each share."""
    area_spread: float = 0.0
    """Where averaged: the standard deviation over the images of the area."""

    def band(self) -> tuple[list[float], list[float]]:
        """One standard deviation below and above the values, within 0 and 1; empty where there is none."""
        pairs = list(zip(self.values, self.spread, strict=True)) if self.spread else []
        return [max(value - spread, 0.0) for value, spread in pairs], [
            min(value + spread, 1.0) for value, spread in pairs
        ]

    def summary(self, sign: str) -> str:
        """The area in words, with `sign` before its standard deviation where there is one."""
        return f"{self.area:.3f}" + (f" {sign} {self.area_spread:.2f}" if self.spread else "")


class Faithfulness(Struct, frozen=True, kw_only=True):
    """What is known of how far the maps of one method tell the truth."""

    method: str
    """Or `random`: pixels in random order, what each method should beat."""
    deletion: FaithfulnessCurve
    """Pixels become black, the highest of the map first: the lower the area, the better (Petsiuk et al. 2018)."""
    insertion: FaithfulnessCurve
    """On black, pixels appear, the highest of the map first: the higher the area, the better."""
    completeness: tuple[float, float] | None = None
    """Of integrated gradients: the sum of the map, and the difference of the class's logit between image and black.

    The two are equal but for the error of the integral (Sundararajan et al. 2017).
    """
    similarities: tuple[float, ...] = ()
    """Spearman rank correlation of the map with the map after each of the event's `stages` (Adebayo et al. 2018), mean
    over the images; NaN where all maps are flat. Near 0: the map depends on the weights."""
    change: float | None = None
    """1 minus the mean of `similarities`."""


def best_method(measured: Sequence[Faithfulness], curve: Literal["deletion", "insertion"]) -> str:
    """The method with the best area under `curve`, the first of equals; empty where there is none but random order."""
    found = {each.method: getattr(each, curve).area for each in measured if each.method != "random"}
    best = min if curve == "deletion" else max
    return best(found, key=lambda method: found[method], default="")


class AttributionsComputed(DigitEvent, frozen=True):
    """What each pixel did for a class, by one method or by all."""

    shares: tuple[float, ...]
    """Of the pixels, 0 to 1: where the curves are measured."""
    faithfulness: tuple[Faithfulness, ...]
    """Of each method in `methods`, then of random order."""
    methods: tuple[str, ...]
    maps: Array
    """(methods, 28, 28) float32: the higher, the more the pixel speaks for the class. Saliency, SmoothGrad and Grad-CAM
    are at least 0; of occlusion it is the mean drop in probability of the patches over the pixel."""


class FaithfulnessMeasured(ImagesEvent, frozen=True):
    """Deletion, insertion and randomisation over many images."""

    watch: str
    averaged: int
    """Images: the first of the split."""
    randomised: int
    """Of these, images whose maps were compared with those of random weights; 0 where that was not asked for."""
    stages: tuple[str, ...]
    """The layers that become random, one after the other."""
    shares: tuple[float, ...]
    faithfulness: tuple[Faithfulness, ...]
