"""The events of training on Ray."""

from __future__ import annotations

import math
from typing import Literal

from msgspec import Struct

from engine.event import Event, Progress
from engine.training.events import BatchTrained, Robustness, merit

Outcome = Literal["finished", "failed", "stopped", "refused"]


class ClusterStarted(Event, frozen=True):
    """Ray was started here, or a running cluster was joined."""

    machines: int
    cores: float
    gpus: float
    address: str
    """Address of the cluster that was joined; empty if Ray was started here."""
    direct: bool
    """Whether the workers write to the folder of all runs themselves."""
    seconds: float
    """How long it took to start or join it."""


class RunPlaced(Event, frozen=True):
    """A worker has taken a run, to begin or to resume it."""

    number: int
    """From 0, in the order of the request."""
    run: str
    """Name of its folder; empty if it has none yet."""
    machine: str
    process: int
    """Number of the worker's process on that machine."""


class RunTold(Event, frozen=True):
    """A run of the sweep has an event of its own, which is not progress."""

    number: int
    """From 0, in the order of the request."""
    run: str
    """Name of its folder; empty before it has one."""
    event: Event


class RunLost(Event, frozen=True):
    """The worker of a run died; the run is resumed elsewhere."""

    number: int
    run: str
    """Name of its folder; empty if it has none yet."""
    epoch: int
    """The last finished epoch, after which it is resumed."""
    reason: str


class RunRefused(Event, frozen=True):
    """A run could not start, or ended in an error of which its folder may know nothing."""

    number: int
    run: str
    reason: str
    """One line: what happened and what to do."""
    bad_request: bool
    """Whether the request was invalid, rather than the work failing."""


class RunState(Struct, frozen=True):
    """How far a run of the sweep is."""

    number: int
    run: str
    progress: BatchTrained


class SweepAdvanced(Progress, frozen=True):
    """What the runs under way do now."""

    active: tuple[RunState, ...]
    waiting: int
    """Number of runs that have not begun."""
    ended: int


class SearchAdvanced(Progress, Robustness, frozen=True):
    """How far a search is."""

    done: int
    """Number of trials that have ended."""
    trials: int
    epochs: int
    """Number of finished epochs of all trials."""
    val_loss: float | None
    """The validation loss, in nats, of the best epoch so far, by its merit; None before the first epoch."""
    values: dict[str, float]
    """The values of the fields with which it was reached."""


class Trial(Robustness, frozen=True):
    """Values that a search has tried."""

    values: dict[str, float]
    epochs: int
    """Number of epochs that it was trained: fewer than asked for where it was stopped early, or diverged."""
    val_loss: float | None
    """The validation loss, in nats, of the best of these epochs, by its merit; None where there is none."""
    seconds: float
    """Duration of these epochs."""

    @property
    def merit(self) -> tuple[float, float]:
        """The best trial has the highest."""
        return merit(
            self.certified_accuracy, self.robust_accuracy, math.inf if self.val_loss is None else self.val_loss
        )


class SearchEnded(Event, Robustness, frozen=True):
    """A search has made its choice, which is trained next."""

    method: str
    space: tuple[str, ...]
    """The fields and their bounds, as text."""
    trials: tuple[Trial, ...]
    """The best first."""
    chosen: dict[str, float]
    """The values of the best trial."""
    val_loss: float
    """The validation loss at the best epoch of that trial, in nats: the best of many trials, so it is too low to expect
    again."""
    epochs: int
    """Number of epochs of all trials."""
    seconds: float
    """Duration of all trials' epochs together."""
    elapsed: float
    """From the first trial's begin to the last one's end, in seconds."""


class RunOutcome(Robustness, frozen=True, kw_only=True):
    """A run of the sweep in the table at its end."""

    number: int
    seed: int
    run: str
    """Name of its folder; empty if it has none."""
    outcome: Outcome
    reason: str = ""
    """Why it failed, in one line."""
    epochs: int = 0
    """Number of finished epochs."""
    val_loss: float | None = None
    """The validation loss at the best epoch, in nats."""
    test_accuracy: float | None = None
    """Test accuracy at that epoch, 0 to 1."""
    seconds: float = 0.0
    """Time that its workers worked on it, including what they wrote; without that of loading PyTorch."""
    losses: int = 0
    """How many workers died while they trained it."""


class SweepEnded(Event, frozen=True):
    """All runs of the sweep have ended."""

    runs: tuple[RunOutcome, ...]
    seconds: float
    """From the first run's submission to the last one's end."""

    @property
    def failed(self) -> tuple[RunOutcome, ...]:
        """The runs that did not finish."""
        return tuple(run for run in self.runs if run.outcome != "finished")
