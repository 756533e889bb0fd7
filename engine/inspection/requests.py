"""The requests that inspect a network, alone or on images."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from engine.data.requests import SplitName, part_of
from engine.geometry import CLASSES
from engine.network.requests import Inspect
from engine.request import MORE, Request

LayerName = Literal["conv1", "conv2"]
DigitOrder = Literal["random", "mistakes", "least-certain", "most-certain"]


class Summarise(Inspect, frozen=True, tag="summarise"):
    """The layers, shapes, parameters and neurons of a network (the notebook's sections 1.3 to 1.5)."""


DatasetOfNetwork = Annotated[
    Literal["auto", "mnist", "fashion-mnist", "kmnist", "emnist-digits", "qmnist", "drawings"],
    Meta(
        description="data set; auto takes the one that the run was trained on, or mnist for a weights file; "
        "drawings are those that you kept on screen 9"
    ),
]


class InspectImages(Inspect, frozen=True, tag="inspect-images"):
    """Run a network on images: the base of requests that need both."""

    split: Annotated[SplitName, Meta(description="split of the data set; test was not used for any choice")] = "test"
    dataset: DatasetOfNetwork = "auto"

    @property
    def images_name(self) -> str:
        """How messages call the images: `the test split`, or `the drawings`."""
        part = part_of(self.dataset, self.split)
        return f"the {part}" if part == self.dataset else f"the {part} split"


class Evaluate(InspectImages, frozen=True, tag="evaluate"):
    """Loss, accuracy and confusion matrix on a whole split."""


class Audit(Inspect, frozen=True, tag="audit"):
    """Scores by class, calibration, and labels in doubt, on the test split."""

    others: Annotated[
        tuple[str, ...],
        Meta(
            max_length=7,
            description="more networks to audit; together they say which labels are in doubt",
            extra={MORE: "[WHAT ...]"},
        ),
    ] = ()
    dataset: DatasetOfNetwork = "auto"
    count: Annotated[int, Meta(ge=1, le=10_000, description="number of digits with doubtful labels to list")] = 50
    bins: Annotated[int, Meta(ge=1, le=100, description="number of bins of equal mass of the calibration error")] = 15
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="random seed of the bootstrap intervals")] = 0


class ShowLearning(Request, frozen=True, tag="show-learning"):
    """When a run learned each test digit, and how often it forgot it: by the test evaluation after each epoch."""

    what: Annotated[str, Meta(description="folder or name of a run (none: the most recent run)")] = ""
    count: Annotated[
        int, Meta(ge=1, le=1000, description="number of digits to list: of the most forgotten, and of the others each")
    ] = 24


class ShowDigits(InspectImages, frozen=True, tag="show-digits"):
    """Digits with their actual and predicted classes (the notebook's section 1.2)."""

    count: Annotated[int, Meta(ge=1, le=10_000, description="maximum number of digits")] = 10
    order: Annotated[
        DigitOrder, Meta(description="order of the digits; mistakes shows only these, the most confident first")
    ] = "random"
    digit: Annotated[int, Meta(ge=-1, lt=CLASSES, description="class of the digits (-1: all classes)")] = -1
    predicted: Annotated[
        int, Meta(ge=-1, lt=CLASSES, description="class that the network predicts for them (-1: all classes)")
    ] = -1
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="random seed of the order")] = 0


class Predict(Inspect, frozen=True, tag="predict"):
    """Classes and probabilities of your own images, prepared as MNIST was: PNG, JPEG or .npy files of any size."""

    images: Annotated[
        tuple[str, ...],
        Meta(title="names of image files", description="images: PNG, JPEG or .npy files", extra={MORE: "IMAGE ..."}),
    ] = ()
    raw: Annotated[
        bool, Meta(description="only resize the images to 28x28: no centring, and no inverting of dark on light")
    ] = False


class ShowFilters(Inspect, frozen=True, tag="show-filters"):
    """The kernels of a convolution (the notebook's sections 2.1 and 2.2)."""

    layer: Annotated[LayerName, Meta(description="convolution to show")] = "conv1"
    epoch: Annotated[int, Meta(ge=-1, le=100_000, description="epoch after which to show them (-1: the latest)")] = -1


class ShowActivations(InspectImages, frozen=True, tag="show-activations"):
    """The activations of both convolution blocks for one image (the notebook's section 2.3)."""

    index: Annotated[int, Meta(ge=0, description="index of the image in the split")] = 61
    layer: Annotated[LayerName, Meta(description="convolution block that the figure shows")] = "conv1"
    survey: Annotated[
        bool,
        Meta(description="survey of the whole split: dead channels, and the images that activate each channel most"),
    ] = False
