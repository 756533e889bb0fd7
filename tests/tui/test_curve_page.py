"""The second page of screen 7: accuracy between what AutoAttack leaves and what is proved, from given answers."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from engine.attacks.events import RobustnessMeasured
from engine.attacks.requests import CurveAttackName, MeasureRobustness
from engine.runs.finding import compared_bundled
from tests.robustness import ROBUST, curves
from tests.tui.conftest import Answers, MakeApp
from tests.tui.driving import CNN, adjust, drawn, go, settled, status, words
from tui.screens.attacks import AttacksScreen
from tui.screens.attacks.curve import CurvePage
from tui.widgets.chart import Chart
from tui.widgets.settings import Settings

pytestmark = pytest.mark.usefixtures("exact_engine", "quick_keys")
WIDE, SMALL = (120, 40), (80, 24)
ASKED = MeasureRobustness(
    what=CNN, others=(compared_bundled("cnn"),), attack=("autoattack", "pgd"), certified=True, count=100
)
L2: tuple[CurveAttackName, ...] = ("autoattack", "pgd", "cw", "deepfool", "fgsm")


@pytest.fixture
def given(answers: Answers, asked_anew: None) -> RobustnessMeasured:
    """The answer to what the page asks for at first."""
    found = curves()
    answers[ASKED] = [found]
    return found


def page(screen: AttacksScreen) -> CurvePage:
    found = screen.pages["curve"]
    assert isinstance(found, CurvePage)
    return found


async def test_one_key_shows_the_accuracy_between_two_curves(still_app: MakeApp, given: RobustnessMeasured) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "7", AttacksScreen)
        await pilot.press("tab")
        await drawn(pilot)
        assert screen.wanted() == []  # work that takes so long starts only on request
        assert "r measures what AutoAttack leaves of the accuracy and what is proved of it" in words(page(screen).table)
        await pilot.press("r")
        await settled(pilot, screen)
        assert screen.wanted() == [ASKED]
        assert page(screen).measured == given
        assert "100 of 100 digits, L-inf" in words(page(screen).table)
        await pilot.press("down", "down")  # epsilon 0.1
        await drawn(pilot)
        chart = screen.query_one("#curve-chart", Chart)
        for legend in ("epsilon 0.1", "cnn AutoAttack 61.0", "cnn PGD 66.0", "cnn certified 0.0", "unknown"):
            assert legend in words(chart)
        assert "95 % interval" in words(chart)
        assert "cnn at 0.1: AutoAttack leaves 61.0 %, proved 0.0 %, unknown 61.0 %" in status(screen)
        interval, unknown = chart.plot.bands
        assert unknown.low == pytest.approx(ROBUST[CNN]["certified"])
        assert unknown.high == pytest.approx(ROBUST[CNN]["autoattack"])
        assert interval.low[2] == pytest.approx(51.2, abs=0.05)
        assert {curve.name for curve in chart.curves if curve.thin} == {"cnn PGD", "cnn-bn PGD"}
        await pilot.press("end")  # the curve of what is proved of the other network
        await drawn(pilot)
        assert "cnn-bn at 0.3: AutoAttack leaves 91.0 %, proved 40.0 %, unknown 51.0 %" in status(screen)
        assert chart.plot.bands[1].high == pytest.approx(ROBUST["pretrained:cnn-bn"]["autoattack"])
        await pilot.press("plus")
        await drawn(pilot)
        assert "zoom 2x" in words(chart)
        assert screen.figure() is not None


@pytest.mark.parametrize("name", ["NO_COLOR", "LC_ALL"])
async def test_without_colour_the_unknown_differs_from_the_interval(
    still_app: MakeApp, given: RobustnessMeasured, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "C")
    interval, unknown = ("..", "::") if name == "LC_ALL" else ("░░", "··")
    app = still_app()
    async with app.run_test(size=SMALL) as pilot:
        screen = await go(pilot, "7", AttacksScreen)
        await pilot.press("tab", "r")
        await settled(pilot, screen)
        await pilot.press("down", "down")
        await drawn(pilot)
        shown = words(screen.query_one("#curve-chart", Chart))
        assert f"{interval} 95 % interval  {unknown} unknown" in shown
        assert shown.count(unknown) > 5
        assert status(screen).strip() == "cnn at 0.1: AutoAttack leaves 61.0 %, proved 0.0 %, unknown 61.0 %"
        assert name == "NO_COLOR" or (shown.isascii() and words(page(screen).table).isascii())


async def test_a_point_that_a_weaker_attack_beats_is_marked(
    still_app: MakeApp, given: RobustnessMeasured, answers: Answers
) -> None:
    first, *rest = given.points
    answers[ASKED] = [replace(given, points=(replace(first, beaten_by="pgd"), *rest))]
    app = still_app()
    async with app.run_test(size=SMALL) as pilot:
        screen = await go(pilot, "7", AttacksScreen)
        await pilot.press("tab", "r")
        await settled(pilot, screen)
        assert "cnn AutoAttack at 0 beaten by PGD" in words(page(screen).table)


async def test_weaker_attacks_and_the_other_norm_are_settings(still_app: MakeApp, answers: Answers) -> None:
    other = ASKED.others[0]
    l2 = MeasureRobustness(what=CNN, others=(other,), attack=L2, norm="l2", count=100)
    numbers = (99, 90, 80, 50, 20, 5, 0)
    answers[l2] = [curves({CNN: dict.fromkeys(L2, numbers), other: dict.fromkeys(L2, numbers)}, "l2")]
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "7", AttacksScreen)
        await pilot.press("tab")
        await adjust(pilot, screen, "weaker", "right")
        assert "AutoAttack, PGD, FGSM, noise" in words(screen.query_one(Settings))
        asked = page(screen).request(page(screen).chosen)
        assert asked == replace(ASKED, attack=("autoattack", "pgd", "fgsm", "random"))
        await adjust(pilot, screen, "norm", "right")
        await pilot.press("r")
        await settled(pilot, screen)
        assert screen.wanted() == [l2]
        assert "cnn at 0: AutoAttack leaves 99.0 %; in L2 there is no proof" in status(screen)
        chart = screen.query_one("#curve-chart", Chart)
        assert [band.name for band in chart.plot.bands] == ["95 % interval"]
        inks = {curve.name: curve.ink for curve in chart.curves}
        assert len(inks) == 10
        assert len(set(inks.values())) == 8  # PGD has the colour of AutoAttack, beside which it is thin
        assert inks["cnn PGD"] == inks["cnn AutoAttack"] != inks["cnn FGSM"]
