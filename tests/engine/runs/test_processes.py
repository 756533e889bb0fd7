"""Who owns a run: its lock decides, seen from the same machine, from a container, from another machine."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from engine.data.datasets import Dataset
from engine.event import Event
from engine.operations import end as ended
from engine.request import RequestError
from engine.runs import catalogue, processes
from engine.runs.folder import RunFolder, ask_to_stop
from engine.runs.processes import Process, claimed, held, watched
from engine.runs.recording import resume_run, train_run
from engine.runs.requests import Resume
from engine.training.events import BatchTrained, EpochFinished, RunCancelled, RunFinished
from engine.training.requests import Train
from tests.conftest import patch_load
from tests.runs import only

SHORT = Train(train_size=320, epochs=2, device="cpu", channels=4, hidden=16)

HOLDER = """
import fcntl, sys
file = open(sys.argv[1], "ab")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def first_epoch(small: Dataset, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run after its first epoch, as a kill leaves it. Nobody may write to it."""
    with pytest.MonkeyPatch.context() as patch:
        patch_load(patch, small)
        work = train_run(SHORT, root := tmp_path_factory.mktemp("first"))
        while not isinstance(next(work), EpochFinished):
            pass
        folder = only(root)
        events = folder.events_file.read_bytes()
        work.close()
    folder.events_file.write_bytes(events)
    return folder


@pytest.fixture
def killed(small_runs: None, first_epoch: RunFolder, tmp_path: Path) -> RunFolder:
    """Such a run to do with as one likes."""
    return RunFolder(Path(shutil.copytree(first_epoch.path, tmp_path / first_epoch.name, copy_function=shutil.copy)))


@pytest.fixture
def holder(killed: RunFolder) -> Iterator[subprocess.Popen[str]]:
    """Another process, which holds the lock of `killed` until its input ends."""
    command = [sys.executable, "-c", HOLDER, str(killed.lock_file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


def state(folder: RunFolder) -> str:
    """As the list says; the run itself must say the same."""
    (run,) = catalogue.summaries(folder.path.parent)
    assert folder.history().state == run.state
    return run.state


def resumed(folder: RunFolder, *, force: bool = False) -> RunFolder:
    events = list(resume_run(Resume(what=str(folder.path), force=force), folder.path.parent))
    assert isinstance(events[-1], RunFinished)
    return folder


def grow_old(folder: RunFolder) -> None:
    """As if nobody had written for an hour."""
    for file in (folder.lock_file, folder.process_file, folder.events_file):
        os.utime(file, (0, file.stat().st_mtime - 3600))


OWN = Process.own()
STRANGERS = {
    "another container of this machine": replace(OWN, host="node-a", number=7, space="pid:[1]"),
    "a number that is another's": replace(OWN, started="1"),
    "another machine": replace(OWN, host="node-a", boot="another"),
    "a machine of the same name": replace(OWN, boot="another"),
    "an older program": Process(OWN.host, OWN.boot, 2**22 + 5, ""),
}


@pytest.mark.parametrize("stranger", STRANGERS)
def test_who_holds_the_lock_owns_the_run(killed: RunFolder, holder: subprocess.Popen[str], stranger: str) -> None:
    killed.write_process(STRANGERS[stranger])
    grow_old(killed)
    assert state(killed) == "running"
    for force in (False, True):
        with pytest.raises(RequestError, match=f"running in process {STRANGERS[stranger].number}.*stop it there"):
            resumed(killed, force=force)
    for change in (catalogue.delete, lambda folder: catalogue.rename(folder, "other")):
        with pytest.raises(RequestError, match="is running: stop it"):
            change(killed)
    end(holder)
    assert state(killed) == "interrupted"


@pytest.mark.parametrize("stranger", [None, *STRANGERS])
def test_a_lock_that_nobody_holds_here(killed: RunFolder, stranger: str | None) -> None:
    """Beside who trained it, it is free; that of another machine or container may be out of sight: time decides."""
    if stranger:
        killed.write_process(STRANGERS[stranger])
    sure = stranger in (None, "a number that is another's")
    assert state(killed) == ("interrupted" if sure else "running")
    if not sure:
        with pytest.raises(RequestError, match=r"may still be running .* was active \d+ s ago.* --force") as caught:
            resumed(killed)
        assert "\n" not in str(caught.value)
        with pytest.raises(RequestError, match="is running: stop it"):
            catalogue.delete(killed)
        grow_old(killed)
        assert state(killed) == "interrupted"
    assert resumed(killed).history().state == "finished"


@pytest.mark.parametrize("move", [catalogue.delete, lambda folder: catalogue.rename(folder, "other")])
def test_nobody_goes_on_with_a_run_that_is_being_moved(
    killed: RunFolder, monkeypatch: pytest.MonkeyPatch, move: Callable[[RunFolder], RunFolder]
) -> None:
    plain, tried = Path.rename, []

    def rename(path: Path, target: Path) -> Path:
        with pytest.raises(RequestError, match="stop it there first"):
            resumed(killed)
        tried.append(path)
        return plain(path, target)

    monkeypatch.setattr(Path, "rename", rename)
    moved = move(killed)
    assert tried == [killed.path]
    assert resumed(moved).history().state == "finished"


def test_a_run_of_another_machine_goes_on_by_force(killed: RunFolder) -> None:
    killed.write_process(STRANGERS["another machine"])
    assert resumed(killed, force=True).history().state == "finished"


def test_a_changed_host_name(killed: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "node-b")
    assert state(killed) == "interrupted"
    assert resumed(killed).history().state == "finished"


def test_a_system_without_boot_ids(killed: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_boot", lambda: "")
    killed.write_process(replace(OWN, boot=""))
    assert state(killed) == "interrupted"
    killed.write_process(replace(OWN, boot="", host="node-a"))
    assert state(killed) == "running"


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EACCES])
def test_a_file_system_without_locks(killed: RunFolder, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    assert killed.locked is None
    killed.write_process(OWN)
    assert state(killed) == "running"  # the process lives
    with pytest.raises(RequestError, match="--force"):
        resumed(killed)
    killed.write_process(STRANGERS["another container of this machine"])
    assert state(killed) == "running"
    grow_old(killed)
    assert state(killed) == "interrupted"
    killed.write_process(replace(OWN, started="1"))
    assert state(killed) == "interrupted"
    assert resumed(killed).history().state == "finished"


def test_an_interrupted_run_that_was_only_silent(killed: RunFolder) -> None:
    history = killed.history()
    states = [history.state]
    history.add(history.epochs[0])
    states.append(history.state)
    assert states == ["interrupted", "running"]


def test_whether_a_process_lives() -> None:
    assert OWN.lives() is True
    assert replace(OWN, host="renamed").lives() is True
    assert replace(OWN, boot="another").lives() is None
    assert replace(OWN, space="pid:[1]").lives() is None
    assert replace(OWN, started="1").lives() is False
    assert replace(OWN, number=2**70).lives() is False
    child = os.fork()
    if child == 0:
        os._exit(0)
    dead = replace(OWN, number=child)
    os.waitpid(child, 0)
    assert dead.lives() is False


@pytest.mark.parametrize("number", [-1, 0, -2, 1])
def test_no_number_leads_to_a_signal(killed: RunFolder, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    signals: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *call: signals.append(call))
    text = killed.process_file.read_bytes()
    killed.process_file.write_bytes(text.replace(f'"number":{OWN.number}'.encode(), f'"number":{number}'.encode()))
    assert killed.process_file.read_bytes() != text
    assert (killed.process() is None) == (number < 1)
    killed.history()
    with claimed(killed.lock_file):
        ask_to_stop(killed)
    assert killed.stop_file.exists()
    assert all(signal == 0 and target > 0 for target, signal in signals)


def test_who_looks_does_not_disturb_who_claims(tmp_path: Path) -> None:
    lock, ended = tmp_path / "lock", threading.Event()
    lock.touch()

    def look() -> None:
        while not ended.is_set():
            held(lock)

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for each in lookers:
        each.start()
    try:
        for _ in range(200):
            with claimed(lock) as free:
                assert free is True
                assert held(lock) is True
                with claimed(lock) as second:
                    assert second is False
    finally:
        ended.set()
        for each in lookers:
            each.join()
    assert held(lock) is False


def test_what_cannot_be_told_of_a_lock(tmp_path: Path) -> None:
    assert held(tmp_path / "nothing") is None
    assert not (tmp_path / "nothing").exists()
    with claimed(tmp_path / "no folder" / "lock") as free:
        assert free is None


def test_signs_of_life_and_a_wish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LOOK", 0.001)
    monkeypatch.setattr(processes, "BEAT", 0.0)
    lock, wish, touched = tmp_path / "lock", tmp_path / "stop", threading.Event()
    plain = os.utime

    def utime(*call: Any) -> None:
        plain(*call)
        touched.set()

    lock.touch()
    os.utime(lock, (0, 0))
    wish.touch()  # of before
    monkeypatch.setattr(os, "utime", utime)
    with watched(lock, wish) as asked:
        assert not wish.exists()
        assert touched.wait(20)
        assert lock.stat().st_mtime > 0
        assert not asked.is_set()
        wish.touch()
        assert asked.wait(20)
    assert not wish.exists()


@pytest.mark.usefixtures("small_runs")
def test_asked_to_stop_it_stops_and_can_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LOOK", 0.001)
    work = train_run(replace(SHORT, epochs=100_000), tmp_path)
    events = list[Event]()
    for event in work:  # the epoch may be told of while the next one trains
        events.append(event)
        if isinstance(event, EpochFinished):
            break
    folder = only(tmp_path)
    assert ask_to_stop(folder) == f"process {os.getpid()}"
    events += work
    assert isinstance(events[-1], RunCancelled)
    assert folder.history().state == "stopped"
    assert not folder.stop_file.exists()
    assert not folder.locked
    with pytest.raises(RequestError, match="is not running, so it cannot be stopped"):
        ask_to_stop(folder)
    assert not folder.stop_file.exists()
    again = resume_run(Resume(what=str(folder.path)), tmp_path)
    first = next(event for event in again if isinstance(event, BatchTrained))
    list(ended(again))
    *_, last = (event for event in events if isinstance(event, BatchTrained))
    done, before = (event.epoch * event.steps + event.step for event in (first, last))
    assert done - before in (1, 2)  # the last step before the stop may not have been told of


def test_who_may_not_write_is_told_so(killed: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def touch(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "touch", touch)
    with (
        claimed(killed.lock_file),
        pytest.raises(RequestError, match=r"Permission denied.*cannot be asked to stop"),
    ):
        ask_to_stop(killed)
