"""A trial of a search: an experiment that is trained only to see how good it gets. It leaves no files."""

from __future__ import annotations

import time
from collections.abc import Callable

from engine.request import DeviceFailed, RequestError
from engine.training.events import EpochFinished
from engine.training.requests import Train

LOOK = 1.0
"""Seconds between two looks whether to stop."""

Report = Callable[[int, EpochFinished | None, float], None]
"""Takes the number of finished epochs, the best epoch so far if there is one, and the seconds so far."""


def train_trial(request: Train, threads: int, report: Report, asked_to_stop: Callable[[], bool]) -> None:
    """Train `request`, and `report` after each epoch; where it can't be trained, or diverges, only that it has ended.

    `threads` is the number of CPU threads where the request names none.
    """
    from engine.data.datasets import load
    from engine.network.devices import choose_device, share_cores
    from engine.network.gpu import check_precision, out_of_memory
    from engine.training.loop import TrainingFailed, train
    from engine.training.state import TrainingState

    share_cores(threads)
    best: EpochFinished | None = None
    seconds, epoch, looked = 0.0, 0, time.monotonic()
    try:
        device = choose_device(request.device)
        check_precision(request.precision, device)
        loading = load(request.dataset, device)
        while True:
            try:
                next(loading)
            except StopIteration as loaded:
                data = loaded.value
                break
        for event in train(request, data, TrainingState.fresh(request, device)):
            if isinstance(event, EpochFinished):
                epoch, seconds = event.epoch, seconds + event.train_seconds + event.eval_seconds
                best = event if best is None or event.merit > best.merit else best
                report(epoch, best, seconds)
            if time.monotonic() - looked >= LOOK:
                looked = time.monotonic()
                if asked_to_stop():
                    return
    except (TrainingFailed, RequestError, DeviceFailed, MemoryError):
        report(epoch + 1, best, seconds)
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        report(epoch + 1, best, seconds)
