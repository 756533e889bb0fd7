"""Pictures in the output of commands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from engine.attribution.events import AttributionsComputed, OcclusionMapReady
from engine.attribution.requests import Attribute, Occlude
from engine.inspection.events import DigitsShown, ImagesPredicted
from engine.inspection.requests import Predict, ShowActivations, ShowDigits, ShowFilters, Summarise
from engine.network.events import NetworkEvent
from engine.network.requests import Inspect
from engine.operations import perform
from tui.cli.gallery import pictures

pytestmark = pytest.mark.usefixtures("exact_engine")


def answer(request: Inspect) -> NetworkEvent:
    *_, event = (event for event in perform(request, Path("none")) if isinstance(event, NetworkEvent))
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
    assert set(drawn.plain) <= set(" ░▒▓█▀▄→0123456789\n")
    # Glyphs are drawn where the digit has ink, and nothing elsewhere.
    ink = event.images[0].reshape(14, 2, 14, 2).mean(axis=(1, 3))
    for y in range(7):
        for x in range(14):
            assert (lines[1 + y][x] != " ") == (np.rint(ink[2 * y : 2 * y + 2, x] * 4).sum() > 0)


def test_own_images_are_drawn_as_the_network_receives_them(tmp_path: Path) -> None:
    np.save(tmp_path / "line.npy", np.eye(60)[:, ::-1])
    event = answer(Predict(what="pretrained:cnn", images=(str(tmp_path / "line.npy"),)))
    assert isinstance(event, ImagesPredicted)
    drawn = pictures(event, console(None))
    assert drawn is not None
    lines = drawn.plain.splitlines()
    assert lines[0].strip() == f"→{event.predictions[0]}"
    assert [bool(line.strip()) for line in lines[1:]] == [2 <= row < 12 for row in range(14)]


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


def test_a_map_is_drawn_whole_from_0_to_1() -> None:
    event = answer(Occlude(what="pretrained:cnn"))
    assert isinstance(event, OcclusionMapReady)
    drawn = pictures(event, console(None))
    assert drawn is not None
    title, *rows = drawn.plain.splitlines()
    assert title == "p(8)"
    assert len(rows) == 11  # 21 rows of pixels
    for y, row in enumerate(rows[:10]):
        for x in range(21):
            pair = event.probabilities[2 * y : 2 * y + 2, x]
            if (pair > 0.99).all():
                assert row[x] == "█"
            if (pair < 0.01).all():
                assert row.ljust(21)[x] == " "
    mean = pictures(answer(Occlude(what="pretrained:cnn", stride=5, average=2)), console(None))
    assert mean is not None
    assert mean.plain.startswith("mean")


def test_maps_of_methods_each_up_to_its_own_largest_magnitude() -> None:
    event = answer(Attribute(what="pretrained:cnn-bn"))
    assert isinstance(event, AttributionsComputed)
    drawn = pictures(event, console(None))
    assert drawn is not None
    assert "SmoothGrad" in drawn.plain
    lines = drawn.plain.splitlines()
    for start in (0, 8):  # each map reaches its largest magnitude
        tiles = [[line[at : at + 14] for line in lines[start + 1 : start + 8]] for at in range(0, 80, 16)]
        for tile in tiles[: 5 if start == 0 else 3]:
            assert any(character in "▓█▀▄≡" for row in tile for character in row)
