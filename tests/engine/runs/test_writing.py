"""Epochs that are written while the next one is trained, on a disk as slow as can be."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

import engine.runs.recording
import engine.runs.writing
from engine.data.datasets import Dataset
from engine.event import Event, PauseAsked
from engine.lab import Job, Lab
from engine.network.checkpoints import load_tensors
from engine.operations import end
from engine.runs.codec import RunEvent
from engine.runs.folder import RunFolder
from engine.runs.recording import resume_run, train_run
from engine.runs.requests import Resume
from engine.runs.writing import Results, Writer
from engine.training.events import (
    BatchEvaluated,
    BatchTrained,
    EpochFinished,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunPaused,
    RunStarted,
)
from engine.training.loop import TrainingFailed, train
from engine.training.requests import Train
from tests.conftest import patch_load
from tests.runs import advance, only, until

SHORT = Train(train_size=320, epochs=3, device="cpu", channels=4, hidden=16)
STEPS = 5
"""Of an epoch."""


@pytest.fixture(scope="module")
def whole(small: Dataset, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The run that nobody disturbed."""
    with pytest.MonkeyPatch.context() as patch:
        patch_load(patch, small)
        list(train_run(SHORT, root := tmp_path_factory.mktemp("whole")))
    return only(root)


@pytest.fixture(autouse=True)
def slow_disk(small_runs: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing of an epoch is written until the run waits for it."""
    begin, written, awaited = Writer.begin, Writer.written, threading.Event()

    def begin_(writer: Writer, write: Callable[[], Results]) -> None:
        awaited.clear()

        def late() -> Results:
            assert awaited.wait(60)
            return write()

        begin(writer, late)

    def written_(writer: Writer, *, wait: bool) -> Results:
        if wait:
            awaited.set()
        return written(writer, wait=wait)

    monkeypatch.setattr(Writer, "begin", begin_)
    monkeypatch.setattr(Writer, "written", written_)
    yield
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("run-writer")]


def kinds(events: list[Event] | list[RunEvent]) -> list[type[Event]]:
    return [type(event) for event in events]


def files(folder: RunFolder) -> dict[str, bytes]:
    """All weights of a run."""
    paths = [*folder.path.glob("*.safetensors"), *folder.epochs_folder.glob("*.safetensors")]
    return {path.name: path.read_bytes() for path in paths}


def assert_goes_on(folder: RunFolder, whole: RunFolder) -> None:
    """A resumed run ends as the one that nobody disturbed."""
    assert isinstance(list(resume_run(Resume(what=str(folder.path)), folder.path.parent))[-1], RunFinished)
    assert files(folder) == files(whole)
    assert [epoch.val_loss for epoch in folder.history().epochs] == [epoch.val_loss for epoch in whole.history().epochs]


def full(*_: object) -> None:
    raise OSError(28, os.strerror(28))


def test_the_next_epoch_is_trained_meanwhile(tmp_path: Path, whole: RunFolder) -> None:
    told = []
    for event in train_run(SHORT, tmp_path):
        if isinstance(event, EpochFinished):
            folder = only(tmp_path)
            assert folder.history().epoch == event.epoch
            tensors, metadata = load_tensors(folder.state_file)
            assert msgspec.json.decode(metadata["progress"])["epoch"] == event.epoch
            weights = load_tensors(folder.model_file)[0]
            assert all((tensors[f"model.{key}"] == weights[key]).all() for key in weights)
        told.append(event)
    places = [at for at, event in enumerate(told) if isinstance(event, EpochFinished)]
    for epoch, at in enumerate(places[:-1], 1):  # it came when the run began to wait
        steps = [(e.epoch, e.step) for e in told[at - STEPS : at] if isinstance(e, BatchTrained)]
        assert steps == [(epoch + 1, step) for step in range(1, STEPS + 1)]
        assert isinstance(told[at + 1], BatchEvaluated)
    assert kinds(told[places[-1] :]) == [EpochFinished, RunFinished]
    assert files(only(tmp_path)) == files(whole)


def test_what_announces_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace, append, order = Path.replace, RunFolder.append, list[str]()

    def replace_(path: Path, target: Path) -> Path:
        order.append(target.name)
        return replace(path, target)

    def append_(folder: RunFolder, event: RunEvent) -> None:
        order.append(type(event).__name__)
        append(folder, event)

    monkeypatch.setattr(Path, "replace", replace_)
    monkeypatch.setattr(RunFolder, "append", append_)
    epochs = [event for event in train_run(SHORT, tmp_path) if isinstance(event, EpochFinished)]
    lowest = [epochs[0].val_loss + 1, *(min(e.val_loss for e in epochs[:n]) for n in (1, 2))]
    wanted = []
    for epoch, before in zip(epochs, lowest, strict=True):
        best = ["best.safetensors"] if epoch.val_loss < before else []
        wanted += ["state.safetensors", *best, "model.safetensors", f"{epoch.epoch:04d}.safetensors", "EpochFinished"]
    assert order[order.index("RunStarted") :] == ["RunStarted", *wanted, "RunFinished"]


def test_a_pause_while_an_epoch_is_written(tmp_path: Path, whole: RunFolder) -> None:
    work = train_run(SHORT, tmp_path)
    advance(work, STEPS + 2)
    folder = only(tmp_path)
    assert folder.history().epoch == 0
    events = [work.throw(PauseAsked()), next(work)]
    assert kinds(events) == [EpochFinished, RunPaused]
    assert events[1] == RunPaused(run=folder.name, epoch=1)
    assert kinds(folder.events()) == [RunStarted, EpochFinished, RunPaused]
    _, metadata = load_tensors(folder.state_file)  # that of the pause, not of the epoch
    progress = msgspec.json.decode(metadata["progress"])
    assert (progress["epoch"], progress["sums"]["step"]) == (1, 2)
    work.close()
    assert_goes_on(folder, whole)


@pytest.mark.parametrize("how", ["end", "close", "interrupt"])
def test_a_stop_while_an_epoch_is_written(tmp_path: Path, whole: RunFolder, how: str) -> None:
    work = train_run(SHORT, tmp_path)
    advance(work, STEPS + 2)
    folder = only(tmp_path)
    if how == "end":
        assert kinds(list(end(work))) == [EpochFinished, RunCancelled]
    elif how == "close":
        work.close()
    else:
        with pytest.raises(KeyboardInterrupt):
            work.throw(KeyboardInterrupt())
    assert kinds(folder.events()) == [RunStarted, EpochFinished, RunCancelled]
    assert folder.events()[-1] == RunCancelled(run=folder.name, epoch=1)
    assert_goes_on(folder, whole)


def test_a_full_disk_ends_the_run_before_its_next_evaluation(
    tmp_path: Path, whole: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(engine.runs.writing, "save_state", full)
        events = list(train_run(SHORT, tmp_path))
    assert not [event for event in events if isinstance(event, EpochFinished)]
    assert kinds(events[-STEPS - 1 :]) == [*[BatchTrained] * STEPS, RunFailed]
    folder = only(tmp_path)
    assert kinds(folder.events()) == [RunStarted, RunFailed]
    assert folder.history().reason.startswith(f"cannot write to {folder.path} (No space left on device)")
    assert_goes_on(folder, whole)


def test_a_stop_while_the_disk_is_full(tmp_path: Path, whole: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state of a later step is not saved then: without its line, the epoch before it would be lost."""
    work = train_run(SHORT, tmp_path)
    advance(work, STEPS + 2)
    folder = only(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(engine.runs.writing, "save_state", full)
        assert list(end(work)) == [RunCancelled(run=folder.name, epoch=0)]
    assert kinds(folder.events()) == [RunStarted, RunCancelled]
    assert_goes_on(folder, whole)


@pytest.mark.parametrize("disk", ["with room", "full"])
def test_a_failure_while_an_epoch_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: str) -> None:
    def failing(request: Train, data: Dataset, state: object, _: object) -> Iterator[Event]:
        for event in train(request, data, state):  # type: ignore[arg-type]
            if isinstance(event, BatchTrained) and (event.epoch, event.step) == (2, 2):
                raise TrainingFailed("it diverged")
            yield event

    monkeypatch.setattr(engine.runs.recording, "train", failing)
    if disk == "full":
        monkeypatch.setattr(engine.runs.writing, "save_state", full)
    events = list(train_run(SHORT, tmp_path))
    folder = only(tmp_path)
    ended = [RunFailed] if disk == "full" else [EpochFinished, RunFailed]
    assert kinds(events[-len(ended) :]) == ended
    assert isinstance(events[-len(ended) - 1], BatchTrained)
    assert kinds(folder.events()) == [RunStarted, *ended]
    assert ("No space left" if disk == "full" else "it diverged") in folder.history().reason


def test_a_stop_at_the_end_of_a_run(tmp_path: Path, whole: RunFolder) -> None:
    """Its last epoch is announced, but the run is not."""
    work = train_run(SHORT, tmp_path)
    advance(work, 3 * STEPS)
    assert until(work, EpochFinished) == until(iter(only(tmp_path).events()[-1:]), EpochFinished)
    assert kinds(list(end(work))) == [RunCancelled]
    assert_goes_on(only(tmp_path), whole)


def test_the_laboratory_tells_an_epoch_before_its_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin, jobs = Writer.begin, list[Job]()
    changed = threading.Event()

    def begin_(writer: Writer, write: Callable[[], Results]) -> None:
        jobs[0].pause()
        begin(writer, write)

    monkeypatch.setattr(Writer, "begin", begin_)
    lab = Lab(tmp_path, changed.set)
    jobs.append(job := lab.submit(SHORT))
    events = list[Event]()
    while job.state != "paused":
        assert changed.wait(60)
        changed.clear()
        events += [event for _, event in lab.drain()]
    events += [event for _, event in lab.drain()]
    assert [(a, b) for a, b in pairwise(kinds(events)) if b is RunPaused] == [(EpochFinished, RunPaused)]
    assert lab.close()
