"""What every event is: a fact in the past tense that the laboratory reports.

Events carry plain values and NumPy arrays, never tensors: nothing that shows an event needs torch. An event is one
line of JSON with its plain values, on standard output and in `events.jsonl` alike; its arrays go into an `.npz`. Each
wing of the engine has its own in its `events.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeAlias

import msgspec
from msgspec import Meta, Struct

from engine.words import shown

if TYPE_CHECKING:  # NumPy takes a tenth of a second to import, which the first frame does without
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


Name = Annotated[str, Meta(max_length=255)]
Words = Annotated[str, Meta(max_length=10_000)]
Count = Annotated[int, Meta(ge=0, le=10**12)]
Epoch = Annotated[int, Meta(ge=0, le=100_000)]
"""As many as a request can ask for."""
Amount = Annotated[float, Meta(ge=0, le=1e39)]
Share = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0, le=1e9)]
"""Bounds of what is read back from a disk: a number beyond them was not written by this program."""


class Event(Struct, frozen=True, kw_only=True, tag_field="type"):
    """The base of all events."""


class Progress(Event, frozen=True):
    """An event that the next one of its kind replaces: it is shown, never stored, and may be skipped."""

    at_once: ClassVar[bool] = False
    """Whether somebody waits for just this: a part of a result, rather than how far the work is."""


class WorkAdvanced(Progress, frozen=True):
    """A part of a piece of work was done."""

    words: str
    """What the work is, for people."""
    done: int
    total: int


class JobFailed(Event, frozen=True):
    """A job ended in an error before it had a run."""

    reason: str
    """One line: what happened and what to do."""
    bad_request: bool
    """True where the input was wrong rather than the work."""


class Cancelled(Exception):
    """Thrown into the generator of a job by whoever wants it to stop: it says its last words and ends."""


class PauseAsked(Exception):
    """Thrown into the generator of a job that is about to be paused: what it then says comes before the pause."""


_encoder = msgspec.json.Encoder()


def arrays(event: Event) -> dict[str, Array]:
    """The arrays of an event by name: what its `.npz` holds."""
    values = ((name, getattr(event, name)) for name in event.__struct_fields__)
    return {name: value for name, value in values if hasattr(value, "dtype")}


def to_json(event: Event) -> bytes:
    """The event as one line of JSON, without its arrays and without the line's end. NaN and infinity become null.

    Names are bytes to the system and need not be text: those that are none are written as people are shown them.
    """
    left_out = arrays(event)
    plain: Any = event
    if left_out:
        plain = {name: getattr(event, name) for name in event.__struct_fields__ if name not in left_out}
        plain = {"type": type(event).__name__} | plain
    try:
        return _encoder.encode(plain)
    except UnicodeEncodeError:
        return _encoder.encode(_text(msgspec.to_builtins(plain)))


def _text(value: Any) -> Any:
    """`value`, of plain kinds, with all that is no text escaped."""
    match value:
        case str():
            return value if value.isascii() else "".join(shown(c) if "\ud800" <= c <= "\udfff" else c for c in value)
        case dict():
            return {_text(key): _text(each) for key, each in value.items()}
        case list() | tuple():
            return [_text(each) for each in value]
        case _:
            return value
