"""The queue of experiments as this app sees it, when the next one starts, and what became of those that it started."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, get_args, overload

from engine.event import Event, JobFailed
from engine.request import Request, RequestError
from engine.runs.processes import BEAT, Process
from engine.runs.queue import (
    EMPTY,
    Change,
    Contents,
    Experiment,
    QueueFile,
    Unwritable,
    added,
    moved,
    removed,
    signed_again,
    worked_on,
)
from engine.training.events import RunCancelled, RunFailed, RunFinished, RunStarted
from engine.training.requests import Train
from engine.words import percent

Outcome = Literal["running", "finished", "failed", "stopped"]


@dataclass(eq=False)
class Turn:
    """An experiment that the queue has started; equal experiments have turns of their own."""

    request: Train
    number: int
    """From 1, in the order in which they were started."""
    run: str = ""
    """The name of its run folder; empty if it has none (yet)."""
    outcome: Outcome = "running"
    words: str = ""
    """The result, or why it failed, in one line."""
    queued: str = ""
    """Its id while it is still in the file, since its run has not begun."""


class Queue(Sequence[Train]):
    """The experiments that wait, in training order.

    They are in a file of the runs folder, which other processes change too; where it cannot be written, in memory.
    """

    def __init__(self, root: Path, start: Callable[[Train], None], tell: Callable[[str], None]) -> None:
        """`start` trains an experiment; `tell` tells the user what is wrong with the file, in one line."""
        self._start, self._tell = start, tell
        self._file, self._own = QueueFile(root), Process.own()
        self._stamp: tuple[int, ...] | None = None
        """The version of the file that was read last; None before the first time."""
        self._contents = EMPTY
        self._waiting: list[Experiment] = []
        self._signed = 0.0
        """When this process last gave a sign of life in the file, by `time.monotonic`."""
        self.working = False
        """Whether this app trains the queue: when it has no run, it takes the next experiment."""
        self.in_memory = False
        """Whether the file cannot be written, so that what waits is lost when the app ends."""
        self.turns: list[Turn] = []
        """The experiments started so far, the latest last."""

    # What waits

    def __len__(self) -> int:
        return len(self._waiting)

    @overload
    def __getitem__(self, index: int) -> Train: ...

    @overload
    def __getitem__(self, index: slice) -> list[Train]: ...

    def __getitem__(self, index: int | slice) -> Train | list[Train]:
        if isinstance(index, slice):
            return [each.request for each in self._waiting[index]]
        return self._waiting[index].request

    def __iter__(self) -> Iterator[Train]:
        return (each.request for each in self._waiting)

    @property
    def other_worker(self) -> Process | None:
        """Another process that trains the queue."""
        return self._contents.other_worker(self._own)

    @property
    def held(self) -> bool:
        """Whether experiments wait that nobody will start on their own."""
        return bool(self._waiting) and not self.working and self.other_worker is None

    def look(self) -> bool:
        """Read what other processes have changed, and give signs of life; returns whether what waits has changed."""
        if self.in_memory:
            return False
        before = self._waiting
        if (stamp := self._file.stamp()) != self._stamp:
            self._stamp = stamp
            try:
                self._show(self._file.read())
            except RequestError as error:
                self._show(EMPTY)
                self._tell(str(error))
        elif any(each.taken for each in self._contents.experiments):
            self._show(self._contents)  # a process that took one may have died
        signs = self.working or bool(self._now and self._now.queued)
        if signs and time.monotonic() - self._signed >= BEAT:
            self._try(partial(signed_again, self._own))
        return before != self._waiting

    def _show(self, contents: Contents) -> None:
        """Show `contents`. An experiment remains the same object, by which the lists know it."""
        known = {each.id: each for each in self._contents.experiments}
        same = (known.get(each.id, each) for each in contents.experiments)
        kept = tuple(
            old if old == new else new if old.request != new.request else Experiment(new.id, old.request, new.taken)
            for old, new in zip(same, contents.experiments, strict=True)
        )
        self._contents = Contents(1, kept, contents.workers)
        self._waiting = list(self._contents.waiting)

    # Changes

    def add(self, requests: Sequence[Train]) -> None:
        """Add experiments; this app then trains the queue, unless another one does already.

        A file that is no queue is moved aside first. Raises RequestError where there are too many.
        """
        works = self.working or self.other_worker is None
        signed = partial(worked_on, self._own, works)
        self._change(lambda contents: added(requests, signed(contents)), over_damage=True)
        self.working = works

    def work(self, works: bool) -> None:
        """Train the queue from now on, or leave what waits."""
        self.working = works
        self._try(partial(worked_on, self._own, works))

    def remove(self, turn: int) -> None:
        """Remove the experiment at index `turn`."""
        self._try(partial(removed, {self._waiting[turn].id}))

    def shift(self, turn: int, by: int) -> None:
        """Move the experiment at index `turn` by `by` positions; do nothing at either end."""
        if 0 <= turn + by < len(self):
            self._try(partial(moved, self._waiting[turn].id, by))

    def _change(self, change: Change, *, over_damage: bool = False) -> None:
        """Make `change` to the file, or in memory where that cannot be written. Raises RequestError as it does."""
        if not self.in_memory:
            try:
                self._wrote(self._file.change(change, over_damage=over_damage))
                return
            except Unwritable as error:
                self._keep_in_memory(error)
        self._show(change(self._contents))

    def _try(self, change: Change) -> None:
        """Make `change`, or say why that is not possible."""
        try:
            self._change(change)
        except RequestError as error:
            self._tell(str(error))

    def _wrote(self, contents: Contents) -> None:
        self._signed = time.monotonic()
        self._show(contents)

    def _keep_in_memory(self, error: Unwritable) -> None:
        self.in_memory = True
        self._tell(f"{error}: the queue is kept in memory and is lost when the app ends")

    # Turns

    def next_turn(self, *, busy: bool) -> None:
        """Start the first experiment if this app trains the queue, unless a run is under way (`busy`).

        How the last one ended does not matter.
        """
        if busy:
            return
        if (turn := self._now) is not None:
            turn.outcome = "stopped"  # before it had begun, so no event told it
            self._begun(turn)
        if self.working:
            if taken := self._take():
                self.turns.append(Turn(taken.request, len(self.turns) + 1, queued=taken.id))
                self._start(taken.request)
            else:
                self.work(False)

    def _take(self) -> Experiment | None:
        """The next experiment, which no other process gets; None where none waits, or the file is damaged."""
        first: Experiment | None = None
        if not self.in_memory:
            try:
                contents, first = self._file.take(self._own)
                self._wrote(contents)
                # The object by which the lists know it.
                return next((each for each in self._contents.experiments if first and each.id == first.id), None)
            except Unwritable as error:
                self._keep_in_memory(error)
            except RequestError as error:
                self._tell(str(error))
                return None
        if self._waiting:
            first = self._waiting[0]
            self._show(removed({first.id}, self._contents))
        return first

    def _begun(self, turn: Turn) -> None:
        """Remove an experiment from the file: its run has begun, or never will."""
        if turn.queued:
            self._try(partial(removed, {turn.queued}))
            turn.queued = ""

    @property
    def _now(self) -> Turn | None:
        return self.turns[-1] if self.turns and self.turns[-1].outcome == "running" else None

    def hear(self, request: Request, event: Event) -> None:
        """Note what an event of `request` tells about the experiment under way, if it is that one."""
        turn = self._now
        if turn is None or turn.request is not request:
            return
        match event:
            case RunStarted():
                turn.run = event.run
            case RunFinished():
                turn.outcome = "finished"
                accuracy = percent(event.test_accuracy)
                turn.words = f"best {event.choice} in epoch {event.best_epoch}, test {accuracy}"
            case RunCancelled():
                turn.outcome, turn.words = "stopped", f"after epoch {event.epoch}"
            case RunFailed() | JobFailed():
                turn.outcome, turn.words = "failed", event.reason
            case _:
                return
        self._begun(turn)

    def turn_of(self, run: str) -> Turn | None:
        """The turn of a run; None if the queue has not started it."""
        return next((turn for turn in self.turns if turn.run == run), None) if run else None

    def told(self) -> str:
        """How many experiments wait, run, and ended how, as text; empty for a queue that was never used."""
        counts = Counter(turn.outcome for turn in self.turns)
        parts = {"waiting": len(self)} | {name: counts[name] for name in get_args(Outcome)}
        said = ", ".join(f"{count} {name}" for name, count in parts.items() if count)
        return f"queue: {said}" if said else ""
