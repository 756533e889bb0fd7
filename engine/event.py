"""The base of all events: facts, named in the past tense, that the laboratory reports.

Events carry plain values and NumPy arrays, never tensors, so showing an event does not need torch. The plain values of
an event are one line of JSON, both on standard output and in `events.jsonl`; its arrays go into an `.npz` file. Each
wing of the engine defines its events in its `events.py`; inspection, which has many, also in files of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeAlias

import msgspec
from msgspec import Meta, Struct

from engine.words import shown

if TYPE_CHECKING:  # importing NumPy takes a tenth of a second, which would delay the first frame
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


Name = Annotated[str, Meta(max_length=255)]
Words = Annotated[str, Meta(max_length=10_000)]
Count = Annotated[int, Meta(ge=0, le=10**12)]
Epoch = Annotated[int, Meta(ge=0, le=100_000)]
"""The upper bound is that of a request."""
Amount = Annotated[float, Meta(ge=0, le=1e39)]
Share = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0, le=1e9)]
"""Bounds of values that are read back from disk: this program writes no values beyond them."""


class Event(Struct, frozen=True, kw_only=True, tag_field="type"):
    """The base of all events."""


class Progress(Event, frozen=True):
    """An event that the next one of its type replaces: it is shown, never stored, and may be skipped."""

    at_once: ClassVar[bool] = False
    """Whether it should be shown at once: a part of a result, rather than only progress."""

    @property
    def replaces(self) -> object:
        """Which events of the same job it replaces: those for which this is equal."""
        return type(self)


class WorkAdvanced(Progress, frozen=True):
    """A part of a task was done."""

    words: str
    """A description of the task for the user."""
    done: int
    total: int


class JobFailed(Event, frozen=True):
    """A job failed, other than by a failure of its training run."""

    reason: str
    """One line: what happened and what to do."""
    bad_request: bool
    """Whether the request was invalid, rather than the work failing."""


class Cancelled(Exception):
    """Thrown into the generator of a job to stop it: it yields its last events and ends."""


class PauseAsked(Exception):
    """Thrown into the generator of a job before a pause: the events that it then yields precede the pause."""


_encoder = msgspec.json.Encoder()


def arrays(event: Event) -> dict[str, Array]:
    """The arrays of an event by name: the contents of its `.npz` file."""
    values = ((name, getattr(event, name)) for name in event.__struct_fields__)
    return {name: value for name, value in values if hasattr(value, "dtype")}


def to_json(event: Event) -> bytes:
    """The event as one line of JSON, without its arrays and without a newline. NaN and infinity become null.

    File names are bytes and need not be valid text: invalid ones are escaped as they are shown to the user.
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
    """`value`, made of plain types, with invalid text escaped."""
    match value:
        case str():
            return value if value.isascii() else "".join(shown(c) if "\ud800" <= c <= "\udfff" else c for c in value)
        case dict():
            return {_text(key): _text(each) for key, each in value.items()}
        case list() | tuple():
            return [_text(each) for each in value]
        case _:
            return value
