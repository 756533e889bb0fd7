"""Requests and operations that do what a test of the laboratory tells them to."""

from __future__ import annotations

import threading
from collections.abc import Generator
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from engine.event import Cancelled, Event
from engine.network.events import WeightsOpened
from engine.request import Request, RequestError
from engine.training.events import BatchEvaluated


class Gated(Request, frozen=True, tag="gated"):
    name: Annotated[str, Meta(description="which gate to wait at")] = "a"
    steps: Annotated[int, Meta(ge=0, description="steps")] = 1


class Failing(Request, frozen=True, tag="failing"):
    bad_request: Annotated[bool, Meta(description="whose fault it is")] = False


class Chatty(Request, frozen=True, tag="chatty"):
    results: Annotated[int, Meta(ge=0, description="results, with a hundred times the progress")] = 100


class Gate:
    """A gate before each step of the operation that bears its name."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()
        self.steps = 0


GATES: dict[str, Gate] = {}


def result(name: str, number: int = 0) -> WeightsOpened:
    return WeightsOpened(name=name, variant="cnn", parameters=number)


def gated(request: Gated, _root: Path) -> Generator[Event, None, None]:
    gate = GATES[request.name]
    try:
        for step in range(request.steps):
            gate.reached.set()
            assert gate.open.wait(20)
            gate.steps += 1
            yield result(request.name, step)
    except Cancelled:
        yield result(f"{request.name} cancelled")


def failing(request: Failing, _root: Path) -> Generator[Event, None, None]:
    yield result("before")
    if request.bad_request:
        raise RequestError("that was wrong")
    raise ZeroDivisionError("division by zero")


def chatty(request: Chatty, _root: Path) -> Generator[Event, None, None]:
    for number in range(request.results):
        for done in range(100):
            yield BatchEvaluated(split="val", done=done, total=100)
        yield result("chatty", number)
