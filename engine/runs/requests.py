"""The requests for run folders."""

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
from engine.paths import BUNDLED
from engine.request import Request, RequestError


class Resume(Request, frozen=True, tag="resume"):
    """Resume a run that was stopped, or whose process died, where it left off."""

    what: Annotated[str, Meta(description="run to resume (none: the most recent unfinished run)")] = ""
    device: Annotated[str, device_meta("the device that the run was started with")] = "auto"
    force: Annotated[
        bool,
        Meta(
            description="resume even if a process on another machine, which cannot be checked, may be training the run"
        ),
    ] = False


class ListRuns(Request, frozen=True, tag="list-runs"):
    """List the runs, the most recent first."""


class BrowseRuns(ListRuns, frozen=True, tag="browse-runs"):
    """List the runs on a screen: after them the bundled networks, which are no runs of the user's."""


class ReadRun(Request, frozen=True, tag="read-run"):
    """Read the request, the results and the curves of a run."""

    what: Annotated[str, Meta(description=f"folder or name of a run, or {BUNDLED}")] = ""


class CompareRuns(Request, frozen=True, tag="compare-runs"):
    """Compare runs side by side; runs that differ only in their seed become one, with its spread."""

    what: Annotated[tuple[str, ...], Meta(description="two or more runs")] = ()

    least: ClassVar[int] = 2
    """Minimum number of runs."""

    def check_together(self) -> None:
        """Raise RequestError for too few runs."""
        if len(self.what) < self.least:
            raise RequestError("a comparison needs two or more runs: mnist-tui runs lists them")


class OverlayRuns(CompareRuns, frozen=True, tag="overlay-runs"):
    """Compare runs on a screen, which can also show a single run."""

    least: ClassVar[int] = 1


class FindUnfinished(Request, frozen=True, tag="find-unfinished"):
    """Find the most recent run that can be resumed."""

    most: Annotated[int, Meta(ge=1, description="maximum number of recent runs to check")] = 20


class NoteRun(Request, frozen=True, tag="note-run"):
    """Write the note of a run."""

    run: Annotated[str, Meta(description="name of the run's folder")] = ""
    text: Annotated[str, Meta(description="text of the note, one line; words that begin with # are tags")] = ""


class RenameRun(Request, frozen=True, tag="rename-run"):
    """Rename a run."""

    run: Annotated[str, Meta(description="name of the run's folder")] = ""
    name: Annotated[str, Meta(description="new name of the run")] = ""


class DeleteRun(Request, frozen=True, tag="delete-run"):
    """Move a run to the trash folder."""

    run: Annotated[str, Meta(description="name of the run's folder")] = ""


class RestoreRun(Request, frozen=True, tag="restore-run"):
    """Move a run out of the trash folder."""

    place: Annotated[str, Meta(description="path of the run's folder in the trash")] = ""
    name: Annotated[str, Meta(description="former name of the run")] = ""


class Export(Inspect, frozen=True, tag="export"):
    """Write weights as .pth or .safetensors, or a run's curves as .csv or for TensorBoard."""

    to: Annotated[
        str,
        Meta(
            description="file to write: a .pth or .safetensors for weights, a .csv for curves; or a folder for "
            "TensorBoard: an existing one, or a name that ends in /, has no suffix, or a numeric one such as lr-0.001"
        ),
    ] = "model.pth"
    weights: Annotated[
        Literal["last", "best"], Meta(description="weights of the last epoch, or those with the best validation loss")
    ] = "last"


class Import(Request, frozen=True, tag="import"):
    """Make a run folder from a weights file, so that it can be listed, annotated, compared and reported."""

    what: Annotated[
        str, Meta(description="weights file in the format of torch.save or safetensors, whatever its suffix")
    ] = ""
    name: Annotated[str, Meta(description="name of the run folder (none: made of the time and the variant)")] = ""
    mean: MeanOfInputs = None
    std: DeviationOfInputs = None
    stride: StrideOfKernels = None
    padding: PaddingOfMaps = None

    @property
    def reading(self) -> Reading:
        """How to read the weights file."""
        return Reading(self.mean, self.std, self.stride, self.padding)

    def check_together(self) -> None:
        """Raise RequestError where no weights file is given."""
        if not self.what:
            raise RequestError("no weights file is given: name one, for example mnist-tui import net.pth")


ADDS = (
    "experiments to add: seeds and fields, such as 'seeds=5 batch-norm=no,yes recipe=fast'; an empty text for the "
    "notebook's"
)


class EditQueue(Request, frozen=True, tag="edit-queue"):
    """List the experiments that wait to be trained, after adding, removing or moving some."""

    add: Annotated[str, Meta(description=ADDS)] | None = None
    remove: Annotated[str, Meta(description="experiment to remove: its number in the list, or all")] | None = None
    first: Annotated[int, Meta(ge=1, description="number of the experiment to move to the front")] | None = None
