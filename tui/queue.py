"""The queue of experiments, and when the next one starts."""

from __future__ import annotations

from collections.abc import Callable

from engine.training.requests import Train


class Queue(list[Train]):
    """Experiments in training order."""

    def __init__(self, start: Callable[[Train], None]) -> None:
        """`start` trains an experiment."""
        super().__init__()
        self._start = start

    def next_turn(self, *, busy: bool) -> None:
        """Start the first experiment, unless a run is under way (`busy`)."""
        if self and not busy:
            self._start(self.pop(0))

    def shift(self, turn: int, by: int) -> None:
        """Move the experiment at index `turn` by `by` positions; do nothing at either end."""
        if 0 <= turn + by < len(self):
            self[turn], self[turn + by] = self[turn + by], self[turn]
