"""The functions that carry out the requests.

Nothing here imports PyTorch: functions are given by name, and their modules are imported at the first request.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from engine.attacks.requests import AnyAttack, AttackUniversal, MeasureRobustness, MeasureTransfer, SweepBeta
from engine.attribution.requests import Attribute, ExplainDrawing, Occlude
from engine.benchmark.requests import Bench
from engine.certification.requests import Certify, CertifyDigit
from engine.claims.requests import AnyCheck
from engine.cluster.requests import SearchOnRay, TrainOnRay
from engine.corruptions.requests import MeasureCorruptions, ShowCorruptions
from engine.data.requests import KeepDrawing
from engine.event import Cancelled, Event
from engine.figures.requests import DrawFigure
from engine.inspection.requests import (
    Audit,
    Embed,
    Evaluate,
    Predict,
    ShowActivations,
    ShowDigits,
    ShowFilters,
    ShowLearning,
    ShowUnit,
    Summarise,
    VisualiseUnits,
)
from engine.network.events import DeviceFellBack
from engine.network.requests import OpenWeights, WarmUp
from engine.report.requests import Report
from engine.request import DeviceFailed, Request
from engine.runs.requests import (
    BrowseRuns,
    CompareRuns,
    DeleteRun,
    EditQueue,
    Export,
    FindUnfinished,
    Import,
    ListRuns,
    NoteRun,
    OverlayRuns,
    ReadRun,
    RenameRun,
    RestoreRun,
    Resume,
)
from engine.runs.together import Together
from engine.telemetry.requests import WatchDevices
from engine.training.requests import FindLearningRate, Train

LaneName = Literal["training", "analysis", "files", "devices", "cluster"]
Operation = Callable[[Request, Path], Generator[Event, None, None]]


@dataclass(frozen=True)
class Entry:
    """The lane and the function of a request."""

    lane: LaneName
    target: str
    """`module:function`, by name so that a front end does not import PyTorch with it."""
    writes: bool = False
    """Whether it writes to disk: it must finish before the process ends, and newer requests do not replace it."""
    computes: bool = True
    """Whether its steps keep the cores busy; if so, they take turns with those of the other lane.

    A few milliseconds of one thread do not, and should not wait for a step of training, which takes longer.
    """


OPERATIONS: dict[type[Request], Entry] = {
    Train: Entry("training", "engine.runs.recording:train_run", writes=True),
    Resume: Entry("training", "engine.runs.recording:resume_run", writes=True),
    TrainOnRay: Entry("cluster", "engine.cluster.sweep:train_on_ray", writes=True, computes=False),
    SearchOnRay: Entry("cluster", "engine.cluster.search:search_on_ray", writes=True, computes=False),
    Bench: Entry("training", "engine.benchmark.bench:bench"),
    FindLearningRate: Entry("analysis", "engine.training.rate_finder:find_learning_rate"),
    CompareRuns: Entry("files", "engine.runs.comparison:compare_runs", computes=False),
    OverlayRuns: Entry("files", "engine.runs.comparison:compare_runs", computes=False),
    ListRuns: Entry("files", "engine.runs.catalogue:list_runs", computes=False),
    BrowseRuns: Entry("files", "engine.runs.catalogue:browse_runs", computes=False),
    ReadRun: Entry("files", "engine.runs.details:read_run", computes=False),
    FindUnfinished: Entry("files", "engine.runs.catalogue:find_unfinished", computes=False),
    NoteRun: Entry("files", "engine.runs.catalogue:note_run", writes=True, computes=False),
    RenameRun: Entry("files", "engine.runs.catalogue:rename_run", writes=True, computes=False),
    DeleteRun: Entry("files", "engine.runs.catalogue:delete_run", writes=True, computes=False),
    RestoreRun: Entry("files", "engine.runs.catalogue:restore_run", writes=True, computes=False),
    KeepDrawing: Entry("files", "engine.data.drawings:keep_drawing", writes=True, computes=False),
    EditQueue: Entry("files", "engine.runs.queue:edit_queue", writes=True, computes=False),
    WatchDevices: Entry("devices", "engine.telemetry.sampler:watch_devices", computes=False),
    WarmUp: Entry("training", "engine.network.loading:warm_up", computes=False),
    OpenWeights: Entry("analysis", "engine.network.loading:open_weights"),
    Summarise: Entry("analysis", "engine.inspection.layers:summarise", computes=False),
    Evaluate: Entry("analysis", "engine.inspection.predictions:evaluate_split"),
    Audit: Entry("analysis", "engine.inspection.audit:audit"),
    Embed: Entry("analysis", "engine.inspection.embedding:embed"),
    ShowLearning: Entry("analysis", "engine.inspection.learning:show_learning"),
    ShowDigits: Entry("analysis", "engine.inspection.predictions:show_digits"),
    Predict: Entry("analysis", "engine.inspection.own_images:predict"),
    ShowFilters: Entry("analysis", "engine.inspection.filters:show_filters"),
    ShowActivations: Entry("analysis", "engine.inspection.activations:show_activations"),
    VisualiseUnits: Entry("analysis", "engine.inspection.visualisation:visualise_units"),
    ShowUnit: Entry("analysis", "engine.inspection.visualisation:show_unit"),
    Occlude: Entry("analysis", "engine.attribution.occlusion:occlude"),
    ExplainDrawing: Entry("analysis", "engine.attribution.drawing:explain_drawing", computes=False),
    Attribute: Entry("analysis", "engine.attribution.explain:attribute"),
    **{kind: Entry("analysis", "engine.attacks.attack:attack") for kind in get_args(AnyAttack)},
    AttackUniversal: Entry("analysis", "engine.attacks.universal:attack_universal"),
    SweepBeta: Entry("analysis", "engine.attacks.penalty:sweep_beta"),
    MeasureRobustness: Entry("analysis", "engine.attacks.robustness:measure_robustness"),
    MeasureTransfer: Entry("analysis", "engine.attacks.transfer:measure_transfer"),
    ShowCorruptions: Entry("analysis", "engine.corruptions.accuracy:show_corruptions"),
    MeasureCorruptions: Entry("analysis", "engine.corruptions.accuracy:measure_corruptions"),
    Certify: Entry("analysis", "engine.certification.certify:certify"),
    CertifyDigit: Entry("analysis", "engine.certification.certify:certify_digit"),
    **{kind: Entry("analysis", "engine.claims.check:check") for kind in get_args(AnyCheck)},
    Import: Entry("analysis", "engine.runs.exchange:import_weights", writes=True, computes=False),
    Export: Entry("analysis", "engine.runs.exchange:export", writes=True, computes=False),
    Report: Entry("analysis", "engine.report.report:report", writes=True),
    DrawFigure: Entry("analysis", "engine.figures.export:draw_figure", writes=True, computes=False),
}


def perform(request: Request, root: Path) -> Generator[Event, None, None]:
    """Carry out `request` in this thread: the generator of its events. `root` is the folder of all runs.

    While iterating, raises RequestError where the request is invalid, and DeviceFailed where a GPU fails.
    """
    module, _, function = OPERATIONS[type(request)].target.partition(":")
    operation: Operation = getattr(importlib.import_module(module), function)
    try:
        if getattr(request, "device", "") == "auto" and (reason := _torch_module("engine.network.devices").fallback()):
            yield DeviceFellBack(reason=reason)
        yield from operation(request, root)
    except RuntimeError as error:
        # Most operations do not handle device failures, which arrive here as PyTorch's own errors.
        if "torch" in sys.modules and (words := _torch_module("engine.network.gpu").failure(error)):
            raise DeviceFailed(words) from error
        raise


def perform_all(requests: Sequence[Train], root: Path) -> Together:
    """Train all of `requests`: for each, the generator of its events, as from `perform`.

    On a GPU several runs may advance at once, each with the same results as alone; on a CPU they run one by one.
    """
    return Together(lambda request: perform(request, root), requests)


def _torch_module(name: str) -> Any:
    """A module that imports PyTorch, by name, so that a front end does not import it with this one."""
    return importlib.import_module(name)


def end(events: Generator[Event, None, None]) -> Iterator[Event]:
    """Stop the work behind `events` before its next step, and yield its last events."""
    try:
        yield events.throw(Cancelled())
        yield from events
    except (Cancelled, StopIteration):
        return
