"""Screen 6 driven by its keys, with the real lab and a bundled network."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from textual.pilot import Pilot
from textual.widgets import Input
from torch import Tensor

from engine.attribution.events import ClassOcclusionReady, FaithfulnessMeasured, OcclusionMapAdvanced, OcclusionMapReady
from engine.attribution.explain import Measurement
from engine.attribution.occlusion import ClassOcclusion
from engine.attribution.requests import Attribute, Occlude
from engine.network.events import NetworkEvent
from engine.runs.folder import RunFolder
from tests.tui.conftest import MakeApp
from tests.tui.driving import adjust, drawn, go, settled, show, status, until, words
from tui.drawing.raster import Span
from tui.screens.activations import ActivationsScreen
from tui.screens.dialogs import DigitScreen
from tui.screens.occlusion import OcclusionScreen
from tui.screens.occlusion.maps import Maps
from tui.screens.occlusion.methods import MethodsPage
from tui.screens.occlusion.occlusion import OcclusionPage
from tui.screens.occlusion.trust import TrustPage
from tui.screens.occlusion.trust_table import TrustTable
from tui.widgets.bars import Bars
from tui.widgets.chart import Chart
from tui.widgets.lines import KeyBar
from tui.widgets.pictures import Legend, Raster

pytestmark = pytest.mark.usefixtures("exact_engine", "quick_keys")
WIDE = (120, 40)


def text(
    screen: OcclusionScreen, kind: type[Maps | TrustTable | Bars | Raster | Chart | KeyBar], name: str = ""
) -> str:
    widget = screen.query_one(f"#{name}", kind) if name else screen.query_one(kind)
    return "\n".join("".join(character for character, _ in row) for row in widget._rows)


async def press(pilot: Pilot[int], screen: OcclusionScreen, *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settled(pilot, screen)


def maps_page(screen: OcclusionScreen) -> OcclusionPage:
    page = screen.pages["occlusion"]
    assert isinstance(page, OcclusionPage)
    return page


def methods_page(screen: OcclusionScreen) -> MethodsPage:
    page = screen.pages["methods"]
    assert isinstance(page, MethodsPage)
    return page


def trust_page(screen: OcclusionScreen) -> TrustPage:
    page = screen.pages["trust"]
    assert isinstance(page, TrustPage)
    return page


def whole(screen: OcclusionScreen) -> OcclusionMapReady:
    event = maps_page(screen).occlusion
    assert isinstance(event, OcclusionMapReady)
    return event


async def test_it_opens_on_the_notebooks_experiment(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "6", OcclusionScreen)
        event = whole(screen)
        assert (event.split, event.index, event.patch_size, event.stride, event.watched) == ("test", 61, 8, 1, 8)
        row, column = maps_page(screen).maps.at
        assert (row, column) == event.minimum_at  # where the patch lowers the probability most
        seen = text(screen, Maps)
        assert "p(8) with patch" in seen
        assert f"min {event.minimum:.4f} max {event.maximum:.4f}" in seen
        assert "predicted class" in seen
        others = int((event.winners != 8).sum())
        assert f"{others} of 441" in seen
        assert f"{event.strokes.positions * 100:.0f} % of positions" in seen
        assert "class" in text(screen, KeyBar)


async def test_the_cursor_moves_the_patch(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "6", OcclusionScreen)
        event = whole(screen)
        await press(pilot, screen, "home")
        assert maps_page(screen).maps.at == (0, 0)
        await press(pilot, screen, "right", "l", "down", "j", "j", "up", "left", "k")
        assert maps_page(screen).maps.at == (1, 1)
        patched = screen.query_one("#patched", Raster)
        assert patched.box == (1, 1, 8)
        expected = event.image.copy()
        expected[1:9, 1:9] = 0
        assert patched.values is not None
        np.testing.assert_array_equal(patched.values, expected)
        await press(pilot, screen, "m")
        row, column = event.minimum_at
        assert maps_page(screen).maps.at == (row, column)
        winner = int(event.winners[row, column])
        assert f"patch 8x8 at row {row}, column {column}: predicts {winner}" in status(screen)
        assert f"with the patch: {winner}" in text(screen, Bars)
        np.testing.assert_allclose(screen.query_one(Bars).shares, event.all_probabilities[row, column])
        await press(pilot, screen, "end")
        assert maps_page(screen).maps.at == (20, 20)
        await press(pilot, screen, "pageup")
        assert maps_page(screen).maps.at == (15, 20)
        assert (event.image == whole(screen).image).all()


async def test_the_cursor_is_on_the_map_of_another_run_too(still_app: MakeApp, trained: RunFolder) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "6", OcclusionScreen)
        await press(pilot, screen, "end")
        assert maps_page(screen).maps.at == (20, 20)
        app.workspace.open(trained)
        assert maps_page(screen).occlusion is None
        screen.patch = replace(screen.patch, stride=4)  # before any result arrived
        await settled(pilot, screen)
        assert whole(screen).probabilities.shape == (6, 6)
        assert maps_page(screen).maps.at == (5, 5)
        assert "patch 8x8 at row 20, column 20" in status(screen)


async def test_the_keys_change_the_experiment_and_the_map_follows(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "6", OcclusionScreen)
        await press(pilot, screen, "p", "p", "P", "f", "w", "w", "w", "W")
        await adjust(pilot, screen, "stride", "right", "2", "enter")
        event = whole(screen)
        assert (event.patch_size, event.stride, event.baseline, event.watched) == (9, 2, "mean", 0)
        assert event.probabilities.shape == (10, 10)
        assert f"9x9, filled with its mean, stride 2: {event.computed} positions in" in text(screen, Maps)
        assert "p(0)" in text(screen, Maps)
        rows, columns = maps_page(screen).maps.at
        assert max(rows, columns) < 10
        await press(pilot, screen, *["P"] * 12)
        assert whole(screen).patch_size == 1  # the minimum
        await press(pilot, screen, ".", ".", ",")
        assert app.workspace.digit == ("test", 62)
        assert whole(screen).index == 62
        await press(pilot, screen, *"fffff")
        assert whole(screen).baseline == "0.5"
        assert (whole(screen).covers == 0.5).all()
        assert "filled with 0.5, stride 2" in text(screen, Maps)
        screen.patch = replace(screen.patch, patch_size=26, stride=26)
        await press(pilot, screen, "p", "p")
        await adjust(pilot, screen, "stride", "right", "right")
        assert (whole(screen).patch_size, whole(screen).stride) == (27, 27)
        assert whole(screen).probabilities.shape == (1, 1)
        assert maps_page(screen).maps.at == (0, 0)


async def test_beside_the_map_the_winners_or_the_drop(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "6", OcclusionScreen)
        event = whole(screen)
        letters = text(screen, Maps).splitlines()[1:22]
        at = 91 - 16 // 2  # the second panel starts in the middle of the space beside the digit
        for row in range(21):
            found = [character for character in letters[row][at - 45 :] if character.isdigit()]
            assert [int(character) for character in found] == event.winners[row].tolist()
        await press(pilot, screen, "b")
        assert "drop of p(8)" in text(screen, Maps)
        drop = maps_page(screen).maps.panels[1].values
        np.testing.assert_allclose(drop, event.unoccluded_probability - event.probabilities)
        await adjust(pilot, screen, "second", "left")
        assert "predicted class" in text(screen, Maps)


async def test_where_two_maps_have_no_room_b_goes_through_all(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await go(pilot, "6", OcclusionScreen)
        assert maps_page(screen).maps.both_fit
        await press(pilot, screen, *["P"] * 7)
        assert not maps_page(screen).maps.both_fit  # 28 columns each
        seen = []
        for _ in range(4):
            seen.append(text(screen, Maps).splitlines()[0])
            await press(pilot, screen, "b")
        titles = ("p(8)", "predicted class", "drop of p(8)", "p(8)")
        assert [title in line for title, line in zip(titles, seen, strict=True)] == [True] * 4


@pytest.mark.usefixtures("asked_anew")
async def test_the_map_fills_while_one_watches(still_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.attribution import patch_sweep as engine

    monkeypatch.setitem(engine.AT_ONCE, "cpu", 100 * 4608)
    taken: list[int] = []
    take = OcclusionPage.take

    def counted(self: OcclusionPage, event: NetworkEvent) -> None:
        if isinstance(event, OcclusionMapAdvanced):
            taken.append(int((event.winners >= 0).sum()))
        take(self, event)
        if isinstance(event, OcclusionMapAdvanced):
            self.draw()
            assert f"{taken[-1]} of 441" in words(self.maps)
            assert self.figure() is None

    monkeypatch.setattr(OcclusionPage, "take", counted)
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "6", OcclusionScreen)
        assert taken
        assert taken[0] < 441
        assert whole(screen).computed > 0


async def test_the_mean_map_of_the_class(still_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.screens.occlusion.occlusion.AVERAGED", 4)
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "6", OcclusionScreen)
        await adjust(pilot, screen, "stride", "4", "enter")
        await press(pilot, screen, "a")
        mean = maps_page(screen).mean
        assert isinstance(mean, ClassOcclusionReady)
        assert (mean.digit, mean.averaged) == (8, 4)
        seen = text(screen, Maps)
        assert "mean of 4" in seen
        assert "4 of the" in seen
        assert "share changed" in seen
        assert "% changed" in status(screen)
        figure = screen.figure()
        assert figure is not None
        assert figure.subject is maps_page(screen).mean
        await press(pilot, screen, "b", ".")  # a digit of another class
        mean = maps_page(screen).mean
        assert mean is not None
        assert mean.digit == whole(screen).actual
        assert "mean drop" in text(screen, Maps)
        await press(pilot, screen, "a")
        assert "drop of p" in text(screen, Maps)
        assert screen.wanted() == [Occlude(what="pretrained:cnn", index=62, stride=4)]


@pytest.mark.usefixtures("asked_anew")
async def test_what_goes_over_many_digits_can_be_stopped(still_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, add = threading.Event(), ClassOcclusion._add

    def slow(self: ClassOcclusion, image: Tensor) -> None:
        if self.done == 3:
            gate.wait(60)
        add(self, image)

    monkeypatch.setattr(ClassOcclusion, "_add", slow)
    monkeypatch.setattr("engine.lab.PROGRESS_INTERVAL", 0.0)
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "6", OcclusionScreen)
        await pilot.press("a")
        await until(pilot, lambda: screen.at_work)
        await until(pilot, lambda: "mean map of 8" in status(screen))
        assert "x stops" in status(screen)
        assert "x stop" in text(screen, KeyBar)
        (job,) = screen.inquiry.jobs.values()
        await pilot.press("x")
        assert job.cancelled
        gate.set()
        await settled(pilot, screen)
        assert maps_page(screen).mean is None
        assert not screen.at_work
        assert "x stop" not in text(screen, KeyBar)
        assert "predicts" in status(screen)


async def test_methods_beside_one_another(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "6", OcclusionScreen)
        assert screen.view.colours == "viridis"
        await press(pilot, screen, "tab")
        event = methods_page(screen).attributions
        assert event is not None
        assert (screen.view.colours, screen.view.shared) == ("diverging", False)
        labels = list(methods_page(screen).grid.sheet.labels)
        assert labels == [
            "test 61",
            "occlusion",
            "saliency",
            "grad x input",
            "int. gradients",
            "SmoothGrad",
            "Grad-CAM conv2",
            "guided bp",
        ]
        np.testing.assert_array_equal(methods_page(screen).grid.sheet.images[0], event.image)
        np.testing.assert_array_equal(
            methods_page(screen).grid.sheet.images[6], event.maps[event.methods.index("grad-cam-conv2")]
        )
        assert not event.maps[event.methods.index("grad-cam-conv2")].any()  # for this network and digit
        assert methods_page(screen).grid.sheet.inks[6] == "warning"
        methods_page(screen).grid.go_to(6)
        await drawn(pilot)
        assert "Grad-CAM conv2 is zero: no channel supports 8" in status(screen)
        tile = words(methods_page(screen).grid)
        assert all(part in tile for part in ("zero: no", "channel", "supports 8"))
        assert tile.count("zero") == 1
        legend = words(screen.query_one(Legend))
        assert "against 8 (-1) " in legend  # a map of zeros has no range of its own
        assert " (1) for 8" in legend
        await press(pilot, screen, "home", "b")
        assert "largest magnitude" in status(screen)
        assert methods_page(screen).grid.sheet.labels[6] == "Grad-CAM conv1"
        await press(pilot, screen, "right", "right", "enter")
        near = screen.query_one("#method", Raster)
        assert near.title == "saliency"
        np.testing.assert_array_equal(near.values, event.maps[1])
        assert f"deletion {event.faithfulness[1].deletion.area:.3f}" in words(near)
        assert "saliency" in words(screen.query_one(Legend))
        colours = []
        for key in ("escape", "c", "escape", "tab"):  # each page has its own colour map
            await press(pilot, screen, key)
            colours.append((screen.front, screen.view.colours))
        assert colours == [
            ("methods", "diverging"),
            ("methods", "gray"),
            ("occlusion", "viridis"),
            ("methods", "gray"),
        ]
        figure = screen.figure()
        assert figure is not None
        assert figure.subject is methods_page(screen).attributions


async def test_do_they_tell_the_truth(still_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.screens.occlusion.trust.MEASURED", 2)
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "6", OcclusionScreen)
        await adjust(pilot, screen, "stride", "4", "enter")
        await press(pilot, screen, "tab", "tab")
        event = methods_page(screen).attributions
        assert event is not None
        table = text(screen, TrustTable)
        for each in event.faithfulness:
            assert f"{each.deletion.area:.3f}" in table
            assert f"{each.insertion.area:.3f}" in table
        assert "test 61, p(8)" in table
        curve = screen.query_one("#deletion", Chart).curves[-1]
        assert tuple(curve.ys) == event.faithfulness[0].deletion.values
        await press(pilot, screen, "down", "down", "down")
        assert screen.query_one("#insertion", Chart).curves[-1].name == "int. gradients"
        await press(pilot, screen, "end")
        assert [curve.name for curve in screen.query_one("#deletion", Chart).curves] == ["random order"]
        await press(pilot, screen, "home", "a")
        measured = trust_page(screen).faithfulness
        assert isinstance(measured, FaithfulnessMeasured)
        table = text(screen, TrustTable)
        assert "mean of 2 digits" in table
        assert "random weights: 2 digits" in table
        assert "+conv1" in table
        assert f"{measured.faithfulness[0].change:.2f}" in table
        names = [curve.name for curve in screen.query_one("#deletion", Chart).curves]
        assert names == ["random order", "occlusion"]
        figure = screen.figure()
        assert figure is not None
        assert figure.subject is trust_page(screen).faithfulness
        assert screen.wanted() == [
            Attribute(what="pretrained:cnn", stride=4, digits=2, randomise=True),
        ]
        await press(pilot, screen, "a")
        assert "test 61, p(8)" in text(screen, TrustTable)
        figure = screen.figure()
        assert figure is not None
        assert figure.subject is methods_page(screen).attributions
        assert (figure.colours, figure.shared_range) == ("diverging", False)


async def test_a_digit_by_its_number(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "6", OcclusionScreen)
        await pilot.press("i")
        await until(pilot, lambda: isinstance(app.screen, DigitScreen))
        for wrong in ("eight", "-3", "train val 3", "dev 5", "1.5", "99999999999"):
            app.screen.query_one(Input).value = wrong
            await pilot.press("enter")
            await drawn(pilot)
            assert app.screen.query_one("#digit-hint").has_class("wrong")
        app.screen.query_one(Input).value = "train 7"
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is screen)
        await settled(pilot, screen)
        assert app.workspace.digit == ("train", 7)
        assert (whole(screen).split, whole(screen).index, whole(screen).count) == ("train", 7, 100)
        await pilot.press("i", "1", "0", "0", "enter")
        await until(pilot, lambda: bool(screen.inquiry.problem))
        await drawn(pilot)
        assert "index 100 is beyond the 100 images of the train split: the last is 99" in status(screen)
        await pilot.press("i", "escape")
        await until(pilot, lambda: app.screen is screen)
        await pilot.press("i", "9", "9", "enter")
        await until(pilot, lambda: app.screen is screen and app.workspace.digit == ("train", 99))
        await settled(pilot, screen)
        assert whole(screen).index == 99
        await press(pilot, screen, ".")
        assert app.workspace.digit == ("train", 99)
        other = await go(pilot, "5", ActivationsScreen)
        assert other.shown is not None
        assert (other.shown.split, other.shown.index) == ("train", 99)


@pytest.mark.parametrize(
    ("keys", "stem"),
    [
        ((), "occlusion-test-61-patch-8"),
        (("a",), "occlusion-test-class-8-patch-8"),
        (("tab",), "attributions-test-61"),
        (("tab", "tab", "a"), "faithfulness-test-2"),
    ],
    ids=["map", "mean", "methods", "trust"],
)
async def test_each_page_has_its_figure(
    still_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: tuple[str, ...], stem: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tui.screens.occlusion.occlusion.AVERAGED", 2)
    monkeypatch.setattr("tui.screens.occlusion.trust.MEASURED", 2)
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "6", OcclusionScreen)
        await press(pilot, screen, *keys)
        await pilot.press("e")
        await until(pilot, lambda: app.workspace.exporting is not None and app.workspace.exporting.state == "done")
        assert (tmp_path / "figures" / f"{stem}.png").stat().st_size > 10_000


async def test_without_colour_the_words_say_which_signs(still_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "6", OcclusionScreen)
        await press(pilot, screen, "b")
        assert "(░▒▓█)" in text(screen, Maps)
        await press(pilot, screen, "tab")
        legend = words(screen.query_one(Legend))
        assert "against 8" in legend
        assert "for 8" in legend
        assert "≡≡══──╌╌0░░▒▒▓▓██" in legend
        seen = words(methods_page(screen).grid)
        assert not set(seen) & set("@#*")  # a title has a per cent sign
        assert set(seen) & set("░▒▓█")
        assert set(seen) & set("≡═╌")


async def test_bars_show_the_likeliest_where_there_is_no_room_for_all(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await go(pilot, "6", OcclusionScreen)
        bars = screen.query_one(Bars)
        shown = [int(row.split()[0]) for row in text(screen, Bars).splitlines()[1:]]
        assert 1 < len(shown) < 10
        assert shown == sorted(range(10), key=lambda number: -bars.shares[number])[: len(shown)]


@pytest.mark.parametrize("size", [(60, 16), (200, 60), (12, 3)])
@pytest.mark.parametrize("page", [(), ("tab",), ("tab", "tab")])
async def test_no_size_is_too_small(still_app: MakeApp, size: tuple[int, int], page: tuple[str, ...]) -> None:
    app = still_app()
    async with app.run_test(size=size) as pilot:
        screen = await go(pilot, "6", OcclusionScreen)
        await press(pilot, screen, *page, "enter", "down", "b", "escape", "P")
        assert app.screen is screen
        assert screen.front == ("methods" if len(page) == 1 else "occlusion")  # curves cannot be enlarged
        assert not screen.has_class("-zoomed")
        assert screen.patch.patch_size == 7
        if screen.front == "occlusion":
            assert whole(screen).patch_size == 7
            assert maps_page(screen).maps.cursor is not None
        else:
            assert methods_page(screen).attributions is not None
            assert methods_page(screen).grid.cursor > 0


async def test_the_cursor_begins_at_the_minimum_of_whatever_comes_whole(still_app: MakeApp) -> None:
    """Whether or not part of a smaller map was drawn before."""
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "6", OcclusionScreen)
        event = whole(screen)
        await adjust(pilot, screen, "stride", "3", "enter")
        small = {name: getattr(maps_page(screen).occlusion, name) for name in OcclusionMapAdvanced.__struct_fields__}
        maps_page(screen).maps.cursor = None
        maps_page(screen).take(OcclusionMapAdvanced(**small))
        screen.update()
        assert maps_page(screen).maps.cursor is None
        maps_page(screen).take(event)
        screen.update()
        assert maps_page(screen).maps.cursor == event.minimum_at
        maps_page(screen).maps.cursor = (20, 20)
        maps_page(screen).take(OcclusionMapAdvanced(**small))
        screen.update()
        assert maps_page(screen).maps.cursor == (6, 6)


async def test_a_mean_of_before_is_not_shown_for_now(still_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, add = threading.Event(), ClassOcclusion._add
    gate.set()

    def gated(self: ClassOcclusion, image: Tensor) -> None:
        gate.wait(60)
        add(self, image)

    monkeypatch.setattr(ClassOcclusion, "_add", gated)
    monkeypatch.setattr("tui.screens.occlusion.occlusion.AVERAGED", 2)
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "6", OcclusionScreen)
        await adjust(pilot, screen, "stride", "3", "enter")
        await press(pilot, screen, "a")
        assert "mean of 2" in text(screen, Maps)
        assert "test 61, with the patch" in text(screen, Bars)
        gate.clear()
        app.workspace.digit = ("train", 16)  # also an 8
        screen.update()
        page = maps_page(screen)
        await until(pilot, lambda: isinstance(page.occlusion, OcclusionMapReady) and page.occlusion.index == 16)
        await until(pilot, lambda: "train 16" in words(screen.query_one("#patched", Raster)))
        assert whole(screen).actual == 8
        assert "mean of" not in text(screen, Maps)
        figure = screen.figure()
        assert figure is not None
        assert figure.subject is maps_page(screen).occlusion
        gate.set()
        await settled(pilot, screen)
        assert "mean of 2" in text(screen, Maps)
        assert "train 16, with the patch" in text(screen, Bars)
        figure = screen.figure()
        assert figure is not None
        assert figure.subject is maps_page(screen).mean


async def test_curves_of_before_are_not_shown_for_now(still_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, finish = threading.Event(), Measurement.finish
    gate.set()

    def gated(self: Measurement) -> Iterator[int]:
        gate.wait(60)
        yield from finish(self)

    monkeypatch.setattr(Measurement, "finish", gated)
    monkeypatch.setattr("tui.screens.occlusion.trust.MEASURED", 2)
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "6", OcclusionScreen)
        await adjust(pilot, screen, "stride", "4", "enter")
        await press(pilot, screen, "tab", "tab")
        alone = status(screen)
        assert "best: " in alone
        assert "random: " in alone
        await press(pilot, screen, "a")
        assert "mean of 2 digits" in text(screen, TrustTable)
        assert status(screen) != alone
        gate.clear()
        await pilot.press("f")
        await until(pilot, lambda: "test 61, p(8)" in text(screen, TrustTable))
        assert "random weights" not in text(screen, TrustTable)
        figure = screen.figure()
        assert figure is not None
        assert figure.subject is methods_page(screen).attributions
        gate.set()
        await settled(pilot, screen)
        assert "mean of 2 digits" in text(screen, TrustTable)


async def test_the_legend_is_of_the_map_in_front(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await go(pilot, "6", OcclusionScreen)
        await press(pilot, screen, *["P"] * 7)
        legends = []
        for _ in range(3):
            legends.append(words(screen.query_one(Legend)))
            await press(pilot, screen, "b")
        first, classes, drop = legends
        assert "p(8)" in first
        assert not classes.strip()
        assert "drop" in drop
        assert "diverging" in drop
        await press(pilot, screen, "c")  # the diverging map stays centred on zero
        assert screen.view.colours == "diverging"
        assert maps_page(screen).maps.panels[0].span == Span(-1.0, 1.0)


async def test_back_from_a_number_that_is_too_high(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "6", OcclusionScreen)
        app.workspace.digit = ("test", 99_999)
        screen.update()
        await until(pilot, lambda: bool(screen.inquiry.problem))
        await press(pilot, screen, ",")
        assert app.workspace.digit == ("test", 999)
        assert whole(screen).index == 999
        assert not screen.inquiry.problem


async def test_integrated_gradients_say_how_complete_they_are(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "6", OcclusionScreen)
        await press(pilot, screen, "tab", "right", "right", "right", "right")
        found = methods_page(screen).attributions
        assert found is not None
        total, difference = found.faithfulness[3].completeness or (0.0, 0.0)
        assert total == pytest.approx(difference, abs=0.2)
        wanted = f"sum {total:.3f}, difference in logit to black {difference:.3f}: error {abs(total - difference):.3f}"
        assert wanted in status(screen)


async def test_weights_that_are_no_numbers(still_app: MakeApp, tmp_path: Path) -> None:
    from engine.network.checkpoints import load_weights, save_weights
    from engine.runs.finding import pretrained

    model = load_weights(pretrained("cnn").model_file)
    model.state_dict()["fc.3.bias"][3] = np.nan
    save_weights(tmp_path / "nan.safetensors", model)
    app = still_app()
    show(app, tmp_path / "nan.safetensors")
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "6", OcclusionScreen)
        assert "the network outputs no finite numbers" in text(screen, Maps)
        await press(pilot, screen, "tab", "tab", "escape", "m", "enter", "escape", "b", "right")


async def test_the_mouse_moves_the_patch_too(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "6", OcclusionScreen)
        # Positions are two cells wide and start one row below the title.
        await pilot.click("#occlusion-maps", offset=(11, 4))
        await drawn(pilot)
        assert maps_page(screen).maps.at == (3, 5)
        await pilot.click("#occlusion-maps", offset=(46 + 40, 21))  # the second map
        await drawn(pilot)
        assert maps_page(screen).maps.at == (20, 20)
        await pilot.click("#occlusion-maps", offset=(44, 30))
        await drawn(pilot)
        assert maps_page(screen).maps.at == (20, 20)
        assert "at row 20, column 20" in status(screen)


async def test_pressing_fast_ends_with_the_last_wish(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "6", OcclusionScreen)
        await pilot.press(*"pppffsj", "right", "escape", "tab", "tab", "shift+tab", *"w.,..")
        await settled(pilot, screen)
        found = methods_page(screen).attributions
        assert found is not None
        assert (found.index, found.watched) == (63, found.predicted)
        await press(pilot, screen, "escape")
        assert (whole(screen).patch_size, whole(screen).stride, whole(screen).baseline) == (11, 2, "one")
        assert not [job for job in app.workspace.lab.unfinished("analysis") if job.cancelled]
