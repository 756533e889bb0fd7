"""The requests that explain a prediction: occlusion and attribution."""

from __future__ import annotations

import math
from typing import Annotated, Literal, NamedTuple, get_args

from msgspec import Meta

from engine.data.requests import Pixels
from engine.geometry import IMAGE_SIZE
from engine.inspection.requests import InspectImages
from engine.network.requests import Inspect, Reading
from engine.request import RequestError

BaselineName = Literal["zero", "mean", "one", "noise"]
DrawingBaseline = Literal["zero", "one"]
WatchedClass = Literal["true", "predicted", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
MethodName = Literal[
    "occlusion",
    "saliency",
    "gradient-x-input",
    "integrated-gradients",
    "smoothgrad",
    "grad-cam-conv1",
    "grad-cam-conv2",
    "guided-backprop",
]


class Explain(InspectImages, frozen=True, tag="explain"):
    """Explain a network's prediction for an image: the base of requests that slide a patch over the image."""

    index: Annotated[int, Meta(ge=0, description="index of the image in the split")] = 61
    patch_size: Annotated[int, Meta(ge=1, le=IMAGE_SIZE - 1, description="patch size (side), in pixels")] = 8
    stride: Annotated[int, Meta(ge=1, le=IMAGE_SIZE - 1, description="stride of the patch, in pixels")] = 1
    baseline: Annotated[
        str,
        Meta(
            description="pixel values that the patch shows: zero, mean (the image's), one, noise, or a gray from 0 to 1"
        ),
    ] = "zero"
    watch: Annotated[
        WatchedClass, Meta(description="class whose probability is measured: true, predicted, or a digit")
    ] = "true"
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="random seed")] = 0

    @property
    def reading(self) -> Reading:
        """How to read the weights file, without a stride: the request's own `stride` is that of the patch."""
        return Reading(self.mean, self.std, None, self.padding)

    def check_together(self) -> None:
        """Refuse a baseline that is neither one of the names nor a gray value."""
        if self.baseline in get_args(BaselineName):
            return
        try:
            gray = float(self.baseline)
        except ValueError:
            gray = math.nan
        if not 0 <= gray <= 1:
            names = ", ".join(get_args(BaselineName))
            raise RequestError(f"baseline must be {names}, or a number from 0 to 1 such as 0.5, not {self.baseline!r}")


class Occlude(Explain, frozen=True, tag="occlude"):
    """The probability of a class with a patch at each position on an image (the notebook's section 2.4)."""

    average: Annotated[
        int,
        Meta(
            ge=0,
            le=10_000,
            description="number of images for a mean map: the first n of the image's class (0: no mean map)",
        ),
    ] = 0
    exact: Annotated[
        bool, Meta(description="double precision for all positions, not only near the decision boundary")
    ] = False


class Attribute(Explain, frozen=True, tag="attribute"):
    """How much each pixel contributes to a class, by several methods, and how far these maps can be trusted."""

    method: Annotated[Literal["all", MethodName], Meta(description="attribution method, or all of them")] = "all"
    steps: Annotated[int, Meta(ge=1, le=1000, description="number of steps of integrated gradients")] = 50
    samples: Annotated[int, Meta(ge=1, le=1000, description="number of noisy images for SmoothGrad")] = 50
    noise: Annotated[
        float, Meta(gt=0, le=1, description="standard deviation of SmoothGrad's noise, in pixel values")
    ] = 0.15
    digits: Annotated[
        int,
        Meta(
            ge=0,
            le=10_000,
            description="number of images for mean deletion and insertion: the first n of the split (0: none)",
        ),
    ] = 0
    randomise: Annotated[
        bool,
        Meta(description="how much each map changes when the weights are randomised (on at most 16 of these images)"),
    ] = False

    def check_together(self) -> None:
        """Refuse randomisation without images to measure it on."""
        Explain.check_together(self)
        if self.randomise and not self.digits:
            raise RequestError("randomise is measured over many images: set digits too, for example to 16")


class ExplainDrawing(Inspect, frozen=True, tag="explain-drawing"):
    """What a network takes a drawing for, and why: probabilities, the strongest channels, and a patch that moves."""

    pixels: Pixels = bytes(IMAGE_SIZE**2)
    raw: Annotated[bool, Meta(description="leave the drawing as it is: no scaling to 20x20, no centring by mass")] = (
        False
    )
    baseline: Annotated[DrawingBaseline, Meta(description="what the patch shows: zero (black) or one (white)")] = "zero"


class MethodTitle(NamedTuple):
    """How a method is called."""

    full: str
    """As papers write it."""
    short: str
    """In at most fourteen characters: it stands over half a digit."""


METHOD_TITLES = {
    "occlusion": MethodTitle("occlusion", "occlusion"),
    "saliency": MethodTitle("saliency", "saliency"),
    "gradient-x-input": MethodTitle("gradient × input", "grad x input"),
    "integrated-gradients": MethodTitle("integrated gradients", "int. gradients"),
    "smoothgrad": MethodTitle("SmoothGrad", "SmoothGrad"),
    "grad-cam-conv1": MethodTitle("Grad-CAM conv1", "Grad-CAM conv1"),
    "grad-cam-conv2": MethodTitle("Grad-CAM conv2", "Grad-CAM conv2"),
    "guided-backprop": MethodTitle("guided backprop", "guided bp"),
    "random": MethodTitle("random order", "random order"),
}
"""Of each method, and of the order by chance that all are compared with: on screens, in tables and in figures."""
