"""Run folders for tests: written line by line, copied, or made of given numbers. Does not need PyTorch."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from engine.event import Event
from engine.runs.finding import pretrained
from engine.runs.folder import RunFolder, RunRecord
from engine.training.events import BatchTrained, EpochFinished, RunStarted
from engine.training.requests import Train
from tests.insides import insides

SHORT = Train(train_size=640, epochs=3, device="cpu", channels=4, hidden=16)
GOOD = b'{"type":"RunCancelled","run":"x","epoch":1}\n'
STARTED = (
    b'{"type":"RunStarted","run":"x","device":"cpu","device_name":"","threads":1,"versions":{},"train_size":1,'
    b'"val_size":1,"test_size":1,"image_shape":[1,28,28],"parameters":1,"started":"2026-01-01T00:00:00+01:00"}\n'
)
EPOCH = (
    b'{"type":"EpochFinished","epoch":1,"epochs":1,"train_loss":0.5,"val_loss":0.5,"val_accuracy":0.5,'
    b'"test_accuracy":0.5,"train_seconds":1.0,"eval_seconds":1.0,"images_per_second":1.0,"running_loss":[]}\n'
)
STARTED_EVENT = msgspec.json.decode(STARTED, type=RunStarted)
EPOCH_EVENT = msgspec.json.decode(EPOCH, type=EpochFinished)


def written(folder: Path, *parts: bytes) -> RunFolder:
    folder.mkdir(parents=True)
    run = RunFolder(folder)
    run.events_file.write_bytes(b"".join(parts))
    return run


def stopped(root: Path, name: str) -> RunFolder:
    """A run that was stopped after its first epoch."""
    run = made(root, name, Train(), [0.9])
    run.events_file.write_bytes(STARTED + EPOCH + GOOD)
    return run


def epoch_line(epoch: int, **changes: object) -> bytes:
    return msgspec.json.encode(msgspec.json.decode(EPOCH) | {"epoch": epoch, "epochs": 100_000} | changes) + b"\n"


def only(root: Path) -> RunFolder:
    (path,) = root.iterdir()
    return RunFolder(path)


def until(events: Iterator[Event], kind: type[Event]) -> Event:
    return next(event for event in events if isinstance(event, kind))


def advance(work: Iterator[Event], count: int) -> None:
    """Take the events of `count` steps; those of epochs come in between, when their files are on disk."""
    for _ in range(count):
        until(work, BatchTrained)


def copies(root: Path, count: int) -> list[RunFolder]:
    """`count` copies of a finished run."""
    source, folders = pretrained("cnn").path, []
    for number in range(count):
        folder = root / f"20260101-{number:06d}-cnn"
        (folder / "resume").mkdir(parents=True)
        for name in ("request.json", "events.jsonl"):
            shutil.copy(source / name, folder / name)
        folders.append(RunFolder(folder))
    return folders


def made(  # noqa: PLR0917
    root: Path,
    name: str,
    request: Train,
    accuracies: list[float],
    seconds: float = 2.0,
    robust: Sequence[float] = (),
    certified: Sequence[float] = (),
    *,
    looked_into: bool = False,
) -> RunFolder:
    """A run with these test accuracies per epoch; the epoch in the middle has the lowest validation loss.

    With `looked_into`, each epoch has made-up measurements of its layers.
    """
    (root / name / "resume").mkdir(parents=True)
    folder = RunFolder(root / name)
    folder.write_record(RunRecord(request, {}, "cpu", "2 threads", 2))
    middle = len(accuracies) // 2
    for number, accuracy in enumerate(accuracies):
        folder.append(
            EpochFinished(
                epoch=number + 1,
                epochs=len(accuracies),
                train_loss=0.5 / (number + 1),
                val_loss=0.1 + 0.01 * abs(number - middle) + 0.001 * request.seed,
                val_accuracy=accuracy - 0.001,
                test_accuracy=accuracy,
                train_seconds=seconds - 0.5,
                eval_seconds=0.5,
                images_per_second=1000.0,
                running_loss=(1.0, 0.5),
                robust_accuracy=robust[number] if robust else None,
                certified_accuracy=certified[number] if certified else None,
                insides=insides(number + 1) if looked_into else None,
            )
        )
    return folder
