"""The page of learning rates, driven by its keys, with the real lab on a few hundred real images."""

from __future__ import annotations

from dataclasses import replace as changed_entry
from pathlib import Path
from typing import Any, cast

import pytest
from textual.pilot import Pilot

from engine import operations
from engine.training.events import LearningRateFound
from engine.training.requests import FindLearningRate, Train
from tests.learning import find_learning_rate, losses_at
from tests.tui.conftest import MakeApp, under_way
from tests.tui.driving import adjust, drawn, tap, until, words
from tests.tui.test_train_screen import train_screen
from tui.app import MnistTui
from tui.screens.train.rates import RatesPage
from tui.widgets.chart import Chart
from tui.widgets.lines import KeyBar
from tui.widgets.notes import Notes

SMALL = Train(train_size=640, channels=4, hidden=16, threads=1, device="cpu")


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> None:
    """A range test is over at once, with the losses of `losses_at`."""
    known: dict[Any, operations.Entry] = cast(Any, operations.OPERATIONS)
    target = "tests.learning:find_learning_rate"
    monkeypatch.setitem(known, FindLearningRate, changed_entry(known[FindLearningRate], target=target))


async def opened(pilot: Pilot[int], experiment: Train | None = None) -> RatesPage:
    """The page, with `experiment` in the form."""
    app = pilot.app
    assert isinstance(app, MnistTui)
    await until(pilot, lambda: app.focused is not None)
    if experiment:
        train_screen(app).curves.form.fill(experiment)
    await tap(pilot, "tab")
    screen = train_screen(app)
    await until(pilot, lambda: screen.front == "rates" and bool(screen.query(RatesPage)))
    await drawn(pilot)
    return screen.query_one(RatesPage)


def told(page: RatesPage) -> str:
    """The sentences of the page, on one line."""
    return " ".join(words(page.query_one(Notes)).split())


async def test_before_a_test_it_says_what_it_is(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        page = await opened(pilot)
        assert told(page).startswith("─")
        assert "f trains the experiment in the form for a few steps" in told(page)
        assert "Nothing is written" in told(page)
        assert page.query_one(Chart).plot.empty
        assert page.figure() is None
        bar = words(app.screen.query_one(KeyBar))
        assert " f find " in bar
        assert "use it" not in bar
        await tap(pilot, "enter")  # there is nothing to use
        assert app.workspace.draft is None


async def test_a_test_of_the_experiment_in_the_form(app: MnistTui, tmp_path: Path) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        page = await opened(pilot, SMALL)
        await adjust(pilot, train_screen(app), "steps", "left", "left")
        await tap(pilot, "f")
        await until(pilot, lambda: page.found is not None)
        await drawn(pilot)
        found = page.found
        assert found is not None
        assert (found.steps, found.batch_size, found.seed) == (50, 64, 0)
        raw, smoothed, *_ = page.query_one(Chart).curves
        assert list(smoothed.ys) == list(found.smoothed)
        assert len(raw.xs) == len(found.rates)
        assert " ".join(found.words.split()) in told(page)
        assert page.job is None
        assert not list(tmp_path.glob("runs/*"))
    assert app.workspace.lab.close()


async def test_the_suggestion_goes_into_the_form(given: None, still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        page = await opened(pilot, Train(batch_size=32, epochs=3))
        await tap(pilot, "f")
        await until(pilot, lambda: page.found is not None)
        await drawn(pilot)
        found = page.found
        assert found is not None
        assert found.suggested is not None
        (*_, last) = find_learning_rate(FindLearningRate(batch_size=32, epochs=3), Path())
        assert found == last
        assert f"enter puts {found.suggested:g} into the form" in told(page)
        assert "cnn on mnist, batch size 32, seed 0" in told(page)
        assert f"the loss diverged at {found.rates[-1]:.1e}: {len(found.rates)} of 200 steps" in told(page)
        assert " enter use it " in words(app.screen.query_one(KeyBar))
        figure = page.figure()
        assert figure is not None
        assert figure.subject is found
        await tap(pilot, "enter")
        screen = train_screen(app)
        await until(pilot, lambda: screen.front == "curves")
        request = screen.curves.form.request()
        assert request == Train(batch_size=32, epochs=3, learning_rate=found.suggested)
        await tap(pilot, "tab")  # the result is kept
        assert page.found is found


async def test_the_chart_is_read_and_enlarged(given: None, still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        page = await opened(pilot)
        await tap(pilot, "f")
        await until(pilot, lambda: page.found is not None)
        await tap(pilot, "left", "left", "left_square_bracket")
        chart = page.query_one(Chart)
        assert page.found is not None
        rate = page.found.rates[-3]
        assert chart.cursor is not None
        assert 10**chart.cursor == pytest.approx(rate)
        assert f"{page.found.smoothed[-3]:.3f}" in words(chart)
        await tap(pilot, "right_square_bracket", "right")
        assert 10**chart.cursor == pytest.approx(page.found.rates[-1])
        await tap(pilot, "plus", "plus")
        assert chart.zoom == 2
        await tap(pilot, "minus", "0")
        assert chart.zoom == 0
        await tap(pilot, "right")
        assert chart.cursor is None
        await tap(pilot, "f")  # once more, from the beginning
        await until(pilot, lambda: page.job is None and page.found is not None)
        assert next(iter(chart.curves[0].xs)) == pytest.approx(-6)


async def test_a_test_is_stopped_and_keeps_what_it_has(app: MnistTui, monkeypatch: pytest.MonkeyPatch) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        page = await opened(pilot, SMALL)
        await adjust(pilot, train_screen(app), "steps", "right", "right", "right", "right")
        await tap(pilot, "f")
        await until(pilot, lambda: page.tried is not None and len(page.tried.losses) > 3)
        assert "f stops it" in told(page)
        await tap(pilot, "f")
        await until(pilot, lambda: page.job is None)
        await drawn(pilot)
        assert page.found is not None
        assert page.found.stopped
        assert f"stopped at {page.found.rates[-1]:.1e}" in told(page)
    assert app.workspace.lab.close()


async def test_an_experiment_that_is_none_is_not_tried(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        page = await opened(pilot)
        train_screen(app).curves.form.values["train_size"] = 10
        await tap(pilot, "f")
        await until(pilot, lambda: train_screen(app).front == "curves")
        assert page.job is None


async def test_settings_that_do_not_rise_are_refused(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        page = await opened(pilot)
        await tap(pilot, "s", "1", "0", "enter", "escape")
        await drawn(pilot)
        assert page.chosen == {}
        await adjust(pilot, train_screen(app), "lowest_rate", "right")
        assert page.chosen == {"lowest_rate": 1e-5}


async def test_a_failure_is_told(still_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.training.loading.free_memory", lambda: 10**6)
    monkeypatch.setattr("engine.training.loading.is_loaded", lambda *_: False)
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        page = await opened(pilot)
        await tap(pilot, "f")
        await until(pilot, lambda: page.job is None)
        await drawn(pilot)
        assert "this run needs about" in told(page)


async def test_a_run_under_way_is_followed_below(given: None, still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        page = await opened(pilot)
        under_way(app)
        await tap(pilot, "f")
        await until(pilot, lambda: page.found is not None)
        assert isinstance(page.found, LearningRateFound)
        assert len(page.found.losses) == len(losses_at(page.found.rates))
        assert "epoch 3" in words(app.screen.query_one("#progress"))  # type: ignore[arg-type]
