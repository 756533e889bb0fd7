"""The runs there are: a line each, without PyTorch; their notes; and a trash folder for what is deleted."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Iterator
from functools import lru_cache
from pathlib import Path

import msgspec
from msgspec import Struct

from engine.event import Event
from engine.paths import stamp, write_whole
from engine.reading import read_json
from engine.request import RequestError
from engine.runs.events import RunDeleted, RunNoted, RunRenamed, RunRestored, RunsListed, RunSummary, UnfinishedFound
from engine.runs.finding import folders, unfinished
from engine.runs.folder import RunFolder
from engine.runs.processes import claimed
from engine.runs.requests import DeleteRun, FindUnfinished, ListRuns, NoteRun, RenameRun, RestoreRun
from engine.words import shown

TRASH = ".trash"
"""The folder of deleted runs, under that of all runs."""


COMMAND_WORDS = frozenset(
    {"train", "resume", "runs", "compare", "report", "import", "export", "summary", "evaluate", "digits", "filters"}
    | {"activations", "occlude", "attribute", "attack", "beta", "robustness", "transfer"}
)
"""What the command line takes for commands."""
WEIGHTS_ENDINGS = (".pth", ".pt", ".safetensors", ".ckpt", ".tar")
MOST_OF_A_NAME = 200
"""Bytes: file systems take 255, and the trash folder adds a number."""


class _Note(Struct):
    """What `note.json` of a run folder holds."""

    text: str = ""


def list_runs(_: ListRuns, root: Path) -> Generator[Event, None, None]:
    """All runs under `root`, the newest first. Raises RequestError where `root` cannot be read."""
    yield RunsListed(folder=str(root), runs=tuple(summaries(root)))


def find_unfinished(request: FindUnfinished, root: Path) -> Generator[Event, None, None]:
    """The most recent run that was stopped or whose process died, if there is one."""
    found = next(unfinished(root, request.most), None)
    yield UnfinishedFound(run=found.name if found else "")


def note_run(request: NoteRun, root: Path) -> Generator[Event, None, None]:
    """Write the note of a run. Raises RequestError as `write_note`."""
    write_note(RunFolder(root / request.run), request.text)
    yield RunNoted(run=request.run)


def rename_run(request: RenameRun, root: Path) -> Generator[Event, None, None]:
    """Give a run another name. Raises RequestError as `rename`."""
    yield RunRenamed(run=request.run, name=rename(RunFolder(root / request.run), request.name).name)


def delete_run(request: DeleteRun, root: Path) -> Generator[Event, None, None]:
    """Move a run to the trash folder. Raises RequestError as `delete`."""
    yield RunDeleted(run=request.run, place=str(delete(RunFolder(root / request.run)).path))


def restore_run(request: RestoreRun, _root: Path) -> Generator[Event, None, None]:
    """Move a run out of the trash folder. Raises RequestError as `restore`."""
    yield RunRestored(run=restore(RunFolder(Path(request.place)), request.name).name)


def summaries(root: Path) -> list[RunSummary]:
    """A line for each run under `root`, the newest first; of a folder that is no run, none.

    What has not changed since the last call is not read again. Raises RequestError where `root` cannot be read.
    """
    try:
        runs = folders(root)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RequestError(f"cannot read {root} ({error.strerror}): give another place with --runs") from None
    found = [each for each in map(summary, runs) if each is not None]
    return sorted(found, key=lambda run: (run.began, run.name), reverse=True)


def summary(folder: RunFolder) -> RunSummary | None:
    """What a list says of one run; None where it is no run. What cannot be read is said to be damaged."""
    files = (folder.path / "request.json", folder.events_file, folder.note_file)
    versions = tuple(stamp(file) for file in files)
    if not versions[0] and not versions[1]:
        return None
    kept = _read(folder.path, versions)
    if kept.state in ("running", "paused") and folder.abandoned(folder.locked):
        return msgspec.structs.replace(kept, state="interrupted")
    return kept


@lru_cache(maxsize=10_000)
def _read(path: Path, _versions: tuple[tuple[int, ...], ...]) -> RunSummary:
    folder = RunFolder(path)
    try:
        request, history = folder.read_record().request, folder.told()
    except RequestError as error:
        return _damaged(folder, str(error).replace(f"{path}{os.sep}", ""))
    if history.damaged_lines and history.state == "new":
        return _damaged(folder, "events.jsonl holds no event, only damaged lines")
    best = history.best
    imported = not history.started and not folder.process_file.exists()
    return RunSummary(
        name=folder.name,
        state="imported" if imported else history.state,
        variant=request.variant,
        dataset=request.dataset,
        seed=request.seed,
        epoch=history.epoch,
        epochs=0 if imported else request.epochs,
        val_loss=best.val_loss if best else None,
        test_accuracy=best.test_accuracy if best else None,
        seconds=history.seconds,
        started=history.started.started if history.started else "",
        began=folder.began(),
        note=_noted(folder),
        damaged_lines=history.damaged_lines,
    )


def _damaged(folder: RunFolder, why: str) -> RunSummary:
    return RunSummary(name=folder.name, state="damaged", note=why, began=folder.began())


def _noted(folder: RunFolder) -> str:
    """The note, or that it cannot be read."""
    try:
        return _note(folder)
    except RequestError as error:
        return str(error).replace(f"{folder.path}{os.sep}", "")


def _note(folder: RunFolder) -> str:
    return read_json(folder.note_file, _Note).text if folder.note_file.exists() else ""


def read_note(folder: RunFolder) -> str:
    """What somebody noted of a run, one line; words that begin with # are tags. Of what cannot be read, nothing."""
    try:
        return _note(folder)
    except RequestError:
        return ""


def write_note(folder: RunFolder, text: str) -> None:
    """Note something of a run. Raises RequestError where the disk does not let us."""
    words = " ".join(text.split()).encode(errors="backslashreplace").decode()  # a byte that is no text is kept as shown
    data = msgspec.json.encode(_Note(words))
    try:
        write_whole(folder.note_file, lambda path: path.write_bytes(data))
    except OSError as error:
        raise RequestError(f"cannot write to {folder.path} ({error.strerror})") from None


def rename(folder: RunFolder, name: str) -> RunFolder:
    """Give a run another name. Raises RequestError where it trains, or the name is taken or none."""
    check_name(name)
    with _idle(folder, "renamed"):
        return _moved(folder, folder.path.with_name(name))


def check_name(name: str) -> None:
    """Raise RequestError where a run of this name could not be made, found again or shown."""
    if not name or name != Path(name).name or name.startswith("."):
        raise RequestError(f"a name is one word for a folder, without / and not with a dot first, not {name!r}")
    means = ""
    if name.startswith("-"):
        means = "would be read as an option"
    elif name in COMMAND_WORDS:
        means = "is a command of mnist-tui"
    elif name.lower().endswith(WEIGHTS_ENDINGS):
        means = "would be read as a weights file"
    elif name.startswith("pretrained:"):
        means = "is for the networks that ship with the program"
    elif shown(name) != name or name != name.strip():
        means = "has characters that nobody sees"
    elif len(os.fsencode(name)) > MOST_OF_A_NAME:
        means = f"is longer than {MOST_OF_A_NAME} bytes"
    if means:
        raise RequestError(f"{name!r} {means}: give the run another name")


def delete(folder: RunFolder) -> RunFolder:
    """Put a run into the trash folder beside it; where it then is. Raises RequestError where it trains."""
    with _idle(folder, "deleted"):
        trash = folder.path.parent / TRASH
        with contextlib.suppress(OSError):  # the move says what is wrong
            trash.mkdir(exist_ok=True)
        count, place = 1, trash / folder.name
        while place.exists():
            count += 1
            place = trash / f"{folder.name}-{count}"
        return _moved(folder, place)


def restore(deleted: RunFolder, name: str) -> RunFolder:
    """Take a run out of the trash folder, under the name that it had. Raises RequestError where that is taken."""
    return _moved(deleted, deleted.path.parent.parent / name)


@contextlib.contextmanager
def _idle(folder: RunFolder, what: str) -> Iterator[None]:
    """Keep others from a run while the context lasts. Raises RequestError where it trains."""
    with claimed(folder.lock_file) as free:
        busy = free is False
        with contextlib.suppress(RequestError):  # what is damaged trains no more
            # Our own lock hides that its process died.
            busy = busy or (folder.outline().under_way and not folder.abandoned(free and False))
        if busy:
            raise RequestError(f"run {folder.name} is under way: stop it before it is {what}")
        yield


def _moved(folder: RunFolder, place: Path) -> RunFolder:
    try:
        if place.exists():
            raise RequestError(f"there is a run {place.name} already")
        folder.path.rename(place)
    except OSError as error:
        raise RequestError(f"cannot move {folder.path} to {place} ({error.strerror})") from None
    return RunFolder(place)
