"""Pictures in the output of a command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from engine.events import DigitsShown, NetworkEvent
from engine.lab import perform
from engine.requests import Inspect, ShowActivations, ShowDigits, ShowFilters, Summarise
from tui.gallery import pictures

pytestmark = pytest.mark.usefixtures("exact_engine")


def answer(request: Inspect) -> NetworkEvent:
    (event,) = (event for event in perform(request, Path("none")) if isinstance(event, NetworkEvent))
    return event


def console(system: str | None = "truecolor", *, terminal: bool = True, width: int = 80) -> Console:
    return Console(force_terminal=terminal, color_system=system, width=width, no_color=system is None)  # type: ignore[arg-type]


def test_a_pipe_gets_no_pictures() -> None:
    event = answer(ShowDigits(what="pretrained:cnn"))
    assert pictures(event, console(terminal=False)) is None
    assert pictures(answer(Summarise(what="pretrained:cnn")), console()) is None


def test_digits_fill_the_width_and_say_what_they_are() -> None:
    event = answer(ShowDigits(what="pretrained:cnn", count=7))
    assert isinstance(event, DigitsShown)
    drawn = pictures(event, console(None))
    assert drawn is not None
    lines = drawn.plain.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    assert lines[0].split() == [f"{d.actual}→{d.predicted}" for d in event.digits[:5]]  # 14 cells each, 2 between
    assert lines[8].split() == [f"{d.actual}→{d.predicted}" for d in event.digits[5:]]
    assert set(drawn.plain) <= set(" .:-=+*#%@→0123456789\n")
    # Something dark stands where the digit's ink is, and nothing elsewhere.
    ink = event.images[0].reshape(14, 2, 14, 2).mean(axis=(1, 3))
    for y in range(7):
        for x in range(14):
            assert (lines[1 + y][x] != " ") == (np.rint(ink[2 * y : 2 * y + 2, x] * 9).sum() > 0)


@pytest.mark.parametrize("system", ["truecolor", "256"])
def test_in_colour_every_pixel_is_a_colour(system: str) -> None:
    drawn = pictures(answer(ShowFilters(what="pretrained:cnn")), console(system))
    assert drawn is not None
    assert drawn.plain.splitlines()[0].split() == [str(n) for n in range(10)]
    assert sum(bool(span.style.bgcolor) for span in drawn.spans if not isinstance(span.style, str)) >= 32 * 6 * 3


def test_maps_of_the_layer_asked_for() -> None:
    event = answer(ShowActivations(what="pretrained:cnn"))
    first, second = (pictures(event, console(), layer) for layer in ("conv1", "conv2"))
    assert first is not None
    assert second is not None
    assert len(first.plain.splitlines()) == 7 * (1 + 7)
    assert len(second.plain.splitlines()) == 4 * (1 + 4)
