"""The list of runs, read without PyTorch; their notes; and a trash folder for deleted runs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Iterator
from functools import lru_cache
from pathlib import Path

import msgspec
from msgspec import Struct

from engine.event import Event
from engine.paths import PRETRAINED, stamp, write_whole
from engine.reading import read_json
from engine.request import RequestError
from engine.runs.events import RunDeleted, RunNoted, RunRenamed, RunRestored, RunsListed, RunSummary, UnfinishedFound
from engine.runs.finding import folders, pretrained, unfinished
from engine.runs.folder import RunFolder
from engine.runs.processes import claimed
from engine.runs.requests import BrowseRuns, DeleteRun, FindUnfinished, ListRuns, NoteRun, RenameRun, RestoreRun
from engine.training.recipes import recipe_words
from engine.words import shown

TRASH = ".trash"
"""The name of the folder for deleted runs, inside the folder of all runs."""


COMMAND_WORDS = frozenset(
    {"train", "resume", "runs", "compare", "report", "import", "export", "summary", "evaluate", "audit", "digits"}
    | {"filters", "activations", "occlude", "attribute", "attack", "beta", "robustness", "transfer", "bench", "queue"}
    | {"lr-find", "learned", "certify", "corruptions", "predict", "learn", "serve", "settings", "completions"}
)
"""The commands of the command line, which cannot be names of runs."""
WEIGHTS_ENDINGS = (".pth", ".pt", ".safetensors", ".ckpt", ".tar")
MOST_OF_A_NAME = 200
"""Maximum length of a run's name, in bytes: file systems allow 255, and the trash folder adds a number."""


class _Note(Struct):
    """The contents of a run folder's `note.json`."""

    text: str = ""


def list_runs(_: ListRuns, root: Path) -> Generator[Event, None, None]:
    """All runs under `root`, the most recent first. Raises RequestError where `root` cannot be read."""
    yield RunsListed(folder=str(root), runs=tuple(summaries(root)))


def browse_runs(_: BrowseRuns, root: Path) -> Generator[Event, None, None]:
    """The runs as `list_runs` has them, then the bundled networks, under the names that requests use for them."""
    found = {folder.what: summary(folder) for folder in map(pretrained, PRETRAINED)}
    bundled = [msgspec.structs.replace(each, name=what, state="bundled") for what, each in found.items() if each]
    # No request can name a folder that has the name of a bundled network.
    runs = [run for run in summaries(root) if run.name not in found]
    yield RunsListed(folder=str(root), runs=(*runs, *bundled))


def find_unfinished(request: FindUnfinished, root: Path) -> Generator[Event, None, None]:
    """The most recent run that can be resumed, if there is one: it was stopped, it failed, or its process died."""
    found = next(unfinished(root, request.most), None)
    yield UnfinishedFound(run=found.name if found else "")


def note_run(request: NoteRun, root: Path) -> Generator[Event, None, None]:
    """Write the note of a run. Raises RequestError as `write_note` does."""
    write_note(RunFolder(root / request.run), request.text)
    yield RunNoted(run=request.run)


def rename_run(request: RenameRun, root: Path) -> Generator[Event, None, None]:
    """Rename a run. Raises RequestError as `rename` does."""
    yield RunRenamed(run=request.run, name=rename(RunFolder(root / request.run), request.name).name)


def delete_run(request: DeleteRun, root: Path) -> Generator[Event, None, None]:
    """Move a run to the trash folder. Raises RequestError as `delete` does."""
    yield RunDeleted(run=request.run, place=str(delete(RunFolder(root / request.run)).path))


def restore_run(request: RestoreRun, _root: Path) -> Generator[Event, None, None]:
    """Move a run out of the trash folder. Raises RequestError as `restore` does."""
    yield RunRestored(run=restore(RunFolder(Path(request.place)), request.name).name)


def summaries(root: Path) -> list[RunSummary]:
    """A summary of each run under `root`, the most recent first; folders that are not runs are left out.

    Only what has changed since the last call is read again. Raises RequestError where `root` cannot be read.
    """
    try:
        runs = folders(root)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RequestError(f"cannot read {root} ({error.strerror}): choose another folder with --runs") from None
    found = [each for each in map(summary, runs) if each is not None]
    return sorted(found, key=lambda run: (run.began, run.name), reverse=True)


def summary(folder: RunFolder) -> RunSummary | None:
    """The summary of one run; None where the folder is not a run. A run that cannot be read is reported as damaged."""
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
        return _damaged(folder, "events.jsonl holds only damaged lines")
    best = history.best
    usage = history.usage
    imported = not history.started and not folder.process_file.exists()
    return RunSummary(
        name=folder.name,
        state="imported" if imported else history.state,
        variant=request.variant,
        recipe="" if request.recipe == "notebook" else recipe_words(request),
        dataset=request.dataset,
        seed=request.seed,
        epoch=history.epoch,
        epochs=0 if imported else request.epochs,
        val_loss=best.val_loss if best else None,
        test_accuracy=best.test_accuracy if best else None,
        robust_accuracy=best.robust_accuracy if best else None,
        certified_accuracy=best.certified_accuracy if best else None,
        seconds=history.seconds,
        started=history.started.started if history.started else "",
        began=folder.began(),
        note=_noted(folder),
        energy=usage.energy if usage else None,
        memory=usage.device_memory if usage else None,
        damaged_lines=history.damaged_lines,
    )


def _damaged(folder: RunFolder, why: str) -> RunSummary:
    return RunSummary(name=folder.name, state="damaged", note=why, began=folder.began())


def _noted(folder: RunFolder) -> str:
    """The note, or the reason why it cannot be read."""
    try:
        return _note(folder)
    except RequestError as error:
        return str(error).replace(f"{folder.path}{os.sep}", "")


def _note(folder: RunFolder) -> str:
    return read_json(folder.note_file, _Note).text if folder.note_file.exists() else ""


def read_note(folder: RunFolder) -> str:
    """The note of a run, one line; words that begin with # are tags. Empty where it cannot be read."""
    try:
        return _note(folder)
    except RequestError:
        return ""


def write_note(folder: RunFolder, text: str) -> None:
    """Write the note of a run. Raises RequestError where it cannot be written."""
    words = " ".join(text.split()).encode(errors="backslashreplace").decode()  # undecodable bytes are kept as shown
    data = msgspec.json.encode(_Note(words))
    try:
        write_whole(folder.note_file, lambda path: path.write_bytes(data))
    except OSError as error:
        raise RequestError(f"cannot write to {folder.path} ({error.strerror})") from None


def rename(folder: RunFolder, name: str) -> RunFolder:
    """Rename a run. Raises RequestError where it is running, or the name is taken or invalid."""
    check_name(name)
    with _idle(folder, "renamed"):
        return _moved(folder, folder.path.with_name(name))


def check_name(name: str) -> None:
    """Raise RequestError where a run could not be created, found or shown under this name."""
    if not name or name != Path(name).name or name.startswith("."):
        raise RequestError(f"the name of a run must be a folder name, without / or a leading dot, not {name!r}")
    means = ""
    if name.startswith("-"):
        means = "would be taken for an option"
    elif name in COMMAND_WORDS:
        means = "is a command of mnist-tui"
    elif name.lower().endswith(WEIGHTS_ENDINGS):
        means = "would be taken for a weights file"
    elif name.startswith("pretrained:"):
        means = "is reserved for the bundled networks"
    elif shown(name) != name or name != name.strip():
        means = "has invisible characters"
    elif len(os.fsencode(name)) > MOST_OF_A_NAME:
        means = f"is longer than {MOST_OF_A_NAME} bytes"
    if means:
        raise RequestError(f"{name!r} {means}: give the run another name")


def delete(folder: RunFolder) -> RunFolder:
    """Move a run to the trash folder beside it; returns its new folder. Raises RequestError where it is running."""
    with _idle(folder, "deleted"):
        trash = folder.path.parent / TRASH
        with contextlib.suppress(OSError):  # the move reports what is wrong
            trash.mkdir(exist_ok=True)
        count, place = 1, trash / folder.name
        while place.exists():
            count += 1
            place = trash / f"{folder.name}-{count}"
        return _moved(folder, place)


def restore(deleted: RunFolder, name: str) -> RunFolder:
    """Move a run out of the trash folder, under its former name. Raises RequestError where the name is taken."""
    return _moved(deleted, deleted.path.parent.parent / name)


@contextlib.contextmanager
def _idle(folder: RunFolder, what: str) -> Iterator[None]:
    """Hold the lock of a run within the context. Raises RequestError where it is running."""
    with claimed(folder.lock_file) as free:
        busy = free is False
        with contextlib.suppress(RequestError):  # a damaged run is not running
            # The lock taken here hides whether its process has died.
            busy = busy or (folder.outline().under_way and not folder.abandoned(free and False))
        if busy:
            raise RequestError(f"run {folder.name} is running: stop it before it is {what}")
        yield


def _moved(folder: RunFolder, place: Path) -> RunFolder:
    try:
        if place.exists():
            raise RequestError(f"there is already a run {place.name}: choose another name")
        folder.path.rename(place)
    except OSError as error:
        raise RequestError(f"cannot move {folder.path} to {place} ({error.strerror})") from None
    return RunFolder(place)
