"""The page of corruptions, driven by its keys, with the real lab and a bundled network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from rich.color import Color
from textual.pilot import Pilot

from engine.corruptions.events import CorruptionsAdvanced, CorruptionsMeasured
from engine.corruptions.requests import MeasureCorruptions, ShowCorruptions
from engine.network.checkpoints import load_weights, save_weights
from engine.runs.finding import pretrained
from tests.tui.conftest import MakeApp
from tests.tui.driving import adjust, drawn, go, settled, show, status, until, words
from tui.screens.attacks import AttacksScreen
from tui.screens.attacks.corruptions import CorruptionsPage
from tui.widgets.bars import Bars
from tui.widgets.pictures import Raster, RasterGrid

pytestmark = pytest.mark.usefixtures("exact_engine", "quick_keys")
WIDE = (120, 40)
CNN, NORMED = "pretrained:cnn", "pretrained:cnn-bn"


@pytest.fixture(autouse=True)
def few_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure over few digits."""
    monkeypatch.setattr("tui.screens.attacks.measurement.SHOWN_IN_A_CURVE", 10)


async def opened(pilot: Pilot[int]) -> tuple[AttacksScreen, CorruptionsPage]:
    screen = await go(pilot, "7", AttacksScreen)
    await press(pilot, screen, "shift+tab")
    page = screen.page
    assert isinstance(page, CorruptionsPage)
    return screen, page


async def press(pilot: Pilot[int], screen: AttacksScreen, *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settled(pilot, screen)


async def test_a_digit_under_all_corruptions_with_its_answers(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen, page = await opened(pilot)
        assert screen.wanted() == [ShowCorruptions(what=CNN, others=(NORMED,))]
        shown, grid = page.shown, page.query_one(RasterGrid)
        assert shown is not None
        assert "mnist test 61, actual 8" in words(grid)
        assert f"wrong: {shown.wrong(0)} of 15" in words(grid)
        named = dict(zip(shown.corruptions, shown.predicted[0], strict=True))
        assert named["shear"] == 8 != named["translate"]
        assert "shear 8" in words(grid)
        assert f"translate→{named['translate']}" in words(grid)
        letters = {(character, style.color) for row in grid._rows for character, style in row}
        assert ("t", Color.parse(app.theme_variables["error"])) in letters
        assert ("s", Color.parse(app.theme_variables["success"])) in letters
        # The table has the answers of both networks, and no accuracies yet.
        assert f"→{shown.predicted[1][shown.corruptions.index('fog')]}" in words(page.table)
        assert "accuracy" not in words(page.table)
        assert "r runs it" in status(screen)
        assert page.figure() is not None
        await press(pilot, screen, ".")
        assert "mnist test 62" in words(grid)
        assert screen.wanted() == [ShowCorruptions(what=CNN, others=(NORMED,), index=62)]


async def test_accuracies_are_measured_when_asked_for(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen, page = await opened(pilot)
        await press(pilot, screen, "r")
        measurement = MeasureCorruptions(what=CNN, others=(NORMED,), count=10)
        assert screen.wanted() == [measurement, ShowCorruptions(what=CNN, others=(NORMED,))]
        found = page.measured
        assert type(found) is CorruptionsMeasured
        table = words(page.table)
        assert "accuracy over 10 of 10 digits, 95 % interval" in table
        assert f"{CNN}, mean {found.mean(CNN):.2%}".replace("%", " %") in table
        point = found.of(NORMED)["shot-noise"]
        assert f"{100 * point.accuracy:.2f} % {100 * point.low:6.2f} to {100 * point.high:6.2f} %" in table
        # Another digit leaves the accuracies as they are, and the figure has both.
        await press(pilot, screen, ".")
        assert page.measured is found
        figure = page.figure()
        assert figure is not None
        assert (figure.subject.index, figure.subject.points) == (62, found.points)
        # Another seed is another measurement, and other pictures.
        await adjust(pilot, screen, "seed", "right")
        assert page.measured is None
        assert screen.wanted() == [ShowCorruptions(what=CNN, others=(NORMED,), index=62, seed=1)]


async def test_table_and_pictures_share_their_cursor(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen, page = await opened(pilot)
        await press(pilot, screen, "down", "down")
        grid, shown = page.query_one(RasterGrid), page.shown
        assert shown is not None
        assert (grid.cursor, page.table.cursor) == (2, 2)
        assert page.query_one(Bars).shares == shown.probabilities[0, 2].tolist()
        grid.go_to(9)
        await drawn(pilot)
        assert page.table.cursor == 9
        await press(pilot, screen, "enter")
        near = page.query_one(Raster)
        assert near.display
        assert not grid.display
        assert "translate" in words(near)
        assert f"translate: {CNN} {shown.predicted[0][9]} (" in status(screen)
        await press(pilot, screen, "escape")
        assert grid.display


async def test_a_narrow_screen_has_one_row_of_pictures(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen, page = await opened(pilot)
        grid = page.query_one(RasterGrid)
        assert "glass blur" in words(grid)
        assert "Canny edges" not in words(grid)
        await press(pilot, screen, "end")
        assert "Canny edges" in words(grid)
        assert "Canny edges" in words(page.table)
        await press(pilot, screen, "r")
        assert all(len(line.rstrip()) <= 80 for line in words(page.table).splitlines())


@pytest.mark.parametrize("variable", ["NO_COLOR", "LC_ALL"])
async def test_wrong_answers_are_seen_without_colour_and_in_ascii(
    still_app: MakeApp, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "C")
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        _, page = await opened(pilot)
        shown = page.shown
        assert shown is not None
        arrow = ">" if variable == "LC_ALL" else "→"
        assert f"translate{arrow}{shown.predicted[0][9]}" in words(page.query_one(RasterGrid))
        if variable == "LC_ALL":
            assert words(page.table).isascii()


async def test_a_network_without_numbers(still_app: MakeApp, tmp_path: Path) -> None:
    model = load_weights(pretrained("cnn").model_file)
    with torch.no_grad():
        model.get_parameter("fc.3.bias")[3] = float("nan")
    save_weights(file := tmp_path / "damaged.safetensors", model)
    app = still_app(empty=True)
    async with app.run_test(size=WIDE) as pilot:
        show(app, file)
        screen, page = await opened(pilot)
        await press(pilot, screen, "r", "enter")
        assert "damaged.safetensors" in words(page.table)
        assert page.measured is not None


async def test_it_stops_and_keeps_what_it_has(still_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.corruptions.accuracy.EVALUATION_BATCH", 1)
    monkeypatch.setattr("tui.screens.attacks.measurement.SHOWN_IN_A_CURVE", 300)
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen, page = await opened(pilot)
        await pilot.press("r")
        await until(pilot, lambda: isinstance(page.measured, CorruptionsAdvanced))
        await pilot.press("x")
        await settled(pilot, screen)
        part = page.measured
        assert isinstance(part, CorruptionsAdvanced)
        assert 0 < part.points[0].count < 300
        assert f"accuracy over {part.points[0].count:,} of 300 digits" in words(page.table)
        assert "r runs it" in status(screen)
