"""What one can ask the laboratory for.

A request is the single place where a parameter has its name, type, default, bounds and one line of help: the command
line, the forms of the app, the JSON of a run folder and the tests all read it from here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from engine.geometry import CLASSES, IMAGE_SIZE, GeometryError, block_sizes

DatasetName = Literal["mnist", "fashion-mnist", "kmnist", "emnist-digits", "qmnist"]
PrecisionName = Literal["fp32", "tf32"]
SplitName = Literal["train", "val", "test"]
LayerName = Literal["conv1", "conv2"]
DigitOrder = Literal["random", "mistakes", "least-certain", "most-certain"]
ColourMapName = Literal["gray", "viridis", "diverging"]
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


NormName = Literal["linf", "l2"]
AttackName = Literal["noise", "targeted", "fgsm", "pgd", "deepfool", "cw"]
OptimizerName = Literal["adam", "plain"]
StartName = Literal["digit", "noise"]
CurveAttackName = Literal["random", "fgsm", "pgd", "deepfool", "cw"]
GALLERY = (3, 2, 1, 18, 4, 8, 11, 0, 61, 7)
"""The notebook's test digits, one of each class in order."""


NormedLayer = Literal["conv1", "conv2", "fc1", "logits"]
NOTEBOOKS_NORMS: tuple[NormedLayer, ...] = ("conv1", "conv2", "fc1")
"""The layers that the notebook's network with batch norm has it behind."""

OF_FILES = {"of": "files"}
"""In the Meta of a field of an architecture that is read from a file of weights, and never asked of a person."""


class RequestError(ValueError):
    """The input was wrong. The message is one line that says what was wrong and what to do."""


class DeviceFailed(Exception):
    """The device gave out, whatever was asked of it. The message is one line that says what happened and what to do."""


def _device(auto: str) -> Meta:
    """Of the name of a device, where `auto` says what auto takes; the examples are what a form offers."""
    return Meta(
        description=f"where to compute: cpu, cuda, cuda:1 for the second GPU; auto takes {auto}",
        title="auto, cpu, cuda or cuda:N",
        pattern=r"^(auto|cpu|cuda(:\d{1,2})?)\Z",
        examples=["auto", "cpu", "cuda"],
    )


Device = Annotated[str, _device("a GPU that can be used")]


class Parameter(Struct, frozen=True):
    """One field of a request, as forms and command lines show it."""

    name: str
    type: Any
    """int, float, bool, str, or a Literal of the choices."""
    default: Any
    help: str
    """One line, with the unit where there is one."""
    meta: Meta
    optional: bool = False
    """Whether None is a value too."""

    @property
    def label(self) -> str:
        """The name as people read it."""
        return self.name.replace("_", " ")

    @property
    def choices(self) -> tuple[Any, ...]:
        """The values allowed, or those worth offering, where they are few; else empty."""
        if self.type is bool:
            return (False, True)
        return get_args(self.type) if get_origin(self.type) is Literal else tuple(self.meta.examples or ())

    @property
    def many(self) -> bool:
        """Whether it is several values of one kind."""
        return get_origin(self.type) is tuple

    @property
    def bounds(self) -> str:
        """The bounds in words, for example `from 1 to 100000`; empty where there are none."""
        if self.meta.ge is not None and self.meta.le is not None:
            return f"from {self.meta.ge} to {self.meta.le}"
        low, high = (self.meta.ge, self.meta.gt), (self.meta.le, self.meta.lt)
        words = []
        if low != (None, None):
            words.append(f"at least {low[0]}" if low[0] is not None else f"more than {low[1]}")
        if high != (None, None):
            words.append(f"at most {high[0]}" if high[0] is not None else f"less than {high[1]}")
        return " and ".join(words)

    @property
    def fixed(self) -> bool:
        """Whether it is no question to a person: only one value is allowed, or a file of weights alone says it."""
        return (self.meta.ge is not None and self.meta.ge == self.meta.le) or self.meta.extra == OF_FILES

    def check(self, value: Any) -> None:
        """Raise RequestError where `value` has the wrong type or is out of bounds."""
        if self.optional and value is None:
            return
        for one in value if self.many and isinstance(value, list | tuple) else (value,):
            if isinstance(one, float) and not math.isfinite(one):
                raise RequestError(f"{self.label} must be a finite number, not {one}")
        try:
            msgspec.convert(value, Annotated[self.type, self.meta])
        except msgspec.ValidationError:
            if self.meta.title:
                wanted = self.meta.title
            elif self.choices:
                wanted = "one of " + ", ".join(str(choice) for choice in self.choices)
            else:
                kinds: dict[Any, str] = {int: "a whole number", float: "a number", tuple[int, ...]: "whole numbers"}
                kind = kinds.get(self.type, "numbers" if self.type == tuple[float, ...] else "text")
                wanted = f"{kind} {self.bounds}" if self.bounds else kind
            raise RequestError(f"{self.label} must be {wanted}, not {value!r}") from None

    def parse(self, text: str) -> Any:
        """The value that a person's `text` means; raises RequestError with the reason where it means none."""
        text = text.strip()
        value: Any = text
        if self.type is int:
            try:
                value = int(text.replace("_", "").replace(",", ""))
            except ValueError:
                value = text
        elif self.type is float:
            try:
                value = float(text)
            except ValueError:
                value = text
        self.check(value)
        return value


class Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="request"):
    """The base of all requests: each field is checked when the request is made, not when it is carried out."""

    def __post_init__(self) -> None:
        for parameter in parameters(type(self)):
            parameter.check(getattr(self, parameter.name))
        self.check_together()

    def check_together(self) -> None:
        """Raise RequestError where fields that are fine one by one are not together."""


@cache
def parameters(request: type[Request]) -> tuple[Parameter, ...]:
    """The fields of `request` in the order in which a person should meet them."""
    own = request.__annotations__

    def place(parameter: Parameter) -> tuple[bool, bool]:
        # What this request is about stands before what it inherits, but for the one switch that the notebook turns.
        return parameter.name != "batch_norm", parameter.name not in own

    return tuple(sorted(_parameters(request), key=place))


def _parameters(request: type[Request]) -> Iterator[Parameter]:
    hints = get_type_hints(request, include_extras=True)
    for field in msgspec.structs.fields(request):
        hint = hints[field.name]
        optional = get_origin(hint) is not Annotated
        kind, *notes = get_args(get_args(hint)[0] if optional else hint)
        meta = next(note for note in notes if isinstance(note, Meta))
        yield Parameter(field.name, kind, field.default, meta.description or "", meta, optional)


class Architecture(Request, frozen=True, tag="architecture"):
    """The notebook's CNN: two blocks of convolution and pooling, then two fully connected layers."""

    batch_norm: Annotated[bool, Meta(description="batch normalisation after each layer but the last")] = False
    channels: Annotated[int, Meta(ge=1, le=1024, description="output channels of both convolutions")] = 32
    kernel_size: Annotated[int, Meta(ge=1, le=28, description="side of the kernels, in pixels")] = 3
    stride: Annotated[int, Meta(ge=1, le=14, description="step of the kernels, in pixels")] = 1
    padding: Annotated[int, Meta(ge=0, le=14, description="zeros around each map, in pixels")] = 1
    hidden: Annotated[int, Meta(ge=1, le=65536, description="neurons of the hidden fully connected layer")] = 500
    in_channels: Annotated[int, Meta(ge=1, le=1, description="channels of the image (1: gray)")] = 1
    norm_layers: Annotated[
        tuple[NormedLayer, ...],
        Meta(max_length=4, description="what batch norm stands behind, where not as batch_norm says", extra=OF_FILES),
    ] = ()
    mean: Annotated[float, Meta(ge=-100, le=100, description="taken from each pixel", extra=OF_FILES)] = 0.0
    std: Annotated[float, Meta(gt=0, le=100, description="by which each is then divided", extra=OF_FILES)] = 1.0

    def check_together(self) -> None:
        """Refuse layers that do not fit on a 28x28 image, and batch norm that is said in two ways."""
        try:
            block_sizes(self.kernel_size, self.stride, self.padding)
        except GeometryError as error:
            raise RequestError(str(error)) from None
        named = self.norm_layers
        in_order = tuple(layer for layer in get_args(NormedLayer) if layer in named)
        if named and (self.batch_norm or named == NOTEBOOKS_NORMS or named != in_order):
            raise RequestError("norm layers say where batch norm stands, where not as in the notebook's network")

    @property
    def norms(self) -> tuple[NormedLayer, ...]:
        """The layers that batch norm stands behind."""
        return NOTEBOOKS_NORMS if self.batch_norm else self.norm_layers

    @property
    def variant(self) -> str:
        """`cnn`, or `cnn-bn` with batch norm."""
        return "cnn-bn" if self.norms else "cnn"


class Reading(Struct, frozen=True):
    """What a person says of a file of weights; None where the file is to say it."""

    mean: float | None = None
    std: float | None = None
    stride: int | None = None
    padding: int | None = None


MeanOfInputs = (
    Annotated[float, Meta(ge=-100, le=100, description="what training took from each pixel (none: as the file says)")]
    | None
)
DeviationOfInputs = (
    Annotated[float, Meta(gt=0, le=100, description="what it then divided each pixel by (none: as the file says)")]
    | None
)
StrideOfKernels = (
    Annotated[int, Meta(ge=1, le=14, description="of the network's kernels (none: as the file says, or its shapes)")]
    | None
)
PaddingOfMaps = (
    Annotated[int, Meta(ge=0, le=14, description="of the network's maps (none: as the file says, or its shapes)")]
    | None
)


class Train(Architecture, frozen=True, tag="train"):
    """Train the network and write a run folder."""

    epochs: Annotated[int, Meta(ge=1, le=100_000, description="passes over the training images")] = 15
    batch_size: Annotated[int, Meta(ge=2, le=60_000, description="images a training step")] = 64
    learning_rate: Annotated[float, Meta(gt=0, le=10, description="Adam's step size")] = 1e-3
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="of the weights and of the order of images")] = 0
    dataset: Annotated[DatasetName, Meta(description="mnist is included, the others are downloaded")] = "mnist"
    train_size: Annotated[int, Meta(ge=2, le=1_000_000, description="train on the first n images at most")] = 50_000
    device: Device = "auto"
    precision: Annotated[
        PrecisionName, Meta(description="of products: fp32, or tf32, quicker and coarser, on NVIDIA GPUs that can")
    ] = "fp32"
    threads: Annotated[int, Meta(ge=0, le=1024, description="CPU threads (0: as many as it may use)")] = 0

    def check_together(self) -> None:
        """Refuse layers that do not fit on the image, and a batch larger than what it is taken from."""
        Architecture.check_together(self)
        if self.batch_size > self.train_size:
            raise RequestError(f"batch size {self.batch_size} is more than the {self.train_size} training images")


class Resume(Request, frozen=True, tag="resume"):
    """Go on with a run that was stopped, or whose process died, from where it was."""

    what: Annotated[str, Meta(description="the run (nothing: the newest that is not finished)")] = ""
    device: Annotated[str, _device("what the run was asked for on")] = "auto"
    force: Annotated[
        bool, Meta(description="although a process on another machine may be at it, which cannot be seen from here")
    ] = False


class ListRuns(Request, frozen=True, tag="list-runs"):
    """The runs there are, the newest first."""


class CompareRuns(Request, frozen=True, tag="compare-runs"):
    """Runs beside one another; those that differ by their seed alone as one, with its spread."""

    what: Annotated[tuple[str, ...], Meta(description="two runs or more")] = ()

    def check_together(self) -> None:
        """Refuse what is no comparison."""
        if len(self.what) < 2:
            raise RequestError("a comparison needs two runs or more: mnist-tui runs lists those there are")


class Report(Request, frozen=True, tag="report"):
    """The whole notebook redone on one network or two, as one document with measured numbers."""

    what: Annotated[
        tuple[str, ...], Meta(description="one or two: runs, weights files, pretrained:cnn, pretrained:cnn-bn")
    ] = ("pretrained:cnn", "pretrained:cnn-bn")
    out: Annotated[str, Meta(description="the folder for report.md, report.html and figures/")] = "report"
    mean: MeanOfInputs = None
    std: DeviationOfInputs = None
    stride: StrideOfKernels = None
    padding: PaddingOfMaps = None
    device: Device = "auto"

    def check_together(self) -> None:
        """Refuse none, and more than two."""
        if not 1 <= len(self.what) <= 2:
            raise RequestError(f"a report is of one network or two, not of {len(self.what)}")


class WarmUp(Request, frozen=True, tag="warm-up"):
    """Load what the first job would wait for: PyTorch, the device, the data set."""

    dataset: Annotated[DatasetName, Meta(description="the data set to load")] = "mnist"
    device: Device = "auto"


class OpenWeights(Request, frozen=True, tag="open-weights"):
    """Read a weights file and say what network it holds."""

    path: Annotated[str, Meta(description="a .pth of the notebook, or a .safetensors")] = "model.safetensors"


class Inspect(Request, frozen=True, tag="inspect"):
    """Look at a network: the base of what needs one."""

    what: Annotated[
        str, Meta(description="run, weights file, pretrained:cnn or pretrained:cnn-bn (nothing: the newest run)")
    ] = ""
    device: Device = "auto"
    mean: MeanOfInputs = None
    std: DeviationOfInputs = None
    stride: StrideOfKernels = None
    padding: PaddingOfMaps = None

    @property
    def reading(self) -> Reading:
        """What it says of the file of weights."""
        return Reading(self.mean, self.std, self.stride, self.padding)


class Summarise(Inspect, frozen=True, tag="summarise"):
    """Layers, shapes, parameters and neurons of a network (the notebook's sections 1.3 to 1.5)."""


class Export(Inspect, frozen=True, tag="export"):
    """Write weights as .pth or .safetensors, or a run's curves as .csv or for TensorBoard."""

    to: Annotated[
        str,
        Meta(
            description="a .pth or .safetensors for weights, a .csv for curves; a folder for TensorBoard, which is one "
            "that is there, or any name that ends in /, in no ending or in one with a number, such as lr-0.001"
        ),
    ] = "model.pth"
    weights: Annotated[Literal["last", "best"], Meta(description="of the last epoch, or by validation loss")] = "last"


class Import(Request, frozen=True, tag="import"):
    """Make a run folder of a weights file, so that it stands in the list and can be noted, compared and reported."""

    what: Annotated[str, Meta(description="a file of torch.save or safetensors, whatever its ending")] = ""
    name: Annotated[str, Meta(description="of the run folder (nothing: by the time and the variant)")] = ""
    mean: MeanOfInputs = None
    std: DeviationOfInputs = None
    stride: StrideOfKernels = None
    padding: PaddingOfMaps = None

    @property
    def reading(self) -> Reading:
        """What it says of the file of weights."""
        return Reading(self.mean, self.std, self.stride, self.padding)

    def check_together(self) -> None:
        """Refuse nothing."""
        if not self.what:
            raise RequestError("which weights file? for example mnist-tui import net.pth")


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


class AttackNoise(Inspect, frozen=True, tag="attack-noise"):
    """Make noise that the network takes for a class (the notebook's section 3.1, "non-targeted")."""

    attack: ClassVar[AttackName] = "noise"
    classes: Annotated[str, Meta(description="which ones, for example 0123456789 or 38")] = "0123456789"
    steps: Annotated[int, Meta(ge=1, le=100_000, description="of the optimizer")] = 1500
    optimizer: Annotated[OptimizerName, Meta(description="adam, or plain gradient ascent")] = "adam"
    step_size: Annotated[
        float, Meta(gt=0, le=1e12, description="of Adam in pixel values, of plain ascent times the gradient")
    ] = 0.01
    total_variation: Annotated[float, Meta(ge=0, le=1000, description="weight of squared steps between pixels")] = 0.0
    l2: Annotated[float, Meta(ge=0, le=1000, description="weight of the sum of squared pixels")] = 0.0
    jitter: Annotated[int, Meta(ge=0, le=14, description="pixels by which each step shifts the image at most")] = 0
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="of the noise, and of the shifts")] = 0

    def check_together(self) -> None:
        """Refuse what is no set of classes."""
        digits = set(self.classes)
        if not digits or len(digits) < len(self.classes) or not digits <= set("0123456789"):
            raise RequestError(f"classes must be different digits, for example 38, not {self.classes!r}")


class AttackDigits(InspectImages, frozen=True, tag="attack-digits"):
    """Make a network mistake digits: the base of what begins with images of a split."""

    attack: ClassVar[AttackName]
    indices: Annotated[
        tuple[int, ...], Meta(min_length=1, max_length=100, description="of the images in their split (1 to 100)")
    ] = GALLERY

    def check_together(self) -> None:
        """Refuse indices from before the first image."""
        if min(self.indices) < 0:
            raise RequestError(f"indices must be at least 0, not {min(self.indices)}")


class AttackTargeted(AttackDigits, frozen=True, tag="attack-targeted"):
    """Climb the logit of another class, with a squared-error penalty (the notebook's section 3.2, "targeted").

    The penalty is on what differs from the digit, wherever the attack begins.
    """

    attack = "targeted"
    target: Annotated[int, Meta(ge=0, lt=CLASSES, description="the class wanted; its own images are left out")] = 5
    steps: Annotated[int, Meta(ge=1, le=100_000, description="of the optimizer")] = 25
    optimizer: Annotated[OptimizerName, Meta(description="adam, or plain gradient ascent")] = "adam"
    step_size: Annotated[
        float, Meta(gt=0, le=1e12, description="of Adam in pixel values, of plain ascent times the gradient")
    ] = 0.01
    beta: Annotated[float, Meta(ge=0, le=1e12, description="weight of the mean squared error")] = 1e-5
    start: Annotated[StartName, Meta(description="begin at the digit, or at noise")] = "digit"
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="of the noise")] = 0


class AttackFgsm(AttackDigits, frozen=True, tag="attack-fgsm"):
    """The fast gradient sign method: one step as long as the bound (Goodfellow et al. 2015)."""

    attack = "fgsm"
    epsilon: Annotated[float, Meta(ge=0, le=28, description="the bound, in pixel values")] = 0.2
    norm: Annotated[NormName, Meta(description="what the bound is on: the largest change, or the length of all")] = (
        "linf"
    )
    target: Annotated[int, Meta(ge=-1, lt=CLASSES, description="the class wanted (-1: any other)")] = -1


class AttackPgd(AttackDigits, frozen=True, tag="attack-pgd"):
    """Projected gradient descent: many short steps within the bound (Madry et al. 2018)."""

    attack = "pgd"
    epsilon: Annotated[float, Meta(ge=0, le=28, description="the bound, in pixel values")] = 0.2
    norm: Annotated[NormName, Meta(description="what the bound is on: the largest change, or the length of all")] = (
        "linf"
    )
    steps: Annotated[int, Meta(ge=1, le=10_000, description="from each start")] = 40
    step_size: Annotated[float, Meta(ge=0, le=28, description="in pixel values (0: 2.5 epsilon / steps)")] = 0.0
    random_start: Annotated[bool, Meta(description="begin somewhere within the bound, not at the image")] = True
    restarts: Annotated[int, Meta(ge=1, le=1000, description="random starts, of which the best counts")] = 1
    target: Annotated[int, Meta(ge=-1, lt=CLASSES, description="the class wanted (-1: any other)")] = -1
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="of the random starts")] = 0

    def check_together(self) -> None:
        """Refuse several starts from one place."""
        AttackDigits.check_together(self)
        if self.restarts > 1 and not self.random_start:
            raise RequestError("restarts differ by their random start: leave random start on, or take one restart")

    @property
    def step(self) -> float:
        """The step size that is meant."""
        return self.step_size or 2.5 * self.epsilon / self.steps


class AttackDeepFool(AttackDigits, frozen=True, tag="attack-deepfool"):
    """DeepFool: over the nearest boundary, as the linearised network sees it (Moosavi-Dezfooli et al. 2016)."""

    attack = "deepfool"
    steps: Annotated[int, Meta(ge=1, le=10_000, description="at most")] = 50
    overshoot: Annotated[float, Meta(ge=0, le=1, description="how much further than to the boundary, as a share")] = (
        0.02
    )


class AttackCarliniWagner(AttackDigits, frozen=True, tag="attack-cw"):
    """Carlini and Wagner's L2 attack: the smallest change that Adam finds (2017)."""

    attack = "cw"
    searches: Annotated[int, Meta(ge=1, le=20, description="of the constant, by bisection")] = 5
    steps: Annotated[int, Meta(ge=1, le=10_000, description="of Adam, for each of them")] = 50
    step_size: Annotated[float, Meta(gt=0, le=1, description="Adam's, in pixel values")] = 0.02
    confidence: Annotated[float, Meta(ge=0, le=100, description="by which the wrong logit is to lead")] = 0.0
    target: Annotated[int, Meta(ge=-1, lt=CLASSES, description="the class wanted (-1: any other)")] = -1


AnyAttack = AttackNoise | AttackTargeted | AttackFgsm | AttackPgd | AttackDeepFool | AttackCarliniWagner
"""The requests for one attack."""


class AttackUniversal(InspectImages, frozen=True, tag="attack-universal"):
    """One perturbation for many digits (Moosavi-Dezfooli et al. 2017), made of training digits, tried on others."""

    epsilon: Annotated[float, Meta(ge=0, le=1, description="the bound on each of its pixels, in pixel values")] = 0.3
    target: Annotated[int, Meta(ge=-1, lt=CLASSES, description="the class wanted (-1: any other)")] = -1
    made_of: Annotated[int, Meta(ge=1, le=60_000, description="the first n training digits")] = 500
    steps: Annotated[int, Meta(ge=1, le=10_000, description="over all of these digits")] = 30
    step_size: Annotated[float, Meta(ge=0, le=1, description="in pixel values (0: 2.5 epsilon / steps)")] = 0.0
    count: Annotated[int, Meta(ge=1, le=60_000, description="it is tried on the first n of the split")] = 1000
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="of the random one beside it")] = 0

    def check_together(self) -> None:
        """Refuse to try it on what it is made of."""
        if self.split == "train":
            raise RequestError("it is made of training digits and must be tried on others: split test or val")

    @property
    def step(self) -> float:
        """The step size that is meant."""
        return self.step_size or 2.5 * self.epsilon / self.steps


class SweepBeta(InspectImages, frozen=True, tag="sweep-beta"):
    """Whether the penalty of the notebook's targeted attack keeps the image close: beta from 0 on, decade by decade."""

    count: Annotated[int, Meta(ge=2, le=10_000, description="digits: the first that are not of the target")] = 100
    target: Annotated[int, Meta(ge=0, lt=CLASSES, description="the class wanted")] = 5
    steps: Annotated[int, Meta(ge=1, le=100_000, description="of Adam")] = 25
    step_size: Annotated[float, Meta(gt=0, le=1, description="Adam's, in pixel values")] = 0.01


class MeasureRobustness(InspectImages, frozen=True, tag="measure-robustness"):
    """Accuracy under attack, by how much the attack may change."""

    others: Annotated[tuple[str, ...], Meta(max_length=7, description="other networks, measured alike")] = ()
    attack: Annotated[
        tuple[CurveAttackName, ...], Meta(min_length=1, max_length=5, description="which attacks, one or more")
    ] = ("pgd",)
    norm: Annotated[NormName, Meta(description="what the bound is on: the largest change, or the length of all")] = (
        "linf"
    )
    epsilons: Annotated[
        tuple[float, ...], Meta(max_length=100, description="bounds (none: seven up to 0.3 in linf, up to 3 in l2)")
    ] = ()
    count: Annotated[int, Meta(ge=1, le=60_000, description="the first n images of the split")] = 1000
    steps: Annotated[int, Meta(ge=1, le=10_000, description="of PGD")] = 40
    restarts: Annotated[int, Meta(ge=1, le=1000, description="of PGD")] = 1
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="of all that is random")] = 0

    def check_together(self) -> None:
        """Refuse bounds that are none, and attacks that know no such norm."""
        if self.epsilons and not 0 <= min(self.epsilons) <= max(self.epsilons) <= 28:
            raise RequestError("epsilons must be from 0 to 28, in pixel values")
        if self.norm == "linf" and (only := {"deepfool", "cw"}.intersection(self.attack)):
            raise RequestError(f"{' and '.join(sorted(only))} minimise L2: ask for norm l2")
        if len(set(self.attack)) < len(self.attack):
            raise RequestError("name each attack once")

    @property
    def bounds(self) -> tuple[float, ...]:
        """The bounds that are meant, ascending, each once."""
        usual = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3) if self.norm == "linf" else (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
        return tuple(sorted(set(self.epsilons))) or usual


class MeasureTransfer(InspectImages, frozen=True, tag="measure-transfer"):
    """How many images made to fool one network fool another."""

    others: Annotated[
        tuple[str, ...], Meta(max_length=7, description="the other networks (none: the bundled one of the other kind)")
    ] = ()
    attack: Annotated[Literal["fgsm", "pgd", "deepfool", "cw"], Meta(description="which attack")] = "pgd"
    norm: Annotated[NormName, Meta(description="what the bound of fgsm and pgd is on")] = "linf"
    epsilon: Annotated[float, Meta(ge=0, le=28, description="the bound of fgsm and pgd, in pixel values")] = 0.2
    count: Annotated[int, Meta(ge=1, le=60_000, description="the first n images that all networks get right")] = 200
    steps: Annotated[int, Meta(ge=1, le=10_000, description="of PGD")] = 40
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="of the random starts")] = 0


class DrawFigure(Request, frozen=True, tag="draw-figure"):
    """Draw what an event holds as a PNG."""

    subject: Annotated[Any, Meta(description="the event, a run, or its history")] = None
    path: Annotated[str, Meta(description="the file to write; an existing one is replaced")] = ""
    folder: Annotated[str, Meta(description="without a path: the folder for a file of a new name")] = "figures"
    layer: Annotated[LayerName, Meta(description="which convolution, where the event holds both")] = "conv1"
    colours: Annotated[ColourMapName, Meta(description="colour map")] = "gray"
    shared_range: Annotated[bool, Meta(description="one value range for all images of the figure")] = True
