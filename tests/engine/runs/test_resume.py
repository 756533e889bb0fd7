"""A run that was stopped, paused or killed, and goes on: to the last bit as if nothing had been."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
import torch
from msgspec.structs import asdict, replace

import engine.runs.writing
from engine.data.datasets import Dataset
from engine.event import Event, PauseAsked
from engine.network.checkpoints import State, load_tensors, save_state, save_tensors
from engine.network.machine import processor
from engine.network.requests import Architecture
from engine.operations import end
from engine.request import RequestError
from engine.runs.finding import newest_unfinished, unfinished
from engine.runs.folder import RunFolder
from engine.runs.recording import resume_run, train_run
from engine.runs.requests import Resume
from engine.training.events import (
    BatchEvaluated,
    BatchTrained,
    EpochFinished,
    RunCancelled,
    RunContinued,
    RunFailed,
    RunFinished,
    RunPaused,
    RunStarted,
)
from engine.training.requests import CERTIFYING, ObjectiveName, Train
from tests import kill_and_resume
from tests.conftest import patch_load
from tests.runs import advance, only, until

SHORT = Train(train_size=320, epochs=3, device="cpu", channels=4, hidden=16, batch_norm=True)
STEPS = 5
"""Of an epoch."""
TIMES = {"train_seconds", "eval_seconds", "images_per_second", "usage"}


class Killed(BaseException):
    """What no handler catches, as no handler catches SIGKILL."""


@pytest.fixture(autouse=True)
def small_data(small_runs: None) -> None:
    """On few images."""


def files(folder: RunFolder) -> dict[str, bytes]:
    """All weights of a run."""
    return {
        str(path.relative_to(folder.path)): path.read_bytes()
        for path in folder.path.rglob("*.safetensors")
        if "resume" not in path.parts
    }


def epochs(folder: RunFolder) -> list[dict[str, Any]]:
    """What the events say of each epoch, but for its times and what it used."""
    return [{k: v for k, v in asdict(epoch).items() if k not in TIMES} for epoch in folder.history().epochs]


@pytest.fixture(scope="module")
def whole(small: Dataset, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The run that nobody disturbed."""
    with pytest.MonkeyPatch.context() as patch:
        patch_load(patch, small)
        list(train_run(SHORT, root := tmp_path_factory.mktemp("whole")))
    return only(root)


def resumed(folder: RunFolder) -> list[Event]:
    return list(resume_run(Resume(what=str(folder.path)), folder.path.parent))


def assert_same(folder: RunFolder, whole: RunFolder) -> None:
    assert folder.history().state == "finished"
    assert epochs(folder) == epochs(whole)
    assert files(folder) == files(whole)


@pytest.mark.parametrize("after", [0, 1, 3, 4, 5, 6, 8, 10, 11, 14, 15])
def test_stopped_after_any_step(tmp_path: Path, whole: RunFolder, after: int) -> None:
    work = train_run(SHORT, tmp_path)
    next(work)
    advance(work, after)
    assert isinstance(list(end(work))[-1], RunCancelled)
    folder = only(tmp_path)
    assert folder.history().state == "stopped"
    before = len(folder.history().epochs)
    events = resumed(folder)
    started = events[0]
    assert isinstance(started, RunStarted)
    assert (started.resumed_from, started.differences) == (before, ())
    assert isinstance(events[-1], RunFinished)
    batches = [event for event in events if isinstance(event, BatchTrained)]
    assert len(batches) == 3 * STEPS - after
    assert_same(folder, whole)


def test_stopped_again_and_again(tmp_path: Path, whole: RunFolder) -> None:
    work = train_run(SHORT, tmp_path)
    for steps in (2, 1, 4, 3, 5):
        advance(work, steps)
        list(end(work))
        work = resume_run(Resume(), tmp_path)
    list(work)
    assert_same(only(tmp_path), whole)


def test_killed_before_any_write(tmp_path: Path, whole: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file comes into place by a rename, each event by an fsync: the process dies before the n-th of them."""
    plain_replace, plain_fsync, left = Path.replace, os.fsync, [0]

    def counted() -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Killed

    def replace_(path: Path, target: Path) -> Path:
        counted()
        return plain_replace(path, target)

    def fsync(number: int) -> None:
        counted()
        plain_fsync(number)

    died = 0
    monkeypatch.setattr(Path, "replace", replace_)
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)  # the dead tidy up nothing
    for number in range(5, 62, 2):  # from where it is known what was asked for
        root = tmp_path / str(number)
        left[0] = number
        try:
            list(train_run(SHORT, root))
        except Killed:
            died += 1
            left[0] = 0
            if only(root).history().state != "finished":  # its last word may be there already
                resumed(only(root))
        assert_same(only(root), whole)
    assert died > 15


def test_a_pause_is_on_disk(tmp_path: Path, whole: RunFolder) -> None:
    work = train_run(SHORT, tmp_path)
    for event in work:
        if isinstance(event, BatchTrained) and (event.epoch, event.step) == (2, 3):
            break
    assert paused(work)[-1] == RunPaused(run=only(tmp_path).name, epoch=1)
    folder = only(tmp_path)
    assert folder.history().state == "paused"
    with pytest.raises(RequestError, match=f"running in process {os.getpid()}"):
        resumed(folder)
    copy = RunFolder(tmp_path / "copy" / folder.name)  # as it is if the process is killed now
    copy.path.parent.mkdir()
    shutil.copytree(folder.path, copy.path)
    assert copy.history().state == "interrupted"
    resumed(copy)
    assert_same(copy, whole)
    assert next(work) == RunContinued(run=folder.name)
    list(work)
    assert_same(folder, whole)


def test_one_process_at_a_time(tmp_path: Path, whole: RunFolder) -> None:
    folder = stopped(tmp_path, 6)
    first, second = (resume_run(Resume(what=str(folder.path)), tmp_path) for _ in range(2))
    assert isinstance(next(first), RunStarted)
    with pytest.raises(RequestError, match="stop it there first"):
        next(second)
    list(first)
    assert_same(folder, whole)


def test_an_interrupt_within_a_step_leaves_what_is_on_disk(tmp_path: Path, whole: RunFolder) -> None:
    work = train_run(SHORT, tmp_path)
    until(work, EpochFinished)
    next(work)
    folder = only(tmp_path)
    kept = folder.state_file.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        work.throw(KeyboardInterrupt())
    assert folder.state_file.read_bytes() == kept
    resumed(folder)
    assert_same(folder, whole)


def test_half_a_line_is_cut_off(tmp_path: Path, whole: RunFolder) -> None:
    stopped(tmp_path, 5)
    folder = only(tmp_path)
    with folder.events_file.open("ab") as file:
        file.write(b'{"type":"EpochFin')
    assert folder.history().state == "stopped"
    resumed(folder)
    assert b'EpochFin{"' not in folder.events_file.read_bytes()
    assert_same(folder, whole)


def stopped(root: Path, after: int, request: Train = SHORT) -> RunFolder:
    work = train_run(request, root)
    advance(work, after)
    list(end(work))
    return only(root)


def paused(work: Generator[Event, None, None]) -> list[Event]:
    """What comes of asking for a pause, up to it."""
    events = [work.throw(PauseAsked())]
    while isinstance(events[-1], EpochFinished):
        events.append(next(work))
    return events


def test_what_is_not_as_before_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = stopped(tmp_path, 6)
    record = folder.read_record()
    folder.write_record(replace(record, versions={**record.versions, "torch": "2.10.0"}, device_name="NVIDIA H200"))
    started = resumed(folder)[0]
    assert isinstance(started, RunStarted)
    assert len(started.differences) == 2
    assert started.differences[0].endswith("instead of NVIDIA H200")
    assert started.differences[1].endswith("instead of 2.10.0")
    assert folder.history().state == "finished"  # it went on all the same


def test_another_processor_is_said(tmp_path: Path) -> None:
    folder = stopped(tmp_path, 6)
    record = folder.read_record()
    others = {"processor": "a slide rule", "instruction set": "abacus", "limit of oneDNN": "AVX", "driver": "580.1"}
    folder.write_record(replace(record, machine={**record.machine, **others}))
    started = resumed(folder)[0]
    assert isinstance(started, RunStarted)
    assert started.differences == tuple(
        f"{name} {record.machine[name]} instead of {others[name]}" for name in list(others)[:3]
    )


def test_a_record_that_does_not_say_on_which_processor(tmp_path: Path) -> None:
    folder = stopped(tmp_path, 6)
    written = msgspec.json.decode((folder.path / "request.json").read_bytes())
    assert written.pop("machine")["processor"] == processor()
    (folder.path / "request.json").write_bytes(msgspec.json.encode(written))
    started = resumed(folder)[0]
    assert isinstance(started, RunStarted)
    assert started.differences == ()


def test_as_many_threads_as_before(tmp_path: Path) -> None:
    folder = stopped(tmp_path, 6)
    folder.write_record(replace(folder.read_record(), threads=2))
    started = resumed(folder)[0]
    assert isinstance(started, RunStarted)
    assert started.threads == 2


def test_refusals(tmp_path: Path, whole: RunFolder) -> None:
    for what, words in (
        (str(whole.path), "is finished: all of its 3 epochs are done"),
        ("pretrained:cnn", "ships with the program"),
        ("nowhere", "is not a run folder"),
        ("", "no run to resume"),
    ):
        with pytest.raises(RequestError, match=words) as caught:
            next(resume_run(Resume(what=what), tmp_path))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["cut", "foreign", "another network", "of another epoch"])
def test_a_state_that_is_damaged(tmp_path: Path, whole: RunFolder, damage: str) -> None:
    folder = stopped(tmp_path, 6)
    data = folder.state_file.read_bytes()
    match damage:
        case "cut":
            folder.state_file.write_bytes(data[: len(data) // 2])
        case "foreign":
            folder.state_file.write_bytes(folder.model_file.read_bytes())
        case "another network":
            other = stopped(tmp_path / "other", 6, replace(SHORT, channels=8))
            folder.state_file.write_bytes(other.state_file.read_bytes())
        case _:
            folder.state_file.write_bytes(whole.state_file.read_bytes())
            lines = folder.events_file.read_bytes().splitlines(keepends=True)
            folder.events_file.write_bytes(lines[0] + lines[-1])
    kept = folder.events_file.read_bytes()
    with pytest.raises(RequestError) as caught:
        resumed(folder)
    assert str(folder.state_file) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert folder.events_file.read_bytes() == kept


MISFITS: dict[str, tuple[str, torch.Tensor | None, str]] = {
    "a moment of one number": ("optimizer.4.exp_avg", torch.zeros(1), "optimizer.4.exp_avg is (1,) of float32"),
    "a moment of half the precision": ("optimizer.2.exp_avg", torch.zeros(4).half(), "is (4,) of float16"),
    "a missing moment": ("optimizer.4.exp_avg_sq", None, "optimizer.4.exp_avg_sq is missing"),
    "a surplus moment": ("optimizer.99.exp_avg", torch.zeros(1), "optimizer.99.exp_avg is surplus"),
    "an odd name": ("optimizer.\x1b[2J", torch.zeros(1), "optimizer.\\x1b[2J is surplus"),
    "a count of no steps": ("optimizer.4.step", torch.tensor(0.0), "optimizer.4.step is 0, expected a number of steps"),
    "a count in whole numbers": ("optimizer.4.step", torch.tensor(7), "optimizer.4.step is () of int64"),
    "squares below zero": ("optimizer.3.exp_avg_sq", -torch.ones(4), "has negative squares"),
    "a moment that is no number": ("optimizer.3.exp_avg", torch.full((4,), math.nan), "values that are not finite"),
    "weights in double precision": ("model.fc.1.bias", torch.zeros(16).double(), "model.fc.1.bias is (16,) of float64"),
    "no sum of losses": ("loss_sum", None, "step 2 of 5"),
}


@pytest.mark.parametrize("misfit", list(MISFITS))
def test_a_state_that_does_not_fit_its_model(tmp_path: Path, misfit: str) -> None:
    """Fused Adam takes a moment's size from its parameter: it must be refused before a step is made."""
    folder = stopped(tmp_path, 2)
    key, value, words = MISFITS[misfit]
    tensors, metadata = load_tensors(folder.state_file)
    tensors.pop(key, None)
    save_tensors(folder.state_file, tensors if value is None else tensors | {key: value}, metadata)
    kept = folder.events_file.read_bytes()
    with pytest.raises(RequestError) as caught:
        resumed(folder)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert folder.events_file.read_bytes() == kept


@pytest.mark.parametrize(
    "change", [{"step": 6}, {"step": 10**9}, {"step": -1}, {"running": []}, {"seconds": 0.0}, {"images": -5}]
)
def test_a_state_of_no_such_step(tmp_path: Path, change: dict[str, Any]) -> None:
    folder = stopped(tmp_path, 2)
    tensors, metadata = load_tensors(folder.state_file)
    progress = json.loads(metadata["progress"])
    assert progress["sums"]["step"] == 2
    progress["sums"] |= change
    save_tensors(folder.state_file, tensors, {"progress": json.dumps(progress)})
    with pytest.raises(RequestError, match="is impossible"):
        resumed(folder)


def left_in(root: Path, epoch: int, *, within: bool) -> RunFolder:
    """A run that was stopped after the end of `epoch`, or `within` the next."""
    work = train_run(SHORT, root)
    advance(work, epoch * STEPS + 1)
    if within:
        list(end(work))
    else:
        with pytest.raises(KeyboardInterrupt):  # the state stays that of the last epoch
            work.throw(KeyboardInterrupt())
    return only(root)


def damage(folder: RunFolder, epoch: int) -> None:
    """Make the line of `epoch` among the events unreadable."""
    lines = folder.events_file.read_bytes().splitlines(keepends=True)
    (at,) = [n for n, line in enumerate(lines) if b'"EpochFinished"' in line and f'"epoch":{epoch},'.encode() in line]
    folder.events_file.write_bytes(b"".join([*lines[:at], b"\xff\n", *lines[at + 1 :]]))


@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize("lost", [(1,), (2,), (1, 2)])
def test_a_lost_line_among_the_events_is_no_end(
    tmp_path: Path, whole: RunFolder, lost: tuple[int, ...], within: bool
) -> None:
    folder = left_in(tmp_path, 2, within=within)
    for epoch in lost:
        damage(folder, epoch)
    started = resumed(folder)[0]
    assert isinstance(started, RunStarted)
    assert started.resumed_from == 2
    assert files(folder) == files(whole)
    # The state knows the last epoch, so that its line comes back.
    assert epochs(folder) == [each for each in epochs(whole) if each["epoch"] != 1 or 1 not in lost]
    assert folder.events_file.read_bytes().count(b'"EpochFinished"') == 3 - (1 in lost)


def test_the_best_epoch_stays_the_best_without_its_line(tmp_path: Path) -> None:
    folder = left_in(tmp_path, 2, within=False)
    tensors, metadata = load_tensors(folder.state_file)
    progress, first = json.loads(metadata["progress"]), folder.history().epochs[0]
    best = folder.history().best
    assert best is not None
    assert msgspec.convert(progress["best"], EpochFinished) == best
    progress["best"] = msgspec.to_builtins(replace(first, val_loss=0.0))
    save_tensors(folder.state_file, tensors, {"progress": json.dumps(progress)})
    damage(folder, 1)
    kept = folder.best_file.read_bytes()
    finished = resumed(folder)[-1]
    assert isinstance(finished, RunFinished)
    assert (finished.best_epoch, finished.best_val_loss) == (1, 0.0)
    assert folder.best_file.read_bytes() == kept


def test_a_full_disk_where_a_kill_is_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: RunFolder) -> None:
    """It died between the state and the event of its second epoch."""
    folder = left_in(tmp_path, 2, within=False)
    lines = folder.events_file.read_bytes().splitlines(keepends=True)
    folder.events_file.write_bytes(b"".join(lines[:-2]))
    assert folder.history().epoch == 1

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(engine.runs.writing, "save_state", full)
        (failed,) = resumed(folder)
        assert isinstance(failed, RunFailed)
        assert "free disk space" in failed.reason
    resumed(folder)
    assert_same(folder, whole)


def test_which_runs_wait(tmp_path: Path) -> None:
    assert list(unfinished(tmp_path / "nowhere")) == []
    (tmp_path / "a").mkdir()
    older = stopped(tmp_path / "a", 6)
    assert [run.name for run in unfinished(tmp_path / "a")] == [older.name]
    assert newest_unfinished(tmp_path / "a").path == older.path
    list(resume_run(Resume(), tmp_path / "a"))
    assert list(unfinished(tmp_path / "a")) == []


def test_evaluation_goes_on_too(tmp_path: Path, whole: RunFolder) -> None:
    work = train_run(SHORT, tmp_path)
    for event in work:
        if isinstance(event, BatchEvaluated) and event.split == "test":
            break
    list(end(work))
    events = resumed(only(tmp_path))
    assert not [event for event in events if isinstance(event, BatchTrained) and event.epoch == 1]
    assert_same(only(tmp_path), whole)


def test_a_full_disk_is_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: RunFolder) -> None:
    plain, saved = save_state, 0

    def full(path: Path, architecture: Architecture, state: State) -> None:
        nonlocal saved
        saved += 1
        if saved == 4:
            raise OSError(28, "No space left on device")
        plain(path, architecture, state)

    with monkeypatch.context() as patch:
        patch.setattr(engine.runs.writing, "save_state", full)
        assert isinstance(list(train_run(SHORT, tmp_path))[-1], RunFailed)
    folder = only(tmp_path)
    assert folder.history().state == "failed"
    resumed(folder)
    assert_same(folder, whole)


def test_real_kills(tmp_path: Path) -> None:
    """The whole program, killed by the system at any instant: `python -m tests.kill_and_resume` does thirty."""
    outcome = kill_and_resume.trial(2, tmp_path, seed=1)
    assert outcome.identical == outcome.killed == 2
    assert outcome.lost_epochs == 0


def test_within_an_epoch_with_everything_that_training_has(tmp_path: Path) -> None:
    request = replace(
        SHORT,
        epochs=2, precision="bf16", schedule="cosine", weight_decay=0.1, label_smoothing=0.1,
        shift=1, rotate=10.0, scale=0.1, elastic=1.0, average=0.9,
    )  # fmt: skip
    list(train_run(request, tmp_path / "whole"))
    work = train_run(request, tmp_path / "halves")
    next(event for event in work if isinstance(event, BatchTrained) and (event.epoch, event.step) == (2, 3))
    *_, stopped = end(work)  # before it, perhaps, the epoch that was being written
    assert isinstance(stopped, RunCancelled)
    folder = only(tmp_path / "halves")
    started, *_, finished = resumed(folder)
    assert isinstance(started, RunStarted)
    assert started.differences == ()
    assert isinstance(finished, RunFinished)
    assert_same(folder, only(tmp_path / "whole"))


@pytest.mark.parametrize("objective", [name for name in get_args(ObjectiveName) if name != "clean"])
def test_within_an_epoch_of_each_objective(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, objective: ObjectiveName
) -> None:
    """In the middle of the ramp, and with random numbers of which none is kept."""
    monkeypatch.setattr("engine.training.robustness.ROBUST_IMAGES", 50)
    request = replace(
        SHORT, epochs=2, train_size=320, objective=objective, train_epsilon=0.1, attack_steps=2, warm_up=0.1, ramp=0.6,
        average=0.9, batch_norm=objective not in CERTIFYING,
    )  # fmt: skip
    list(train_run(request, tmp_path / "whole"))
    work = train_run(request, tmp_path / "halves")
    next(event for event in work if isinstance(event, BatchTrained) and (event.epoch, event.step) == (2, 2))
    *_, stopped = end(work)
    assert isinstance(stopped, RunCancelled)
    folder = only(tmp_path / "halves")
    *_, finished = resumed(folder)
    assert isinstance(finished, RunFinished)
    assert finished.robust_accuracy is not None
    assert_same(folder, only(tmp_path / "whole"))
