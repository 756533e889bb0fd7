"""Screens 2 to 7 at many sizes: large terminals are filled, and small ones keep their sentences, numbers and units."""

from __future__ import annotations

import re

import pytest

from tests.tui.conftest import MakeApp
from tests.tui.driving import drawn, go, settled, status, words
from tui.app import MnistTui
from tui.drawing.screenshot import screenshot
from tui.screens.inspect import InspectScreen
from tui.screens.occlusion import OcclusionScreen
from tui.widgets.bars import Bars
from tui.widgets.confusion import Confusion
from tui.widgets.pictures import Raster, RasterGrid

pytestmark = pytest.mark.usefixtures("exact_engine", "quick_keys")
LARGE = (200, 60)
PAGES = {
    "model": ("2",),
    "digits": ("3",),
    "a digit": ("3", "enter"),
    "filters": ("4",),
    "a filter": ("4", "enter"),
    "kernels": ("4", "tab"),
    "activations": ("5",),
    "a channel": ("5", "enter"),
    "occlusion": ("6",),
    "methods": ("6", "tab"),
    "a method": ("6", "tab", "right", "enter"),
    "trust": ("6", "tab", "tab"),
    "attack": ("7",),
}
pages = pytest.mark.parametrize("keys", PAGES.values(), ids=PAGES)


async def opened(pilot: object, keys: tuple[str, ...]) -> InspectScreen:
    first, *rest = keys
    screen = await go(pilot, first, InspectScreen)  # type: ignore[arg-type]
    for key in rest:
        await pilot.press(key)  # type: ignore[attr-defined]
        await settled(pilot, screen)  # type: ignore[arg-type]
    await drawn(pilot)  # type: ignore[arg-type]
    return screen


def filled(app: MnistTui) -> list[list[bool]]:
    """Whether each cell between the tabs and the legend shows anything."""
    shot = screenshot(app)
    cells = [[False] * shot.columns for _ in range(shot.rows)]
    for piece in shot.pieces:
        for x, character in enumerate(piece.text, start=piece.x):
            if x < shot.columns:
                cells[piece.y][x] = not character.isspace() or piece.look.paper != shot.paper
    return cells[3:-3]


@pages
async def test_no_half_of_a_large_terminal_is_empty(still_app: MakeApp, keys: tuple[str, ...]) -> None:
    app = still_app()
    async with app.run_test(size=LARGE) as pilot:
        await opened(pilot, keys)
        cells = filled(app)
        middle, centre = len(cells) // 2, len(cells[0]) // 2
        halves = {
            "upper": cells[:middle],
            "lower": cells[middle:],
            "left": [row[:centre] for row in cells],
            "right": [row[centre:] for row in cells],
        }
        shares = {name: sum(map(sum, half)) / (len(half) * len(half[0])) for name, half in halves.items()}
        # Tables and curves have more blanks than pictures.
        assert min(shares.values()) > (0.05 if keys[0] == "2" or keys == ("6", "tab", "tab") else 0.15), shares


@pages
async def test_on_a_small_terminal_the_sentence_is_whole(still_app: MakeApp, keys: tuple[str, ...]) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, keys)
        said = status(screen).strip()
        assert said
        assert "…" not in said
        assert said == screen.sentence()


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (101, 33), (120, 40), LARGE])
@pytest.mark.parametrize("keys", [("3",), ("3", "enter"), ("6",), ("6", "enter"), ("7",), ("7", "enter")])
async def test_numbers_keep_their_units(still_app: MakeApp, size: tuple[int, int], keys: tuple[str, ...]) -> None:
    app = still_app()
    async with app.run_test(size=size) as pilot:
        screen = await opened(pilot, keys)
        for bars in screen.query(Bars):
            if bars.size.width and bars.shares:
                rows = [row for row in words(bars).splitlines()[1:] if re.match(r" \d ", row)]
                assert rows
                assert all(row.rstrip().endswith(" %") for row in rows)
        for matrix in screen.query(Confusion):
            if matrix.size.width:
                rows = [row for row in words(matrix).splitlines() if re.match(r" \d ", row)]
                assert len(rows) == 10
                assert all(row.rstrip().endswith("%") for row in rows)


async def test_pictures_grow_to_whole_multiples(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=LARGE) as pilot:
        screen = await opened(pilot, ("6", "tab"))
        assert isinstance(screen, OcclusionScreen)
        labels = screen.query_one("#methods", RasterGrid).sheet.labels
        assert {"Grad-CAM conv1", "Grad-CAM conv2"} <= set(labels)  # there is room for both
        near = screen.query_one("#method", Raster)
        assert near.display
        assert near.title == "occlusion"
        await pilot.press("right", "right")
        await drawn(pilot)
        assert near.title == "saliency"
        row = near._rows[1]
        assert row[:3] == row[:1] * 3  # three times as large: pixels repeat
        await pilot.resize_terminal(120, 40)
        await drawn(pilot)
        assert not near.display
        assert len(screen.query_one("#methods", RasterGrid).sheet.labels) == len(labels) - 1
