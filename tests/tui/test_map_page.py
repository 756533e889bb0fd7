"""The page of the map, driven by its keys, with the real lab and the bundled networks."""

from __future__ import annotations

import importlib.util
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from rich.color import Color
from textual.pilot import Pilot

from engine import operations
from engine.event import Event, WorkAdvanced
from engine.figures.drawing.figure import stem_of
from engine.inspection.map_events import EmbeddingAdvanced, ImagesEmbedded
from engine.inspection.requests import Embed
from tests.tui.conftest import MakeApp
from tests.tui.driving import adjust, drawn, go, settled, status, until, words
from tui.drawing.scatter import MISTAKE
from tui.screens.activations import ActivationsScreen
from tui.screens.digits import DigitsScreen
from tui.widgets.bars import Bars
from tui.widgets.pictures import Legend, Raster

pytestmark = pytest.mark.usefixtures("exact_engine", "quick_keys")
SMALL, WIDE = (80, 24), (120, 40)
CNN = "pretrained:cnn"


async def opened(pilot: Pilot[int]) -> tuple[DigitsScreen, ImagesEmbedded]:
    """The page, and the map that it shows."""
    screen = await go(pilot, "3", DigitsScreen)
    await pilot.press("shift+tab")
    await drawn(pilot)
    await settled(pilot, screen)
    assert screen.front == "map"
    shown = screen.map.shown
    assert shown is not None
    return screen, shown


def cells(screen: DigitsScreen) -> np.ndarray:
    """The cell of each point."""
    places = screen.map.scatter._places()
    assert places is not None
    return places


@pytest.mark.parametrize("size", [SMALL, WIDE])
async def test_the_map_and_the_digit_under_the_cursor(still_app: MakeApp, size: tuple[int, int]) -> None:
    app = still_app()
    async with app.run_test(size=size) as pilot:
        screen, shown = await opened(pilot)
        assert screen.wanted() == [Embed(what=CNN)]
        assert shown.same_class is not None
        assert shown.count == 1000
        page = screen.map
        text = words(page.scatter)
        assert "PCA of the last hidden layer" in text
        assert f"0 1 2 3 4 5 6 7 8 9 {MISTAKE} {shown.mistakes}" in text
        assert f"neighbours{' of the same class' if size == WIDE else ''}: {100 * shown.same_class:.1f} %" in status(
            screen
        )
        assert page.scatter.cursor == app.workspace.digit[1]
        raster = page.query_one(Raster)
        assert raster.values is not None
        assert (raster.values == shown.images[page.scatter.cursor] / 255).all()
        assert page.query_one(Bars).shares == shown.probabilities[page.scatter.cursor].tolist()
        assert not screen.query_one(Legend).display
        figure = screen.figure()
        assert figure is not None
        assert figure.subject is shown


async def test_points_have_the_colours_of_their_classes(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen, shown = await opened(pilot)
        colours = [Color.parse(app.theme_variables[f"class-{number}"]) for number in range(10)]
        assert len(set(colours)) == 10
        places, rows = cells(screen), screen.map.scatter._rows
        alone = [at for at in range(shown.count) if (places == places[at]).all(axis=1).sum() == 1]
        checked = 0
        for at in alone:
            x, y = places[at]
            letter, style = rows[1 + y][x]
            if letter != MISTAKE:
                assert style.color == colours[shown.labels[at]]
                checked += 1
        assert checked > 100


async def test_arrows_go_to_the_nearest_point_in_their_direction(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen, shown = await opened(pilot)
        scatter = screen.map.scatter
        middle = int(np.linalg.norm(shown.points, axis=1).argmin())
        for key, axis, sign in (
            ("right", 0, 1),
            ("left", 0, -1),
            ("up", 1, -1),
            ("down", 1, 1),
            ("l", 0, 1),
            ("k", 1, -1),
        ):
            scatter.go_to(middle)
            places = cells(screen)
            await pilot.press(key)
            await drawn(pilot)
            step = places[scatter.cursor] - places[middle]
            assert step[axis] * sign > 0
            assert abs(step[axis]) <= 3  # the middle is crowded
            assert f"test {scatter.cursor}: label {shown.labels[scatter.cursor]}" in status(screen)
        before = app.workspace.digit
        await pilot.press("home")
        assert scatter.cursor == 0
        await pilot.press("end")
        assert scatter.cursor == shown.count - 1
        scatter.go_to(middle)
        await pilot.press("pagedown")
        assert cells(screen)[scatter.cursor][1] > cells(screen)[middle][1] + 5
        assert app.workspace.digit == before  # looking changes nothing


async def test_the_cursor_stays_at_the_edge(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen, shown = await opened(pilot)
        scatter = screen.map.scatter
        last = int(shown.points[:, 0].argmax())
        scatter.go_to(last)
        await pilot.press("right")
        assert cells(screen)[scatter.cursor][0] == cells(screen)[last][0]


@pytest.mark.parametrize("size", [SMALL, WIDE])
async def test_mistakes_and_enter(still_app: MakeApp, size: tuple[int, int]) -> None:
    app = still_app()
    async with app.run_test(size=size) as pilot:
        screen, shown = await opened(pilot)
        screen.map.scatter.go_to(0)
        wrong = np.flatnonzero(shown.predictions != shown.labels).tolist()
        assert len(wrong) == shown.mistakes > 2
        for index in (*wrong, wrong[0]):
            await pilot.press("m")
            assert screen.map.scatter.cursor == index
        await pilot.press("enter")
        await drawn(pilot)
        assert app.workspace.digit == ("test", wrong[0])
        assert f"test {wrong[0]} (current): label" in status(screen)
        activations = await go(pilot, "5", ActivationsScreen)
        assert activations.shown is not None
        assert activations.shown.index == wrong[0]
        app.workspace.digit = ("test", 123)
        await go(pilot, "3", DigitsScreen)
        assert screen.map.scatter.cursor == 123  # the current digit of another screen


async def test_zoom_keeps_the_cursor_in_view(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen, shown = await opened(pilot)
        scatter = screen.map.scatter
        whole = scatter._window()
        await pilot.press("plus", "plus", "plus")
        near = scatter._window()
        assert near.right - near.left == pytest.approx((whole.right - whole.left) / 8)
        assert near.holds(shown.points[scatter.cursor])
        assert "8x" in words(scatter)
        for _ in range(12):
            await pilot.press("left")
            assert scatter._window().holds(shown.points[scatter.cursor])
        await pilot.press("minus")
        assert scatter.zoom == 2
        await pilot.press("0")
        assert scatter._window() == whole


async def test_one_class_stands_out(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen, shown = await opened(pilot)
        await pilot.press("w", "w", "w", "w")
        await drawn(pilot)
        assert screen.map.only == 3
        screen.map.scatter.go_to(int(np.flatnonzero(shown.labels == 3)[0]))
        await drawn(pilot)
        inks = {style.color for row in screen.map.scatter._rows[1:] for letter, style in row if letter != " "}
        wanted = {Color.parse(app.theme_variables[name]) for name in ("class-3", "rule", "strong")}
        assert inks == wanted
        own = (shown.predictions != shown.labels) & (shown.labels == 3)
        assert f" 3 x {own.sum()} " in words(screen.map.scatter).split("\n")[0]
        await pilot.press("m")
        assert screen.map.scatter.cursor in np.flatnonzero(own)
        await pilot.press("W", "W", "W", "W")
        assert screen.map.only == -1
        await adjust(pilot, screen, "class", "left")
        assert screen.map.only == 9


async def test_layers_and_epochs(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        screen, hidden = await opened(pilot)
        await pilot.press("left_square_bracket")
        assert "choose a convolution block" in next(iter(app._notifications)).message
        await adjust(pilot, screen, "layer", "right", "right")
        assert screen.map.mapped == "block2"
        latest = screen.map.shown
        assert latest is not None
        assert latest.layer == "block2"
        assert "epoch 15" in words(screen.map.scatter)
        await pilot.press("left_square_bracket", "left_square_bracket")
        await settled(pilot, screen)
        earlier = screen.map.shown
        assert earlier is not None
        assert (earlier.epoch, screen.map.epoch) == (13, 13)
        assert "second convolution block, epoch 13" in words(screen.map.scatter)
        await pilot.press("right_square_bracket", "right_square_bracket", "right_square_bracket")
        await settled(pilot, screen)
        assert screen.map.epoch == -1
        assert screen.map.shown is latest  # kept
        await adjust(pilot, screen, "layer", "left", "left")
        assert screen.map.shown is hidden


async def test_a_map_that_moves_is_drawn_while_it_does(still_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    app = still_app()
    go_on = False
    asked = operations.perform

    def slowly(request: Embed, root: Path) -> Generator[Event, None, None]:
        if not isinstance(request, Embed) or request.method != "tsne":
            yield from asked(request, root)
            return
        *_, found = asked(replace(request, method="pca"), root)
        assert isinstance(found, ImagesEmbedded)
        moving = replace(found, method="tsne", explained=None, same_class=None, points=found.points[::-1].copy())
        while not go_on:
            yield WorkAdvanced(words="t-SNE", done=1, total=2)
            yield EmbeddingAdvanced(embedding=moving)
        yield replace(moving, same_class=0.5, same_class_before=0.6, points=found.points * 2)

    monkeypatch.setattr(operations, "perform", slowly)
    async with app.run_test(size=WIDE) as pilot:
        screen, before = await opened(pilot)
        await pilot.press("s", "right")
        await until(pilot, lambda: screen.map.shown is not None and screen.map.shown.method == "tsne")
        await until(pilot, lambda: "t-SNE of the last hidden layer" in words(screen.map.scatter))
        assert (screen.map.scatter.event.points == before.points[::-1]).all()  # type: ignore[union-attr]
        await pilot.press("escape")
        await until(pilot, lambda: "t-SNE" in status(screen))  # the progress
        go_on = True
        await settled(pilot, screen)
        assert (screen.map.scatter.event.points == before.points * 2).all()  # type: ignore[union-attr]
        assert "same class: 50.0 %, in the layer 60.0 %" in status(screen)
        assert stem_of(screen.map.shown) == "map-tsne-hidden-test"


async def test_a_missing_package_is_said(still_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: None if name == "openTSNE" else find(name))
    app = still_app()
    async with app.run_test(size=SMALL) as pilot:
        screen, _ = await opened(pilot)
        await pilot.press("s", "right", "escape")
        await until(pilot, lambda: bool(screen.inquiry.problem))
        await drawn(pilot)
        assert "t-SNE needs the package openTSNE: pip install openTSNE" in status(screen)
        assert screen.map.scatter.event is None
        assert "no map yet" in words(screen.map.scatter)
        await adjust(pilot, screen, "method", "left")
        assert screen.map.scatter.event is not None


async def test_escape_and_tab(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen, shown = await opened(pilot)
        await pilot.press("escape")
        await settled(pilot, screen)
        assert screen.front == "digits"
        assert not screen.query_one("#map-page").display
        await pilot.press("tab", "tab", "tab")
        await settled(pilot, screen)
        assert screen.front == "map"
        assert screen.map.shown is shown
        await pilot.press("tab")
        assert screen.front == "digits"


@pytest.mark.parametrize("variable", ["NO_COLOR", "LC_ALL"])
async def test_without_colour_a_point_is_its_digit(
    still_app: MakeApp, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "C")
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen, shown = await opened(pilot)
        text = words(screen.map.scatter)
        if variable == "LC_ALL":
            assert text.isascii()
        letters = "".join(text.split("\n")[1:])
        assert set(letters) <= set("0123456789 " + MISTAKE)
        assert all(letters.count(str(number)) > 5 for number in range(10))
        assert 0 < letters.count(MISTAKE) <= shown.mistakes


async def test_a_click_goes_to_a_point_and_a_second_one_takes_it(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen, _ = await opened(pilot)
        x, y = cells(screen)[500].tolist()
        await pilot.click(screen.map.scatter, offset=(x, y + 1))
        assert (cells(screen)[screen.map.scatter.cursor] == (x, y)).all()
        await pilot.click(screen.map.scatter, offset=(x, y + 1))
        await drawn(pilot)
        assert app.workspace.digit == ("test", screen.map.scatter.cursor)


@pytest.mark.parametrize("size", [(80, 16), (40, 12), (20, 5)])
async def test_little_room(still_app: MakeApp, size: tuple[int, int]) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen, _ = await opened(pilot)
        await pilot.resize_terminal(*size)
        await drawn(pilot)
        await pilot.press("right", "m", "plus", "down")
        await drawn(pilot)
        assert screen.map.scatter.event is not None
        assert screen.query_one("#map-side").display == (size[1] > 17)


async def test_without_a_network_nothing_is_mapped(still_app: MakeApp) -> None:
    app = still_app(empty=True)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: isinstance(app.screen, DigitsScreen) and app.screen.ready)
        await pilot.press("shift+tab", "m", "plus", "right", "w", "enter", "left_square_bracket")
        await drawn(pilot)
        assert isinstance(screen := app.screen, DigitsScreen)
        assert "nothing is open" in status(screen)
        assert "no map yet" in words(screen.map.scatter)
