"""Run folders: one folder a run, readable by any process while another writes it. Nothing here needs torch."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from engine.event_log import EventLog, read_ends, read_events, read_start
from engine.events import DamagedLine, RunEvent, RunStarted, to_json
from engine.history import RunHistory
from engine.paths import PARTIAL, asset, best_effort, write_whole
from engine.processes import SILENCE, Process, held
from engine.reading import read_json, reason
from engine.requests import RequestError, Train

PRETRAINED = ("cnn", "cnn-bn")
MOST_EPOCHS = 200
"""Epochs whose convolutions a run keeps: 8 MB of the notebook's network."""
WEIGHTS_SUFFIXES = (".pth", ".pt", ".safetensors")
"""Of the files that are written; any other name can be read."""


class RunRecord(msgspec.Struct, frozen=True):
    """What `request.json` holds: what was asked for, and on what it ran."""

    request: Train
    versions: dict[str, str]
    device: str
    device_name: str
    threads: int
    machine: dict[str, str] = {}
    """What else its last digits depend on, by name; empty in the record of a program that did not ask."""


class RunFolder:
    """A run on disk.

    request.json, events.jsonl, model.safetensors (after the last finished epoch), best.safetensors (of the lowest
    validation loss), epochs/ (the convolutions after each epoch, of many epochs after some), resume/ (all that it needs
    to go on, the lock of the process that owns it, what that is called, and the wish that it stop), figures/.
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
        """Make a folder for a new run under `root`, named by the time and the variant.

        Raises RequestError where the disk does not let us.
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
                    raise RequestError(f"{root} is not a folder: give another one with --runs") from None
                continue
            except OSError as error:
                raise RequestError(
                    f"cannot make the run folder {path} ({error.strerror}): give another place with --runs"
                ) from None
            return cls(path)
        raise RequestError(f"{root} holds a thousand runs of this second: wait a moment")

    @property
    def bundled(self) -> bool:
        """Whether it ships with the program: then nobody writes to it."""
        return self.path.parent == asset("pretrained")

    @property
    def what(self) -> str:
        """The word that opens it: `find_run` finds it again."""
        return f"pretrained:{self.name}" if self.bundled else str(self.path)

    def convolutions_file(self, epoch: int) -> Path:
        """Weights and biases of both convolutions after `epoch` (0: before the first), as safetensors."""
        return self.epochs_folder / f"{epoch:04d}.safetensors"

    def kept_epochs(self) -> tuple[int, ...]:
        """The epochs whose convolutions are kept, ascending."""
        names = (path.stem for path in self.epochs_folder.glob("*.safetensors"))
        return tuple(sorted(int(name) for name in names if name.isascii() and name.isdecimal()))

    def thin_epochs(self, epoch: int) -> None:
        """Of a run that has finished `epoch`, remove the kept convolutions that `kept_at` leaves out."""
        with contextlib.suppress(OSError):  # too many are no harm
            for kept in self.kept_epochs():
                if not kept_at(kept, epoch):
                    self.convolutions_file(kept).unlink()

    def sweep(self) -> None:
        """Remove what a killed process left half written.

        For who holds the lock: of these files nobody else is a writer, so that none is being written.
        """
        places = [(self.path, f".{name}.*") for name in ("request.json", self.model_file.name, self.best_file.name)]
        places += [(self.state_file.parent, ".*"), (self.epochs_folder, ".*")]
        left = [file for folder, name in places for file in folder.glob(f"{name}{PARTIAL}")]
        # What safetensors calls its own.
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
            raise RequestError(f"{error}: is {self.path} a run folder?") from None

    def write_process(self, process: Process) -> None:
        """Say which process writes here from now on; raises OSError."""
        write_whole(self.process_file, lambda path: _write_bytes(path, msgspec.json.encode(process)))

    def process(self) -> Process | None:
        """The process that writes here, or wrote last; None where that is not known."""
        try:
            return read_json(self.process_file, Process)
        except RequestError:
            return None

    def append(self, event: RunEvent) -> None:
        """Add `event` to `events.jsonl` and see it onto the disk; raises OSError.

        A line is one write, so a reader sees whole lines and at most one unfinished last one, which a kill may leave.
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
                    file.truncate(size)  # half a line would swallow the next one
                raise

    def events(self) -> list[RunEvent]:
        """The events so far, empty for a run that has none; raises RequestError where the file cannot be read."""
        return [event for event in self._events(read_events) if not isinstance(event, DamagedLine)]

    def _events(self, read: Callable[[Path], list[RunEvent | DamagedLine]]) -> list[RunEvent | DamagedLine]:
        try:
            return read(self.events_file)
        except OSError as error:
            raise RequestError(f"{self.events_file} cannot be read ({reason(error)})") from None

    def history(self) -> RunHistory:
        """The run's story so far. Whether the process that was at it has died is seen here.

        Raises RequestError where the events cannot be read; damaged lines among them are counted and left out.
        """
        history = self.told()
        self.look_at_owner(history)
        return history

    def told(self) -> RunHistory:
        """The history as its events tell it, whatever became of the process. Raises RequestError as `history` does."""
        return RunHistory.of(self.name, self._events(read_events))

    def outline(self) -> RunHistory:
        """The history without the middle of a long one: when it began and how it stands, whatever its length.

        Raises RequestError where the events cannot be read.
        """
        history = RunHistory.of(self.name, self._events(read_ends))
        self.look_at_owner(history)
        return history

    def began(self) -> float:
        """When it first began, as seconds since 1970: by its first events, or by its name, or by its files.

        That is an instant: neither time zones nor other names change what is newest.
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
        """Mark a run that its events call under way as interrupted, where nobody trains it."""
        if history.under_way and self.abandoned(self.locked):
            history.state = "interrupted"

    @property
    def locked(self) -> bool | None:
        """Whether somebody holds its lock; None where that cannot be told."""
        return held(self.lock_file)

    def abandoned(self, locked: bool | None) -> bool:
        """Whether the process that wrote last is at it no more, as far as can be seen from here.

        Beside the process the lock decides; where the file system knows none, whether it lives. The lock of another
        machine or container may be out of sight, as its processes are: then it counts how long nobody gave a sign of
        life.
        """
        if locked:
            return False
        process = self.process()
        if process and process.in_sight:
            return locked is not None or not process.lives()
        return self.silence() > SILENCE

    def silence(self) -> float:
        """Seconds since the last sign of life."""
        signs = []
        for file in (self.lock_file, self.process_file, self.events_file):
            with contextlib.suppress(OSError):
                signs.append(file.stat().st_mtime)
        return time.time() - max(signs, default=0.0)


def kept_at(epoch: int, now: int) -> bool:
    """Whether a run that has finished epoch `now` keeps the convolutions of `epoch`.

    All up to MOST_EPOCHS, then every second, every fourth and so on: evenly, MOST_EPOCHS at most, whatever stopped it
    in between. Those of the last epoch are in its weights.
    """
    stride = 1
    while now // stride >= MOST_EPOCHS:
        stride *= 2
    return epoch % stride == 0


class Tail:
    """A run that another process writes, followed by what it adds: to look costs the writer nothing."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.history = RunHistory(folder.name)
        self._log = EventLog(folder.events_file)
        self.more()

    @property
    def behind(self) -> bool:
        """Whether more is at hand: a long story is taken in piece by piece, each of which takes a moment."""
        return self._log.behind

    @property
    def vanished(self) -> bool:
        """Whether somebody moved or deleted the folder."""
        return not self.folder.path.is_dir()

    def more(self) -> bool:
        """Take in the next of what is new; whether there was anything. Of a file that cannot be read, nothing is."""
        before = self.history.state
        try:
            anew, events = self._log.more()
        except OSError:
            anew, events, self._log.behind = False, [], False
        if anew:
            self.history = RunHistory(self.folder.name)
        for event in events:
            self.history.add(event)
        if not self.behind:
            self.folder.look_at_owner(self.history)
        return anew or bool(events) or self.history.state != before


def ask_to_stop(folder: RunFolder) -> str:
    """Ask whoever trains a run, on whatever machine, to stop before its next step; who that is, in words.

    Raises RequestError where nobody does, or the disk does not let us.
    """
    if folder.abandoned(folder.locked):
        raise RequestError(f"nobody trains run {folder.name}")
    try:
        folder.stop_file.touch()
    except OSError as error:
        raise RequestError(f"cannot write to {folder.path} ({error.strerror}): nobody can be asked to stop") from None
    return owner(folder)


def owner(folder: RunFolder) -> str:
    """What the process that writes a run, or wrote last, is called."""
    process = folder.process()
    return process.words if process else "another process"


def _write_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def instant(written: str) -> float | None:
    """The seconds since 1970 of a time in ISO 8601, without a zone that of this machine; None where it is none."""
    try:
        return datetime.fromisoformat(written).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def pretrained(name: str) -> RunFolder:
    """The network that ships with the program: `cnn` or `cnn-bn`. It is a run folder that nobody writes to."""
    return RunFolder(asset("pretrained", name))


def other_bundled(variant: str) -> str:
    """The word that opens the bundled network of the other variant than `variant`."""
    return pretrained("cnn" if variant == "cnn-bn" else "cnn-bn").what


def folders(root: Path) -> list[RunFolder]:
    """The folders under `root` that may be runs, each once however many links lead there; raises OSError."""
    with os.scandir(root) as entries:
        found = [entry for entry in entries if not entry.name.startswith(".") and Path(entry.path).is_dir()]
    seen: set[tuple[int, int]] = set()
    once = []
    for entry in sorted(found, key=lambda entry: (entry.is_symlink(), entry.name)):  # the folder before links to it
        with contextlib.suppress(OSError):  # it vanished in between
            status = entry.stat()
            if (place := (status.st_dev, status.st_ino)) not in seen:
                seen.add(place)
                once.append(RunFolder(root / entry.name))
    return once


def newest_first(runs: Iterable[RunFolder]) -> list[RunFolder]:
    """`runs` by when they began; what began at once by name."""
    return sorted(runs, key=lambda run: (run.began(), run.name), reverse=True)


def _with_file(root: Path, name: str) -> list[RunFolder]:
    try:
        return newest_first(run for run in folders(root) if (run.path / name).is_file())
    except OSError:
        return []


def newest(root: Path) -> RunFolder | None:
    """The run under `root` that began last and has a finished epoch; None where there is none."""
    for run in _with_file(root, "model.safetensors"):
        with contextlib.suppress(RequestError):  # a damaged one is for whoever asks for it by name
            run.read_record()
            if run.outline().epochs:
                return run
    return None


def unfinished(root: Path, most: int | None = None) -> Iterator[RunFolder]:
    """The runs under `root` that were stopped or whose process died, so that they can go on; the newest first.

    Of the `most` newest runs, or of all.
    """
    for run in _with_file(root, "request.json")[:most]:
        with contextlib.suppress(RequestError):  # a damaged one is for whoever asks for it by name
            if run.outline().unfinished:
                yield run


def newest_unfinished(root: Path) -> RunFolder:
    """The run under `root` that can go on and began last; raises RequestError where there is none."""
    if run := next(unfinished(root), None):
        return run
    raise RequestError(f"no run under {root} waits to go on: all are finished or under way")


def find_network(what: str, root: Path) -> RunFolder | Path:
    """The run, or the weights file, that `what` names; nothing is the newest run, or the network that ships.

    Raises RequestError where there is no such thing.
    """
    try:
        if not what:
            return newest(root) or pretrained("cnn-bn")
        if (file := Path(what)).exists() and not file.is_dir():
            return file  # what it holds is told by its content, not by its ending
        if file.suffix.lower() in WEIGHTS_SUFFIXES and not (root / what).is_dir():
            raise RequestError(f"there is no file {what}")
        return find_run(what, root)
    except OSError as error:  # a name that is too long, a folder that nobody may look into
        raise RequestError(f"cannot open {what or root} ({error.strerror})") from None


def find_run(what: str, root: Path) -> RunFolder:
    """The run that `what` names: `pretrained:cnn`, `pretrained:cnn-bn`, a folder, or the name of one under `root`.

    Raises RequestError, with the ways to name one, where there is no such run.
    """
    kind, _, name = what.partition(":")
    if kind == "pretrained":
        if name not in PRETRAINED:
            raise RequestError(f"there is no {what}: it is pretrained:{' or pretrained:'.join(PRETRAINED)}")
        return pretrained(name)
    for path in (Path(what), root / what):
        if (path / "events.jsonl").is_file() or (path / "request.json").is_file():
            return RunFolder(path)
    if os.sep in what and not Path(what).exists():
        raise RequestError(f"there is no {what}: it was moved or deleted, or never was")
    raise RequestError(
        f"{what} is no run folder or file, nor the name of a run under {root}, nor pretrained:cnn or pretrained:cnn-bn"
    )
