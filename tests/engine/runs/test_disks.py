"""Disks that are full, refuse, or lose a folder; and what killed processes leave."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from engine import paths
from engine.event import Event
from engine.paths import write_whole
from engine.runs.folder import MOST_EPOCHS, RunFolder, kept_at
from engine.runs.processes import claimed, held
from engine.runs.recording import resume_run, train_run
from engine.runs.requests import Resume
from engine.training.events import EpochFinished, RunFailed, RunFinished, RunStarted
from engine.training.requests import Train
from tests.runs import only, until

SHORT = Train(train_size=320, epochs=2, device="cpu", channels=4, hidden=16)


def refusing(number: int) -> object:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.fixture
def no_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "_refused", {})


@pytest.mark.usefixtures("no_refusals")
@pytest.mark.parametrize("number", [errno.EPERM, errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_that_refuses_gets_what_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(Path, "chmod", refusing(number))
    monkeypatch.setattr(os, "fsync", refusing(number))
    for content in (b"one", b"two"):
        write_whole(tmp_path / "file", lambda partial, content=content: partial.write_bytes(content))  # type: ignore[misc]
        assert (tmp_path / "file").read_bytes() == content
    said = paths.cautions(tmp_path)
    assert len(said) == 2
    assert "permissions" in said[0]
    assert "power failure" in said[1]


@pytest.mark.usefixtures("no_refusals")
def test_a_file_system_without_locks_is_said_to_have_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fcntl.flock", refusing(errno.ENOLCK))
    with claimed(tmp_path / "lock") as free:
        assert free is None
    (said,) = paths.cautions(tmp_path)
    assert "does not support locks" in said


def test_a_pipe_in_the_place_of_a_lock_is_no_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "lock")
    with claimed(tmp_path / "lock") as free:
        assert free is None
    assert held(tmp_path / "lock") is None


@pytest.mark.usefixtures("no_refusals")
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_a_broken_disk_is_no_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(os, "fsync", refusing(number))
    with pytest.raises(OSError, match=os.strerror(number)):
        write_whole(tmp_path / "file", lambda partial: partial.write_bytes(b"x"))
    assert list(tmp_path.iterdir()) == []
    assert paths.cautions(tmp_path) == ()


@pytest.mark.usefixtures("small_runs", "no_refusals")
def test_a_run_says_what_its_file_system_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", refusing(errno.EINVAL))
    events = list(train_run(SHORT, tmp_path))
    started = next(event for event in events if isinstance(event, RunStarted))
    assert len(started.cautions) == 1
    assert isinstance(events[-1], RunFinished)


@pytest.mark.usefixtures("small_runs")
@pytest.mark.parametrize("call", ["write_whole", "mkdir"])
def test_a_disk_that_is_full_from_the_first_byte_on_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    if call == "write_whole":
        monkeypatch.setattr("engine.runs.folder.write_whole", refusing(errno.ENOSPC))
        (failed,) = train_run(SHORT, tmp_path)
        assert isinstance(failed, RunFailed)
        assert "No space left" in failed.reason
    else:
        make = Path.mkdir

        def mkdir(path: Path, *rest: bool, **named: bool) -> None:
            if path.name == "epochs":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            make(path, *rest, **named)

        monkeypatch.setattr(Path, "mkdir", mkdir)
        with pytest.raises(ValueError, match="No space left"):
            list(train_run(SHORT, tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("small_runs")
def test_the_next_writer_sweeps_what_a_killed_one_left(tmp_path: Path) -> None:
    work = train_run(SHORT, tmp_path)
    until(work, EpochFinished)
    work.close()
    folder = only(tmp_path)
    left = [
        folder.path / ".model.safetensors.123.partial",
        folder.path / "resume" / ".state.safetensors.123.partial",
        folder.path / "epochs" / ".0001.safetensors.123.partial",
        folder.path / "resume" / ".tmpQw0pI9",
    ]
    others = [folder.path / ".note.json.123.partial", folder.path / "resume" / "mine.partial"]
    for file in (*left, *others):
        file.touch()
    list(resume_run(Resume(what=str(folder.path)), tmp_path))
    assert not any(file.exists() for file in left)
    assert all(file.exists() for file in others)


@pytest.mark.usefixtures("small_runs")
def test_a_folder_that_vanishes_is_said_to_have(tmp_path: Path) -> None:
    def vanishing() -> Iterator[Event]:
        for event in train_run(SHORT, tmp_path):
            if isinstance(event, RunStarted):
                shutil.rmtree(tmp_path / event.run)
            yield event

    *_, failed = vanishing()
    assert isinstance(failed, RunFailed)
    assert "no longer exists: it was moved or deleted" in failed.reason
    assert list(tmp_path.iterdir()) == []


def test_snapshots_are_thinned_evenly_whatever_stops_a_run_in_between(tmp_path: Path) -> None:
    kept = {0}
    for epoch in range(1, 5 * MOST_EPOCHS):
        kept = {each for each in (*kept, epoch) if kept_at(each, epoch)}
        assert kept == {each for each in range(epoch + 1) if kept_at(each, epoch)}
        assert len(kept) <= MOST_EPOCHS
    assert sorted(kept) == list(range(0, 5 * MOST_EPOCHS, 8))
    folder = RunFolder.create(tmp_path, "cnn")
    for epoch in range(MOST_EPOCHS + 1):
        folder.convolutions_file(epoch).touch()
    folder.thin_epochs(MOST_EPOCHS)
    assert folder.kept_epochs() == tuple(range(0, MOST_EPOCHS + 1, 2))
