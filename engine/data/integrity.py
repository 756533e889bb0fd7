"""Whether a cached file still holds what it should: hashed once for each change of it."""

from __future__ import annotations

import contextlib
import hashlib
import os
from io import BufferedReader
from pathlib import Path

import msgspec
from msgspec import Struct

from engine.paths import write_whole
from engine.reading import open_regular, read_json
from engine.request import RequestError


class _Verified(Struct):
    """What was hashed, and what came of it."""

    inode: int
    changed: int
    """Nanoseconds since 1970."""
    size: int
    digest: str


def intact(file: Path, digest: str, kind: str) -> bool:
    """Whether `file` has this `digest`, of the `kind` md5 or sha256; what cannot be read has not.

    It is read when its inode, time or size are others than when it was found intact, which is noted beside it.
    """
    note = file.with_name(f".{file.name}.verified")
    try:
        with BufferedReader(open_regular(file)) as opened:
            status = os.fstat(opened.fileno())
            now = _Verified(status.st_ino, status.st_mtime_ns, status.st_size, digest)
            with contextlib.suppress(RequestError):
                if read_json(note, _Verified) == now:
                    return True
            # A hash of what a file should be, and no secret.
            found = hashlib.file_digest(opened, lambda: hashlib.new(kind, usedforsecurity=False))
    except OSError:
        return False
    if found.hexdigest() != digest:
        return False
    with contextlib.suppress(OSError):  # then it is hashed again next time
        write_whole(note, lambda partial: partial.write_bytes(msgspec.json.encode(now)))
    return True
