"""What one may ask of a network before anything is asked of images: which one, and where it computes."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from msgspec import Meta, Struct

from engine.data.requests import DatasetName
from engine.geometry import GeometryError, block_sizes
from engine.request import OF_FILES, Request, RequestError

PrecisionName = Literal["fp32", "tf32"]


NormedLayer = Literal["conv1", "conv2", "fc1", "logits"]
NOTEBOOKS_NORMS: tuple[NormedLayer, ...] = ("conv1", "conv2", "fc1")
"""The layers that the notebook's network with batch norm has it behind."""


def device_meta(auto: str) -> Meta:
    """Of the name of a device, where `auto` says what auto takes; the examples are what a form offers."""
    return Meta(
        description=f"where to compute: cpu, cuda, cuda:1 for the second GPU; auto takes {auto}",
        title="auto, cpu, cuda or cuda:N",
        pattern=r"^(auto|cpu|cuda(:\d{1,2})?)\Z",
        examples=["auto", "cpu", "cuda"],
    )


Device = Annotated[str, device_meta("a GPU that can be used")]


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
