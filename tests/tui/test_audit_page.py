"""The page of the audit, driven by its keys, with the real lab and the bundled networks."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from rich.color import Color
from textual.pilot import Pilot

from engine.inspection.audit_events import DisputedLabel, NetworksAudited
from engine.inspection.requests import Audit
from engine.network.checkpoints import load_weights, save_weights
from engine.runs.finding import pretrained
from tests.tui.conftest import MakeApp
from tests.tui.driving import drawn, go, settled, show, status, words
from tui.drawing.vocabulary import NO_NUMBERS, votes
from tui.screens.activations import ActivationsScreen
from tui.screens.digits import DigitsScreen
from tui.widgets.chart import Chart
from tui.widgets.pictures import Legend
from tui.widgets.scores import Scores

pytestmark = pytest.mark.usefixtures("exact_engine", "quick_keys")
WIDE = (120, 40)
CNN, NORMED = "pretrained:cnn", "pretrained:cnn-bn"


async def opened(pilot: Pilot[int]) -> tuple[DigitsScreen, NetworksAudited]:
    """The page, and the audit that it shows."""
    screen = await go(pilot, "3", DigitsScreen)
    await pilot.press("tab", "tab")
    await drawn(pilot)
    await settled(pilot, screen)
    assert screen.front == "audit"
    assert screen.audit.audited is not None
    return screen, screen.audit.audited


async def test_the_numbers_are_those_of_the_audit(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen, event = await opened(pilot)
        assert screen.wanted() == [Audit(what=CNN, others=(NORMED,))]
        scores = words(screen.query_one(Scores))
        for number, each in enumerate(event.classes):
            row = [f"{100 * share:.2f}" for share in (each.precision, each.recall, each.f1)]
            assert [str(number), str(each.count), str(each.predicted), *row] in [
                line.split() for line in scores.split("\n")
            ]
        for one in event.audits:
            assert f"{100 * one.ece:.2f} % ({100 * one.ece_low:.2f} to {100 * one.ece_high:.2f} %)" in scores
            assert f"at T {one.temperature:.2f}: {100 * one.ece_calibrated:.2f} %" in scores
        chart = screen.query_one("#reliability", Chart)
        as_it_is, _, calibrated = chart.curves
        assert list(as_it_is.ys) == [100 * of.accuracy for of in event.bins]
        assert list(calibrated.xs) == [100 * of.confidence for of in event.bins_calibrated]
        assert f"ECE {100 * event.ece:.2f} %" in words(chart)
        assert not screen.query_one(Legend).display
        figure = screen.figure()
        assert figure is not None
        assert figure.subject is event


async def test_doubtful_digits_with_their_labels(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen, event = await opened(pilot)
        grid = screen.audit.grid
        first = event.digits[0]
        assert f"{first.actual}→{first.predicted}! {100 * first.probability:.1f} %" in words(grid)
        assert "raters doubt too: 1 of 1" in words(grid)
        place = event.doubtful.index(947)
        assert words(grid).count(" *") == 1 + 1  # its label and the legend
        letters = {(character, style.color) for row in grid._rows for character, style in row}
        assert ("!", Color.parse(app.theme_variables["error"])) in letters
        grid.go_to(place)
        await drawn(pilot)
        assert "test 947: label 8 has" in status(screen)
        assert "raters: 0 say 8, 5 say 9" in status(screen)


@pytest.mark.parametrize("size", [(80, 24), WIDE])
async def test_enter_makes_the_digit_the_current_one(still_app: MakeApp, size: tuple[int, int]) -> None:
    app = still_app()
    async with app.run_test(size=size) as pilot:
        screen, event = await opened(pilot)
        before = app.workspace.digit
        await pilot.press("right", "right")
        await drawn(pilot)
        assert app.workspace.digit == before  # looking at a label changes nothing
        assert f"test {event.doubtful[2]}: label" in status(screen)
        await pilot.press("enter")
        await drawn(pilot)
        assert app.workspace.digit == ("test", event.doubtful[2])
        assert f"test {event.doubtful[2]} (current): label" in status(screen)
        activations = await go(pilot, "5", ActivationsScreen)
        assert activations.shown is not None
        assert activations.shown.index == event.doubtful[2]


async def test_the_audit_is_kept_while_other_pages_are_in_front(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen, event = await opened(pilot)
        await pilot.press("escape")
        await settled(pilot, screen)
        assert screen.front == "digits"
        assert screen.query_one("#digits").display
        assert screen.query_one("#digits-page").display
        assert not screen.query_one("#audit-page").display
        digits = screen.digits.shown
        await pilot.press("tab", "tab")
        await drawn(pilot)
        await settled(pilot, screen)
        assert screen.front == "audit"
        assert (screen.audit.audited, screen.digits.shown) == (event, digits)
        assert not screen.query_one("#digits-page").display


async def test_keys_of_the_digits_do_nothing_here(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen, _ = await opened(pilot)
        page = screen.digits
        before = (page.order, page.digit, page.seed, app.workspace.digit, screen.look)
        await pilot.press("m", "a", "w", "o", "comma", "full_stop", "c", "s")
        await drawn(pilot)
        assert (page.order, page.digit, page.seed, app.workspace.digit, screen.look) == before
        assert screen.front == "audit"


async def test_a_short_terminal_has_the_digits_and_a_low_one_has_all(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(100, 30)) as pilot:
        screen, event = await opened(pilot)
        scores = words(screen.query_one(Scores))
        assert f"{100 * event.classes[9].f1:.2f}" in scores
        assert f"T {event.others[0].temperature:.2f}: {100 * event.others[0].ece_calibrated:.2f} %" in scores
        await pilot.resize_terminal(80, 16)
        await drawn(pilot)
        assert not screen.query_one("#audit-numbers").display
        assert screen.query_one("#doubtful").size.height > 5


@pytest.mark.parametrize("variable", ["NO_COLOR", "LC_ALL"])
async def test_it_is_read_without_colour_and_in_ascii(
    still_app: MakeApp, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "C")
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen, event = await opened(pilot)
        arrow = ">" if variable == "LC_ALL" else "→"
        assert f"{event.digits[0].actual}{arrow}{event.digits[0].predicted}!" in words(screen.audit.grid)
        assert f"ECE {100 * event.ece:.2f} %" in words(screen.query_one("#reliability", Chart))
        if variable == "LC_ALL":
            assert words(screen.query_one(Scores)).isascii()


async def test_a_network_without_numbers(still_app: MakeApp, tmp_path: Path) -> None:
    model = load_weights(pretrained("cnn").model_file)
    with torch.no_grad():
        model.get_parameter("fc.3.bias")[3] = math.nan
    save_weights(file := tmp_path / "damaged.safetensors", model)
    app = still_app(empty=True)
    async with app.run_test(size=WIDE) as pilot:
        show(app, file)
        screen, event = await opened(pilot)
        assert math.isnan(event.ece)
        assert NO_NUMBERS in words(screen.query_one("#reliability", Chart))
        scores = words(screen.query_one(Scores))
        assert "damaged.safet… outputs no finite numbers" in scores
        assert "nan" not in scores


def test_votes_in_words() -> None:
    assert votes(DisputedLabel(947, 8, 9, 0, 5, 0)) == "0 say 8, 5 say 9"
    assert votes(DisputedLabel(2654, 6, 1, 0, 2, 3)) == "0 say 6, 2 say 1, 3 neither"
