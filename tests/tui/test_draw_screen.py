"""Screen 9: drawing with the keys and with the mouse, and what the network takes it for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from textual.events import MouseMove
from textual.pilot import Pilot
from textual.widgets import Input

from engine.attacks.events import AttackFinished
from engine.attribution.drawing import explain_drawing
from engine.attribution.events import DrawingExplained, OcclusionMapReady
from engine.attribution.requests import ExplainDrawing
from engine.data.drawings import read_drawings
from engine.operations import OPERATIONS, Entry, perform
from tests.tui.conftest import MakeApp
from tests.tui.driving import CNN, drawn, go, settled, status, tap, until, words
from tui.keys import SCREENS, SHORT_TITLES
from tui.screens.activations import ActivationsScreen
from tui.screens.attacks.screen import AttacksScreen
from tui.screens.dialogs import DigitScreen, LabelScreen
from tui.screens.digits.screen import DigitsScreen
from tui.screens.draw import DrawScreen
from tui.screens.occlusion.screen import OcclusionScreen
from tui.widgets.bars import Bars
from tui.widgets.canvas import USUAL, WIDEST, Canvas
from tui.widgets.lines import KeyBar, Tabs
from tui.widgets.pictures import Raster, RasterGrid

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
        (expected,) = perform(ExplainDrawing(what=CNN, pixels=pixels), Path("nowhere"))
        assert isinstance(expected, DrawingExplained)
        assert shown.predictions == expected.predictions == (7,)
        assert screen.query_one(Bars).shares == list(expected.probabilities[0])
        assert np.array_equal(screen.query_one("#received", Raster).values, shown.images[0])  # type: ignore[arg-type]
        assert status(screen).strip().startswith("predicted 7 (")
        figure = screen.figure()
        assert figure is not None
        assert figure.subject is shown


GO_ON = Event()


def when_told(request: ExplainDrawing, root: Path) -> Iterator[object]:
    """As the engine does it, once that is allowed."""
    assert GO_ON.wait(60)
    yield from explain_drawing(request, root)


@pytest.mark.usefixtures("asked_anew")
@pytest.mark.parametrize("patience", [0.01, 1000.0])
async def test_a_stroke_is_drawn_with_its_answer_unless_that_takes_long(
    still_app: MakeApp, monkeypatch: pytest.MonkeyPatch, patience: float
) -> None:
    slowly: dict[type, Entry] = {ExplainDrawing: Entry("analysis", f"{__name__}:when_told", computes=False)}
    monkeypatch.setattr("engine.operations.OPERATIONS", OPERATIONS | slowly)
    monkeypatch.setattr("tui.screens.draw.PATIENCE", patience)
    GO_ON.clear()
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await go(pilot, "9", DrawScreen)
        await settled(pilot, screen)
        blank = words(screen.canvas)
        drawn_at = list[bool]()
        draw_canvas = screen.canvas.redraw

        def noted() -> None:
            drawn_at.append(screen.shown is not None)
            draw_canvas()

        monkeypatch.setattr(screen.canvas, "redraw", noted)
        try:
            await tap(pilot, "space")
            if patience < 1:
                await until(pilot, lambda: words(screen.canvas) != blank)
                assert screen.shown is None
        finally:
            GO_ON.set()
        await settled(pilot, screen)
        assert words(screen.canvas) != blank
        assert screen.shown
        assert drawn_at == [patience > 1]


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


async def test_rotating_and_scaling_can_be_reversed_and_taken_back(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await go(pilot, "9", DrawScreen)
        for key in ("greater_than_sign", "less_than_sign", "z", "Z"):
            await pilot.press(key)
        assert screen.canvas.changes == 0  # nothing is drawn
        await draw(pilot, screen, *SEVEN)
        canvas, before = screen.canvas, screen.canvas.pixels
        await draw(pilot, screen, *["greater_than_sign"] * 6)
        quarter = np.rot90(before, -1)  # clockwise, about the middle of the canvas

        def at_origin(image: np.ndarray) -> np.ndarray:
            rows, columns = np.nonzero(image > 0.5)
            return np.asarray(image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] > 0.5)

        one, other = at_origin(canvas.pixels), at_origin(quarter)
        assert abs(one.shape[0] - other.shape[0]) <= 1
        assert abs(one.shape[1] - other.shape[1]) <= 1
        height, width = (min(sides) for sides in zip(one.shape, other.shape, strict=True))
        assert (one[:height, :width] == other[:height, :width]).mean() > 0.85
        await draw(pilot, screen, *["less_than_sign"] * 6)
        assert np.array_equal(canvas.pixels, before)  # not blurred by twelve interpolations
        await draw(pilot, screen, "z", "z")
        assert canvas.pixels.sum() > before.sum()
        await draw(pilot, screen, "Z", "Z", "Z")
        assert canvas.pixels.sum() < before.sum()
        await draw(pilot, screen, "z")
        assert np.array_equal(canvas.pixels, before)
        changes = canvas.changes
        await draw(pilot, screen, "greater_than_sign", "u")
        assert canvas.changes == changes
        assert np.array_equal(canvas.pixels, before)
        await draw(pilot, screen, *["z"] * 30)
        assert canvas.changes == changes + 12  # up to the limit, which changes nothing more
        await draw(pilot, screen, "space", "space", "Z")
        assert canvas.changes == changes + 14  # from what has been drawn since


async def test_why_it_is_taken_for_that_follows_each_stroke(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await go(pilot, "9", DrawScreen)
        drop, grids = screen.query_one("#drop", Raster), list(screen.query(RasterGrid))
        assert "nothing yet" in words(drop)
        assert all("nothing yet" in words(grid) for grid in grids)
        seen = []
        for keys in (SEVEN, ("u",), ("u", *SEVEN, "space", *["left"] * 6, "space")):
            await draw(pilot, screen, *keys)
            shown = screen.shown
            if shown is None:
                continue
            seen.append(shown)
            assert np.array_equal(drop.values, shown.drop)  # type: ignore[arg-type]
            for grid, maps, channels in zip(
                grids, (shown.conv1, shown.conv2), (shown.conv1_channels, shown.conv2_channels), strict=True
            ):
                assert np.array_equal(grid.sheet.images, maps)
                assert [int(label.split()[0]) for label in grid.sheet.labels] == list(channels)
                visible = words(grid)
                assert all(f"{channel:<3}" in visible for channel in channels[:4])
        assert len({shown.images.tobytes() for shown in seen}) == len(seen) == 2
        assert "black patch" in words(drop)
        await draw(pilot, screen, "f")
        assert screen.shown is not None
        assert screen.shown.baseline == "one"
        assert "white patch" in words(drop)
        assert f"lowest {100 * screen.shown.occluded.min():.1f} %" in words(drop)
        await draw(pilot, screen, "f")
        assert screen.shown.baseline == "zero"


async def answer(pilot: Pilot[int], screen: DrawScreen, ask: str, *keys: str) -> None:
    """Ask for the label with `ask`, and answer with `keys`."""
    await pilot.press(ask)
    await until(pilot, lambda: isinstance(pilot.app.screen, LabelScreen))
    for key in keys:
        await pilot.press(key)
    await until(pilot, lambda: pilot.app.screen is screen)


async def test_a_drawing_is_kept_with_its_label(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen, root = await go(pilot, "9", DrawScreen), app.workspace.root
        assert not {"keep", "current"} & set(words(screen.query_one(KeyBar)).split())
        await pilot.press("w")
        assert app.screen is screen  # there is nothing to keep
        await draw(pilot, screen, *SEVEN)
        assert {"keep", "current"} <= set(words(screen.query_one(KeyBar)).split())
        await answer(pilot, screen, "w", "escape")
        assert not (root / "drawings.npz").exists()
        await answer(pilot, screen, "w", "enter")
        await until(pilot, lambda: (root / "drawings.npz").exists() and "kept as 7" in status(screen))
        images, labels = read_drawings(root)
        assert screen.shown is not None
        assert np.array_equal(images[0], np.rint(255 * screen.shown.images[0]))
        assert labels.tolist() == [7]
        said = list(app._notifications)[-1].message
        assert said == f"drawing 0 is kept as 7; 1 drawing in {root / 'drawings.npz'}, for --dataset drawings"
        await answer(pilot, screen, "w", "1")  # it is none of its own now, but another digit
        await until(pilot, lambda: "kept as 1" in status(screen))
        assert read_drawings(root)[1].tolist() == [1]
        assert "drawing 0 is kept as 1, no longer as 7" in list(app._notifications)[-1].message
        await draw(pilot, screen, "m")  # as drawn, it is another image
        assert "kept" not in status(screen)
        await answer(pilot, screen, "w", "7")
        await until(pilot, lambda: "drawing 1, kept as 7" in status(screen))
        assert read_drawings(root)[1].tolist() == [1, 7]
        assert app.workspace.digit == ("test", 61)
        (root / "drawings.npz").write_bytes(b"damaged")
        await draw(pilot, screen, "shift+left")
        await answer(pilot, screen, "w", "7")
        await until(pilot, lambda: "is damaged" in list(app._notifications)[-1].message)
        assert (root / "drawings.npz").read_bytes() == b"damaged"
        assert "kept" not in status(screen)


async def test_a_drawing_becomes_the_current_digit(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await go(pilot, "9", DrawScreen)
        await draw(pilot, screen, *SEVEN)
        await answer(pilot, screen, "enter", "4")
        await until(pilot, lambda: app.workspace.digit == ("drawings", 0))
        said = list(app._notifications)[-1]
        assert (said.title, said.message) == ("drawing 0 is the current digit", "5, 6, 7 show it, kept as 4")
        shown = screen.shown
        assert shown is not None
        maps = (await go(pilot, "5", ActivationsScreen)).shown
        assert maps is not None
        assert (maps.part, maps.index, maps.count, maps.actual, maps.predicted) == ("drawings", 0, 1, 4, 7)
        assert np.array_equal(maps.image, shown.images[0])
        assert np.allclose(maps.conv1[list(shown.conv1_channels)], shown.conv1, atol=1e-5)
        assert "drawings 0" in words(app.screen.query_one("#image", Raster))
        occlusion = (await go(pilot, "6", OcclusionScreen)).pages["occlusion"].occlusion  # type: ignore[attr-defined]
        assert isinstance(occlusion, OcclusionMapReady)
        assert np.array_equal(occlusion.image, shown.images[0])
        attacks = await go(pilot, "7", AttacksScreen)
        await pilot.press("full_stop")  # the current digit alone
        await settled(pilot, attacks)
        attack = attacks.pages["attack"].shown  # type: ignore[attr-defined]
        assert isinstance(attack, AttackFinished)
        assert (attack.source, attack.indices, attack.actual) == ("drawings", (0,), (4,))
        assert np.array_equal(attack.original[0], shown.images[0])
        digits = (await go(pilot, "3", DigitsScreen)).digits
        assert digits.shown is not None
        assert digits.evaluated is not None
        assert (digits.shown.matching, digits.evaluated.mistakes) == (1, 1)
        await pilot.press("9")
        await until(pilot, lambda: app.screen is screen)
        await pilot.press("enter")  # it is kept already: nothing is asked
        await drawn(pilot)
        assert app.screen is screen
        await draw(pilot, screen, "shift+left", "m")
        await answer(pilot, screen, "enter", "enter")
        await until(pilot, lambda: app.workspace.digit == ("drawings", 1))
        digits = (await go(pilot, "3", DigitsScreen)).digits  # which has seen only the first
        assert digits.shown is not None
        assert digits.shown.matching == 2
        activations = await go(pilot, "5", ActivationsScreen)
        await pilot.press("comma")
        await until(pilot, lambda: app.workspace.digit == ("drawings", 0))
        for typed, digit in (("test 3", ("test", 3)), ("drawings 1", ("drawings", 1)), ("0", ("drawings", 0))):
            await pilot.press("i")
            await until(pilot, lambda: isinstance(app.screen, DigitScreen))
            app.screen.query_one(Input).value = typed
            await pilot.press("enter")
            await until(pilot, lambda digit=digit: app.workspace.digit == digit)  # type: ignore[misc]
            await settled(pilot, activations)
            assert activations.shown is not None
            assert (activations.shown.part, activations.shown.index) == digit


async def test_begin_with_a_drawing_that_is_kept(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await go(pilot, "9", DrawScreen)
        await draw(pilot, screen, *SEVEN, "m")
        await answer(pilot, screen, "enter", "enter")
        await until(pilot, lambda: app.workspace.digit == ("drawings", 0))
        before = screen.canvas.pixels
        await draw(pilot, screen, "delete", "i")
        await settled(pilot, screen)
        assert np.allclose(screen.canvas.pixels, before, atol=1 / 255)
        (app.workspace.root / "drawings.npz").unlink()
        await draw(pilot, screen, "i")
        await settled(pilot, screen)
        assert "no drawings in" in list(app._notifications)[-1].message


async def test_nothing_is_kept_where_only_looking_is_allowed(still_app: MakeApp) -> None:
    app = still_app()
    app.workspace.looking = True
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await go(pilot, "9", DrawScreen)
        await draw(pilot, screen, *SEVEN)
        assert not {"keep", "current"} & set(words(screen.query_one(KeyBar)).split())
        for key in ("w", "enter"):
            await pilot.press(key)
            await drawn(pilot)
            assert app.screen is screen
            assert "this page is for looking" in list(app._notifications)[-1].message
        assert app.workspace.digit == ("test", 61)
