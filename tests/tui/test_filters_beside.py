"""Screen 4 with the filters of another network beside those of the open one."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.inspection.requests import ShowFilters
from engine.runs.finding import compared_bundled
from tests.tui.conftest import MakeApp
from tests.tui.driving import CNN, adjust, drawn, go, settled, status, until, words
from tui.screens.filters import FiltersScreen
from tui.widgets.pictures import RasterGrid
from tui.widgets.settings import Settings

pytestmark = pytest.mark.usefixtures("exact_engine", "quick_keys")
OTHER = compared_bundled("cnn")
SHORT = OTHER.removeprefix("pretrained:")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
@pytest.mark.parametrize("name", ["NO_COLOR", "LC_ALL", "TERM"])
async def test_one_key_shows_both_on_one_scale(
    still_app: MakeApp, monkeypatch: pytest.MonkeyPatch, name: str, size: tuple[int, int]
) -> None:
    monkeypatch.setenv(name, "C" if name != "TERM" else "xterm-256color")
    app = still_app()
    async with app.run_test(size=size) as pilot:
        screen = await go(pilot, "4", FiltersScreen)
        beside = screen.query_one("#filters-beside", RasterGrid)
        assert not beside.display
        assert "beside none" in words(screen.query_one(Settings))
        await pilot.press("b")
        await settled(pilot, screen)
        assert screen.wanted() == [ShowFilters(what=CNN), ShowFilters(what=OTHER)]
        assert beside.display
        assert f"beside {SHORT}" in words(screen.query_one(Settings))
        own, other = screen.kernels.shown, screen.kernels.other
        assert own is not None
        assert other is not None
        assert (own.name, other.name) == (CNN, OTHER)
        assert "cnn  32 filters" in words(screen.kernels.grid)
        assert f"{SHORT}  32 filters" in words(beside)
        most = max(abs(edge) for event in (own, other) for edge in (event.minimum, event.maximum))
        for grid in (screen.kernels.grid, beside):
            assert grid.span is not None
            assert (grid.span.low, grid.span.high) == pytest.approx((-most, most))
        assert (beside.sheet.images == other.weights[:, 0]).all()
        said = f"near zero: {own.near_zero} and {other.near_zero}, one pixel: {own.one_pixel} and {other.one_pixel}, "
        said += f"mean size: {own.mean_size:.3f} and {other.mean_size:.3f}"
        assert status(screen).strip() == said
        assert name != "LC_ALL" or (words(screen.kernels.grid) + words(beside)).isascii()
        await pilot.press("b")
        await settled(pilot, screen)
        assert not beside.display
        assert "0  0" in words(screen.kernels.grid)  # the number of each filter and its norm are back


async def test_only_conv1_has_others_beside_it_and_epochs_go_on(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await go(pilot, "4", FiltersScreen)
        await adjust(pilot, screen, "beside", "right")
        assert screen.kernels.comparing
        await pilot.press("[")
        await settled(pilot, screen)
        assert screen.kernels.shown is not None
        assert screen.kernels.other is not None
        assert screen.kernels.shown.epoch == 14
        assert screen.kernels.other.epoch == screen.kernels.other.epochs[-1]
        await pilot.press("n")  # a range of values for each kernel
        await drawn(pilot)
        assert screen.kernels.grid.span is None
        await pilot.press("tab")
        await settled(pilot, screen)
        assert screen.wanted() == [ShowFilters(what=CNN, layer="conv2", epoch=14)]
        assert not screen.query_one("#filters-beside", RasterGrid).display
        assert "beside" not in words(screen.query_one(Settings))
        await pilot.press("b")  # has no effect here
        await pilot.press("shift+tab", "enter")
        await settled(pilot, screen)
        assert screen.kernels.comparing
        assert not screen.query_one("#filters-beside", RasterGrid).display  # a kernel from near


@pytest.mark.parametrize("count", [1, 6, 13])
async def test_a_row_need_not_be_full(still_app: MakeApp, count: int) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await go(pilot, "4", FiltersScreen)
        await pilot.press("b")
        await settled(pilot, screen)
        shown = screen.kernels.shown
        assert shown is not None
        screen.kernels.shown = replace(shown, weights=shown.weights[:count], norms=shown.norms[:count])
        screen.update()
        await pilot.press("end", "up", "down")
        await drawn(pilot)
        assert f"cnn  {count} filters" in words(screen.kernels.grid)
        assert screen.kernels.grid.cursor < count


async def test_the_figure_has_both(still_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await go(pilot, "4", FiltersScreen)
        await pilot.press("b")
        await settled(pilot, screen)
        await pilot.press("e")
        file = tmp_path / "figures" / "filters-conv1-epoch-15-side-by-side.png"
        await until(pilot, file.exists)
        job = app.workspace.exporting
        await until(pilot, lambda: job is None or job.state == "done")
        assert file.read_bytes().startswith(b"\x89PNG")
