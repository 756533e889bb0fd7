"""`mnist-tui bench`: the engine's benchmark, and the app, which only the command line can start."""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import cast

from msgspec.structs import replace

from engine.benchmark.events import BenchFinished, Measurement
from engine.benchmark.requests import Bench
from engine.event import Event, WorkAdvanced
from engine.operations import perform
from engine.request import Request
from tui.cli import app_speed
from tui.cli.arguments import FigureOutput, parse
from tui.cli.exit_codes import FAILED
from tui.cli.runner import report


class _AppFailed(Exception):
    """The app did not do what it should."""


def bench(arguments: Sequence[str]) -> int:
    """Run the command line `mnist-tui bench ARGUMENTS`; returns the exit code. Raises RequestError for invalid ones."""
    request, output = parse(Bench, FigureOutput, "mnist-tui bench", arguments)
    try:
        return report(request, output, operation=_measured, at_once=True)
    except _AppFailed as error:
        print(f"mnist-tui: the app cannot be measured: {error}", file=sys.stderr)
        return FAILED


def _measured(request: Request, root: Path) -> Generator[Event, None, None]:
    """The events of the engine's benchmark, with the app's rows at the end.

    The app is measured as soon as the engine is ready: what is wrong with the request, or with the app, is then said
    before minutes have gone by.
    """
    assert isinstance(request, Bench)
    visits = app_speed.QUICK if request.quick else app_speed.FULL
    planned = round(visits.seconds)
    rows: list[Measurement] | None = None
    for event in perform(request, root):
        match event:
            case WorkAdvanced():
                if rows is None:
                    rows = yield from _app(request, visits, planned + event.total)
                yield replace(event, done=planned + event.done, total=planned + event.total)
            case BenchFinished():
                yield replace(event, rows=(*event.rows, *(rows or ())))
            case _:
                yield event


def _app(request: Bench, visits: app_speed.Visits, total: int) -> Generator[Event, None, list[Measurement]]:
    work, share = app_speed.measure_app(request, visits), 0.0
    while True:
        yield WorkAdvanced(words="the app", done=round(share * visits.seconds), total=total)
        try:
            share = next(work)
        except StopIteration as stop:
            return cast(list[Measurement], stop.value)
        except TimeoutError as error:
            raise _AppFailed(str(error)) from error
