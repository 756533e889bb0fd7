"""The requests for a network itself: its architecture, its weights file, and the device it runs on."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from msgspec import Meta, Struct

from engine.data.requests import DatasetName
from engine.geometry import GeometryError, block_sizes
from engine.paths import BUNDLED
from engine.request import OF_FILES, Request, RequestError

PrecisionName = Literal["fp32", "bf16", "tf32"]


NormedLayer = Literal["conv1", "conv2", "fc1", "logits"]
NOTEBOOKS_NORMS: tuple[NormedLayer, ...] = ("conv1", "conv2", "fc1")
"""The layers that batch normalisation follows in the notebook's network with batch norm."""


def device_meta(auto: str) -> Meta:
    """The Meta of a device name: `auto` describes what auto selects, and a form offers the examples."""
    return Meta(
        description=f"device: cpu, cuda, or cuda:1 for the second GPU; auto takes {auto}",
        title="auto, cpu, cuda or cuda:N",
        pattern=r"^(auto|cpu|cuda(:\d{1,2})?)\Z",
        examples=["auto", "cpu", "cuda"],
    )


Device = Annotated[str, device_meta("a usable GPU, or else the CPU")]


class Architecture(Request, frozen=True, tag="architecture"):
    """The notebook's CNN: two blocks of convolution and pooling, then two fully connected layers."""

    batch_norm: Annotated[bool, Meta(description="batch normalisation after each layer except the last")] = False
    channels: Annotated[int, Meta(ge=1, le=1024, description="number of output channels of each convolution")] = 32
    kernel_size: Annotated[int, Meta(ge=1, le=28, description="kernel size (side), in pixels")] = 3
    stride: Annotated[int, Meta(ge=1, le=14, description="stride of the convolutions, in pixels")] = 1
    padding: Annotated[int, Meta(ge=0, le=14, description="zero padding of the convolutions, in pixels")] = 1
    hidden: Annotated[
        int, Meta(ge=1, le=65536, description="number of neurons in the hidden fully connected layer")
    ] = 500
    in_channels: Annotated[int, Meta(ge=1, le=1, description="number of channels of the image (1: gray)")] = 1
    norm_layers: Annotated[
        tuple[NormedLayer, ...],
        Meta(max_length=4, description="layers with batch norm, where they differ from batch_norm", extra=OF_FILES),
    ] = ()
    mean: Annotated[float, Meta(ge=-100, le=100, description="mean subtracted from the pixels", extra=OF_FILES)] = 0.0
    std: Annotated[float, Meta(gt=0, le=100, description="standard deviation dividing the pixels", extra=OF_FILES)] = (
        1.0
    )

    def check_together(self) -> None:
        """Refuse layers that do not fit on a 28x28 image, and batch norm that is specified in two ways."""
        try:
            block_sizes(self.kernel_size, self.stride, self.padding)
        except GeometryError as error:
            raise RequestError(str(error)) from None
        named = self.norm_layers
        in_order = tuple(layer for layer in get_args(NormedLayer) if layer in named)
        if named and (self.batch_norm or named == NOTEBOOKS_NORMS or named != in_order):
            raise RequestError(
                "norm layers are only for a network whose batch norm differs from the notebook's: leave them out"
            )

    @property
    def norms(self) -> tuple[NormedLayer, ...]:
        """The layers that batch norm follows."""
        return NOTEBOOKS_NORMS if self.batch_norm else self.norm_layers

    @property
    def variant(self) -> str:
        """`cnn`, or `cnn-bn` with batch norm."""
        return "cnn-bn" if self.norms else "cnn"


class Reading(Struct, frozen=True):
    """The user's settings for reading a weights file; None where the file itself decides."""

    mean: float | None = None
    std: float | None = None
    stride: int | None = None
    padding: int | None = None


MeanOfInputs = (
    Annotated[
        float,
        Meta(
            ge=-100, le=100, description="mean subtracted from the pixels in training (none: as recorded in the file)"
        ),
    ]
    | None
)
DeviationOfInputs = (
    Annotated[
        float,
        Meta(
            gt=0,
            le=100,
            description="standard deviation dividing the pixels in training (none: as recorded in the file)",
        ),
    ]
    | None
)
StrideOfKernels = (
    Annotated[
        int,
        Meta(
            ge=1, le=14, description="stride of the convolutions, in pixels (none: from the file or its tensor shapes)"
        ),
    ]
    | None
)
PaddingOfMaps = (
    Annotated[
        int,
        Meta(
            ge=0,
            le=14,
            description="zero padding of the convolutions, in pixels (none: from the file or its tensor shapes)",
        ),
    ]
    | None
)


class WarmUp(Request, frozen=True, tag="warm-up"):
    """Load in advance what the first job would wait for: PyTorch, the device, the data set."""

    dataset: Annotated[DatasetName, Meta(description="data set to load")] = "mnist"
    device: Device = "auto"


class OpenWeights(Request, frozen=True, tag="open-weights"):
    """Read a weights file and report which network it holds."""

    path: Annotated[str, Meta(description="weights file: a .pth of the notebook, or a .safetensors")] = (
        "model.safetensors"
    )


class Inspect(Request, frozen=True, tag="inspect"):
    """Inspect a network: the base of requests that need one."""

    what: Annotated[str, Meta(description=f"run, weights file, or {BUNDLED}; none for the most recent run")] = ""
    device: Device = "auto"
    mean: MeanOfInputs = None
    std: DeviationOfInputs = None
    stride: StrideOfKernels = None
    padding: PaddingOfMaps = None

    @property
    def reading(self) -> Reading:
        """How to read the weights file."""
        return Reading(self.mean, self.std, self.stride, self.padding)
