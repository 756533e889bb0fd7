"""Asking an operation about a network, and waiting for the event that answers."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from msgspec.structs import asdict, replace

from engine.attribution.requests import Explain
from engine.event import Event, Progress
from engine.inspection.requests import InspectImages
from engine.network.requests import Inspect
from engine.request import RequestError

E = TypeVar("E", bound=Event)
Q = TypeVar("Q", bound=Inspect)


def about(kind: type[Q], request: Inspect, **fields: Any) -> Q:
    """A request for the network of `request`, and its images where both take some.

    The stride of a request that slides a patch is that of the patch.
    """
    made = kind(what=request.what, device=request.device)
    shared = asdict(request.reading)
    if isinstance(made, Explain):
        del shared["stride"]
    if isinstance(made, InspectImages) and isinstance(request, InspectImages):
        shared |= {"split": request.split, "dataset": request.dataset}
    return replace(made, **shared | fields)


def answered(
    kind: type[E], events: Generator[Event, None, None], words: str, told: Callable[[Event], Event]
) -> Generator[Event, None, E]:
    """The event of type `kind` among `events`, the last one if there are several.

    Yields what `told` makes of each event, so that the work can be stopped there. Raises RequestError where none is of
    that type; there the work is called `words`.
    """
    found: E | None = None
    for event in events:
        if isinstance(event, kind) and not isinstance(event, Progress):
            found = event
        yield told(event)
    if found is None:
        raise RequestError(f"{words} gave no result")
    return found
