"""What one may ask of run folders."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from engine.network.requests import (
    DeviationOfInputs,
    Inspect,
    MeanOfInputs,
    PaddingOfMaps,
    Reading,
    StrideOfKernels,
    device_meta,
)
from engine.request import Request, RequestError


class Resume(Request, frozen=True, tag="resume"):
    """Go on with a run that was stopped, or whose process died, from where it was."""

    what: Annotated[str, Meta(description="the run (nothing: the newest that is not finished)")] = ""
    device: Annotated[str, device_meta("what the run was asked for on")] = "auto"
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
