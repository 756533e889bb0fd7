"""The events of run folders."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from engine.event import Event
from engine.telemetry.events import Usage
from engine.training.events import EpochFinished, Insides, Robustness, RobustnessCollapsed
from engine.training.requests import Train


class RunSummary(Robustness, frozen=True, kw_only=True):
    """A line in a list of runs."""

    name: str
    state: str
    """new, running, paused, finished, stopped, failed, interrupted (its process died), imported, damaged, bundled."""
    variant: str = ""
    recipe: str = ""
    """`fast`, or `fast, changed`; empty for the notebook's."""
    dataset: str = ""
    seed: int = 0
    epoch: int = 0
    """Number of finished epochs."""
    epochs: int = 0
    """Number of requested epochs."""
    val_loss: float | None = None
    """The validation loss at the best epoch, in nats."""
    test_accuracy: float | None = None
    """Test accuracy at that epoch, 0 to 1."""
    seconds: float = 0.0
    """Duration of all epochs together."""
    started: str = ""
    """When it was started or last resumed, ISO 8601."""
    began: float = 0.0
    """When it was first started, in seconds since 1970."""
    note: str = ""
    """The user's note; for a damaged run, what is wrong with it."""
    energy: float | None = None
    """Joules of all epochs together, of the device that it was trained on; None where an epoch does not know it."""
    memory: float | None = None
    """The largest memory in MB: on the GPU for a run on a GPU, else of the process."""
    damaged_lines: int = 0
    """Number of lines of its `events.jsonl` that hold no event and are left out."""

    @property
    def tags(self) -> tuple[str, ...]:
        """The words of the note that begin with #."""
        return tuple(word for word in self.note.split() if word.startswith("#"))


class RunsListed(Event, frozen=True):
    """The runs of a folder, the most recent first."""

    folder: str
    runs: tuple[RunSummary, ...]


class RunRead(Event, frozen=True):
    """The folder of a run was read."""

    run: str
    """Its name, or `pretrained:` and the name of a bundled network."""
    request: Train
    device: str
    """The device that it was started on, or last resumed."""
    device_name: str
    threads: int
    """Number of CPU threads that PyTorch used."""
    versions: dict[str, str]
    """Versions of Python, PyTorch and this program."""
    begun: str
    """When it was first started, ISO 8601; empty if that is not known."""
    best: EpochFinished | None
    """The best epoch, by its merit; None before the first epoch is finished."""
    last: EpochFinished | None
    """The last finished epoch."""
    reason: str
    """Why it failed, in one line; empty if it did not."""
    epochs: tuple[int, ...]
    """The epochs in the curves; of many, some at equal intervals, the best and the last."""
    curves: dict[str, tuple[float, ...]]
    """train_loss, val_loss, val_accuracy and test_accuracy after each of these epochs, and with a robust objective
    robust_accuracy and certified_accuracy, as far as there are any."""
    usage: Usage | None = None
    """What all epochs together used of the devices; None where that is not known."""
    collapsed: RobustnessCollapsed | None = None
    """The latest collapse of its robust accuracy."""


class InsidesShown(Event, frozen=True):
    """A layer of the network after several epochs of a run."""

    run: str
    layer: str
    """conv1, conv2, hidden or output."""
    epochs: tuple[int, ...]
    """Of many, some at equal intervals, and the last."""
    total: int
    """Number of requested epochs."""
    insides: tuple[Insides, ...]
    """What was measured of all layers after each of these epochs."""


class Spread(Struct, frozen=True, kw_only=True):
    """A number over several runs. For a single run, all but the mean are NaN, null in JSON."""

    count: int
    mean: float
    deviation: float
    """The standard deviation."""
    low: float
    """The lower limit of the mean's 95 % interval."""
    high: float


class RunGroup(Struct, frozen=True, kw_only=True):
    """Runs that differ only in their seed."""

    label: str
    """The settings that distinguish it, as text; the run's name where none do."""
    runs: tuple[str, ...]
    seeds: tuple[int, ...]
    settings: dict[str, Any]
    """The fields in which the groups differ."""
    epochs: tuple[int, ...]
    """The epochs in the curves; of thousands, some at equal intervals, the same in all groups, and the last."""
    seconds: tuple[float, ...]
    """Mean time from the start to the end of each of these epochs."""
    curves: dict[str, tuple[Spread, ...]]
    """The same fields as of `RunRead.curves` after each epoch, over the runs that reached it."""
    results: dict[str, Spread]
    """Results by the name of the measure; what was used of the devices only where all its runs know it."""
    values: dict[str, tuple[float, ...]]
    """The results of each run."""
    search: str = ""
    """The search that chose the settings, and what it cost, as text; empty where none did."""


class Contrast(Struct, frozen=True, kw_only=True):
    """A measure compared between two groups."""

    measure: str
    first: str
    second: str
    difference: float
    """Difference of the means, second minus first."""
    low: float
    """The lower limit of its 95 % interval; NaN, null in JSON, where a group is a single run."""
    high: float


class RunsCompared(Event, frozen=True):
    """Runs were compared."""

    groups: tuple[RunGroup, ...]
    differing: tuple[str, ...]
    """The fields in which the groups differ."""
    contrasts: tuple[Contrast, ...]
    """Each measure of each other group, compared with the first."""


class Exported(Event, frozen=True):
    """Weights or curves were written to another format, or into a run folder."""

    path: str
    what: str
    """What was written, as text."""


class UnfinishedFound(Event, frozen=True):
    """The most recent runs were searched for one that can be resumed."""

    run: str
    """The name of its folder; empty if there is none."""


class RunNoted(Event, frozen=True):
    """The note of a run was changed."""

    run: str


class RunRenamed(Event, frozen=True):
    """A run was renamed."""

    run: str
    """Its former name."""
    name: str


class RunDeleted(Event, frozen=True):
    """A run was moved to the trash folder."""

    run: str
    place: str
    """The path of its folder in the trash."""


class RunRestored(Event, frozen=True):
    """A run was moved out of the trash folder."""

    run: str


class Queued(Struct, frozen=True, kw_only=True):
    """An experiment in the queue."""

    id: str
    place: int
    """From 1 for the next one; 0 for one that a process is about to train."""
    request: Train
    taken_by: str = ""
    """That process, as text."""


class QueueListed(Event, frozen=True):
    """The queue of a folder."""

    file: str
    experiments: tuple[Queued, ...]
    """In training order."""
    trained_by: tuple[str, ...]
    """The processes that train the queue, as text."""
