"""What the folder of one run tells about it, for a closer look than a line of a list."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from engine.event import Event
from engine.runs.events import RunRead
from engine.runs.finding import find_run
from engine.runs.history import RunHistory
from engine.runs.requests import ReadRun
from engine.training.events import EpochFinished

POINTS = 200
"""Number of epochs of a longer run that its curves keep, at equal intervals: enough for a small chart."""


def read_run(request: ReadRun, root: Path) -> Generator[Event, None, None]:
    """Read a run. Raises RequestError where it does not exist or is damaged."""
    folder = find_run(request.what, root)
    record, history = folder.read_record(), folder.told()
    best = history.best
    kept = _thinned(history, best)
    started = history.started
    yield RunRead(
        run=folder.what if folder.bundled else folder.name,
        request=record.request,
        device=started.device if started else record.device,
        device_name=started.device_name if started else record.device_name,
        threads=started.threads if started else record.threads,
        versions=started.versions if started else record.versions,
        begun=history.begun,
        best=best,
        last=history.epochs[-1] if history.epochs else None,
        reason=history.reason,
        epochs=tuple(each.epoch for each in kept),
        curves={field: tuple(getattr(each, field) for each in kept) for field in history.fields},
        usage=history.usage,
        collapsed=history.collapsed,
    )


def _thinned(history: RunHistory, best: EpochFinished | None) -> list[EpochFinished]:
    """Some epochs at equal intervals, always with the first, the best and the last."""
    stride = -(-len(history.epochs) // POINTS) or 1
    last = len(history.epochs) - 1
    return [each for n, each in enumerate(history.epochs) if n % stride == 0 or n == last or each is best]
