"""Screens 2 to 5 driven by their keys, with the real lab and a bundled network."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from msgspec.structs import replace
from textual.pilot import Pilot

from engine.data.datasets import Dataset
from engine.network.checkpoints import load_weights, read_weights, save_weights
from engine.network.events import EngineLoaded
from engine.runs.finding import pretrained
from engine.runs.folder import RunFolder
from engine.training.requests import Train
from tests.tui.conftest import MakeApp
from tests.tui.driving import INSPECTING, changed, drawn, go, settled, show, status, until, words
from tui.app import MnistTui
from tui.screens.activations import ActivationsScreen
from tui.screens.digits import DigitsScreen
from tui.screens.filters import FiltersScreen
from tui.screens.inspect import InspectScreen
from tui.screens.model import ModelScreen
from tui.widgets.confusion import Confusion
from tui.widgets.pictures import Legend, Raster, RasterGrid

pytestmark = pytest.mark.usefixtures("exact_engine", "quick_keys")


async def test_model_shows_the_notebooks_counts(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await go(pilot, "2", ModelScreen)
        shown = "\n".join(strip.text for strip in app.screen._compositor.render_strips())
        for part in (
            "[BS,1,28,28]",
            "[BS,32,14,14]",
            "9,568",
            "789,510",
            "799,078",
            "31,360",
            "510",
            "31,870",
            "field",
        ):
            assert part in shown
        assert screen.summary is not None


async def test_digits_by_order_and_class(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await go(pilot, "3", DigitsScreen)
        first = screen.digits.shown
        assert first is not None
        assert first.order == "random"
        assert app.workspace.digit == ("test", first.digits[screen.digits.grid.cursor].index)
        await pilot.press("a")
        await settled(pilot, screen)
        assert screen.digits.shown is not None
        assert [d.index for d in screen.digits.shown.digits] != [d.index for d in first.digits]
        await pilot.press("m")
        await settled(pilot, screen)
        assert all(d.actual != d.predicted for d in screen.digits.shown.digits)
        certainty = [d.probability for d in screen.digits.shown.digits]
        assert certainty == sorted(certainty, reverse=True)
        await pilot.press("o", "w", "w", "w", "w")
        await settled(pilot, screen)
        assert (screen.digits.shown.order, screen.digits.shown.digit) == ("least-certain", 3)
        assert {d.actual for d in screen.digits.shown.digits} == {3}
        await pilot.press("W", "W", "W", "W")
        await settled(pilot, screen)
        assert screen.digits.shown.digit == -1


async def test_the_confusion_matrix_counts_the_whole_split(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await go(pilot, "3", DigitsScreen)
        assert screen.digits.evaluated is not None
        assert not screen.query_one(Confusion).display or not screen.query_one("#side").display
        await pilot.press("tab")
        await drawn(pilot)
        matrix = words(screen.query_one(Confusion))
        assert f"{screen.digits.evaluated.accuracy * 100:.2f} % of 1,000" in matrix
        for row in screen.digits.evaluated.confusion:
            assert any(line.split()[1:11] == [str(c) if c else "·" for c in row] for line in matrix.splitlines()[2:])
        assert screen.figure().subject is screen.digits.evaluated  # type: ignore[union-attr]
        await pilot.press("escape")
        assert screen.query_one("#digits").display


async def test_the_digit_selected_is_the_current_one(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        digits = (await go(pilot, "3", DigitsScreen)).digits
        await pilot.press("right", "down", "l", "h", "j", "k")
        assert digits.shown is not None
        index = digits.shown.digits[digits.query_one("#digits", RasterGrid).cursor].index
        assert app.workspace.digit == ("test", index)
        activations = await go(pilot, "5", ActivationsScreen)
        assert activations.shown is not None
        assert activations.shown.index == index
        await pilot.press("full_stop")
        await settled(pilot, activations)
        assert activations.shown.index == index + 1
        await pilot.press("comma", "comma")
        await settled(pilot, activations)
        assert activations.shown.index == index - 1
        app.workspace.digit = ("test", digits.shown.digits[7].index)
        await go(pilot, "3", DigitsScreen)
        assert digits.grid.cursor == 7


async def test_the_first_and_last_digit_are_the_ends(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await go(pilot, "5", ActivationsScreen)
        for index, key in ((0, "comma"), (999, "full_stop")):
            app.workspace.digit = ("test", index)
            screen.update()
            await settled(pilot, screen)
            await pilot.press(key)
            await settled(pilot, screen)
            assert app.workspace.digit == ("test", index)
            assert screen.inquiry.problem == ""


async def test_zoom_shows_the_numbers(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        filters = await go(pilot, "4", FiltersScreen)
        await pilot.press("right", "right", "enter")
        await drawn(pilot)
        assert filters.kernels.shown is not None
        kernel = words(filters.query_one("#kernel", Raster))
        for value in filters.kernels.shown.weights[2, 0].ravel():
            assert f"{value:.3f}" in kernel
        await pilot.press("escape")
        assert filters.query_one("#filters").display
        await pilot.press("tab")
        await settled(pilot, filters)
        await pilot.press("down", "right", "enter")
        await drawn(pilot)
        kernel = words(filters.query_one("#kernel", Raster))
        assert "output 1, input 1" in kernel
        assert all(f"{value:.3f}" in kernel for value in filters.kernels.shown.weights[1, 1].ravel())


async def test_filters_epoch_by_epoch(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await go(pilot, "4", FiltersScreen)
        assert screen.kernels.shown is not None
        latest = screen.kernels.shown.weights
        for epoch in (14, 13):
            await pilot.press("left_square_bracket")
            await settled(pilot, screen)
            assert screen.kernels.shown.epoch == epoch
            assert not np.array_equal(screen.kernels.shown.weights, latest)
        await pilot.press(*["left_square_bracket"] * 20)
        await settled(pilot, screen)
        assert screen.kernels.shown.epoch == 0
        assert "before training" in words(screen.query_one("#filters", RasterGrid))
        await pilot.press(*["right_square_bracket"] * 20)
        await settled(pilot, screen)
        assert (screen.kernels.shown.epoch, screen.kernels.epoch) == (15, -1)
        assert np.array_equal(screen.kernels.shown.weights, latest)


async def test_filters_sorted_and_in_their_own_range(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await go(pilot, "4", FiltersScreen)
        assert screen.kernels.shown is not None
        norms = screen.kernels.shown.norms
        await pilot.press("o")
        grid = screen.query_one("#filters", RasterGrid)
        best = max(range(len(norms)), key=norms.__getitem__)
        assert np.array_equal(grid.sheet.images[0], screen.kernels.shown.weights[best, 0])
        assert grid.sheet.labels[0].split() == [str(best), f"{norms[best]:.2f}"]
        top = np.abs(screen.kernels.shown.weights).max()
        assert f"-{top:.3g} " in words(screen.query_one(Legend))
        assert "one range for all" in words(screen.query_one(Legend))
        await pilot.press("n")
        own = np.abs(screen.kernels.shown.weights[best]).max()
        assert f"-{own:.3g} " in words(screen.query_one(Legend))
        await pilot.press("c", "c", "tab")
        await settled(pilot, screen)
        rows = [int(name) for name in grid.sheet.row_names]
        assert [screen.kernels.shown.norms[row] for row in rows] == sorted(screen.kernels.shown.norms, reverse=True)
        columns = [int(name) for name in grid.sheet.column_names]
        assert np.array_equal(grid.sheet.images[33], screen.kernels.shown.weights[rows[1], columns[1]])


async def test_activations_and_what_excites_a_channel(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await go(pilot, "5", ActivationsScreen)
        assert screen.shown is not None
        assert screen.surveyed is not None
        await pilot.press("o")
        grid = screen.query_one("#maps", RasterGrid)
        assert list(grid.sheet.labels[0].split())[1] == f"{max(screen.shown.conv1_strengths):.2f}"
        best = int(grid.sheet.labels[0].split()[0])
        await pilot.press("enter")
        await drawn(pilot)
        excite = screen.query_one("#strongest", RasterGrid)
        assert len(excite.sheet) == 9
        found = screen.surveyed.conv1.strongest[best]
        assert [label.split()[0] for label in excite.sheet.labels] == [str(each.index) for each in found]
        assert f"channel {best}" in words(screen.query_one("#map", Raster))
        await pilot.press("tab")
        await drawn(pilot)
        assert "conv2 channel" in words(screen.query_one("#map", Raster))
        await pilot.press("escape")
        assert grid.display


async def test_on_a_narrow_terminal_zoom_has_two_pages(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await go(pilot, "5", ActivationsScreen)
        seen = []
        for key in ("enter", "enter", "escape"):
            await pilot.press(key)
            await drawn(pilot)
            seen.append([name for name in ("maps", "map", "strongest") if screen.query_one(f"#{name}").display])
        assert seen == [["map"], ["strongest"], ["maps"]]


async def test_colours_and_views_as_the_terminal_can(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await go(pilot, "4", FiltersScreen)
        seen = []
        for _ in range(4):
            seen.append((screen.view.colours, screen.view.mode))
            await pilot.press("c", "v")
        assert [colours for colours, _ in seen] == ["diverging", "gray", "viridis", "diverging"]
        assert [mode for _, mode in seen] == ["24-bit", "256 colours", "glyphs", "24-bit"]
        await pilot.press("v")
        other = await go(pilot, "5", ActivationsScreen)
        assert other.view.mode == screen.view.mode  # the mode applies to all screens


async def test_more_colours_than_the_terminal_says_it_has(still_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLORTERM", "")
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await go(pilot, "4", FiltersScreen)
        seen = []
        for _ in range(4):
            seen.append((screen.view.mode, app.console.color_system))
            await pilot.press("v")
        assert seen == [
            ("glyphs", "standard"),
            ("24-bit", "truecolor"),
            ("256 colours", "256"),
            ("glyphs", "standard"),
        ]


@pytest.mark.parametrize(
    ("environment", "mode"),
    [
        ({"NO_COLOR": "1"}, "glyphs"),
        ({"LC_ALL": "C"}, "glyphs"),
        ({"TERM": "xterm", "COLORTERM": ""}, "glyphs"),
        ({"COLORTERM": ""}, "256 colours"),
        ({}, "24-bit"),
    ],
)
async def test_the_view_is_chosen_from_the_terminal(
    still_app: MakeApp, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], mode: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await go(pilot, "4", FiltersScreen)
        assert screen.view.mode == mode
        assert mode in words(screen.query_one(Legend))


@pytest.mark.usefixtures("asked_anew")
async def test_filters_form_while_a_run_trains(tmp_path: Path, small: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.inspection.loaded.read_weights", read_weights)
    app = MnistTui(tmp_path / "runs", pretrained("cnn"))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.workspace.engine is not None)
        screen = await go(pilot, "4", FiltersScreen)
        app.workspace.train(Train(epochs=3, train_size=640, threads=1, channels=4, hidden=16))
        seen = set()

        def third() -> bool:
            if screen.kernels.shown and screen.kernels.shown.variant == "cnn" and screen.kernels.shown.shape[0] == 4:
                seen.add(screen.kernels.shown.epoch)
            return 3 in seen

        await until(pilot, third)
        assert app.workspace.what == str(tmp_path / "runs" / app.workspace.history.name)
        await until(pilot, lambda: app.workspace.training is None)
        await settled(pilot, screen)
        assert screen.kernels.shown is not None
        assert screen.kernels.shown.epochs == (0, 1, 2, 3)
        assert "epoch 3 of 3" in words(screen.query_one("#filters", RasterGrid))
    assert app.workspace.lab.close()


async def test_a_weights_file_has_one_epoch_and_says_so(still_app: MakeApp, tmp_path: Path) -> None:
    app = still_app(empty=True)
    show(app, pretrained("cnn").model_file)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        screen = await go(pilot, "4", FiltersScreen)
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: bool(app._notifications))
        assert "keeps no filters of earlier epochs" in next(iter(app._notifications)).message
        assert screen.kernels.shown is not None
        assert screen.kernels.shown.epoch is None


async def test_another_network_begins_anew(still_app: MakeApp, trained: RunFolder) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        digits_screen = await go(pilot, "3", DigitsScreen)
        screen = await go(pilot, "4", FiltersScreen)
        await pilot.press("left_square_bracket", "left_square_bracket")
        await settled(pilot, screen)
        assert screen.kernels.epoch == 13
        show(app, trained, trained.history())
        await pilot.press("left_square_bracket")  # before its first result
        await settled(pilot, screen)
        assert screen.kernels.shown is not None
        assert (screen.kernels.shown.name, screen.inquiry.problem) == (trained.name, "")
        assert screen.kernels.shown.epochs == (0, 1, 2)
        await pilot.press("3")
        await settled(pilot, digits_screen)
        assert digits_screen.digits.evaluated is not None
        assert digits_screen.digits.evaluated.name == trained.name


async def test_an_answer_that_comes_late_is_not_taken(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await go(pilot, "4", FiltersScreen)
        shown, (job,) = screen.kernels.shown, screen.inquiry.jobs.values()
        assert shown is not None
        screen.inquiry.jobs = {}
        screen.inquiry._listen(job, msgspec.structs.replace(shown, layer="conv2"))
        assert screen.kernels.shown is shown


async def test_the_cursor_stays_on_its_digit_when_an_epoch_ends(still_app: MakeApp, trained: RunFolder) -> None:
    app = still_app(trained)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await go(pilot, "3", DigitsScreen)
        await pilot.press("m")
        await settled(pilot, screen)
        await pilot.press("right", "right", "down")
        assert screen.digits.shown is not None
        index, before = app.workspace.digit[1], screen.digits.shown
        fewer = msgspec.structs.replace(before, digits=before.digits[2:], images=before.images[2:])
        screen.digits.take(fewer)
        assert app.workspace.digit[1] == index
        assert fewer.digits[screen.digits.grid.cursor].index == index
        screen.digits.take(msgspec.structs.replace(before, digits=before.digits[:2], images=before.images[:2]))
        assert screen.digits.grid.cursor == 0


async def test_an_epoch_under_one_survey_does_not_displace_it(still_app: MakeApp, trained: RunFolder) -> None:
    app = still_app(trained)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await go(pilot, "3", DigitsScreen)
        first = next(iter(screen.inquiry.jobs.values()))
        first.state = "running"  # as if the result were being computed
        last = app.workspace.history.epochs[-1]
        app.workspace.history.add(replace(last, epoch=last.epoch + 1))
        screen.update()
        assert next(iter(screen.inquiry.jobs.values())) is first
        assert not first.cancelled
        first.state = "done"
        screen.update()
        await settled(pilot, screen)
        assert first not in screen.inquiry.jobs.values()


async def test_digits_and_their_legend_agree_in_every_map(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await go(pilot, "3", DigitsScreen)
        for name, low in (("gray", 0.0), ("viridis", 0.0), ("diverging", -1.0)):
            assert screen.view.colours == name
            assert screen.query_one("#digit", Raster).span == screen.digits.grid.span == screen.query_one(Legend).span
            assert screen.digits.grid.span is not None
            assert (screen.digits.grid.span.low, screen.digits.grid.span.high) == (low, 1.0)
            await pilot.press("c")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_cell_of_the_matrix_leads_to_its_digits(still_app: MakeApp, size: tuple[int, int]) -> None:
    app = still_app()
    async with app.run_test(size=size) as pilot:
        screen = await go(pilot, "3", DigitsScreen)
        assert screen.digits.evaluated is not None
        before = app.workspace.digit
        counts = np.array(screen.digits.evaluated.confusion)
        actual, predicted = np.argwhere(counts * (1 - np.eye(10, dtype=int)))[0].tolist()
        await pilot.press("tab", "home", *["down"] * actual, *["right"] * predicted)
        assert app.workspace.digit == before  # the cursor is that of the matrix
        await pilot.press("enter")
        await settled(pilot, screen)
        assert screen.digits.shown is not None
        assert {(d.actual, d.predicted) for d in screen.digits.shown.digits} == {(actual, predicted)}
        assert len(screen.digits.shown.digits) == counts[actual, predicted]
        assert screen.front == "digits"
        await pilot.press("tab", "end", "enter")  # digits of class 9 that are predicted right
        await settled(pilot, screen)
        assert {(d.actual, d.predicted) for d in screen.digits.shown.digits} == {(9, 9)}
        await pilot.press("escape")
        await settled(pilot, screen)
        assert (screen.front, screen.digits.order) == ("matrix", "random")  # as before the first cell
        assert (screen.digits.shown.digit, screen.digits.shown.predicted) == (-1, -1)


async def test_a_filter_leads_to_its_unit_and_that_to_its_activations(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        filters = await go(pilot, "4", FiltersScreen)
        await pilot.press("right", "right", "right", "enter", "enter")
        await drawn(pilot)
        assert (filters.front, filters.unit.chosen) == ("unit", ("conv1", 3))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ActivationsScreen) and app.screen.is_mounted)
        screen = app.screen
        assert isinstance(screen, ActivationsScreen)
        await settled(pilot, screen)
        assert (screen.layer, screen.grid.cursor) == ("conv1", 3)
        await pilot.press("escape")  # back to where it came from, once
        await until(pilot, lambda: app.screen is filters)
        assert filters.front == "unit"
        await pilot.press("escape")
        await drawn(pilot)
        assert (filters.front, filters.zoomed, filters.kernels.grid.cursor) == ("conv1", False, 3)
        await pilot.press("tab")
        await settled(pilot, filters)
        await pilot.press("down", "down", "enter", "enter", "enter")
        await until(pilot, lambda: app.screen is screen)
        assert (screen.layer, screen.grid.cursor) == ("conv2", 2)


async def test_weights_with_a_nan_are_shown(still_app: MakeApp, tmp_path: Path) -> None:
    model = load_weights(pretrained("cnn").model_file)
    with torch.no_grad():
        model.get_parameter("fc.1.weight")[0, 0] = float("nan")
        model.get_parameter("conv1.0.weight")[3] = float("nan")
    save_weights(tmp_path / "nan.safetensors", model)
    app = still_app(empty=True)
    show(app, tmp_path / "nan.safetensors")
    async with app.run_test(size=(120, 40)) as pilot:
        for key, _ in INSPECTING:
            await go(pilot, key, InspectScreen)
            await pilot.press("enter", "tab", "n", "o", "escape")
        assert app.is_running


@pytest.mark.parametrize(("key", "mode"), INSPECTING)
async def test_what_cannot_be_read_is_said_in_one_line(still_app: MakeApp, tmp_path: Path, key: str, mode: str) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"not weights")
    app = still_app(empty=True)
    show(app, broken)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await go(pilot, key, InspectScreen)
        assert screen.mode == mode
        assert "broken.safetensors is a text file" in status(screen)  # if the path leaves room for it
        show(app, pretrained("cnn"))  # the error message is cleared
        await settled(pilot, screen)
        assert "broken" not in status(screen)


@pytest.mark.parametrize(("key", "mode"), INSPECTING)
async def test_with_nothing_open_each_screen_says_what_to_do(still_app: MakeApp, key: str, mode: str) -> None:
    app = still_app(empty=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(key)
        await until(pilot, lambda: getattr(app.screen, "mode", "") == mode and app.screen.is_mounted)
        await drawn(pilot)
        screen = app.screen
        assert isinstance(screen, InspectScreen)
        assert "nothing is open: train a network on screen 1" in status(screen)
        await pilot.press("e", "enter", "enter", "o", "tab", "v", "c", "right", "down", "pagedown", "end", "home")
        assert app.is_running


async def test_no_size_is_too_small(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        for key, _ in INSPECTING:
            await go(pilot, key, InspectScreen)
            for size in ((1, 1), (10, 5), (101, 9), (250, 90), (80, 24)):
                await pilot.resize_terminal(*size)
                await pilot.press("end", "enter", "home")
            await pilot.press("pagedown", "enter", "tab", "enter", "v", "escape")
        assert app.is_running


@pytest.mark.parametrize("size", [(1, 1), (40, 12)])
async def test_it_can_begin_on_a_tiny_terminal(still_app: MakeApp, size: tuple[int, int]) -> None:
    app = still_app()
    async with app.run_test(size=size) as pilot:
        await go(pilot, "5", ActivationsScreen)
        assert app.is_running


# Exports


async def export(pilot: Pilot[int], app: MnistTui) -> str:
    """Press e; returns the app's notification."""
    # Pressed again while a figure is drawn, the key has no effect.
    await until(pilot, lambda: app.workspace.exporting is None or app.workspace.exporting.state == "done")
    before = len(app._notifications)
    await pilot.press("e")
    await until(pilot, lambda: len(app._notifications) > before)
    return list(app._notifications)[-1].message


@pytest.mark.parametrize(("key", "mode"), [("1", "train"), *INSPECTING])
async def test_e_draws_the_figure_and_copies_its_path(
    still_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, mode: str
) -> None:
    monkeypatch.chdir(tmp_path)  # figures of bundled networks go to the working directory
    app = still_app()
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        if mode != "train":
            screen = await go(pilot, key, InspectScreen)
            if mode == "draw":
                await pilot.press("space", "down", "down")
                await settled(pilot, screen)
        first, second = Path(await export(pilot, app)), Path(await export(pilot, app))
        assert first != second
        assert app.clipboard == str(second)
        for path in (first, second):
            assert path.parent == tmp_path / "figures"
            assert path.read_bytes().startswith(b"\x89PNG")


async def test_a_runs_figures_are_in_its_folder(still_app: MakeApp, trained: RunFolder, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "a run")
    shutil.copytree(trained.path, run.path)
    app = still_app(run)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await go(pilot, "4", FiltersScreen)
        path = Path(await export(pilot, app))
        assert path.parent == run.figures_folder
        await pilot.press("S")
        await until(pilot, lambda: len(app._notifications) == 2)
        (drawing,), (picture,) = (run.figures_folder.glob(f"screen-*.{kind}") for kind in ("svg", "png"))
        assert drawing.read_text().startswith("<svg")
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert app.clipboard == str(picture)
        said = list(app._notifications)[-1].message
        assert str(picture) in said
        assert drawing.name in said


async def test_a_run_that_was_deleted_is_not_made_again(still_app: MakeApp, trained: RunFolder, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "gone")
    shutil.copytree(trained.path, run.path)
    app = still_app(run)
    shutil.rmtree(run.path)
    assert app.workspace.figures_folder == Path("figures")


async def test_the_matrix_has_a_key_of_its_own(
    still_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app = still_app()
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await go(pilot, "3", DigitsScreen)
        await pilot.press("E")
        await until(pilot, lambda: len(app._notifications) == 1)
        assert [path.name for path in (tmp_path / "figures").iterdir()] == ["confusion-test.png"]


async def test_a_full_disk_is_said_and_nothing_is_lost(
    still_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    app = still_app()
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        screen = await go(pilot, "4", FiltersScreen)
        good = Path(await export(pilot, app))
        before = good.read_bytes()
        monkeypatch.setattr("engine.paths.os.fsync", full)
        assert "No space left on device" in await export(pilot, app)
        await pilot.press("S")
        await until(pilot, lambda: len(app._notifications) == 3)
        monkeypatch.undo()
        assert list(good.parent.iterdir()) == [good]
        assert good.read_bytes() == before
        assert screen.kernels.shown is not None


async def test_an_app_whose_engine_is_loading_says_so(still_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await drawn(pilot)
        app.workspace.engine = None
        await pilot.press("4")
        await until(pilot, lambda: isinstance(app.screen, FiltersScreen) and app.screen.is_mounted)
        await drawn(pilot)
        screen = app.screen
        assert isinstance(screen, FiltersScreen)
        assert "loading PyTorch" in status(screen)
        app.workspace.engine = EngineLoaded(device="cpu", device_name="2 threads", torch="2")
        changed(app)
        await settled(pilot, screen)
        assert screen.kernels.shown is not None
