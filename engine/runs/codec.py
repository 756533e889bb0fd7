"""Decoding the events of a run from lines of JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import msgspec
from msgspec import Struct

from engine.training.events import (
    EpochFinished,
    RobustnessCollapsed,
    RunCancelled,
    RunContinued,
    RunFailed,
    RunFinished,
    RunPaused,
    RunStarted,
)

RunEvent = (
    RunStarted | EpochFinished | RobustnessCollapsed | RunPaused | RunContinued | RunFinished | RunCancelled | RunFailed
)
"""The events in `events.jsonl`."""
_decoder = msgspec.json.Decoder(RunEvent)
_KNOWN = frozenset(kind.__name__ for kind in get_args(RunEvent))


class _Tag(Struct):
    type: str


_tag_decoder = msgspec.json.Decoder(_Tag)


class DamagedLine(Struct, frozen=True):
    """Stands for a line of an `events.jsonl` that holds no event, left by a crash or by another program."""


def read_json_lines(data: bytes) -> Iterator[RunEvent | DamagedLine]:
    """The events of an `events.jsonl`, with a DamagedLine for each line that holds none.

    An incomplete last line, which is being written or was cut off by a kill, is left out. So is an event of an unknown
    type, which a later version may have written.
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
