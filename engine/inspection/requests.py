"""What one may ask of a network and images."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from engine.data.requests import SplitName
from engine.geometry import CLASSES
from engine.network.requests import Inspect

LayerName = Literal["conv1", "conv2"]
DigitOrder = Literal["random", "mistakes", "least-certain", "most-certain"]


class Summarise(Inspect, frozen=True, tag="summarise"):
    """Layers, shapes, parameters and neurons of a network (the notebook's sections 1.3 to 1.5)."""


class InspectImages(Inspect, frozen=True, tag="inspect-images"):
    """Look at what a network makes of images: the base of what needs both."""

    split: Annotated[SplitName, Meta(description="which images; test is what nothing was chosen on")] = "test"
    dataset: Annotated[
        Literal["auto", "mnist", "fashion-mnist", "kmnist", "emnist-digits", "qmnist"],
        Meta(description="auto: the one that the run was trained on, mnist for a weights file"),
    ] = "auto"


class Evaluate(InspectImages, frozen=True, tag="evaluate"):
    """Loss, accuracy and confusion matrix on a whole split."""


class ShowDigits(InspectImages, frozen=True, tag="show-digits"):
    """Digits with their actual and predicted class (the notebook's section 1.2)."""

    count: Annotated[int, Meta(ge=1, le=10_000, description="how many at most")] = 10
    order: Annotated[DigitOrder, Meta(description="mistakes: the surest first")] = "random"
    digit: Annotated[int, Meta(ge=-1, lt=CLASSES, description="only digits of this class (-1: of all)")] = -1
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="of the random order")] = 0


class ShowFilters(Inspect, frozen=True, tag="show-filters"):
    """The kernels of a convolution (the notebook's sections 2.1 and 2.2)."""

    layer: Annotated[LayerName, Meta(description="which convolution")] = "conv1"
    epoch: Annotated[int, Meta(ge=-1, le=100_000, description="as they were after this epoch (-1: the latest)")] = -1


class ShowActivations(InspectImages, frozen=True, tag="show-activations"):
    """What both convolution blocks make of one image (the notebook's section 2.3)."""

    index: Annotated[int, Meta(ge=0, description="of the image in its split")] = 61
    layer: Annotated[LayerName, Meta(description="which block the figure shows")] = "conv1"
    survey: Annotated[
        bool, Meta(description="run the whole split too: dead channels, and the images that excite each most")
    ] = False
