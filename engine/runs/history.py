"""The history of a run, accumulated from its events: the basis of every view of a run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from msgspec.structs import replace

from engine.event import Event
from engine.runs.codec import DamagedLine
from engine.telemetry.events import Usage
from engine.telemetry.usage import together
from engine.training.events import (
    DIVERGED,
    BatchTrained,
    EpochFinished,
    RobustnessCollapsed,
    RunCancelled,
    RunContinued,
    RunFailed,
    RunFinished,
    RunPaused,
    RunStarted,
)
from engine.training.requests import Train

FIELDS = ("train_loss", "val_loss", "val_accuracy", "test_accuracy")
"""The fields of an epoch that have curves."""
ROBUST_FIELDS = ("robust_accuracy", "certified_accuracy")
"""Those that only epochs of robust objectives have."""
ROBUST, FALL = 0.2, 0.1
"""Robust accuracy has collapsed where it falls, from a highest one of at least ROBUST, to less than FALL of that."""

RunState = Literal["new", "running", "paused", "finished", "stopped", "failed", "interrupted"]


@dataclass
class RunHistory:
    """The history of a run so far."""

    name: str = ""
    """The name of its folder, which may have been renamed since it was started."""
    state: RunState = "new"
    """Interrupted: its process died, which events do not show; `RunFolder.look_at_owner` sets it."""
    started: RunStarted | None = None
    epochs: list[EpochFinished] = field(default_factory=list)
    progress: BatchTrained | None = None
    """Progress of the current epoch, which may begin before the last one is among `epochs`; None between epochs."""
    finished: RunFinished | None = None
    reason: str = ""
    """The reason of a failure."""
    collapsed: RobustnessCollapsed | None = None
    """The latest collapse of robust accuracy."""
    begun: str = ""
    """When it was first started, ISO 8601; `started` is the event of its latest start or resumption."""
    damaged_lines: int = 0
    """Number of lines of `events.jsonl` that hold no event and are left out."""
    request: Train | None = None
    """What was asked for; None where only its events are known."""
    _bests: list[EpochFinished] = field(default_factory=list, init=False, repr=False, compare=False)
    """The best epoch up to each epoch, computed as needed."""

    @classmethod
    def of(cls, name: str, events: Iterable[Event | DamagedLine]) -> RunHistory:
        """The history of `events`."""
        history = cls(name)
        for event in events:
            history.add(event)
        return history

    def add(self, event: Event | DamagedLine) -> None:
        """Add an event."""
        match event:
            case RunStarted():
                self.name, self.started, self.state = self.name or event.run, event, "running"
                self.begun = self.begun or event.started
                self.finished, self.reason, self.progress = None, "", None
            case BatchTrained():
                self.progress = event
            case EpochFinished():
                self._add_epoch(event)
            case RobustnessCollapsed():
                self.collapsed = event
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

    def _add_epoch(self, event: EpochFinished) -> None:
        while self.epochs and self.epochs[-1].epoch >= event.epoch:  # a resumed run has trained it again
            self.epochs.pop()
        del self._bests[len(self.epochs) :]
        if self.collapsed and event.epoch <= self.collapsed.epoch:
            self.collapsed = None
        self.epochs.append(event)
        self.state = "running"
        if self.progress and self.progress.epoch <= event.epoch:  # else the next epoch has begun
            self.progress = None

    def put_back(self, epoch: EpochFinished) -> None:
        """Insert an epoch whose line was lost."""
        self.epochs = sorted([*(each for each in self.epochs if each.epoch != epoch.epoch), epoch], key=_number)
        self._bests.clear()

    @property
    def variant(self) -> str:
        """`cnn` or `cnn-bn`; empty where only its events are known."""
        return self.request.variant if self.request else ""

    @property
    def epoch(self) -> int:
        """The last finished epoch, 0 before the first; where lines were lost, more than the number of `epochs`."""
        return self.epochs[-1].epoch if self.epochs else 0

    @property
    def under_way(self) -> bool:
        """Whether it is running or paused."""
        return self.state in ("running", "paused")

    @property
    def unfinished(self) -> bool:
        """Whether it can be resumed: it was stopped, it failed, or its process died."""
        return self.state in ("stopped", "interrupted", "failed")

    @property
    def diverged(self) -> bool:
        """Whether it failed because its loss was no longer a finite number."""
        return self.state == "failed" and self.reason.startswith(DIVERGED)

    @property
    def total_epochs(self) -> int:
        """The number of requested epochs; 0 if not known yet."""
        if self.progress:
            return self.progress.epochs
        return self.epochs[-1].epochs if self.epochs else 0

    @property
    def best(self) -> EpochFinished | None:
        """The epoch with the highest merit, which for objective clean is the lowest validation loss; the first one in a
        tie."""
        bests = self._bests
        del bests[len(self.epochs) :]
        for epoch in self.epochs[len(bests) :]:
            bests.append(epoch if not bests or epoch.merit > bests[-1].merit else bests[-1])
        return bests[-1] if bests else None

    def collapse(self, epoch: EpochFinished) -> RobustnessCollapsed | None:
        """The collapse of robust accuracy that `epoch`, the next one, shows; None if it shows none."""
        known = [each.robust_accuracy for each in self.epochs if each.robust_accuracy is not None]
        now, best = epoch.robust_accuracy, max(known, default=0.0)
        if now is None or best < ROBUST or not now < FALL * best <= known[-1]:
            return None
        return RobustnessCollapsed(run=self.name, epoch=epoch.epoch, before=best, after=now)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of its epochs that have curves."""
        known = [name for name in ROBUST_FIELDS if all(getattr(each, name) is not None for each in self.epochs)]
        return (*FIELDS, *known) if self.epochs else FIELDS

    @property
    def seconds(self) -> float:
        """Duration of all epochs together."""
        return sum(epoch.train_seconds + epoch.eval_seconds for epoch in self.epochs)

    @property
    def usage(self) -> Usage | None:
        """What the epochs together used of the devices, so far as they know it; None where none does.

        The energy is known only where all epochs know it.
        """
        found = together(epoch.usage for epoch in self.epochs if epoch.usage)
        whole = all(epoch.usage for epoch in self.epochs)
        return found if found is None or whole else replace(found, energy=None)

    def seconds_left(self) -> float | None:
        """An estimate of the remaining time of the run, in seconds; None if it cannot be estimated yet."""
        if self.progress is None or self.progress.images_per_second <= 0 or self.started is None:
            return None
        now = self.progress
        epoch_seconds = self.started.train_size / now.images_per_second
        evaluation = self.epochs[-1].eval_seconds if self.epochs else 0.0
        left = (now.steps - now.step) / now.steps + now.epochs - now.epoch
        return left * epoch_seconds + (now.epochs - now.epoch + 1) * evaluation


def _number(epoch: EpochFinished) -> int:
    return epoch.epoch
