"""What is reported of run folders."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from engine.event import Event


class RunSummary(Struct, frozen=True, kw_only=True):
    """What a list says of a run."""

    name: str
    state: str
    """new, running, paused, finished, stopped, failed, interrupted (its process died), imported, damaged."""
    variant: str = ""
    dataset: str = ""
    seed: int = 0
    epoch: int = 0
    """Epochs finished."""
    epochs: int = 0
    """Epochs asked for."""
    val_loss: float | None = None
    """The lowest, in nats."""
    test_accuracy: float | None = None
    """Of that epoch's weights, 0 to 1."""
    seconds: float = 0.0
    """Of all epochs together."""
    started: str = ""
    """ISO 8601, when it began or last went on."""
    began: float = 0.0
    """When it first began, in seconds since 1970."""
    note: str = ""
    """What somebody noted; of a damaged run, what is wrong with it."""
    damaged_lines: int = 0
    """Lines of its `events.jsonl` that hold no event, and are left out."""

    @property
    def tags(self) -> tuple[str, ...]:
        """The words of the note that begin with #."""
        return tuple(word for word in self.note.split() if word.startswith("#"))


class RunsListed(Event, frozen=True):
    """The runs of a folder, the newest first."""

    folder: str
    runs: tuple[RunSummary, ...]


class Spread(Struct, frozen=True, kw_only=True):
    """A number over several runs. Of one run all but the mean are NaN, null in JSON."""

    count: int
    mean: float
    deviation: float
    """The standard deviation."""
    low: float
    """The lower end of the mean's 95 % interval."""
    high: float


class RunGroup(Struct, frozen=True, kw_only=True):
    """Runs that differ by their seed alone."""

    label: str
    """What sets it apart, in words; the run's name where nothing does."""
    runs: tuple[str, ...]
    seeds: tuple[int, ...]
    settings: dict[str, Any]
    """The fields in which the groups differ."""
    epochs: tuple[int, ...]
    """Of which the curves tell: of thousands some at equal distances, the same in all groups, and the last."""
    seconds: tuple[float, ...]
    """Mean time at which each of these ends."""
    curves: dict[str, tuple[Spread, ...]]
    """train_loss, val_loss, val_accuracy and test_accuracy after each epoch, over the runs that got so far."""
    results: dict[str, Spread]
    """By the name of the measure."""
    values: dict[str, tuple[float, ...]]
    """The same of each run."""


class Contrast(Struct, frozen=True, kw_only=True):
    """A measure of two groups."""

    measure: str
    first: str
    second: str
    difference: float
    """Of the means, the second less the first."""
    low: float
    """The lower end of its 95 % interval; NaN, null in JSON, where a group is one run."""
    high: float


class RunsCompared(Event, frozen=True):
    """Runs beside one another."""

    groups: tuple[RunGroup, ...]
    differing: tuple[str, ...]
    """The fields in which the groups differ."""
    contrasts: tuple[Contrast, ...]
    """Of each other group with the first, each measure."""


class Exported(Event, frozen=True):
    """Weights or curves were written in another form, or into a run folder."""

    path: str
    what: str
    """In words."""
