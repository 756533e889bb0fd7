"""What one may ask of run folders."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

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

    least: ClassVar[int] = 2
    """Runs that it takes."""

    def check_together(self) -> None:
        """Refuse too few."""
        if len(self.what) < self.least:
            raise RequestError("a comparison needs two runs or more: mnist-tui runs lists those there are")


class OverlayRuns(CompareRuns, frozen=True, tag="overlay-runs"):
    """The same for a screen, which draws a single run too."""

    least: ClassVar[int] = 1


class FindUnfinished(Request, frozen=True, tag="find-unfinished"):
    """Find the most recent run that can be resumed."""

    most: Annotated[int, Meta(ge=1, description="number of recent runs to look at")] = 20


class NoteRun(Request, frozen=True, tag="note-run"):
    """Write the note of a run."""

    run: Annotated[str, Meta(description="name of the run's folder")] = ""
    text: Annotated[str, Meta(description="one line; words that begin with # are tags")] = ""


class RenameRun(Request, frozen=True, tag="rename-run"):
    """Give a run another name."""

    run: Annotated[str, Meta(description="name of the run's folder")] = ""
    name: Annotated[str, Meta(description="the new name")] = ""


class DeleteRun(Request, frozen=True, tag="delete-run"):
    """Move a run to the trash folder."""

    run: Annotated[str, Meta(description="name of the run's folder")] = ""


class RestoreRun(Request, frozen=True, tag="restore-run"):
    """Move a run out of the trash folder."""

    place: Annotated[str, Meta(description="its folder in the trash")] = ""
    name: Annotated[str, Meta(description="the name that it had")] = ""


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
