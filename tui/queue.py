"""The queue of experiments, when the next one starts, and what became of those that it started."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from engine.event import Event, JobFailed
from engine.request import Request
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


class Queue(list[Train]):
    """Experiments in training order."""

    def __init__(self, start: Callable[[Train], None]) -> None:
        """`start` trains an experiment."""
        super().__init__()
        self._start = start
        self.turns: list[Turn] = []
        """The experiments started so far, the latest last."""

    def next_turn(self, *, busy: bool) -> None:
        """Start the first experiment, unless a run is under way (`busy`). How the last one ended does not matter."""
        if busy:
            return
        if (turn := self._now) is not None:
            turn.outcome = "stopped"  # before it had begun, so no event told it
        if self:
            request = self.pop(0)
            self.turns.append(Turn(request, len(self.turns) + 1))
            self._start(request)

    def shift(self, turn: int, by: int) -> None:
        """Move the experiment at index `turn` by `by` positions; do nothing at either end."""
        if 0 <= turn + by < len(self):
            self[turn], self[turn + by] = self[turn + by], self[turn]

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
                loss, accuracy = f"{event.best_val_loss:.4f}", percent(event.test_accuracy)
                turn.words = f"best validation loss {loss} in epoch {event.best_epoch}, test {accuracy}"
            case RunCancelled():
                turn.outcome, turn.words = "stopped", f"after epoch {event.epoch}"
            case RunFailed() | JobFailed():
                turn.outcome, turn.words = "failed", event.reason
            case _:
                pass

    def turn_of(self, run: str) -> Turn | None:
        """The turn of a run; None if the queue has not started it."""
        return next((turn for turn in self.turns if turn.run == run), None) if run else None

    def told(self) -> str:
        """How many experiments wait, run, and ended how, as text; empty for a queue that was never used."""
        counts = Counter(turn.outcome for turn in self.turns)
        parts = {"waiting": len(self)} | {name: counts[name] for name in get_args(Outcome)}
        said = ", ".join(f"{count} {name}" for name, count in parts.items() if count)
        return f"queue: {said}" if said else ""
