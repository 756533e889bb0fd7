"""A training run from request to run folder: the only place where a run's events and weights are written to disk."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Generator
from datetime import datetime
from pathlib import Path

import msgspec
import torch
from msgspec import Struct
from msgspec.structs import replace

from engine.data.datasets import Dataset
from engine.event import Cancelled, Event, PauseAsked
from engine.libraries import not_loaded
from engine.network.checkpoints import load_tensors, save_convolutions, save_tensors, save_weights
from engine.network.devices import choose_device, device_name, device_uuid, set_threads, versions
from engine.network.gpu import bf16_pays, check_precision, failure, out_of_memory
from engine.network.machine import description
from engine.network.model import count_parameters
from engine.paths import cautions
from engine.request import RequestError
from engine.runs.finding import find_run, newest_unfinished
from engine.runs.folder import RunFolder, RunRecord, owner
from engine.runs.history import RunHistory
from engine.runs.processes import SILENCE, Process, claimed, watched
from engine.runs.requests import Resume
from engine.runs.writing import Results, Writer, write_epoch
from engine.telemetry.meter import Meter
from engine.telemetry.sampler import metered
from engine.training.events import (
    BatchEvaluated,
    EpochFinished,
    RunCancelled,
    RunContinued,
    RunFailed,
    RunFinished,
    RunPaused,
    RunStarted,
)
from engine.training.loading import load_for
from engine.training.loop import TrainingFailed, prepared, train
from engine.training.requests import Train
from engine.training.state import Sums, TrainingState, steps_an_epoch


def train_run(request: Train, root: Path) -> Generator[Event, None, None]:
    """Train in a new folder under `root`.

    The files of an epoch are written while the next one is trained, and its EpochFinished comes when all are on disk,
    before the next one is evaluated; nothing else is being written then. Ends with RunFinished; with RunFailed where
    the loss diverged, or memory or disk space ran out; or with RunCancelled where Cancelled was thrown in or there is a
    file `resume/stop`, with everything needed to resume the run at this step on disk. These, and RunPaused where
    PauseAsked was thrown in, come after the EpochFinished of an epoch that is being written. Raises RequestError where
    it could not start.
    """
    device = choose_device(request.device)
    check_precision(request.precision, device)
    data = yield from load_for(request, device)
    folder = RunFolder.create(root, request.variant)
    run: _Run | None = None
    try:
        with claimed(folder.lock_file), watched(folder.lock_file, folder.stop_file) as asked:
            run = _Run(folder, request, data, device)
            with contextlib.closing(run.writer), metered(device_uuid(device)) as run.meter:
                yield from _recorded(run, asked)
    finally:
        if run is None or run.history.started is None:  # it never started, for example on a full disk
            shutil.rmtree(folder.path, ignore_errors=True)


def resume_run(request: Resume, root: Path) -> Generator[Event, None, None]:
    """Resume a run: with the same device, versions and number of threads, the results are the same bit for bit.

    Where one of these has changed, RunStarted reports it. Events as from `train_run`. Raises RequestError where the run
    does not exist, is finished, is being trained by another process, or has damaged files; and, without `force`, where
    a process that is not visible from here may be training it.
    """
    folder = find_run(request.what, root) if request.what else newest_unfinished(root)
    if folder.bundled:
        raise RequestError(f"{folder.what} ships with the program and is finished: train a run of your own")
    record = folder.read_record()
    with claimed(folder.lock_file) as free:
        history = folder.history()
        if history.state == "finished":
            raise RequestError(f"run {folder.name} is finished: all of its {history.total_epochs} epochs are done")
        if not folder.process_file.exists():
            raise RequestError(f"run {folder.name} was not trained here, so it cannot be resumed")
        if free is False:
            raise RequestError(f"run {folder.name} is already running in {owner(folder)}: stop it there first")
        if history.under_way and not request.force and not folder.abandoned(free and False):
            raise RequestError(
                f"run {folder.name} may still be running in {owner(folder)}, which is not visible from here and was "
                f"active {folder.silence():.0f} s ago: if it has ended, wait {SILENCE:.0f} s or add --force"
            )
        before = replace(record.request, threads=record.threads)
        device = choose_device(before.device if request.device == "auto" else request.device)
        data = yield from load_for(before, device)
        run = _Run(folder, before, data, device, record)
        run.restore(history)
        with (
            watched(folder.lock_file, folder.stop_file) as asked,
            contextlib.closing(run.writer),
            metered(device_uuid(device)) as run.meter,
        ):
            yield from _recorded(run, asked)


def _recorded(run: _Run, asked: threading.Event) -> Generator[Event, None, None]:
    """The events of `run`, including the last one, however it ends; `asked` is set to stop it."""
    folder, history = run.folder, run.history
    late: Results = ()
    try:
        for event in run.events():
            history.add(event)
            try:
                yield event
            except PauseAsked:
                yield from _pause(run)
            if asked.is_set():
                raise Cancelled
    except (Cancelled, GeneratorExit, KeyboardInterrupt) as end:
        if history.state == "finished":  # too late to stop it
            if isinstance(end, Cancelled):
                return
            raise
        with contextlib.suppress(OSError):
            late = run.written(wait=True)
            if not isinstance(end, KeyboardInterrupt):  # which may come within a step: the saved state stays
                run.save()
        stopped = RunCancelled(run=folder.name, epoch=history.epoch)
        with contextlib.suppress(OSError):
            folder.append(stopped)
        if not isinstance(end, Cancelled):
            raise
        yield from late
        yield stopped
    except Exception as error:
        cause: Exception = error
        try:
            late = run.written(wait=True)
        except Exception as unwritten:  # then what a failed training says of the last epoch is not so
            cause = unwritten
        reason = _reason(cause, run.request, folder)
        fault = f"{type(cause).__name__}: {cause}".splitlines()[0]
        failed = RunFailed(run=folder.name, reason=reason or fault)
        with contextlib.suppress(OSError):
            folder.append(failed)
        if not reason:
            raise
        for event in late:
            with contextlib.suppress(PauseAsked, Cancelled):  # it ends anyway, and says why
                yield event
        yield failed


def _pause(run: _Run) -> Generator[Event, None, None]:
    """The events of a pause, once everything is on disk."""
    yield from run.written(wait=True)
    run.save()
    run.folder.append(paused := RunPaused(run=run.folder.name, epoch=run.history.epoch))
    run.history.add(paused)
    with run.meter.paused():
        yield paused
    run.folder.append(continued := RunContinued(run=run.folder.name))
    run.history.add(continued)
    yield continued


class _Progress(Struct):
    """The metadata of a state file."""

    epoch: int
    sums: Sums
    last: EpochFinished | None
    """The last epoch, since a kill may come before its event is written."""
    best: EpochFinished | None = None
    """The best epoch so far, since its line may be lost."""


class _Run:
    """A run with its folder, new or resumed."""

    def __init__(
        self, folder: RunFolder, request: Train, data: Dataset, device: torch.device, before: RunRecord | None = None
    ) -> None:
        self.folder, self.request, self.data, self.device = folder, request, data, device
        self.threads = set_threads(request.threads)
        machine = description(device, request.precision)
        self.record = RunRecord(request, versions(), str(device), device_name(device), self.threads, machine)
        self.state = TrainingState.fresh(request, device)
        self.history = RunHistory(folder.name)
        """Of the epochs that are on disk."""
        self.writer = Writer()
        self.meter = Meter()
        """What it uses; `metered` gives one that gets samples."""
        self._untold: EpochFinished | None = None
        """The last epoch of the state, if it is missing in the events."""
        self._before = before
        """The record in `request.json` of a resumed run."""

    def restore(self, history: RunHistory) -> None:
        """Restore the state on disk; `events` repairs what a kill left behind. Raises RequestError."""
        self.history, folder, state, progress = history, self.folder, self.state, None
        if folder.state_file.exists():  # otherwise it was killed before its first epoch ended
            tensors, metadata = load_tensors(folder.state_file)
            try:
                progress = msgspec.json.decode(metadata["progress"], type=_Progress)
                images = min(self.request.train_size, len(self.data.train))
                state.restore(tensors, progress.sums, steps_an_epoch(self.request, images))
            except KeyError:
                raise RequestError(f"{folder.state_file} is not the state of a run, so it cannot be resumed") from None
            except (ValueError, RecursionError) as error:  # msgspec's among them
                raise RequestError(
                    f"{folder.state_file} is not the state of this run ({error}), so it cannot be resumed"
                ) from None
            state.epoch = progress.epoch
        told, last = history.epoch, progress.last if progress else None
        # A kill can lose the line of one epoch, only at its end; damage to the file can lose any.
        lost = state.epoch > told if history.damaged_lines else state.epoch == told + 1 and not state.sums.step
        if lost and last and last.epoch == state.epoch:
            self._untold = last
        elif state.epoch != told:
            raise RequestError(
                f"{folder.state_file} is of epoch {state.epoch}, the events of epoch {told}, so it cannot be resumed"
            )
        if progress and progress.best and progress.best.epoch <= state.epoch:
            history.put_back(progress.best)

    def save(self) -> None:
        """Write everything needed to resume the run here. Raises OSError."""
        if not self.state.epoch and not self.state.sums.step:
            return
        last = self.history.epochs[-1] if self.history.epochs else None
        tensors = self.state.tensors()
        if all(bool(value.isfinite().all()) for value in tensors.values()):  # else it diverged: the last state stays
            save_tensors(self.folder.state_file, tensors, self._metadata(last, self.history.best))

    def _metadata(self, last: EpochFinished | None, best: EpochFinished | None) -> dict[str, str]:
        """The metadata of a state file."""
        progress = _Progress(self.state.epoch, self.state.sums, last, best)
        return {"progress": msgspec.json.encode(progress).decode()}

    def written(self, *, wait: bool = False) -> Results:
        """The epoch that has come to disk since the last call, if any; as `Writer.written`, from which it raises."""
        for event in (events := self.writer.written(wait=wait)):
            self.history.add(event)
        return events

    def _results(self, epoch: EpochFinished) -> Results:
        """`epoch`, which is not in the history yet, and what it shows of the run."""
        collapsed = self.history.collapse(epoch)
        return (epoch, collapsed) if collapsed else (epoch,)

    def events(self) -> Generator[Event, None, None]:
        """From RunStarted to RunFinished."""
        folder, state = self.folder, self.state
        folder.sweep()
        folder.write_process(Process.own())
        if self._before is None:
            folder.write_record(self.record)
        if not state.epoch and not folder.convolutions_file(0).exists():
            save_weights(folder.model_file, state.result)
            save_convolutions(folder.convolutions_file(0), state.result.state_dict())
        if self._untold:
            results = self._results(self._untold)
            for each in results:
                self.history.add(each)
            if state.sums.step:  # its weights are on disk, and the model has been trained further
                for each in results:
                    folder.append(each)
            else:
                improves, weights = self.history.best is self._untold, state.result.state_dict()
                write_epoch(folder, results, state.model.architecture, weights, improves)
        chunks = prepared(self.request, self.data, state)
        started = self._started(chunks.graph if chunks else None)
        folder.append(started)
        yield started
        self.meter.begin()
        for event in train(self.request, self.data, state, chunks):
            if isinstance(event, EpochFinished):
                self._write(replace(event, usage=self.meter.epoch()))
            else:
                # One epoch at a time: it comes before the evaluation of the next one, however slow the disk.
                yield from self.written(wait=isinstance(event, BatchEvaluated))
                yield event
        yield from self.written(wait=True)
        best, last = self.history.best, self.history.epochs[-1]
        assert best is not None, "a run has at least one epoch"
        finished = RunFinished(
            run=folder.name,
            best_epoch=best.epoch,
            best_val_loss=best.val_loss,
            test_accuracy=best.test_accuracy,
            last_test_accuracy=last.test_accuracy,
            robust_accuracy=best.robust_accuracy,
            certified_accuracy=best.certified_accuracy,
        )
        folder.append(finished)
        yield finished

    def _write(self, event: EpochFinished) -> None:
        """Have the epoch that has just ended written: first the state, from which a kill can be mended.

        The writer gets a copy, since the next epoch changes weights and moments in place.
        """
        folder, architecture, before = self.folder, self.state.model.architecture, self.history.best
        best = event if before is None or event.merit > before.merit else before
        tensors, metadata, results = self.state.tensors(), self._metadata(event, best), self._results(event)
        prefix = "average." if self.state.average else "model."  # those of `state.result`

        def write() -> Results:
            save_tensors(folder.state_file, tensors, metadata)
            weights = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
            write_epoch(folder, results, architecture, weights, best is event)
            return results

        self.writer.begin(write)

    def _slow(self) -> list[str]:
        """That the precision is slow here, if it is."""
        if self.request.precision == "bf16" and not bf16_pays(self.device):
            return [f"bf16 is far slower than fp32 on this {self.device.type.upper()}: use --precision fp32"]
        return []

    def _started(self, graph: bool | None) -> RunStarted:
        data = self.data
        return RunStarted(
            run=self.folder.name,
            device=self.record.device,
            device_name=self.record.device_name,
            threads=self.threads,
            versions=self.record.versions,
            train_size=min(self.request.train_size, len(data.train)),
            val_size=len(data.val),
            test_size=len(data.test),
            image_shape=data.image_shape,
            parameters=count_parameters(self.state.model),
            started=datetime.now().astimezone().isoformat(timespec="milliseconds"),
            cautions=(*cautions(self.folder.path), *self._slow()),
            graph=graph,
            resumed_from=None if self._before is None else self.state.epoch,
            differences=() if self._before is None else _differences(self._before, self.record),
        )


def _differences(before: RunRecord, now: RunRecord) -> tuple[str, ...]:
    """What has changed of everything that the last digits of a result depend on."""
    pairs = [("device", before.device_name, now.device_name), ("threads", before.threads, now.threads)]
    pairs += [(name, before.versions.get(name), version) for name, version in now.versions.items()]
    # What an older version did not record, or only the other device has, cannot be compared.
    pairs += [(name, before.machine[name], found) for name, found in now.machine.items() if name in before.machine]
    return tuple(f"{name} {now} instead of {before}" for name, before, now in pairs if before != now)


def _reason(error: BaseException, request: Train, folder: RunFolder) -> str:
    """What went wrong and what to do about it, in one line; empty where it is a bug."""
    if isinstance(error, TrainingFailed):
        return str(error)
    if words := not_loaded(error):
        return words
    if isinstance(error, OSError):
        full = (
            f"cannot write to {folder.path} ({error.strerror}): free disk space, or choose another folder with --runs"
        )
        gone = f"{folder.path} no longer exists: it was moved or deleted during training"
        return full if folder.path.is_dir() else gone
    lower = f"lower --batch-size ({request.batch_size}), --channels ({request.channels}) or --hidden ({request.hidden})"
    if words := failure(error):
        return f"{words}, or {lower}" if out_of_memory(error) else words
    return f"out of memory: {lower}" if isinstance(error, MemoryError) or "allocate memory" in str(error) else ""
