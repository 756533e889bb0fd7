"""Screen 9: drawing with the keys and with the mouse, and what the network takes it for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from textual.events import MouseMove
from textual.pilot import Pilot

from engine.inspection.events import ImagesPredicted
from engine.inspection.requests import PredictDrawing
from engine.operations import perform
from tests.tui.conftest import MakeApp
from tests.tui.driving import CNN, drawn, go, settled, status, words
from tui.keys import SCREENS, SHORT_TITLES
from tui.screens.draw import DrawScreen
from tui.widgets.bars import Bars
from tui.widgets.canvas import USUAL, WIDEST, Canvas
from tui.widgets.lines import KeyBar, Tabs
from tui.widgets.pictures import Raster

pytestmark = pytest.mark.usefixtures("exact_engine", "quick_keys")
SEVEN = ("space", *["right"] * 9, *["down", "down", "left"] * 4, "space")


async def draw(pilot: Pilot[int], screen: DrawScreen, *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
    await settled(pilot, screen)


async def test_the_keys_draw_and_the_answer_follows(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await go(pilot, "9", DrawScreen)
        assert screen.canvas.empty
        assert "draw with the mouse; or space lowers the pen" in status(screen)
        await draw(pilot, screen, *SEVEN)
        canvas, shown = screen.canvas, screen.shown
        assert shown is not None
        assert not canvas.lowered
        rows, columns = np.nonzero(canvas.pixels > 0.5)
        assert [rows.min(), rows.max(), columns.max()] == [13, 23, 24]
        pixels = np.rint(255 * canvas.pixels).astype(np.uint8).tobytes()
        (expected,) = perform(PredictDrawing(what=CNN, pixels=pixels), Path("nowhere"))
        assert isinstance(expected, ImagesPredicted)
        assert shown.predictions == expected.predictions == (7,)
        assert screen.query_one(Bars).shares == list(expected.probabilities[0])
        assert np.array_equal(screen.query_one("#received", Raster).values, shown.images[0])  # type: ignore[arg-type]
        assert status(screen).strip().startswith("predicted 7 (")
        figure = screen.figure()
        assert figure is not None
        assert figure.subject is shown


async def test_moving_the_lifted_pen_draws_nothing(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await go(pilot, "9", DrawScreen)
        await draw(pilot, screen, *"hjkl", "down", "pageup", "home")
        assert screen.canvas.empty
        assert screen.canvas.pen == (0, 8)
        await draw(pilot, screen, "end", *["pagedown"] * 4)
        assert screen.canvas.pen == (27, 27)
        await draw(pilot, screen, "space", "escape", "left")
        assert not screen.canvas.lowered
        assert screen.canvas.pixels[27, 27] > 0
        assert screen.canvas.pixels[27, 24] == 0


@pytest.mark.parametrize(("size", "zoom"), [((80, 24), 1), ((120, 40), 2), ((200, 60), 3)])
async def test_the_mouse_draws_where_it_is(still_app: MakeApp, size: tuple[int, int], zoom: int) -> None:
    app = still_app()
    async with app.run_test(size=size) as pilot:
        screen = await go(pilot, "9", DrawScreen)

        def at(row: int, column: int) -> tuple[int, int]:
            return column * zoom, 1 + row * zoom // 2

        await pilot.mouse_down(Canvas, offset=at(4, 10))
        for row in range(6, 22, 2):
            await pilot._post_mouse_events([MouseMove], Canvas, offset=at(row, 10), button=1)
        await pilot.mouse_up(Canvas, offset=at(20, 10))
        await settled(pilot, screen)
        rows, columns = np.nonzero(screen.canvas.pixels > 0.5)
        assert abs(int(rows.min()) - 4) <= 1
        assert abs(int(rows.max()) - 20) <= 1
        assert set(columns.tolist()) <= {9, 10, 11}
        assert screen.canvas.changes == 1
        assert app.mouse_captured is None
        assert screen.shown is not None
        await pilot._post_mouse_events([MouseMove], Canvas, offset=at(4, 20))
        assert screen.canvas.pixels[:, 16:].max() == 0  # the button is not held
        await pilot.mouse_down(Canvas, offset=(0, 0))  # the title
        assert screen.canvas.changes == 1


async def test_taking_back_clearing_and_shifting(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await go(pilot, "9", DrawScreen)
        assert "undo" not in words(screen.query_one(KeyBar))
        await draw(pilot, screen, *SEVEN)
        assert "undo" in words(screen.query_one(KeyBar))
        before = screen.canvas.pixels
        await draw(pilot, screen, "shift+left", "shift+up", "shift+up")
        assert np.array_equal(screen.canvas.pixels, np.roll(before, (-2, -1), axis=(0, 1)))
        await draw(pilot, screen, "shift+right", "shift+down", "shift+down")
        assert np.array_equal(screen.canvas.pixels, before)
        await draw(pilot, screen, "delete")
        assert screen.canvas.empty
        assert screen.shown is None
        assert screen.query_one(Bars).shares == []
        assert screen.figure() is None
        await draw(pilot, screen, "u")
        assert np.array_equal(screen.canvas.pixels, before)
        assert screen.shown is not None
        await draw(pilot, screen, *["u"] * 7)
        assert screen.canvas.empty
        await draw(pilot, screen, "u", "backspace", "shift+left")
        assert screen.canvas.changes == 0


async def test_the_width_of_the_pen(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await go(pilot, "9", DrawScreen)
        await draw(pilot, screen, "space", "space")
        usual = screen.canvas.pixels.sum()
        await draw(pilot, screen, "delete", "plus", "plus", "space", "space")
        assert screen.canvas.pixels.sum() > usual
        await draw(pilot, screen, "delete", *["minus"] * 4, "space", "space")
        assert 0 < screen.canvas.pixels.sum() < usual
        await draw(pilot, screen, *["plus"] * 20)
        assert screen.canvas.pen_width == WIDEST > USUAL


async def test_a_drawing_is_centred_unless_it_should_not_be(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await go(pilot, "9", DrawScreen)
        await draw(pilot, screen, *SEVEN, *["shift+right"] * 3)
        assert screen.shown is not None
        assert screen.shown.centred
        assert not np.allclose(screen.shown.images[0], screen.canvas.pixels, atol=0.01)
        assert "centred" in words(screen.query_one("#received", Raster))
        await draw(pilot, screen, "m")
        assert not screen.shown.centred
        assert np.allclose(screen.shown.images[0], screen.canvas.pixels, atol=0.01)
        assert "as drawn" in words(screen.query_one("#received", Raster))


async def test_beginning_with_the_current_digit(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await go(pilot, "9", DrawScreen)
        app.workspace.digit = ("test", 0)
        await draw(pilot, screen, "i")
        await settled(pilot, screen)
        assert screen.shown is not None
        assert screen.shown.predictions == (7,)
        first = screen.canvas.pixels
        assert np.abs(screen.shown.images[0] - first).max() < 0.1  # MNIST's digits are centred already
        await draw(pilot, screen, "space", *["right"] * 3, "space")
        assert not np.array_equal(screen.canvas.pixels, first)
        await draw(pilot, screen, "u", "u")
        assert screen.canvas.empty
        app.workspace.digit = ("test", 5000)  # which the small split of the test does not have
        await draw(pilot, screen, "space", "down")
        await pilot.press("i")
        await settled(pilot, screen)
        assert "index 5000 is beyond" in list(app._notifications)[-1].message
        await draw(pilot, screen, "down")
        assert screen.shown is not None
        assert screen.inquiry.problem == ""


@pytest.mark.parametrize("width", [80, 84, 85, 100, 120])
async def test_the_tab_bar_holds_all_screens(still_app: MakeApp, width: int) -> None:
    app = still_app()
    async with app.run_test(size=(width, 24)) as pilot:
        await go(pilot, "9", DrawScreen)
        await drawn(pilot)
        bar = words(app.screen.query_one(Tabs))
        titles = {mode: title for _, title, mode in SCREENS} | (SHORT_TITLES if width < 85 else {})
        assert bar.split() == [word for key, _, mode in SCREENS for word in (key, titles[mode])]
        await pilot.click(Tabs, offset=(bar.index("2 Model"), 0))
        await drawn(pilot)
        assert getattr(app.screen, "mode", "") == "model"
