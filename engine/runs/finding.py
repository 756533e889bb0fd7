"""Finding runs and networks by their names."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from engine.paths import BUNDLED, PRETRAINED, asset
from engine.request import RequestError
from engine.runs.folder import RunFolder
from engine.training.requests import Train

ROBUST = "cnn-robust"
"""The bundled network that was trained against attacks."""
WEIGHTS_SUFFIXES = (".pth", ".pt", ".safetensors")
"""Suffixes of weights files that are written; files of any name can be read."""


def pretrained(name: str) -> RunFolder:
    """The bundled network of a name in `PRETRAINED`, a run folder that is never written to."""
    return RunFolder(asset("pretrained", name))


def _robust(request: Train | None) -> bool:
    """Whether a network that `request` trained was trained against perturbations."""
    return request is not None and request.objective != "clean"


def other_bundled(variant: str, request: Train | None = None) -> str:
    """The plain bundled network that a network of `variant` is told apart from: that of the other variant.

    For a network that was trained against perturbations, as its `request` says, it is that of its own variant.
    """
    return pretrained("cnn" if (variant == "cnn-bn") != _robust(request) else "cnn-bn").what


def compared_bundled(variant: str, request: Train | None = None) -> str:
    """The bundled network whose robustness and filters stand beside those of a network of `variant`.

    It is one that was trained against attacks, unless the network itself was, as its `request` says: then a plain one.
    """
    return other_bundled(variant, request) if _robust(request) else pretrained(ROBUST).what


def folders(root: Path) -> list[RunFolder]:
    """The folders under `root` that may be runs, each once even if several links lead to it; raises OSError."""
    with os.scandir(root) as entries:
        found = [entry for entry in entries if not entry.name.startswith(".") and Path(entry.path).is_dir()]
    seen: set[tuple[int, int]] = set()
    once = []
    for entry in sorted(found, key=lambda entry: (entry.is_symlink(), entry.name)):  # a folder before links to it
        with contextlib.suppress(OSError):  # it was removed meanwhile
            status = entry.stat()
            if (place := (status.st_dev, status.st_ino)) not in seen:
                seen.add(place)
                once.append(RunFolder(root / entry.name))
    return once


def newest_first(runs: Iterable[RunFolder]) -> list[RunFolder]:
    """`runs`, the most recently started first; ties by name."""
    return sorted(runs, key=lambda run: (run.began(), run.name), reverse=True)


def _with_file(root: Path, name: str) -> list[RunFolder]:
    try:
        return newest_first(run for run in folders(root) if (run.path / name).is_file())
    except OSError:
        return []


def newest(root: Path) -> RunFolder | None:
    """The most recently started run under `root` that has a finished epoch; None where there is none."""
    for run in _with_file(root, "model.safetensors"):
        with contextlib.suppress(RequestError):  # a damaged run is only found by name
            run.read_record()
            if run.outline().epochs:
                return run
    return None


def unfinished(root: Path, most: int | None = None) -> Iterator[RunFolder]:
    """The runs under `root` that can be resumed, the most recent first: stopped, failed, or their process died.

    Only the `most` most recent runs are considered, or all.
    """
    for run in _with_file(root, "request.json")[:most]:
        with contextlib.suppress(RequestError):  # a damaged run is only found by name
            if run.outline().unfinished:
                yield run


def newest_unfinished(root: Path) -> RunFolder:
    """The most recently started run under `root` that can be resumed; raises RequestError where there is none."""
    if run := next(unfinished(root), None):
        return run
    raise RequestError(f"no run to resume under {root}: all are finished or running")


def find_network(what: str, root: Path) -> RunFolder | Path:
    """The run or weights file that `what` names; if empty, the most recent run, or else a bundled network.

    Raises RequestError where it does not exist.
    """
    try:
        if not what:
            return newest(root) or pretrained("cnn-bn")
        if (file := Path(what)).exists() and not file.is_dir():
            return file  # its contents decide what it is, not its suffix
        if file.suffix.lower() in WEIGHTS_SUFFIXES and not (root / what).is_dir():
            raise RequestError(f"there is no file {what}")
        return find_run(what, root)
    except OSError as error:  # a name that is too long, or a folder without read permission
        raise RequestError(f"cannot open {what or root} ({error.strerror})") from None


def find_run(what: str, root: Path) -> RunFolder:
    """The run that `what` names: `pretrained:` and the name of a bundled network, a folder, or a run under `root`.

    Raises RequestError, which lists the possible names, where the run does not exist.
    """
    kind, _, name = what.partition(":")
    if kind == "pretrained":
        if name not in PRETRAINED:
            raise RequestError(f"there is no {what}: use {BUNDLED}")
        return pretrained(name)
    for path in (Path(what), root / what):
        if (path / "events.jsonl").is_file() or (path / "request.json").is_file():
            return RunFolder(path)
    if os.sep in what and not Path(what).exists():
        raise RequestError(f"there is no {what}: it was moved or deleted, or never existed")
    raise RequestError(f"{what} is not a run folder, a file, the name of a run under {root}, or {BUNDLED}")
