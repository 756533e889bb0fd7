"""Integrity of cached files: each is hashed once for each change of it."""

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
    """The file that was hashed, and its hash."""

    inode: int
    changed: int
    """Nanoseconds since 1970."""
    size: int
    digest: str


def intact(file: Path, digest: str, kind: str) -> bool:
    """Whether `file` has this `digest` of `kind` md5 or sha256; False if it cannot be read.

    The file is hashed only if its inode, time or size have changed since it was last found intact, as a note beside it
    records.
    """
    note = file.with_name(f".{file.name}.verified")
    try:
        with BufferedReader(open_regular(file)) as opened:
            status = os.fstat(opened.fileno())
            now = _Verified(status.st_ino, status.st_mtime_ns, status.st_size, digest)
            with contextlib.suppress(RequestError):
                if read_json(note, _Verified) == now:
                    return True
            # The hash protects against damage, not against attackers.
            found = hashlib.file_digest(opened, lambda: hashlib.new(kind, usedforsecurity=False))
    except OSError:
        return False
    if found.hexdigest() != digest:
        return False
    with contextlib.suppress(OSError):  # without the note, it is hashed again next time
        write_whole(note, lambda partial: partial.write_bytes(msgspec.json.encode(now)))
    return True
