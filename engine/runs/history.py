"""The story of one run, folded from its events: every view of a run is drawn from this."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from engine.event import Event
from engine.runs.codec import DamagedLine
from engine.training.events import (
    BatchTrained,
    EpochFinished,
    RunCancelled,
    RunContinued,
    RunFailed,
    RunFinished,
    RunPaused,
    RunStarted,
)

RunState = Literal["new", "running", "paused", "finished", "stopped", "failed", "interrupted"]


@dataclass
class RunHistory:
    """What is known of a run so far."""

    name: str = ""
    state: RunState = "new"
    """Interrupted: its process died. Events do not tell that; whoever looks at the process does."""
    started: RunStarted | None = None
    epochs: list[EpochFinished] = field(default_factory=list)
    progress: BatchTrained | None = None
    """Where the epoch under way stands; None between epochs."""
    finished: RunFinished | None = None
    reason: str = ""
    """Why a failed run failed."""
    begun: str = ""
    """When it first began, ISO 8601; `started` is of the last time that it went on."""
    damaged_lines: int = 0
    """Lines of its events that hold none, and are left out."""
    _bests: list[EpochFinished] = field(default_factory=list, init=False, repr=False, compare=False)
    """The best epoch up to each, as far as somebody asked."""

    @classmethod
    def of(cls, name: str, events: Iterable[Event | DamagedLine]) -> RunHistory:
        """The history that `events` tell."""
        history = cls(name)
        for event in events:
            history.add(event)
        return history

    def add(self, event: Event | DamagedLine) -> None:
        """Take one more event into account."""
        match event:
            case RunStarted():
                self.name, self.started, self.state = event.run, event, "running"
                self.begun = self.begun or event.started
                self.finished, self.reason, self.progress = None, "", None
            case BatchTrained():
                self.progress = event
            case EpochFinished():
                while self.epochs and self.epochs[-1].epoch >= event.epoch:  # a run that goes on trained it again
                    self.epochs.pop()
                del self._bests[len(self.epochs) :]
                self.epochs.append(event)
                self.state, self.progress = "running", None
            case DamagedLine():
                self.damaged_lines += 1
            case RunPaused():
                self.state = "paused"
            case RunContinued():
                self.state = "running"
            case RunFinished():
                self.finished, self.state = event, "finished"
            case RunCancelled():
                self.state, self.progress = "stopped", None
            case RunFailed():
                self.state, self.reason, self.progress = "failed", event.reason, None
            case _:
                pass

    def put_back(self, epoch: EpochFinished) -> None:
        """Take up an epoch whose line was lost, at its place."""
        self.epochs = sorted([*(each for each in self.epochs if each.epoch != epoch.epoch), epoch], key=_number)
        self._bests.clear()

    @property
    def epoch(self) -> int:
        """The last finished epoch, 0 before the first: where lines were lost, more than there are `epochs`."""
        return self.epochs[-1].epoch if self.epochs else 0

    @property
    def under_way(self) -> bool:
        """Whether it trains, or is paused in the middle."""
        return self.state in ("running", "paused")

    @property
    def unfinished(self) -> bool:
        """Whether it was stopped or its process died: then it can go on."""
        return self.state in ("stopped", "interrupted", "failed")

    @property
    def total_epochs(self) -> int:
        """The epochs asked for; 0 before anything is known."""
        if self.progress:
            return self.progress.epochs
        return self.epochs[-1].epochs if self.epochs else 0

    @property
    def best(self) -> EpochFinished | None:
        """The epoch of the lowest validation loss, the first of equals."""
        bests = self._bests
        del bests[len(self.epochs) :]
        for epoch in self.epochs[len(bests) :]:
            bests.append(epoch if not bests or epoch.val_loss < bests[-1].val_loss else bests[-1])
        return bests[-1] if bests else None

    @property
    def seconds(self) -> float:
        """Of all epochs together."""
        return sum(epoch.train_seconds + epoch.eval_seconds for epoch in self.epochs)

    def seconds_left(self) -> float | None:
        """An estimate of what the run still takes, in seconds; None while there is nothing to go by."""
        if self.progress is None or self.progress.images_per_second <= 0 or self.started is None:
            return None
        now = self.progress
        epoch_seconds = self.started.train_size / now.images_per_second
        evaluation = self.epochs[-1].eval_seconds if self.epochs else 0.0
        left = (now.steps - now.step) / now.steps + now.epochs - now.epoch
        return left * epoch_seconds + (now.epochs - now.epoch + 1) * evaluation


def _number(epoch: EpochFinished) -> int:
    return epoch.epoch
