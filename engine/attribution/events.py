"""The events of occlusion and attribution."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from msgspec import Struct

from engine.event import Progress
from engine.inspection.events import ImagesEvent, ImagesPredicted

if TYPE_CHECKING:
    from engine.event import Array


class DigitEvent(ImagesEvent, frozen=True):
    """The base of events about one image and one class."""

    index: int
    count: int
    """Images in the split."""
    actual: int
    predicted: int
    watched: int
    """The class that is explained."""
    unoccluded_probability: float
    """Probability of the watched class for the unoccluded image, 0 to 1."""
    image: Array
    """(28, 28) float32 in [0, 1]."""


class OcclusionMap(DigitEvent, frozen=True):
    """The predictions for an image with a patch at each position on it (the notebook's section 2.4).

    Row r and column c of a map belong to the patch whose top left pixel is (r * stride, c * stride).
    """

    patch_size: int
    """Pixels."""
    stride: int
    baseline: str
    covers: Array
    """(28, 28) float32 in [0, 1]: the baseline, of which the patch shows the part at its position."""
    unoccluded: Array
    """(10,) float32: the probabilities of all classes for the unoccluded image."""
    probabilities: Array
    """(rows, columns) float32: of the watched class; NaN where not computed yet. The notebook's `heat_map`."""
    winners: Array
    """(rows, columns) int64: the predicted class; -1 where not computed yet."""
    all_probabilities: Array
    """(rows, columns, 10) float32."""

    @property
    def other_answers(self) -> list[tuple[int, int]]:
        """The other classes that are predicted, each with its number of positions, the most frequent first."""
        others = self.winners[(self.winners != self.predicted) & (self.winners >= 0)]
        return Counter(others.tolist()).most_common()


class OcclusionMapAdvanced(OcclusionMap, Progress, frozen=True):
    """The part of the map that is computed so far."""

    at_once: ClassVar[bool] = True


class StrokeShare(Struct, frozen=True, kw_only=True):
    """Whether the network relies on the strokes: the effect of patches over strokes, compared with their number.

    A patch is over a stroke if it covers a pixel brighter than one half.
    """

    positions: float
    """Share of the patch positions that are over a stroke, 0 to 1."""
    drop: float
    """Share of the drop in probability, summed over the map, at these positions; NaN where there is no drop."""


class OcclusionMapReady(OcclusionMap, frozen=True):
    """The whole map, with its extremes."""

    minimum: float
    minimum_at: tuple[int, int]
    """(row, column) in the image of the top left pixel of the patch; the first one in a tie."""
    maximum: float
    maximum_at: tuple[int, int]
    strokes: StrokeShare
    computed: int
    """Number of positions for which the network was run; at the others the patch changes no pixel."""
    seconds: float
    """Duration of the whole map, without pauses for training steps."""


class ClassOcclusionReady(ImagesEvent, frozen=True):
    """The occlusion maps of several images of one class, averaged."""

    digit: int
    """Their class."""
    watch: str
    """The watched class as given in the request: the class itself may differ between images."""
    averaged: int
    """Number of images averaged."""
    matching: int
    """Number of images of this class in the split."""
    patch_size: int
    stride: int
    baseline: str
    unoccluded_probability: float
    """Mean over the images, 0 to 1."""
    strokes: StrokeShare
    """Mean of the images' shares of positions; share over strokes of the drops of all images together."""
    mean_image: Array
    """(28, 28) float32."""
    mean_probabilities: Array
    """(rows, columns) float32: mean over the images of the probability of the watched class."""
    deviation: Array
    """(rows, columns) float32: its standard deviation over the images; 0 for one image."""
    changed: Array
    """(rows, columns) float32: share of the images whose predicted class the patch changes there."""

    @property
    def minimum_at(self) -> tuple[int, int]:
        """(row, column) in the image of the top left pixel of the patch where the mean is lowest."""
        return self._pixel(int(self.mean_probabilities.argmin()))

    @property
    def most_changed_at(self) -> tuple[int, int]:
        """The same where the patch changes the most predictions."""
        return self._pixel(int(self.changed.argmax()))

    def _pixel(self, position: int) -> tuple[int, int]:
        row, column = divmod(position, self.changed.shape[1])
        return row * self.stride, column * self.stride


class FaithfulnessCurve(Struct, frozen=True, kw_only=True):
    """The probability of the watched class as pixels are deleted, or inserted, in the order of a map."""

    values: tuple[float, ...]
    """Probability at each of the event's `shares`; the mean over the images where averaged."""
    area: float
    """Area under the curve, 0 to 1, by the trapezoidal rule."""
    spread: tuple[float, ...] = ()
    """Standard deviation over the images at each share, where averaged."""
    area_spread: float = 0.0
    """Standard deviation over the images of the area, where averaged."""

    def band(self) -> tuple[list[float], list[float]]:
        """One standard deviation below and above the values, clipped to [0, 1]; empty where there is none."""
        pairs = list(zip(self.values, self.spread, strict=True)) if self.spread else []
        return [max(value - spread, 0.0) for value, spread in pairs], [
            min(value + spread, 1.0) for value, spread in pairs
        ]

    def summary(self, sign: str) -> str:
        """The area as text, with `sign` before its standard deviation where there is one."""
        return f"{self.area:.3f}" + (f" {sign} {self.area_spread:.2f}" if self.spread else "")


class Faithfulness(Struct, frozen=True, kw_only=True):
    """Measurements of how faithful the maps of one method are."""

    method: str
    """The method, or `random`: pixels in random order, which each method should beat."""
    deletion: FaithfulnessCurve
    """Pixels are set to black, highest map values first: the lower the area, the better (Petsiuk et al. 2018)."""
    insertion: FaithfulnessCurve
    """Pixels are inserted into a black image, highest map values first: the higher the area, the better."""
    completeness: tuple[float, float] | None = None
    """For integrated gradients: the sum of the map, and the difference of the class's logit between image and black.

    The two are equal up to the error of the numerical integral (Sundararajan et al. 2017).
    """
    similarities: tuple[float, ...] = ()
    """Spearman rank correlation of the map with the map after each of the event's `stages` (Adebayo et al. 2018), the
    mean over the images; NaN where all maps are constant. Near 0: the map depends on the weights."""
    change: float | None = None
    """1 minus the mean of `similarities`."""


def best_method(measured: Sequence[Faithfulness], curve: Literal["deletion", "insertion"]) -> str:
    """The method with the best area under `curve`, the first one in a tie; empty where there is only random order."""
    found = {each.method: getattr(each, curve).area for each in measured if each.method != "random"}
    best = min if curve == "deletion" else max
    return best(found, key=lambda method: found[method], default="")


class AttributionsComputed(DigitEvent, frozen=True):
    """Attribution maps of one image for one class, by one method or by all."""

    shares: tuple[float, ...]
    """Shares of the pixels, 0 to 1, at which the curves are measured."""
    faithfulness: tuple[Faithfulness, ...]
    """For each method in `methods`, then for random order."""
    methods: tuple[str, ...]
    maps: Array
    """(methods, 28, 28) float32: higher values are stronger evidence for the class. Saliency, SmoothGrad and Grad-CAM
    are non-negative; for occlusion, the mean drop in probability over the patches that cover the pixel."""


class FaithfulnessMeasured(ImagesEvent, frozen=True):
    """Deletion, insertion and randomisation over many images."""

    watch: str
    averaged: int
    """Number of images: the first of the split."""
    randomised: int
    """Number of these whose maps were compared with those of randomised weights; 0 where that was not asked for."""
    stages: tuple[str, ...]
    """The layers that are randomised, one after the other."""
    shares: tuple[float, ...]
    faithfulness: tuple[Faithfulness, ...]


class DrawingExplained(ImagesPredicted, frozen=True):
    """What a network takes a drawing for, and why.

    The channels are those with the largest mean activation in each block, the strongest first.
    """

    conv1_channels: tuple[int, ...]
    """Their numbers."""
    conv2_channels: tuple[int, ...]
    conv1_strengths: tuple[float, ...]
    """The mean over each map."""
    conv2_strengths: tuple[float, ...]
    conv1: Array
    """(k, side, side) float32: the maps, after pooling and ReLU."""
    conv2: Array
    baseline: str
    """What the patch shows: zero or one."""
    patch_size: int
    """Pixels."""
    stride: int
    occluded: Array
    """(rows, columns) float32: the probability of the predicted class with the patch at each position."""
    drop: Array
    """(28, 28) float32: how far that falls, the mean over the patches that cover a pixel; negative where it rises."""
