"""The page of screen 1 about the layers, driven by its keys."""

from __future__ import annotations

import importlib
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from textual.pilot import Pilot

from engine.runs.events import InsidesShown
from engine.runs.folder import RunFolder
from engine.training.events import EpochFinished
from engine.training.requests import Train
from tests.insides import insides
from tests.runs import epoch_line, made
from tests.tui.conftest import MakeApp, under_way
from tests.tui.driving import changed, drawn, until, words
from tui.app import MnistTui
from tui.screens import screen_of
from tui.screens.train import TrainScreen
from tui.screens.train.insides import InsidesPage
from tui.widgets.form import RequestForm
from tui.widgets.lines import KeyBar
from tui.widgets.ridges import RidgeLines
from tui.widgets.settings import Settings
from tui.widgets.table import EpochTable

EPOCHS = 6
pytestmark = pytest.mark.usefixtures("quick_keys")


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return made(tmp_path / "runs", "mine", Train(epochs=EPOCHS), [0.9, 0.91, 0.92, 0.93, 0.94, 0.95], looked_into=True)


async def turned(pilot: Pilot[int]) -> InsidesPage:
    """Turn to the page."""
    await until(pilot, lambda: pilot.app.focused is not None)
    await pilot.press("tab", "tab")
    screen = pilot.app.screen
    await until(pilot, lambda: getattr(screen, "front", "") == "insides")
    await drawn(pilot)
    assert isinstance(screen, TrainScreen)
    page = screen.page
    assert isinstance(page, InsidesPage)
    return page


def shown(page: InsidesPage) -> str:
    """All that is on the page."""
    return "\n".join(words(widget) for widget in (*page.query(RidgeLines), page.table) if widget.display)


async def test_tab_goes_through_the_pages_and_escape_back(still_app: MakeApp, run: RunFolder) -> None:
    app = still_app(run)
    async with app.run_test(size=(120, 40)) as pilot:
        page = await turned(pilot)
        screen = page.desk
        assert words(screen.query_one(Settings)).split()[:5] == ["curves", "learning", "rate", "insides", "learned"]
        await pilot.press("escape")
        await until(pilot, lambda: screen.front == "curves")
        assert isinstance(app.focused, EpochTable)  # the arrow keys scroll it again
        await pilot.press("tab", "tab", "shift+tab", "shift+tab")
        await until(pilot, lambda: screen.front == "curves")


async def test_the_cursor_chooses_the_layer_and_the_table_its_epoch(still_app: MakeApp, run: RunFolder) -> None:
    app = still_app(run)
    async with app.run_test(size=(120, 40)) as pilot:
        page = await turned(pilot)
        assert all(f"conv1 {kind}" in shown(page) for kind in ("weights", "gradients", "activations"))
        assert f"after epoch {EPOCHS} of {EPOCHS}" in shown(page)
        await pilot.press("down", "j")
        await drawn(pilot)
        assert page.chosen == "hidden"
        assert "hidden gradients" in shown(page)
        last = insides(EPOCHS).layers[2]
        line = next(line for line in shown(page).splitlines() if line.strip().startswith("hidden "))
        assert f"{last.weight_norm:.4g}" in line
        assert f"{100 * (last.dead or 0):.2f} %" in line
        await pilot.press("[", "left", "h")
        await drawn(pilot)
        assert page.epoch == EPOCHS - 3
        assert f"after epoch {EPOCHS - 3} of {EPOCHS}" in shown(page)
        scale = insides(EPOCHS - 3).noise_scale
        assert scale is not None
        assert f"noise scale {scale:,.0f} images" in shown(page)
        await pilot.press("[", "[", "[", "[", "[")
        assert page.epoch == 1
        await pilot.press(*["]"] * EPOCHS)
        assert page.epoch is None


async def test_where_it_is_narrow_a_key_shows_the_next_kind(still_app: MakeApp, run: RunFolder) -> None:
    app = still_app(run)
    async with app.run_test(size=(80, 24)) as pilot:
        page = await turned(pilot)
        for kind in ("weights", "gradients", "activations", "weights"):
            assert [lines.kind for lines in page.query(RidgeLines) if lines.display] == [kind]
            assert f"conv1 {kind}" in shown(page)
            await pilot.press("y")
            await drawn(pilot)
        assert "y values" in words(page.desk.query_one(KeyBar))
        await pilot.press("s", "right", "s", "right", "escape")
        await drawn(pilot)
        assert (page.chosen, page.kind) == ("conv2", "activations")
        await pilot.resize_terminal(120, 40)
        await drawn(pilot)
        assert all(lines.display for lines in page.query(RidgeLines))
        assert "y values" not in words(page.desk.query_one(KeyBar))
        await pilot.resize_terminal(80, 15)
        await drawn(pilot)
        assert not page.table.display


async def test_a_run_that_trains_grows_ridges(still_app: MakeApp, run: RunFolder) -> None:
    app = still_app(run)
    async with app.run_test(size=(120, 40)) as pilot:
        page = await turned(pilot)
        history = app.workspace.history
        history.add(replace(history.epochs[-1], epoch=EPOCHS + 1, epochs=9, insides=insides(EPOCHS + 1)))
        changed(app)
        await until(pilot, lambda: f"after epoch {EPOCHS + 1} of 9" in shown(page))
        assert f" {EPOCHS + 1} " in words(page.query_one("#weights", RidgeLines))


async def test_a_run_that_was_not_looked_into_says_so(still_app: MakeApp, tmp_path: Path) -> None:
    app = still_app()  # a bundled network, from before there was such a thing
    async with app.run_test(size=(120, 40)) as pilot:
        page = await turned(pilot)
        assert "this run did not look into its layers: new runs do, with insides on" in shown(page)
        assert not page.table.display
        assert page.figure() is None
        await pilot.press("y", "[", "]", "down", "s", "e")
        await drawn(pilot)
        assert app.is_running
        run = RunFolder(tmp_path / "runs" / "some")
        run.path.mkdir(parents=True)
        known = msgspec.to_builtins(insides(3))
        (run.path / "events.jsonl").write_bytes(epoch_line(1) + epoch_line(2, insides=known) + epoch_line(3))
        run.write_record(app.workspace.run.read_record())  # type: ignore[union-attr]
        app.workspace.open(run)
        await until(pilot, lambda: "after epoch 2 of" in shown(page))


async def test_an_empty_app_says_how_to_begin(still_app: MakeApp) -> None:
    app = still_app(empty=True)
    async with app.run_test(size=(80, 24)) as pilot:
        page = await turned(pilot)
        assert "no epoch yet: press r" in shown(page)
        under_way(app)
        await until(pilot, lambda: "did not look into its layers" in shown(page))


async def test_the_keys_of_a_run_are_the_same_on_all_pages(still_app: MakeApp, run: RunFolder) -> None:
    app = still_app(run)
    asked: list[Train] = []
    app.workspace.train = asked.append  # type: ignore[method-assign, assignment]
    async with app.run_test(size=(80, 24)) as pilot:
        page = await turned(pilot)
        await pilot.press("r")
        assert asked == [Train()]
        assert page.desk.front == "insides"
        page.desk.query_one(RequestForm).values["padding"] = 0
        page.desk.query_one(RequestForm).values["kernel_size"] = 28
        await pilot.press("r")  # no experiment: the form comes to the front
        await until(pilot, lambda: page.desk.front == "curves")
        assert page.desk.has_class("-form")
        assert len(asked) == 1


async def test_an_experiment_that_is_copied_comes_to_the_form(still_app: MakeApp, run: RunFolder) -> None:
    app = still_app(run)
    async with app.run_test(size=(120, 40)) as pilot:
        page = await turned(pilot)
        with app.workspace.changing():
            app.workspace.draft = Train(seed=7)
        await until(pilot, lambda: page.desk.front == "curves")
        assert page.desk.query_one(RequestForm).values["seed"] == 7


async def test_the_figure_is_of_the_layer(still_app: MakeApp, run: RunFolder) -> None:
    app = still_app(run)
    async with app.run_test(size=(120, 40)) as pilot:
        page = await turned(pilot)
        await pilot.press("down")
        request = page.desk.figure()
        assert request is not None
        subject = request.subject
        assert isinstance(subject, InsidesShown)
        assert (subject.layer, subject.epochs, subject.run) == ("conv2", tuple(range(1, EPOCHS + 1)), "mine")


async def test_damaged_numbers_are_drawn_or_left_out(still_app: MakeApp, run: RunFolder) -> None:
    """What an event may hold within its bounds, from another program."""
    good = insides(1)
    strange = replace(good.layers[0].weights, first=1000, negative=(1,) * 900, positive=(), zero=10**12)
    layers = [
        (replace(good.layers[0], weights=strange, weight_norm=1e39, update_norm=0.0),),
        (),
        (replace(good.layers[0], layer="another", weights=replace(strange, first=-1000, negative=())),) * 3,
        (replace(good.layers[0], weights=replace(strange, negative=(), zero=0), weight_norm=0.0), *good.layers[1:]),
    ]
    for each in layers:
        events = [replace(epoch, insides=replace(good, layers=each)) for epoch in run.history().epochs]
        run.events_file.write_bytes(b"".join(msgspec.json.encode(event) + b"\n" for event in events))
        assert all(isinstance(event, EpochFinished) for event in run.events())
        app = still_app(run)
        async with app.run_test(size=(120, 40)) as pilot:
            page = await turned(pilot)
            await pilot.press("down", "down", "y", "[", "up")
            await pilot.resize_terminal(23, 7)
            await drawn(pilot)
            assert app.is_running
            assert page.is_attached


def test_the_titles_of_later_pages_are_theirs() -> None:
    for later in TrainScreen.later_pages:
        module, _, name = later.target.partition(":")
        kind = getattr(importlib.import_module(module), name)
        assert (kind.page, kind.title) == (later.page, later.title)


def test_only_the_train_screen_makes_pages_later() -> None:
    assert isinstance(screen_of("train"), TrainScreen)
    assert [page.page for page in TrainScreen.page_types] == ["curves"]
    assert isinstance(MnistTui.MODES["train"], type)
