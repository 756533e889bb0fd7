"""The requests that inspect a network, alone or on images."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from msgspec import Meta

from engine.adversary.names import Jitter, L2Penalty, TotalVariation
from engine.data.requests import SplitName, part_of
from engine.geometry import CLASSES
from engine.network.requests import Inspect
from engine.request import MORE, Request, RequestError

LayerName = Literal["conv1", "conv2"]
UnitLayerName = Literal["conv1", "conv2", "hidden"]
"""Layers whose units, channels of a convolution or neurons, can be visualised."""
UNIT_LAYERS: tuple[UnitLayerName, ...] = get_args(UnitLayerName)
"""The layers with a ReLU, in their order."""
DigitOrder = Literal["random", "mistakes", "least-certain", "most-certain"]
MapMethod = Literal["pca", "tsne", "umap"]
METHOD_NAMES: dict[MapMethod, str] = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}
"""How the field writes the methods."""
MappedLayer = Literal["hidden", "block1", "block2", "pixels"]
LAYER_WORDS: dict[MappedLayer, str] = {
    "hidden": "last hidden layer",
    "block1": "first convolution block",
    "block2": "second convolution block",
    "pixels": "pixels",
}
SUPPORT = 3
"""t-SNE looks at so many times its perplexity of nearest neighbours (van der Maaten 2014, section 4.1)."""


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

    def check_together(self) -> None:
        """Refuse drawings, which have no validation split."""
        if self.dataset == "drawings":
            raise RequestError(
                "an audit fits its temperature on validation images, which the drawings do not have: evaluate them"
            )


class Embed(InspectImages, frozen=True, tag="embed"):
    """A map of images: what a layer computes for each of them, reduced to two dimensions."""

    method: Annotated[
        MapMethod,
        Meta(description="pca: the two directions of largest variance; tsne and umap: neighbours, by extra packages"),
    ] = "pca"
    layer: Annotated[
        MappedLayer,
        Meta(description="what is mapped: last hidden layer, pooled maps of a convolution block, or pixels"),
    ] = "hidden"
    count: Annotated[int, Meta(ge=2, le=10_000, description="number of images, the first of the split")] = 10_000
    epoch: Annotated[
        int, Meta(ge=-1, le=100_000, description="epoch of a run whose convolution block to map (-1: the latest)")
    ] = -1
    perplexity: Annotated[
        float, Meta(ge=2, le=500, description="effective number of neighbours of an image in t-SNE")
    ] = 30.0
    neighbours: Annotated[int, Meta(ge=2, le=200, description="number of neighbours of an image in UMAP")] = 15
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="random seed of t-SNE and UMAP")] = 0

    def check_together(self) -> None:
        """Raise RequestError where the images are too few for their neighbours."""
        self.check_count(self.count)

    def check_count(self, count: int) -> None:
        """Raise RequestError where so many images are too few for the neighbours of each."""
        if count < 2:
            raise RequestError("a map needs at least two images: choose another split or data set")
        if self.method == "tsne" and count <= (needed := int(SUPPORT * self.perplexity)):
            raise RequestError(
                f"perplexity {self.perplexity:g} needs more than {needed} images, not {count}: "
                "map more images, or set a lower perplexity"
            )
        if self.method == "umap" and count <= self.neighbours:
            raise RequestError(
                f"{self.neighbours} neighbours need more images than {count}: map more, or set fewer neighbours"
            )


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


class FromNoise(InspectImages, frozen=True, tag="from-noise"):
    """Images from noise that excite units: the base of requests that make some."""

    starts: Annotated[int, Meta(ge=1, le=10, description="number of images of each unit, from noise of its own")] = 3
    steps: Annotated[int, Meta(ge=1, le=10_000, description="number of Adam steps")] = 100
    step_size: Annotated[float, Meta(gt=0, le=1, description="Adam step size, in pixel values")] = 0.05
    total_variation: TotalVariation = 0.01
    l2: L2Penalty = 0.005
    jitter: Jitter = 1
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="random seed of the noise and of the shifts")] = 0


class VisualiseUnits(FromNoise, frozen=True, tag="visualise-units"):
    """Images from noise that excite the units of a layer, beside the digits that do (Erhan et al. 2009)."""

    layer: Annotated[
        UnitLayerName, Meta(description="layer: channels of conv1 or conv2, or neurons of the hidden layer")
    ] = "conv1"
    units: Annotated[
        tuple[int, ...], Meta(max_length=1000, description="numbers of the units to visualise (none: all)")
    ] = ()

    def check_together(self) -> None:
        """Refuse negative numbers of units, and a unit that is named twice."""
        if min(self.units, default=0) < 0:
            raise RequestError(f"units must be at least 0, not {min(self.units)}")
        if len(set(self.units)) < len(self.units):
            raise RequestError("name each unit once")


class ShowUnit(FromNoise, frozen=True, tag="show-unit"):
    """What a unit looks for, which classes excite it, and what the logits lose without it."""

    layer: Annotated[
        UnitLayerName, Meta(description="layer of the unit: a channel of conv1 or conv2, or a neuron of hidden")
    ] = "conv1"
    unit: Annotated[int, Meta(ge=0, le=65_535, description="number of the unit in its layer, from 0")] = 0
