"""Widgets of the inspection screens: bars of classes, the table of layers, the legend, and words on pictures."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import numpy as np
import pytest
from rich.cells import cell_len
from rich.style import Style
from textual._styles_cache import StylesCache
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from engine.inspection.events import LayerSummary, NetworkSummarised
from engine.inspection.requests import Summarise
from tests.tui.conftest import MakeApp
from tests.tui.driving import drawn, go, settled, until, words
from tui.drawing.cells import Cell, cells
from tui.drawing.raster import Span
from tui.drawing.view import View
from tui.screens.filters import FiltersScreen
from tui.screens.model import ModelScreen
from tui.widgets.bars import Bars
from tui.widgets.cells import CellWidget
from tui.widgets.layers import LayerTable, explained
from tui.widgets.lines import ProgressLine
from tui.widgets.pictures import Legend, Raster, RasterGrid, Sheet, write_over

SHARES = [0.0, 0.9, 0.05, 0.0, 0.03, 0.0, 0.0, 0.02, 0.0, 0.0]
DIVERGING = View("24-bit", "diverging", False)


@asynccontextmanager
async def showing(make: MakeApp, widget: Widget, width: int, height: int) -> AsyncIterator[None]:
    """The app with `widget` in this size on its screen."""
    app = make()
    async with app.run_test(size=(200, 60)) as pilot:
        widget.styles.width, widget.styles.height = width, height
        widget.styles.offset = (0, 0)
        widget.styles.layer = "default"
        await app.screen.mount(widget)
        await drawn(pilot)
        yield


def lines(widget: Bars | LayerTable | Legend | Raster | RasterGrid, width: int, height: int) -> list[str]:
    return ["".join(character for character, _ in row) for row in widget.draw(width, height)]


# Rows of cells


def looks(strips: Sequence[Strip]) -> list[list[Cell]]:
    """The characters and styles."""
    return [[(c, style or Style.null()) for text, style, _ in strip for c in text] for strip in strips]


@pytest.mark.parametrize("colour", [True, False])
async def test_rows_look_as_textual_renders_them(
    still_app: MakeApp, monkeypatch: pytest.MonkeyPatch, exact_engine: None, *, colour: bool
) -> None:
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")
    app, crop = still_app(), Region(3, 0, 20, 2)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await go(pilot, "4", FiltersScreen)
        await settled(pilot, screen)
        for bordered in (False, True):
            if bordered:
                screen.query_one(Legend).styles.border_left = ("solid", "red")
                await drawn(pilot)
            widgets = [widget for widget in screen.query(CellWidget) if widget.size]
            assert len(widgets) > 5
            for widget in widgets:
                for region in (widget.size.region, crop.intersection(widget.size.region)):
                    ours, usual = (
                        looks(cache.render_widget(widget, region)) for cache in (widget._styles_cache, StylesCache())
                    )
                    assert ours == usual


@pytest.mark.parametrize("text", ["cafe\u0301", "a\u0300\u0301b", "漢字", "漢\u0301字", "aaa漢字漢字", "\u0301"])
async def test_a_row_has_the_width_of_its_widget(still_app: MakeApp, text: str) -> None:
    """With letters that combine, and where a wide one is cut into halves."""
    line = ProgressLine()
    async with showing(still_app, line, 8, 1):
        line.show(text)
        (strip,) = line.render_lines(line.size.region)
        assert sum(cell_len(part) for part, _, _ in strip) == 8
        assert strip.cell_length == 8


async def test_a_theme_reaches_screens_that_are_not_in_front(still_app: MakeApp, exact_engine: None) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot, await go(pilot, "4", FiltersScreen))
        for key in ("2", "t", "4"):
            await pilot.press(key)
        await drawn(pilot)
        assert not app.current_theme.dark
        for widget in app.screen.query(CellWidget):
            region = widget.size.region
            before = looks(widget.render_lines(region))
            widget._rows = []
            widget._styles_cache.clear()
            widget.redraw()
            assert looks(widget.render_lines(region)) == before


# Bars


@pytest.mark.parametrize("width", [12, 13, 15, 20, 28, 60])
@pytest.mark.parametrize("height", [4, 11, 12, 22, 32, 60])
async def test_bars_keep_their_numbers_and_units(still_app: MakeApp, width: int, height: int) -> None:
    bars = Bars()
    async with showing(still_app, bars, width, height):
        bars.show("prediction", SHARES, 2, 1)
        rows = lines(bars, width, height)
        assert all(len(row) <= width for row in rows)
        first = next(row for row in rows[1:] if row.split()[:1] == ["1"])
        assert "90" in first
        assert first.rstrip().endswith(" %")
        shown = [row for row in rows[1:] if row.rstrip().endswith(" %")]
        assert len(shown) == min(10, height - 1)
        if height < 11:
            assert [int(row.split()[0]) for row in shown] == [1, 2, 4]  # the most probable ones


async def test_the_actual_class_has_a_mark_that_is_explained(still_app: MakeApp) -> None:
    bars = Bars()
    async with showing(still_app, bars, 60, 12):
        bars.show("actual 2, predicted 1", SHARES, 2, 1)
        title, *rows = lines(bars, 60, 12)
        assert "◂ actual" in title
        assert [row.split()[0] for row in rows if "◂" in row] == ["2"]
        # Where the title leaves no room for it, it stands below, if there is a line.
        title, *rows = lines(bars, 28, 12)
        assert "◂" not in title
        assert rows[-1].strip() == "◂ actual"
        assert "★" not in "".join((title, *rows))
        bars.show("class 2", SHARES, 2, 1, role="target")
        assert "◂ target" in lines(bars, 60, 12)[0]
        bars.show("", [], -1, -1)
        assert "◂" not in "".join(lines(bars, 60, 12))


@pytest.mark.parametrize("height", [4, 11, 25, 33, 50])
async def test_each_line_of_the_bars_belongs_to_a_class(still_app: MakeApp, height: int) -> None:
    bars = Bars()
    async with showing(still_app, bars, 60, height):
        bars.show("", SHARES, 2, 1)
        rows = lines(bars, 60, height)
        assert bars.class_at(0) is None
        for y, row in enumerate(rows[1:], start=1):
            if row.rstrip().endswith("%"):
                assert bars.class_at(y) == int(row.split()[0])
        assert bars.class_at(len(bars._on_lines) + 1) is None


async def test_bars_grow_with_their_room(still_app: MakeApp) -> None:
    bars = Bars()
    async with showing(still_app, bars, 60, 50):
        bars.show("", SHARES, 2, 1)
        thick = sum("█" * 20 in row for row in lines(bars, 60, 41))
        assert thick == 3
        assert not any("█" in row for row in lines(bars, 60, 25))


# Layers


def layer(name: str, inputs: tuple[int, ...], outputs: tuple[int, ...], parameters: int, adds: int) -> LayerSummary:
    return LayerSummary(
        name=name,
        input_shape=inputs,
        output_shape=outputs,
        parameters=parameters,
        running_statistics=0,
        neurons=0,
        multiply_adds=adds,
        receptive_field=5,
    )


def test_a_layers_numbers_are_explained() -> None:
    conv = layer("conv2", (32, 14, 14), (64, 14, 14), 64 * 32 * 25 + 64, 64 * 32 * 25 * 196)
    assert explained(conv) == [
        "51,264 parameters: 64 x 32 kernels of 5x5, and 64 biases",
        "10,035,200 multiply-adds: 51,200 at each of 196 positions",
        "an output depends on 5x5 pixels of the image",
    ]
    assert explained(layer("fc1", (1568,), (500,), 784_500, 784_000)) == [
        "784,500 parameters: 500 x 1,568 weights, and 500 biases",
        "one multiply-add per weight",
    ]
    assert "each of 32 channels" in explained(layer("batch_norm1", (32, 28, 28), (32, 28, 28), 64, 0))[0]
    assert "no parameters" in explained(layer("maxpool1", (32, 28, 28), (32, 14, 14), 0, 0))[0]


@pytest.mark.usefixtures("exact_engine", "quick_keys")
async def test_the_cursor_goes_over_the_layers_and_opens_convolutions(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await go(pilot, "2", ModelScreen)
        table = screen.query_one(LayerTable)
        assert table.here is not None
        assert table.here.name == "conv1"
        await pilot.press("down", "enter")
        await drawn(pilot)
        assert table.here.name == "maxpool1"
        assert app.screen is screen  # a pooling layer has no filters
        await pilot.press("end")
        assert table.here.name == "fc2"
        await pilot.press("down", "pageup", "up")
        assert table.here.name == "conv1"
        await pilot.press("down", "j", "enter")
        await until(pilot, lambda: isinstance(app.screen, FiltersScreen))
        filters = app.screen
        assert isinstance(filters, FiltersScreen)
        assert filters.front == "conv2"
        await go(pilot, "2", ModelScreen)
        await pilot.click(LayerTable, offset=(5, 2))
        assert table.here.name == "conv1"
        await pilot.click(LayerTable, offset=(5, 2))
        await until(pilot, lambda: app.screen is filters)
        assert filters.front == "conv1"


@pytest.mark.usefixtures("exact_engine", "quick_keys")
async def test_on_a_large_terminal_the_bars_stand_beside_the_layers(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(200, 60)) as pilot:
        screen = await go(pilot, "2", ModelScreen)
        table = screen.query_one(LayerTable)
        rows = words(table).splitlines()
        fc1 = next(row for row in rows if row.startswith(" fc1"))
        assert fc1.count(" %") == 2
        assert "98.2 %" in fc1
        assert "share of parameters" in rows[1]
        # A click still finds its layer, although the layers stand apart.
        at = next(number for number, row in enumerate(rows) if row.startswith(" fc1"))
        await pilot.click(LayerTable, offset=(5, at))
        assert table.here is not None
        assert table.here.name == "fc1"
        await pilot.resize_terminal(80, 24)
        await drawn(pilot)
        assert "%" not in words(table)
        assert [request for request in screen.wanted() if isinstance(request, Summarise)]
        assert isinstance(screen.summary, NetworkSummarised)


# Legends


async def test_the_legend_of_a_diverging_map_says_what_its_signs_mean(still_app: MakeApp) -> None:
    legend = Legend()
    async with showing(still_app, legend, 120, 1):
        legend.show(DIVERGING, Span(-2.5, 2.5), "saliency", ("against 8", "for 8"))
        (row,) = lines(legend, 120, 1)
        assert row.startswith(" against 8 (-2.5) ")
        assert " (2.5) for 8 " in row
        assert "0" in row[len(" against 8 (-2.5) ") : row.index("(2.5) for")]
        legend.show(View("24-bit", "gray", True), Span(0, 1), "pixel", ("against 8", "for 8"))
        (row,) = lines(legend, 120, 1)
        assert "against" not in row  # only the diverging map has signs


@pytest.mark.parametrize(("colours", "ramp"), [("gray", "░▒▓█"), ("diverging", "≡═─╌░▒▓█")])
async def test_without_colour_the_legend_has_each_glyph_with_its_value(
    still_app: MakeApp, colours: str, ramp: str
) -> None:
    legend = Legend()
    low = -1.0 if colours == "diverging" else 0.0
    async with showing(still_app, legend, 190, 1):
        legend.show(View("glyphs", colours, True), Span(low, 1.0), "drop")  # type: ignore[arg-type]
        (row,) = lines(legend, 190, 1)
        for number, glyph in enumerate(ramp):
            value = float(row[row.index(glyph * 2) + 2 :].split()[0])
            expected = np.linspace(low, 1, len(ramp) + 1)
            assert value == np.delete(expected, len(ramp) // 2 if low else 0)[number]
        (short,) = lines(legend, 60, 1)
        assert len(short) <= 60
        assert all(glyph * 2 in short for glyph in ramp)


# Pictures


def test_words_on_a_picture_are_wrapped_and_centred() -> None:
    picture = [cells(("." * 14, Style())) for _ in range(7)]
    written = write_over(picture, "zero: no channel supports 8", Style(bold=True))
    rows = ["".join(character for character, _ in row) for row in written]
    assert [row.strip(".") for row in rows] == ["", "", "zero: no", "channel", "supports 8", "", ""]
    assert all(len(row) == 14 for row in rows)
    assert "".join(character for character, _ in picture[2]) == "." * 14  # the original is unchanged
    assert write_over([], "words", Style()) == []


@pytest.mark.parametrize(("width", "height"), [(60, 17), (117, 32), (88, 50)])
async def test_a_map_of_zeros_says_why_on_its_tile(still_app: MakeApp, width: int, height: int) -> None:
    grid, large = RasterGrid(), Raster()
    images = np.zeros((8, 28, 28))
    notes: Sequence[str] = [""] * 7 + ["zero: no channel supports 8"]
    async with showing(still_app, grid, width, height):
        grid.show("evidence", "", Sheet(images, labels=[f"map {n}" for n in range(8)], notes=notes), DIVERGING)
        rows = lines(grid, width, height)
        seen = " ".join(" ".join(rows).split())
        assert seen.count("zero: no") == 1
        assert all(any(word in row for row in rows) for word in ("zero: no", "channel", "supports 8"))
    async with showing(still_app, large, 60, 30):
        large.show("map", "", images[0], DIVERGING, note=notes[-1])
        assert any("zero: no channel supports 8" in row for row in lines(large, 60, 30))


async def test_rows_of_a_grid_share_what_room_is_left(still_app: MakeApp) -> None:
    grid = RasterGrid()
    images = np.ones((4, 14, 14))
    async with showing(still_app, grid, 31, 22):
        grid.show("maps", "", Sheet(images, labels=["a", "b", "c", "d"]), View("24-bit", "gray", True))
        at = {
            row.split()[0]: y for y, row in enumerate(lines(grid, 31, 22)) if row.strip() and row.strip()[0] in "abcd"
        }
        assert at["c"] - at["a"] == 8 + 2
        assert lines(grid, 31, 17)[1 + 8].strip().startswith("c")
