"""Where the files are: what ships with the program, what it caches, and how it writes."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
from collections.abc import Callable
from pathlib import Path

PARTIAL = ".partial"
"""The end of the name of a file that is being written."""
_REFUSALS = frozenset(
    {errno.EPERM, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOTTY}
)
"""With which SMB, FUSE and NFS say that they do not do a thing; a full or broken disk has other numbers."""
_COSTS = {
    "chmod": "sets no permissions: others may not be able to read the run",
    "fsync": "does not wait for the disk: a power cut may take the last epochs",
    "flock": "knows no locks: do not train one run in two processes",
}
_refused: dict[int, set[str]] = {}
"""By the number of the device."""

_PACKAGE = Path(__file__).resolve().parent


def asset(*parts: str) -> Path:
    """A file or folder that ships with the program: inside the installed package, or in the checkout."""
    installed = _PACKAGE / "assets"
    return (installed if installed.is_dir() else _PACKAGE.parent / "assets").joinpath(*parts)


def cache_folder() -> Path:
    """The user's cache of this program: `$XDG_CACHE_HOME/mnist-tui`, or `~/.cache/mnist-tui`.

    In `$TMPDIR` or `/tmp` for a user without a home, or with one that is not theirs to write to, as in some containers.
    """
    if given := os.environ.get("XDG_CACHE_HOME"):
        return Path(os.path.expanduser(given)) / "mnist-tui"  # noqa: PTH111 (pathlib's raises where there is no home)
    with contextlib.suppress(RuntimeError):
        cache = Path.home() / ".cache" / "mnist-tui"
        there = next(folder for folder in (cache, *cache.parents) if folder.is_dir())
        if there == cache or os.access(there, os.W_OK | os.X_OK):
            return cache
    # Not tempfile's choice, which is an error where no folder can be written: whoever caches does without.
    return Path(os.environ.get("TMPDIR") or "/tmp") / f"mnist-tui-{os.getuid()}"


def reserve(folder: Path, stem: str, suffix: str) -> Path:
    """An empty new file in `folder`, which is made if missing: `stem` and `suffix`, with a number where that is taken.

    Nobody else gets the same name. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for count in itertools.count(1):
        path = folder / f"{stem}{f'-{count}' if count > 1 else ''}{suffix}"
        with contextlib.suppress(FileExistsError):
            path.touch(exist_ok=False)
            return path
    raise AssertionError("numbers do not end")


def stamp(file: Path) -> tuple[int, ...]:
    """What changes with a file's content; empty where it cannot be looked at, for to read it will say why."""
    try:
        status = file.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_mtime_ns, status.st_size


def best_effort(what: str, place: Path, do: Callable[[], object]) -> None:
    """Do what some file systems refuse to: then it stays undone, and `cautions` says so. Raises OSError else."""
    try:
        do()
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        note_refusal(what, place)


def note_refusal(what: str, place: Path) -> None:
    """Remember that the file system of `place` does not do `what`: chmod, fsync or flock."""
    with contextlib.suppress(OSError):
        _refused.setdefault(place.stat().st_dev, set()).add(what)


def cautions(place: Path) -> tuple[str, ...]:
    """What the file system of `place` has refused to this process so far, and what may come of it, a line each."""
    try:
        refused = _refused.get(place.stat().st_dev, set())
    except OSError:
        return ()
    return tuple(f"the file system of {place} {what}" for name, what in _COSTS.items() if name in refused)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in place at once.

    A kill at any instant leaves the previous whole file. Raises OSError where the disk is full or read-only.
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
