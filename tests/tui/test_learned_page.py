"""The page of what a run learned, driven by its keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.runs.folder import RunFolder
from engine.training.answers import packed
from engine.training.requests import Train
from tests.learning import COUNT, EPOCHS, recognised, run_that_recognised, run_with
from tests.tui.conftest import MakeApp
from tests.tui.driving import drawn, tap, until, words
from tests.tui.test_rates_page import SMALL
from tests.tui.test_train_screen import start, train_screen
from tui.app import MnistTui
from tui.screens.train.learned import GROUPS, LearnedPage
from tui.widgets.chart import Chart
from tui.widgets.notes import Notes
from tui.widgets.settings import Settings


@pytest.fixture(autouse=True)
def _few(few_images: None) -> None:
    """400 test images."""


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return run_that_recognised(tmp_path / "runs", "a-run")


async def opened(pilot: Pilot[int]) -> LearnedPage:
    """The page, with its answer, or what is said instead."""
    app = pilot.app
    assert isinstance(app, MnistTui)
    await until(pilot, lambda: app.focused is not None)
    await tap(pilot, "shift+tab")
    screen = train_screen(app)
    await until(pilot, lambda: screen.front == "learned" and bool(screen.query(LearnedPage)))
    page = screen.query_one(LearnedPage)
    await until(pilot, lambda: all(page.inquiry.answered(request) for request in page.wanted()))
    await drawn(pilot)
    return page


def told(page: LearnedPage) -> str:
    """The sentences of the page, on one line."""
    return " ".join(words(page.query_one(Notes)).split())


async def test_the_curves_and_the_digits_are_those_of_the_run(still_app: MakeApp, run: RunFolder) -> None:
    app, right = still_app(run), recognised()
    async with app.run_test(size=(120, 40)) as pilot:
        page = await opened(pilot)
        wrong, gained, lost = page.query_one(Chart).curves
        assert list(wrong.ys) == (~right).sum(axis=1).tolist()
        assert list(gained.ys) == (right[1:] & ~right[:-1]).sum(axis=1).tolist()
        assert list(lost.ys) == (right[:-1] & ~right[1:]).sum(axis=1).tolist()
        assert list(lost.xs) == list(range(2, EPOCHS + 1))
        assert page.shown is not None
        digit = page.here
        assert digit == page.shown.most_forgotten[0]
        assert f"test {digit.index}: label {digit.label}, first recognised in epoch {digit.first}" in told(page)
        assert f"forgotten {digit.forgotten} times" in told(page)
        line = "".join("●" if each else "·" for each in right[:, digit.index])
        assert f"{line} epochs 1 to 7" in told(page)
        never, ever = int((~right.any(axis=0)).sum()), (right[:-1] & ~right[1:]).any(axis=0)
        assert f"forgotten {ever.sum()}, never recognised {never}; no weight is trained on these" in told(page)
        assert f"never forgotten {COUNT - never - ever.sum()}" in told(page)
        figure = page.figure()
        assert figure is not None
        assert figure.subject is page.shown


async def test_each_group_has_its_digits(still_app: MakeApp, run: RunFolder) -> None:
    app = still_app(run)
    async with app.run_test(size=(120, 40)) as pilot:
        page = await opened(pilot)
        found = page.shown
        assert found is not None
        for group, digits in (
            ("most forgotten", found.most_forgotten),
            ("last learned", found.last_learned),
            ("never right", found.never_right),
        ):
            assert page.digits == digits
            assert f"digits {group}" in words(app.screen.query_one(Settings))
            grid = words(page.grid)
            assert f"test: {group}" in grid
            assert str(digits[0].label) in grid
            await tap(pilot, "right")
            assert page.here == digits[1]
            await tap(pilot, "o")
        assert GROUPS.index(page.group) == 0
        await tap(pilot, "s", "right", "escape")
        assert GROUPS.index(page.group) == 1


async def test_a_digit_becomes_the_current_one(still_app: MakeApp, run: RunFolder) -> None:
    app = still_app(run)
    async with app.run_test(size=(120, 40)) as pilot:
        page = await opened(pilot)
        await tap(pilot, "right", "down", "left")
        digit = page.here
        assert digit is not None
        assert page.grid.cursor > 1
        await tap(pilot, "enter")
        assert app.workspace.digit == ("test", digit.index)
        await drawn(pilot)
        assert f"test {digit.index} (current): label" in told(page)


async def test_the_chart_is_read_by_epoch(still_app: MakeApp, run: RunFolder) -> None:
    app, right = still_app(run), recognised()
    async with app.run_test(size=(120, 40)) as pilot:
        page = await opened(pilot)
        chart = page.query_one(Chart)
        await tap(pilot, "left_square_bracket", "left_square_bracket")
        assert chart.cursor == EPOCHS - 1
        assert f"wrong {(~right[-2]).sum()}" in words(chart)
        await tap(pilot, "right_square_bracket", "plus")
        assert (chart.cursor, chart.zoom) == (EPOCHS, 1)
        await tap(pilot, "0", "escape")
        assert chart.zoom == 0
        assert train_screen(app).front == "curves"


async def test_what_has_no_record_says_so(still_app: MakeApp, tmp_path: Path) -> None:
    for run, reason in (
        (None, "run pretrained:cnn did not keep which test digits it recognised after each epoch"),
        (run_with(tmp_path / "runs", "older", [b"", b""]), "train it again to see when it learns them"),
        (run_with(tmp_path / "runs", "begun", []), "has no finished epoch yet"),
    ):
        app = still_app(run)
        async with app.run_test(size=(80, 24)) as pilot:
            page = await opened(pilot)
            assert reason in told(page)
            assert page.query_one(Chart).plot.empty
            assert page.figure() is None
            await tap(pilot, "enter", "o", "right", "left_square_bracket")
            assert page.here is None
    app = still_app(empty=True)
    async with app.run_test(size=(80, 24)) as pilot:
        assert "nothing is open" in told(await opened(pilot))


async def test_a_group_without_digits_says_so(still_app: MakeApp, tmp_path: Path) -> None:
    right = recognised()[:1]
    right[:] = True
    app = still_app(run_with(tmp_path / "runs", "perfect", [packed(right[0])]))
    async with app.run_test(size=(120, 40)) as pilot:
        page = await opened(pilot)
        for reason in (
            "no digit was forgotten",
            "none was learned after its first epoch",
            "each digit was recognised after some epoch",
        ):
            assert reason in words(page.grid)
            assert page.here is None
            await tap(pilot, "o")
            await drawn(pilot)
        assert "never forgotten 400, forgotten 0, never recognised 0" in told(page)


async def test_it_follows_a_run_epoch_by_epoch(app: MnistTui, small_runs: None) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await start(pilot, app, Train(**{name: getattr(SMALL, name) for name in Train.__struct_fields__}))
        page = await opened(pilot)
        await until(pilot, lambda: page.shown is not None and len(page.shown.epochs) >= 2)
        app.workspace.training.cancel()  # type: ignore[union-attr]
        await until(pilot, lambda: app.workspace.training is None)
        await until(pilot, lambda: page.shown is not None and page.shown.epochs[-1] == app.workspace.history.epoch)
        assert page.shown is not None
        accuracies = [epoch.test_accuracy for epoch in app.workspace.history.epochs]
        assert [right / COUNT for right in page.shown.right] == accuracies
    assert app.workspace.lab.close()


async def test_another_run_is_another_answer(still_app: MakeApp, run: RunFolder, tmp_path: Path) -> None:
    other = run_that_recognised(tmp_path / "runs", "other", recognised()[:2])
    app = still_app(run)
    async with app.run_test(size=(120, 40)) as pilot:
        page = await opened(pilot)
        app.workspace.open(other)
        await until(pilot, lambda: page.shown is not None and page.shown.name == "other")
        assert page.shown is not None
        assert page.shown.epochs == (1, 2)
