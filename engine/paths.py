"""Paths of bundled and cached files, and how files are written."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

PRETRAINED = ("cnn", "cnn-bn", "cnn-robust", "cnn-certified")
"""The names of the bundled networks."""
BUNDLED = f"pretrained:NAME ({', '.join(PRETRAINED)})"
"""How a bundled network is named, for help and error messages."""
PARTIAL = ".partial"
"""The suffix of a file that is being written."""
_REFUSALS = frozenset(
    {errno.EPERM, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOTTY}
)
"""Error numbers with which SMB, FUSE and NFS report an unsupported operation; a full or broken disk has others."""
_COSTS = {
    "chmod": "does not support permissions: other users may not be able to read the run",
    "fsync": "does not support fsync: the last epochs may be lost in a power failure",
    "flock": "does not support locks: do not train a run in two processes",
}
_refused: dict[int, set[str]] = {}
"""Unsupported operations by device number."""

_PACKAGE = Path(__file__).resolve().parent


@cache
def asset(*parts: str) -> Path:
    """A file or folder that ships with the program, in the installed package or in the checkout."""
    installed = _PACKAGE / "assets"
    return (installed if installed.is_dir() else _PACKAGE.parent / "assets").joinpath(*parts)


def cache_folder() -> Path:
    """The user's cache of this program: `$XDG_CACHE_HOME/mnist-tui`, or `~/.cache/mnist-tui`.

    In `$TMPDIR` or `/tmp` for a user without a writable home, as in some containers.
    """
    if given := os.environ.get("XDG_CACHE_HOME"):
        return Path(os.path.expanduser(given)) / "mnist-tui"  # noqa: PTH111 (pathlib's raises where there is no home)
    with contextlib.suppress(RuntimeError):
        cache = Path.home() / ".cache" / "mnist-tui"
        there = next(folder for folder in (cache, *cache.parents) if folder.is_dir())
        if there == cache or os.access(there, os.W_OK | os.X_OK):
            return cache
    # Not tempfile's choice, which fails if no folder is writable: the cache is optional.
    return Path(os.environ.get("TMPDIR") or "/tmp") / f"mnist-tui-{os.getuid()}"


def reserve(folder: Path, stem: str, suffix: str) -> Path:
    """A new empty file in `folder`, which is created if missing: `stem` and `suffix`, with a number if that exists.

    No other process gets the same name. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for count in itertools.count(1):
        path = folder / f"{stem}{f'-{count}' if count > 1 else ''}{suffix}"
        with contextlib.suppress(FileExistsError):
            path.touch(exist_ok=False)
            return path
    raise AssertionError("numbers do not end")


def stamp(file: Path) -> tuple[int, ...]:
    """A value that changes with a file's contents; empty if it is not accessible, as reading it will report why."""
    try:
        status = file.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_mtime_ns, status.st_size


def best_effort(what: str, place: Path, do: Callable[[], object]) -> None:
    """Do what some file systems do not support: then it is skipped, and `cautions` reports it. Else raises OSError."""
    try:
        do()
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        note_refusal(what, place)


def note_refusal(what: str, place: Path) -> None:
    """Record that the file system of `place` does not support `what`: chmod, fsync or flock."""
    with contextlib.suppress(OSError):
        _refused.setdefault(place.stat().st_dev, set()).add(what)


def cautions(place: Path) -> tuple[str, ...]:
    """Operations that the file system of `place` has refused so far, and the possible consequences, a line each."""
    try:
        refused = _refused.get(place.stat().st_dev, set())
    except OSError:
        return ()
    return tuple(f"the file system of {place} {what}" for name, what in _COSTS.items() if name in refused)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` write a temporary file beside `path`, then rename it atomically.

    A kill at any time leaves the complete previous file. Raises OSError, for example where the disk is full.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    try:
        write(partial)
        best_effort("chmod", partial, lambda: partial.chmod(0o644))  # safetensors makes its files private
        with partial.open("rb+") as file:
            best_effort("fsync", partial, lambda: os.fsync(file.fileno()))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
