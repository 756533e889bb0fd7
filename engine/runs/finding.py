"""Which runs and networks there are, and which of them a word means."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from engine.paths import asset
from engine.request import RequestError
from engine.runs.folder import RunFolder

PRETRAINED = ("cnn", "cnn-bn")
WEIGHTS_SUFFIXES = (".pth", ".pt", ".safetensors")
"""Of the files that are written; any other name can be read."""


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
