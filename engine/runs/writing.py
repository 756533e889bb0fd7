"""Writing the files of an epoch, in a thread of its own, so that the next epoch is trained meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from engine.network.checkpoints import State, save_convolutions, save_state
from engine.network.requests import Architecture
from engine.runs.folder import MOST_EPOCHS, RunFolder, kept_at
from engine.training.events import EpochFinished, RobustnessCollapsed

Results = Sequence[EpochFinished | RobustnessCollapsed]
"""An epoch, and what it shows of the run."""


def write_epoch(folder: RunFolder, results: Results, architecture: Architecture, state: State, best: bool) -> None:
    """Write the results of an epoch: its weights, `state`, before its event and what follows it. Raises OSError.

    `best` is whether it is the best epoch so far.
    """
    event = results[0]
    if best:
        save_state(folder.best_file, architecture, state)
    save_state(folder.model_file, architecture, state)
    if kept_at(event.epoch, event.epoch):
        save_convolutions(folder.convolutions_file(event.epoch), state)
    if event.epoch % MOST_EPOCHS == 0:
        folder.thin_epochs(event.epoch)
    for each in results:
        folder.append(each)


class Writer:
    """A thread that writes one epoch at a time.

    Between `begin` and the call of `written` that returns the epoch, nothing else may write to its folder.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "run-writer")
        self._writing: Future[Results] | None = None

    def close(self) -> None:
        """End the thread, once it has written what it is writing."""
        self._thread.shutdown()

    def begin(self, write: Callable[[], Results]) -> None:
        """Call `write`, which returns what it has written, in the thread. The epoch before must have been `written`."""
        assert self._writing is None, "its event would be lost"
        self._writing = self._thread.submit(write)

    def written(self, *, wait: bool) -> Results:
        """The results of the epoch that is on disk since the last call, or none; `wait` for what is being written.

        Raises what its writing has raised, also at each later call.
        """
        if self._writing is None or not (wait or self._writing.done()):
            return []
        results = self._writing.result()
        self._writing = None  # only now, since the wait may be interrupted
        return results
