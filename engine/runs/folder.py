"""Run folders: one folder per run, readable by any process while another writes it. Nothing here needs torch."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec

from engine.event import to_json
from engine.paths import PARTIAL, asset, best_effort, write_whole
from engine.reading import read_json, reason
from engine.request import RequestError
from engine.runs.codec import DamagedLine, RunEvent
from engine.runs.event_log import read_ends, read_events, read_start
from engine.runs.history import RunHistory
from engine.runs.processes import SILENCE, Process, held
from engine.training.events import RunStarted
from engine.training.requests import Train

MOST_EPOCHS = 200
"""Maximum number of epochs whose convolutions a run keeps: 8 MB for the notebook's network."""


class RunRecord(msgspec.Struct, frozen=True):
    """The contents of `request.json`: the request, and the versions and machine that it ran on."""

    request: Train
    versions: dict[str, str]
    device: str
    device_name: str
    threads: int
    machine: dict[str, str] = {}
    """Other properties that the last digits depend on, by name; empty in records of older versions."""

    @property
    def imported(self) -> bool:
        """Whether its weights come from a file: no thread has trained them here."""
        return self.threads == 0


class RunFolder:
    """A run on disk.

    request.json, events.jsonl, model.safetensors (after the last finished epoch), best.safetensors (with the lowest
    validation loss), epochs/ (the convolutions after each epoch, or after some of many), resume/ (the state to resume
    from, the lock and the description of the process that owns it, and a request to stop), figures/.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self.events_file = path / "events.jsonl"
        self.model_file = path / "model.safetensors"
        self.best_file = path / "best.safetensors"
        self.state_file = path / "resume" / "state.safetensors"
        self.process_file = path / "resume" / "process.json"
        self.lock_file = path / "resume" / "lock"
        self.stop_file = path / "resume" / "stop"
        self.note_file = path / "note.json"
        self.epochs_folder = path / "epochs"
        self.figures_folder = path / "figures"

    @classmethod
    def create(cls, root: Path, variant: str) -> RunFolder:
        """Create a folder for a new run under `root`, named by the time and the variant.

        Raises RequestError where it cannot be created.
        """
        stamp = time.strftime("%Y%m%d-%H%M%S")
        for count in range(1, 1000):
            path = root / (f"{stamp}-{variant}" if count == 1 else f"{stamp}-{variant}-{count}")
            try:
                path.mkdir(parents=True)
                try:
                    (path / "resume").mkdir()
                    (path / "epochs").mkdir()
                except OSError:
                    shutil.rmtree(path, ignore_errors=True)
                    raise
            except FileExistsError:
                if not path.is_dir():
                    raise RequestError(f"{root} is not a folder: choose another one with --runs") from None
                continue
            except OSError as error:
                raise RequestError(
                    f"cannot create the run folder {path} ({error.strerror}): choose another place with --runs"
                ) from None
            return cls(path)
        raise RequestError(f"{root} holds a thousand runs from this second: try again in a moment")

    @property
    def bundled(self) -> bool:
        """Whether it ships with the program, and so is never written to."""
        return self.path.parent == asset("pretrained")

    @property
    def what(self) -> str:
        """The name by which `find_run` finds it."""
        return f"pretrained:{self.name}" if self.bundled else str(self.path)

    def convolutions_file(self, epoch: int) -> Path:
        """Weights and biases of both convolutions after `epoch` (0: before the first), as safetensors."""
        return self.epochs_folder / f"{epoch:04d}.safetensors"

    def kept_epochs(self) -> tuple[int, ...]:
        """The epochs whose convolutions are kept, ascending."""
        names = (path.stem for path in self.epochs_folder.glob("*.safetensors"))
        return tuple(sorted(int(name) for name in names if name.isascii() and name.isdecimal()))

    def thin_epochs(self, epoch: int) -> None:
        """Remove the convolutions that, according to `kept_at`, a run that has finished `epoch` does not keep."""
        with contextlib.suppress(OSError):  # too many do no harm
            for kept in self.kept_epochs():
                if not kept_at(kept, epoch):
                    self.convolutions_file(kept).unlink()

    def sweep(self) -> None:
        """Remove partially written files of a killed process.

        Only for the holder of the lock: nobody else writes these files, so none is being written.
        """
        places = [(self.path, f".{name}.*") for name in ("request.json", self.model_file.name, self.best_file.name)]
        places += [(self.state_file.parent, ".*"), (self.epochs_folder, ".*")]
        left = [file for folder, name in places for file in folder.glob(f"{name}{PARTIAL}")]
        # Temporary files of safetensors.
        left += [file for folder in {folder for folder, _ in places} for file in folder.glob(".tmp??????")]
        for file in left:
            with contextlib.suppress(OSError):
                file.unlink()

    def write_record(self, record: RunRecord) -> None:
        """Write `request.json`; raises OSError."""
        text = msgspec.json.format(msgspec.json.encode(record), indent=2)
        write_whole(self.path / "request.json", lambda path: _write_bytes(path, text + b"\n"))

    def read_record(self) -> RunRecord:
        """Read `request.json`; raises RequestError where it is missing or damaged."""
        try:
            return read_json(self.path / "request.json", RunRecord)
        except RequestError as error:
            raise RequestError(f"{error}: check that {self.path} is a run folder") from None

    def write_process(self, process: Process) -> None:
        """Record which process writes here from now on; raises OSError."""
        write_whole(self.process_file, lambda path: _write_bytes(path, msgspec.json.encode(process)))

    def process(self) -> Process | None:
        """The process that writes here, or wrote last; None if not known."""
        try:
            return read_json(self.process_file, Process)
        except RequestError:
            return None

    def append(self, event: RunEvent) -> None:
        """Append `event` to `events.jsonl` and flush it to disk; raises OSError.

        A line is a single write, so a reader sees complete lines, except perhaps for the last one after a kill.
        """
        line = to_json(event) + b"\n"
        with self.events_file.open("a+b", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            if size and (file.seek(size - 1), file.read(1))[1] != b"\n":
                file.seek(0)
                size = file.read().rfind(b"\n") + 1
                file.truncate(size)
            try:
                if (written := file.write(line)) != len(line):
                    raise OSError(errno.ENOSPC, f"only {written} of {len(line)} bytes were written")
                best_effort("fsync", self.path, lambda: os.fsync(file.fileno()))
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(size)  # a partial line would corrupt the next one
                raise

    def events(self) -> list[RunEvent]:
        """The events so far; raises RequestError where the file cannot be read."""
        return [event for event in self._events(read_events) if not isinstance(event, DamagedLine)]

    def _events(self, read: Callable[[Path], list[RunEvent | DamagedLine]]) -> list[RunEvent | DamagedLine]:
        try:
            return read(self.events_file)
        except OSError as error:
            raise RequestError(f"{self.events_file} cannot be read ({reason(error)})") from None

    def history(self) -> RunHistory:
        """The history of the run so far, including whether its process has died.

        Raises RequestError where the events cannot be read; damaged lines are counted and left out.
        """
        history = self.told()
        history.request = self.request
        self.look_at_owner(history)
        return history

    @property
    def request(self) -> Train | None:
        """The request, according to `request.json`; None where that is missing or damaged."""
        try:
            return self.read_record().request
        except RequestError:
            return None

    def told(self) -> RunHistory:
        """The history according to its events; does not check the process. Raises RequestError as `history` does."""
        return RunHistory.of(self.name, self._events(read_events))

    def outline(self) -> RunHistory:
        """The history without the middle part of a long one: enough for its start and its state, however long it is.

        Raises RequestError where the events cannot be read.
        """
        history = RunHistory.of(self.name, self._events(read_ends))
        self.look_at_owner(history)
        return history

    def began(self) -> float:
        """When it was first started, in seconds since 1970, according to its first events, its name, or its files.

        Independent of time zones, and, if the events are used, of the name.
        """
        with contextlib.suppress(OSError):
            for event in read_start(self.events_file):
                if isinstance(event, RunStarted) and (moment := instant(event.started)) is not None:
                    return moment
        with contextlib.suppress(ValueError, OverflowError):
            return time.mktime(time.strptime(self.name[:15], "%Y%m%d-%H%M%S"))
        with contextlib.suppress(OSError):
            return (self.path / "request.json").stat().st_mtime
        return 0.0

    def look_at_owner(self, history: RunHistory) -> None:
        """Mark a run as interrupted if it is running according to its events, but no process trains it."""
        if history.under_way and self.abandoned(self.locked):
            history.state = "interrupted"

    @property
    def locked(self) -> bool | None:
        """Whether its lock is held; None if unknown."""
        return held(self.lock_file)

    def abandoned(self, locked: bool | None) -> bool:
        """Whether the process that wrote last no longer trains it, as far as can be determined from here.

        On the same machine, the lock decides; on a file system without locks, whether the process is alive. Locks and
        processes of another machine or container may not be visible: then the time since its last heartbeat decides.
        """
        if locked:
            return False
        process = self.process()
        if process and process.in_sight:
            return locked is not None or not process.lives()
        return self.silence() > SILENCE

    def silence(self) -> float:
        """Seconds since the last heartbeat."""
        signs = []
        for file in (self.lock_file, self.process_file, self.events_file):
            with contextlib.suppress(OSError):
                signs.append(file.stat().st_mtime)
        return time.time() - max(signs, default=0.0)


def kept_at(epoch: int, now: int) -> bool:
    """Whether a run that has finished epoch `now` keeps the convolutions of `epoch`.

    All up to MOST_EPOCHS, then every second, every fourth and so on: evenly spaced, at most MOST_EPOCHS, however often
    the run was stopped. Those of the last epoch are in its weights.
    """
    stride = 1
    while now // stride >= MOST_EPOCHS:
        stride *= 2
    return epoch % stride == 0


def ask_to_stop(folder: RunFolder) -> str:
    """Ask the process that trains a run, on any machine, to stop before its next step; returns its description.

    Raises RequestError where the run is not running, or the request cannot be written.
    """
    if folder.abandoned(folder.locked):
        raise RequestError(f"run {folder.name} is not running, so it cannot be stopped")
    try:
        folder.stop_file.touch()
    except OSError as error:
        raise RequestError(
            f"cannot write to {folder.path} ({error.strerror}), so the run cannot be asked to stop"
        ) from None
    return owner(folder)


def owner(folder: RunFolder) -> str:
    """A description of the process that writes a run, or wrote last."""
    process = folder.process()
    return process.words if process else "another process"


def _write_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def instant(written: str) -> float | None:
    """The seconds since 1970 of a time in ISO 8601, by default in local time; None where it is invalid."""
    try:
        return datetime.fromisoformat(written).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
