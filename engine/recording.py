"""A training run from request to run folder: the one place where events and weights are written to disk."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from datetime import datetime
from pathlib import Path

import torch

from engine.checkpoints import save_convolutions, save_tensors, save_weights
from engine.data import Dataset, load
from engine.devices import choose_device, device_name, set_threads, versions
from engine.events import Cancelled, EpochFinished, Event, RunCancelled, RunFailed, RunFinished, RunStarted
from engine.history import RunHistory
from engine.model import count_parameters
from engine.requests import RequestError, Train
from engine.runs import RunFolder, RunRecord
from engine.training import TrainingFailed, TrainingState, train


def train_run(request: Train, root: Path) -> Generator[Event, None, None]:
    """Train in a new folder under `root`.

    The weights of an epoch are on disk before its EpochFinished is. Ends with RunFinished, or with RunFailed where
    the loss, the memory or the disk gave out, or with RunCancelled where Cancelled was thrown in. Raises RequestError
    where it could not even begin.
    """
    device = choose_device(request.device)
    try:
        data = yield from load(request.dataset, device)
    except (torch.OutOfMemoryError, MemoryError):
        raise RequestError(f"{request.dataset} does not fit in the memory of {device}: free some") from None
    if request.batch_size > (size := min(request.train_size, len(data.train))):
        raise RequestError(f"batch size {request.batch_size} is more than the {size} training images")
    folder = RunFolder.create(root, request.variant)
    history = RunHistory(folder.name)
    try:
        for event in _train_in(folder, request, data, device):
            history.add(event)
            yield event
    except (Cancelled, GeneratorExit, KeyboardInterrupt) as end:
        if history.state == "finished":  # too late to cancel anything
            if isinstance(end, Cancelled):
                return
            raise
        cancelled = RunCancelled(run=folder.name, epoch=len(history.epochs))
        with contextlib.suppress(OSError):
            folder.append(cancelled)
        if not isinstance(end, Cancelled):
            raise
        yield cancelled
    except Exception as error:
        reason = _reason(error, request, folder)
        fault = f"{type(error).__name__}: {error}".splitlines()[0]
        failed = RunFailed(run=folder.name, reason=reason or fault)
        with contextlib.suppress(OSError):
            folder.append(failed)
        if not reason:
            raise
        yield failed


def _train_in(folder: RunFolder, request: Train, data: Dataset, device: torch.device) -> Generator[Event, None, None]:
    threads = set_threads(request.threads)
    name = device_name(device)
    state = TrainingState.fresh(request, device)
    folder.write_record(RunRecord(request, versions(), str(device), name, threads))
    save_weights(folder.model_file, state.model)
    save_convolutions(folder.convolutions_file(0), state.model)
    started = RunStarted(
        run=folder.name,
        device=str(device),
        device_name=name,
        threads=threads,
        versions=versions(),
        train_size=min(request.train_size, len(data.train)),
        val_size=len(data.val),
        test_size=len(data.test),
        image_shape=data.image_shape,
        parameters=count_parameters(state.model),
        started=datetime.now().astimezone().isoformat(timespec="seconds"),
    )
    folder.append(started)
    yield started
    best: EpochFinished | None = None
    last: EpochFinished | None = None
    for event in train(request, data, state):
        if isinstance(event, EpochFinished):
            last = event
            if best is None or event.val_loss < best.val_loss:
                best = event
                save_weights(folder.best_file, state.model)
            save_tensors(folder.state_file, state.tensors(), {"epoch": str(state.epoch)})
            save_weights(folder.model_file, state.model)
            save_convolutions(folder.convolutions_file(event.epoch), state.model)
            folder.append(event)
        yield event
    assert best is not None, "a run has at least one epoch"
    assert last is not None
    finished = RunFinished(
        run=folder.name,
        best_epoch=best.epoch,
        best_val_loss=best.val_loss,
        test_accuracy=best.test_accuracy,
        last_test_accuracy=last.test_accuracy,
    )
    folder.append(finished)
    yield finished


def _reason(error: BaseException, request: Train, folder: RunFolder) -> str:
    """What went wrong and what to do about it, in one line; empty where it is a fault of ours."""
    if isinstance(error, TrainingFailed):
        return str(error)
    if isinstance(error, OSError):
        return f"cannot write to {folder.path} ({error.strerror}): make room or give another place with --runs"
    if isinstance(error, torch.OutOfMemoryError) or "ALLOC_FAILED" in str(error):  # the latter from CUDA's libraries
        return (
            f"out of GPU memory: lower --batch-size ({request.batch_size}), --channels ({request.channels}) "
            f"or --hidden ({request.hidden}), or take --device cpu"
        )
    if isinstance(error, MemoryError) or "allocate memory" in str(error):
        return (
            f"out of memory: lower --batch-size ({request.batch_size}), --channels ({request.channels}) "
            f"or --hidden ({request.hidden})"
        )
    return ""
