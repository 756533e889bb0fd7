"""Where the files are: what ships with the program, what it caches, and how it writes."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable
from pathlib import Path

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


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in place at once.

    A kill at any instant leaves the previous whole file. Raises OSError where the disk is full or read-only.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        write(partial)
        partial.chmod(0o644)  # safetensors makes its files private; a run folder is for anybody to read
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
