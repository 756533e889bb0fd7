"""The pages of screen 4 on what units look for, driven by their keys, with the real lab and the bundled network."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.color import Color
from textual.pilot import Pilot

from engine.inspection.requests import ShowUnit, VisualiseUnits
from engine.inspection.unit_events import PicturesAdvanced, UnitsVisualised
from engine.network.checkpoints import load_weights, save_weights
from engine.runs.finding import pretrained
from tests.tui.conftest import MakeApp
from tests.tui.driving import CNN, adjust, drawn, go, settled, show, status, until, words
from tui.keys import commands
from tui.screens.activations import ActivationsScreen
from tui.screens.filters import FiltersScreen
from tui.widgets.pictures import Legend, Raster, RasterGrid
from tui.widgets.role import Role
from tui.widgets.settings import Settings

pytestmark = pytest.mark.usefixtures("exact_engine", "quick_keys")
WIDE = (120, 40)


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Climb for a moment only."""
    monkeypatch.setattr("tui.screens.filters.pictures.VisualiseUnits", partial(VisualiseUnits, steps=3))
    monkeypatch.setattr("tui.screens.filters.unit.ShowUnit", partial(ShowUnit, steps=3))


async def pictures(pilot: Pilot[int]) -> tuple[FiltersScreen, UnitsVisualised]:
    """The page of all pictures, and what it shows."""
    screen = await go(pilot, "4", FiltersScreen)
    await pilot.press("tab", "tab")
    await settled(pilot, screen)
    event = screen.pictures.made["conv1"]
    assert isinstance(event, UnitsVisualised)
    return screen, event


async def test_all_pictures_with_their_digits(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen, event = await pictures(pilot)
        assert screen.front == "pictures"
        assert screen.wanted() == [VisualiseUnits(what=CNN, layer="conv1", starts=1, steps=3)]
        grid = screen.query_one("#pictures-all", RasterGrid)
        assert np.array_equal(grid.sheet.images, event.images)
        assert [label.split()[0] for label in grid.sheet.labels] == [str(number) for number in range(32)]
        known = event.units[1]
        assert grid.sheet.labels[1] == f"1 {known.activation / known.digit_activation:.1f}x"
        await pilot.press("right")
        await drawn(pilot)
        assert f"conv1 unit 1: {known.activation:.3f}, by digit {known.digit} {known.digit_activation:.3f}" in status(
            screen
        )
        near, digit = screen.query_one("#picture", Raster), screen.query_one("#picture-digit", Raster)
        assert near.values is not None
        assert np.array_equal(near.values, event.images[1])
        assert np.array_equal(digit.values, event.digits[1])  # type: ignore[arg-type]
        assert f"test {known.digit}" in words(digit)
        assert not screen.query_one("#conv1-page").display
        assert not screen.query_one(Legend).display
        figure = screen.figure()
        assert figure is not None
        assert figure.subject is event


async def test_the_next_layer_and_back_without_work(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen, first = await pictures(pilot)
        await pilot.press("b")
        await settled(pilot, screen)
        second = screen.pictures.made["conv2"]
        assert isinstance(second, UnitsVisualised)
        assert "layer conv2" in words(screen.query_one(Settings))
        assert "what conv2 looks for" in words(screen.query_one("#pictures-all", RasterGrid))
        jobs = dict(screen.inquiry.jobs)
        await adjust(pilot, screen, "pictured", "left")
        await settled(pilot, screen)
        assert screen.pictures.made["conv1"] is first
        assert screen.inquiry.jobs == jobs  # both answers were kept
        await pilot.press("escape")
        await settled(pilot, screen)
        assert screen.front == "conv2"  # where the pages were turned from
        assert screen.query_one("#conv1-page").display
        assert screen.query_one(Legend).display


async def test_pictures_are_drawn_while_they_are_made(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen, event = await pictures(pilot)
        grid = screen.query_one("#pictures-all", RasterGrid)
        half = {name: getattr(event, name) for name in PicturesAdvanced.__struct_fields__}
        screen.pictures.take(PicturesAdvanced(**half | {"done": 2}))
        assert screen.pictures.made["conv1"] is event  # what is finished stays in view while it is made anew
        screen.pictures.made.clear()
        screen.pictures.take(PicturesAdvanced(**half | {"done": 2}))
        screen.update()
        await drawn(pilot)
        assert "step 2 of 3" in words(grid)
        assert "noise becomes what excites each unit most" in status(screen)
        assert np.array_equal(grid.sheet.images, event.starts[:, 0])
        assert list(grid.sheet.labels[:3]) == ["0", "1", "2"]
        assert screen.figure() is None
        await pilot.press("right", "enter")  # a unit's page can be opened meanwhile
        await settled(pilot, screen)
        assert screen.unit.chosen == ("conv1", 1)


@pytest.mark.parametrize("size", [(80, 24), WIDE, (200, 60)])
async def test_enter_on_a_picture_opens_the_page_of_its_unit(still_app: MakeApp, size: tuple[int, int]) -> None:
    app = still_app()
    async with app.run_test(size=size) as pilot:
        screen, _ = await pictures(pilot)
        await pilot.press("right", "right", "enter")
        await settled(pilot, screen)
        assert screen.front == "unit"
        assert screen.wanted() == [ShowUnit(what=CNN, layer="conv1", unit=2, steps=3)]
        event = screen.unit.known["conv1", 2]
        role = words(screen.query_one(Role))
        assert event.ablation is not None
        for number, (mean, change) in enumerate(zip(event.responses, event.ablation.logits, strict=True)):
            rows = [line.split() for line in role.splitlines()]
            assert any(row[:1] == [str(number)] and row[-2:] == [f"{mean:.3f}", f"{change:+.2f}"] for row in rows)
        lost = event.ablation
        said = f"without it {100 * lost.accuracy_without:.2f} % accuracy, not {100 * lost.accuracy:.2f} %"
        assert f"conv1 unit 2: {said}; {lost.changed} prediction" in status(screen)
        starts, digits = screen.query_one("#unit-starts", RasterGrid), screen.query_one("#unit-digits", RasterGrid)
        assert np.array_equal(starts.sheet.images, event.starts)
        assert list(starts.sheet.labels) == [f"{value:.3f}" for value in event.activations]
        assert np.array_equal(digits.sheet.images, event.digit_images)
        assert words(digits).count(f"{event.digits[0].index} ") >= 1
        kernel = words(screen.query_one("#unit-kernel", Raster))
        assert "conv1 unit 2  kernel" in kernel
        figure = screen.figure()
        assert figure is not None
        assert figure.subject is event
        await pilot.press("escape")
        await drawn(pilot)
        assert screen.front == "pictures"
        await pilot.press("escape")
        await drawn(pilot)
        assert screen.front == "conv2"


async def test_a_click_on_a_picture_does_what_enter_does(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "4", FiltersScreen)
        await pilot.press("right")
        for zoomed, front in ((True, "conv1"), (False, "unit")):
            screen.kernels.grid.post_message(RasterGrid.Opened())
            await settled(pilot, screen)
            assert (screen.zoomed, screen.front) == (zoomed, front)
        assert screen.unit.chosen == ("conv1", 1)
        await screen.turn_to("pictures")
        await settled(pilot, screen)
        screen.pictures.grid.post_message(RasterGrid.Opened())
        await settled(pilot, screen)
        assert (screen.front, screen.unit.chosen) == ("unit", ("conv1", 0))


async def test_arrows_go_from_unit_to_unit_and_settings_anywhere(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "4", FiltersScreen)
        await pilot.press("shift+tab")
        await settled(pilot, screen)
        assert (screen.front, screen.unit.chosen) == ("unit", ("conv1", 0))
        for key, unit in (
            ("left", 0),
            ("right", 1),
            ("down", 2),
            ("up", 1),
            ("pagedown", 11),
            ("end", 31),
            ("right", 31),
        ):
            await pilot.press(key)
            await settled(pilot, screen)
            assert screen.unit.chosen == ("conv1", unit), key
        await pilot.press("home")
        await settled(pilot, screen)
        assert screen.unit.chosen == ("conv1", 0)
        await adjust(pilot, screen, "unit", "1", "7", "enter")
        assert screen.unit.chosen == ("conv1", 17)
        await adjust(pilot, screen, "unit_layer", "right")
        assert screen.unit.chosen == ("conv2", 0)
        many = screen.query_one("#unit-kernels", RasterGrid)
        assert many.display
        assert not screen.query_one("#unit-kernel", Raster).display
        assert "conv2 unit 0  32 kernels" in words(many)
        norms = np.square(many.sheet.images).sum(axis=(1, 2))
        assert (np.diff(norms) <= 0).all()


async def test_a_neuron_has_no_map_to_go_to(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "4", FiltersScreen)
        screen.unit.open("hidden", 4)
        await settled(pilot, screen)
        assert "zoom" not in [each.name for each in screen.live_commands()]
        await pilot.press("enter")
        await drawn(pilot)
        assert app.screen is screen
        assert screen.unit.known["hidden", 4].kernels.shape == (32, 7, 7)
        screen.unit.open("conv1", 4)
        await settled(pilot, screen)
        assert "zoom" in [each.name for each in screen.live_commands()]


async def test_a_map_leads_to_its_unit_and_back(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        maps = await go(pilot, "5", ActivationsScreen)
        await pilot.press("tab", "o", "right", "enter", "enter")
        await until(pilot, lambda: isinstance(app.screen, FiltersScreen) and app.screen.is_mounted)
        screen = app.screen
        assert isinstance(screen, FiltersScreen)
        await settled(pilot, screen)
        assert (screen.front, screen.unit.chosen) == ("unit", ("conv2", maps._order()[1]))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is maps)
        assert maps.zoomed
        await go(pilot, "4", FiltersScreen)
        await pilot.press("escape")
        await drawn(pilot)
        assert (app.screen, screen.front) == (screen, "conv1")


async def test_keys_of_the_kernels_do_nothing_here(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen, _ = await pictures(pilot)
        before = (screen.kernels.epoch, screen.kernels.by_norm, screen.look, screen.kernels.beside)
        for page in ("pictures", "unit"):
            await screen.turn_to(page)
            await settled(pilot, screen)
            await pilot.press("[", "]", "o", "n", "c")
            await drawn(pilot)
            assert (screen.kernels.epoch, screen.kernels.by_norm, screen.look, screen.kernels.beside) == before
    names = {each.name for each in commands("filters") if each.on_page("unit")}
    assert names >= {"zoom", "settings", "view", "export", "next_page", "back"}
    assert not names & {"order", "range", "colours", "earlier", "later", "beside", "next_layer"}


async def test_another_network_has_units_of_its_own(still_app: MakeApp, tmp_path: Path) -> None:
    model = load_weights(pretrained("cnn").model_file)
    with torch.no_grad():
        model.get_parameter("conv1.0.bias")[0] = -100.0
        model.get_parameter("fc.3.bias")[3] = math.nan
    save_weights(file := tmp_path / "other.safetensors", model)
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen, _ = await pictures(pilot)
        await pilot.press("end", "enter")
        await settled(pilot, screen)
        assert screen.unit.chosen == ("conv1", 31)
        show(app, file)
        screen.update()
        await settled(pilot, screen)
        assert (screen.unit.chosen, list(screen.unit.known)) == (("conv1", 0), [("conv1", 0)])
        assert "no digit excites it" in words(screen.query_one("#unit-digits", RasterGrid))
        assert "0.000" in words(screen.query_one(Role))
        assert "nan" not in words(screen.query_one(Role))
        rows = [line.split() for line in words(screen.query_one(Role)).splitlines()]
        assert [row[-1] for row in rows if row[:1] == ["3"]] == ["-"]  # its logit is no number
        await pilot.press("escape", "escape", "tab", "tab")
        await drawn(pilot)
        await screen.turn_to("pictures")
        await settled(pilot, screen)
        grid = screen.query_one("#pictures-all", RasterGrid)
        assert grid.sheet.labels[0] == "0 -"
        assert grid.sheet.inks[0] == "warning"
        await pilot.press("right")  # the label under the cursor has other colours
        await drawn(pilot)
        letters = {(character, style.color) for row in grid._rows for character, style in row}
        assert ("-", Color.parse(app.theme_variables["warning"])) in letters


@pytest.mark.parametrize("variable", ["NO_COLOR", "LC_ALL", "TERM"])
@pytest.mark.parametrize("size", [(80, 24), WIDE])
async def test_it_is_read_without_colour_and_in_ascii(
    still_app: MakeApp, monkeypatch: pytest.MonkeyPatch, variable: str, size: tuple[int, int]
) -> None:
    monkeypatch.setenv(variable, "C" if variable != "TERM" else "xterm-256color")
    app = still_app()
    async with app.run_test(size=size) as pilot:
        screen, _ = await pictures(pilot)
        texts = words(screen.query_one("#pictures-all", RasterGrid))
        await pilot.press("enter")
        await settled(pilot, screen)
        texts += words(screen.query_one(Role)) + words(screen.query_one("#unit-starts", RasterGrid)) + status(screen)
        assert "from noise" in texts
        assert variable != "LC_ALL" or texts.isascii()


async def test_a_tiny_terminal_and_nothing_open(still_app: MakeApp) -> None:
    app = still_app(empty=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: isinstance(app.screen, FiltersScreen) and app.screen.is_mounted)
        screen = app.screen
        assert isinstance(screen, FiltersScreen)
        for page in ("pictures", "unit"):
            await screen.turn_to(page)
            await drawn(pilot)
            assert "nothing is open: train a network on screen 1" in status(screen)
            for size in ((1, 1), (10, 5), (101, 9), (250, 90), (80, 24)):
                await pilot.resize_terminal(*size)
                await pilot.press("right", "enter", "end", "e", "home")
        assert app.is_running
