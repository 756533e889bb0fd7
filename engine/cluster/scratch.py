"""Temporary folders that go away even if the process that made them is killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from engine.runs.processes import claimed, held

PREFIX = "mnist-tui-ray-"
LOCK = "lock"
LONGEST = 20
"""Longest path of the folder in which they are made: sockets in them, of Ray's, may have 107 bytes."""
YOUNG = 60.0
"""Seconds within which a folder is left alone: it may be that its lock has not been taken yet."""


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A new temporary folder, removed at the end of the context; removes those that killed processes have left."""
    place = Path(tempfile.gettempdir())
    if len(str(place)) > LONGEST:
        place = Path("/tmp")
    _sweep(place)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
    try:
        with claimed(folder / LOCK):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(place: Path) -> None:
    """Remove the folders in `place`, of this user, that no process holds."""
    with contextlib.suppress(OSError):
        for folder in place.glob(f"{PREFIX}*"):
            status = (folder / LOCK).stat() if (folder / LOCK).is_file() else None
            old = status is not None and status.st_uid == os.getuid() and time.time() - status.st_mtime > YOUNG
            if old and held(folder / LOCK) is False:
                shutil.rmtree(folder, ignore_errors=True)
