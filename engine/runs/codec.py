"""The events of a run as lines of JSON, and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import msgspec
from msgspec import Struct

from engine.training.events import (
    EpochFinished,
    RunCancelled,
    RunContinued,
    RunFailed,
    RunFinished,
    RunPaused,
    RunStarted,
)

RunEvent = RunStarted | EpochFinished | RunPaused | RunContinued | RunFinished | RunCancelled | RunFailed
"""What `events.jsonl` holds."""
_decoder = msgspec.json.Decoder(RunEvent)
_KNOWN = frozenset(kind.__name__ for kind in get_args(RunEvent))


class _Tag(Struct):
    type: str


_tag_decoder = msgspec.json.Decoder(_Tag)


class DamagedLine(Struct, frozen=True):
    """In the place of a line of an `events.jsonl` that holds no event: a crash or another program left it there."""


def read_json_lines(data: bytes) -> Iterator[RunEvent | DamagedLine]:
    """The events of an `events.jsonl`, and a mark in the place of each line that holds none.

    A last line without its end is being written, or was cut off by a kill: it is left out. So is a line of a type that
    this version does not know: a later one may have written it.
    """
    for line in data[: data.rfind(b"\n") + 1].splitlines():
        try:
            yield _decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            if not _of_a_later_version(line):
                yield DamagedLine()


def _of_a_later_version(line: bytes) -> bool:
    try:
        return _tag_decoder.decode(line).type not in _KNOWN
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
