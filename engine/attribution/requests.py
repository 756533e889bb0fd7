"""What one may ask about the reasons of a prediction."""

from __future__ import annotations

import math
from typing import Annotated, Literal, NamedTuple, get_args

from msgspec import Meta

from engine.geometry import IMAGE_SIZE
from engine.inspection.requests import InspectImages
from engine.network.requests import Reading
from engine.request import RequestError

FillName = Literal["zero", "mean", "one", "noise"]
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
    """Ask why a network says what it says of an image: the base of what slides a patch over it."""

    index: Annotated[int, Meta(ge=0, description="of the image in its split")] = 61
    patch_size: Annotated[int, Meta(ge=1, le=IMAGE_SIZE - 1, description="side of the patch, in pixels")] = 8
    stride: Annotated[
        int, Meta(ge=1, le=IMAGE_SIZE - 1, description="pixels from one place of the patch to the next")
    ] = 1
    fill: Annotated[
        str, Meta(description="what the patch shows: zero, mean (the image's), one, noise, or a gray from 0 to 1")
    ] = "zero"
    watch: Annotated[WatchedClass, Meta(description="the class whose probability is watched")] = "true"
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="of all that is random")] = 0

    @property
    def reading(self) -> Reading:
        """What it says of the file of weights: the stride is the patch's."""
        return Reading(self.mean, self.std, None, self.padding)

    def check_together(self) -> None:
        """Refuse a fill that is neither one of the names nor a gray."""
        if self.fill in get_args(FillName):
            return
        try:
            gray = float(self.fill)
        except ValueError:
            gray = math.nan
        if not 0 <= gray <= 1:
            names = ", ".join(get_args(FillName))
            raise RequestError(f"fill must be {names}, or a number from 0 to 1 such as 0.5, not {self.fill!r}")


class Occlude(Explain, frozen=True, tag="occlude"):
    """The probability of a class with a patch over each place of an image (the notebook's section 2.4)."""

    average: Annotated[
        int, Meta(ge=0, le=10_000, description="then the mean map of the first n images of this class (0: none)")
    ] = 0


class Attribute(Explain, frozen=True, tag="attribute"):
    """What each pixel did for a class, by several methods, and how far these maps can be trusted."""

    method: Annotated[Literal["all", MethodName], Meta(description="which method")] = "all"
    steps: Annotated[int, Meta(ge=1, le=1000, description="of integrated gradients")] = 50
    samples: Annotated[int, Meta(ge=1, le=1000, description="noisy images of SmoothGrad")] = 50
    noise: Annotated[float, Meta(gt=0, le=1, description="SmoothGrad's standard deviation, in pixel values")] = 0.15
    digits: Annotated[
        int, Meta(ge=0, le=10_000, description="then deletion and insertion over the first n images (0: none)")
    ] = 0
    randomise: Annotated[
        bool, Meta(description="and how much each map changes when weights are randomised (on 16 of them at most)")
    ] = False

    def check_together(self) -> None:
        """Refuse a randomisation over no images."""
        Explain.check_together(self)
        if self.randomise and not self.digits:
            raise RequestError("randomise is measured over many images: give digits too, for example 16")


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
