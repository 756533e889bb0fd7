"""Screen 7 driven by its keys, with the real lab and a bundled network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from msgspec.structs import replace
from textual.pilot import Pilot

from engine.attacks.events import AttackFinished, BetaSwept, TransferMeasured, UniversalMade
from engine.attacks.requests import (
    GALLERY,
    AttackDeepFool,
    AttackNoise,
    AttackPgd,
    AttackTargeted,
    AttackUniversal,
    MeasureTransfer,
    SweepBeta,
)
from engine.data.datasets import Dataset
from engine.lab import Job
from engine.network.checkpoints import load_weights, save_weights
from engine.request import Request
from engine.runs.finding import pretrained
from engine.training.requests import Train
from tests.conftest import patch_load
from tests.tui.conftest import MakeApp
from tests.tui.driving import adjust, drawn, go, settled, show, status, until, words
from tui.drawing.vocabulary import beta_answer
from tui.screens.activations import ActivationsScreen
from tui.screens.attacks import AttacksScreen
from tui.screens.attacks.attack import AttackPage
from tui.screens.attacks.measurement import MeasurementPage
from tui.screens.attacks.options import LADDERS
from tui.widgets.bars import Bars
from tui.widgets.chart import Chart
from tui.widgets.lines import KeyBar
from tui.widgets.pictures import Legend, Raster, RasterGrid
from tui.widgets.rows import Rows
from tui.widgets.settings import Settings

pytestmark = pytest.mark.usefixtures("exact_engine", "quick_keys")
WIDE = (120, 40)
CNN = "pretrained:cnn"


@pytest.fixture(autouse=True)
def few_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure over few digits, and prove nothing of those under the cursor."""
    monkeypatch.setattr("tui.screens.attacks.measurement.SHOWN_IN_A_CURVE", 10)
    monkeypatch.setattr(AttackPage, "_proofs", lambda _: [])


@pytest.fixture
def quick_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves of an attack that takes one step."""
    monkeypatch.setattr("tui.screens.attacks.curve.CURVE_ATTACKS", {"linf": ("fgsm",), "l2": ("fgsm",)})


@pytest.fixture
def prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Report progress without delay."""
    monkeypatch.setattr("engine.lab.PROGRESS_INTERVAL", 0.0)


def text(screen: AttacksScreen, kind: type[Settings | Rows | Bars | Chart | KeyBar | Raster], name: str = "") -> str:
    widget = screen.query_one(f"#{name}", kind) if name else screen.query_one(kind)
    return "\n".join("".join(character for character, _ in row) for row in widget._rows)


async def press(pilot: Pilot[int], screen: AttacksScreen, *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settled(pilot, screen)


def attack(screen: AttacksScreen) -> AttackPage:
    page = screen.pages["attack"]
    assert isinstance(page, AttackPage)
    return page


def measured(screen: AttacksScreen, name: str) -> Any:
    page = screen.pages[name]
    assert isinstance(page, MeasurementPage)
    return page.measured


def finished(screen: AttacksScreen) -> AttackFinished:
    shown = attack(screen).shown
    assert isinstance(shown, AttackFinished)
    return shown


async def test_it_opens_on_the_notebooks_gallery(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "7", AttacksScreen)
        assert screen.wanted() == [AttackTargeted(what=CNN)]
        made = finished(screen)
        assert made.indices == (3, 2, 1, 18, 4, 11, 0, 61, 7)  # the target, 5, is left out
        first = made.images[0]
        assert f"8 of 9 fooled; test 3: fooled after 19 steps, L-inf {first.linf:.3f}, L2 {first.l2:.2f}" in status(
            screen
        )
        assert "0→5 100 %" in words(attack(screen).grid)
        assert "actual 0" in text(screen, Raster, "attack-original")
        assert f"5 ({first.probability:.2%})".replace("%", " %") in text(screen, Raster, "attack-result")
        assert f"up to {first.linf:.3f}" in text(screen, Raster, "attack-difference")
        assert "logit of class 5" in text(screen, Chart, "attack-history")
        assert "change" in words(screen.query_one(Legend))
        await press(pilot, screen, "right", "right")
        assert "test 1: not fooled, L-inf" in status(screen)  # a digit stays a 2, or becomes a 1
        assert "1 (90" in text(screen, Raster, "attack-result")


async def test_keys_choose_attack_and_parameters(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "7", AttacksScreen)
        await press(pilot, screen, "w", "w")
        await adjust(pilot, screen, "steps", "left")
        assert screen.wanted() == [AttackTargeted(what=CNN, target=7, steps=10)]
        assert finished(screen).settings["target"] == 7
        assert "towards 7" in words(attack(screen).grid)
        await press(pilot, screen, "a", "a")  # PGD
        await adjust(pilot, screen, "epsilon", "right")
        await adjust(pilot, screen, "norm", "right")
        assert screen.wanted() == [AttackPgd(what=CNN, epsilon=2.0, norm="l2")]
        assert 1.9 < finished(screen).l2.max() < 2.0001
        await press(pilot, screen, "a", "a")  # beyond APGD
        assert screen.wanted() == [AttackDeepFool(what=CNN)]
        assert "w class" not in text(screen, KeyBar)  # DeepFool has no target
        await press(pilot, screen, "w")
        assert screen.wanted() == [AttackDeepFool(what=CNN)]
        await press(pilot, screen, "A", "A")
        assert finished(screen).attack == "pgd"  # the last choice is kept
        assert finished(screen).settings["norm"] == "l2"


async def test_parameters_end_where_their_bounds_are(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "7", AttacksScreen)
        await adjust(pilot, screen, "beta", *["left"] * 3)
        assert screen.wanted() == [AttackTargeted(what=CNN, beta=0.0)]
        assert "beta 0 " in text(screen, Settings)
        # Plain gradient ascent instead of Adam, with any step size; and a start from noise, penalised by its distance
        # to the digit.
        for name in ("optimizer", "step_size", "start"):
            await adjust(pilot, screen, name, "right")
        plain = AttackTargeted(what=CNN, optimizer="plain", step_size=0.02, beta=0.0, start="noise")
        assert screen.wanted() == [plain]
        assert finished(screen).settings["start"] == "noise"
        assert max(LADDERS["step_size"]) == 1000
        # Restarts differ only in their random starting points, so they are refused for a start at the image.
        await press(pilot, screen, "a", "a")
        await adjust(pilot, screen, "random_start", "right")
        assert screen.wanted() == [AttackPgd(what=CNN, random_start=False)]
        await adjust(pilot, screen, "restarts", "right")
        assert screen.wanted() == [AttackPgd(what=CNN, random_start=False)]
        assert "restarts without a random start are all the same" in list(app._notifications)[-1].message
    for values in LADDERS.values():
        assert list(values) == sorted(values)


async def test_the_current_digit_alone(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "7", AttacksScreen)
        await adjust(pilot, screen, "alone", "right")
        assert finished(screen).indices == (61,)
        await press(pilot, screen, ".")
        assert finished(screen).indices == (62,)
        assert "test 62" in text(screen, Raster, "attack-original")
        await adjust(pilot, screen, "alone", "right")
        assert screen.wanted() == [AttackTargeted(what=CNN, indices=GALLERY)]
        app.workspace.digit = ("test", 8)
        await adjust(pilot, screen, "alone", "left")  # a 5, which is also the target
        assert "there is nothing to attack: all of these images are of class 5 already" in status(screen)
        await press(pilot, screen, "w")
        assert finished(screen).targets == (6,)


async def under_way(pilot: Pilot[int], screen: AttacksScreen) -> Job:
    """Wait until the attack has started."""
    page = attack(screen)
    await until(pilot, lambda: page.job is not None and page.job.state == "running" and page.step > 0)
    assert page.job is not None
    return page.job


@pytest.mark.usefixtures("prompt", "asked_anew")
async def test_pause_step_and_stop(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "7", AttacksScreen)
        await pilot.press("A")
        assert screen.wanted() == [AttackNoise(what=CNN)]
        job = await under_way(pilot, screen)
        await pilot.press("space")
        await until(pilot, lambda: job.state == "paused")
        await drawn(pilot)
        at = attack(screen).step
        assert 0 < at < 1500
        assert f"paused after step {at}: space resumes, ] takes one step, x stops" in status(screen)
        for further in (1, 2, 3):
            await pilot.press("]")
            await until(pilot, lambda: attack(screen).step == at + further and job.state == "paused")  # noqa: B023
        await drawn(pilot)
        assert attack(screen).step == at + 3
        assert screen.figure() is None  # an unfinished attack has no figure
        await pilot.press("x")
        await until(pilot, lambda: isinstance(attack(screen).shown, AttackFinished) and job.state == "done")
        await drawn(pilot)
        made = finished(screen)
        assert made.stopped
        assert made.done == at + 3
        assert made.history.shape == (10, at + 4)
        assert f"stopped after {at + 3} steps, r runs it" in status(screen)
        assert screen.wanted() == []  # it does not restart by itself
        assert screen.figure() is not None
        await pilot.press("r")
        again = await under_way(pilot, screen)
        assert again is not job
        await pilot.press("space")
        await until(pilot, lambda: again.state == "paused")
        await pilot.press("space")
        await until(pilot, lambda: again.state == "running")
        await pilot.press("a")  # choosing another attack ends this one
        await settled(pilot, screen)
        assert again.cancelled
        assert finished(screen).attack == "targeted"


@pytest.mark.usefixtures("prompt", "asked_anew")
async def test_another_screen_ends_a_pause_and_coming_back_begins_again(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "7", AttacksScreen)
        await pilot.press("A")
        job = await under_way(pilot, screen)
        await pilot.press("space")
        await until(pilot, lambda: job.state == "paused")
        await go(pilot, "5", ActivationsScreen)  # its request stops the paused attack, which would block it
        assert job.cancelled
        await pilot.press("7")
        again = await under_way(pilot, screen)
        assert again is not job
        await pilot.press("x")
        await until(pilot, lambda: again.state == "done")


async def test_brackets_go_through_the_steps(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "7", AttacksScreen)
        made = finished(screen)
        await press(pilot, screen, *["["] * 6)
        assert "step 19" in text(screen, Raster, "attack-result")
        shown = screen.query_one("#attack-result", Raster).values
        assert shown is not None
        assert (shown == made.frames[19][0]).all()
        answers = text(screen, Bars)
        await press(pilot, screen, "[")
        assert text(screen, Bars) != answers
        assert "0→5" not in words(attack(screen).grid)  # one step earlier it was not yet predicted as 5
        await press(pilot, screen, *["["] * 30)
        assert "step 0" in text(screen, Raster, "attack-result")
        assert (screen.query_one("#attack-result", Raster).values == made.original[0]).all()
        await press(pilot, screen, *["]"] * 30)
        assert "step 25" in text(screen, Raster, "attack-result")


async def test_beta_and_transfer(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "7", AttacksScreen)
        await press(pilot, screen, "tab", "tab", "r")
        assert screen.wanted() == [SweepBeta(what=CNN, count=10)]
        assert type(measured(screen, "beta")) is BetaSwept
        assert "it does nothing" in text(screen, Rows, "beta-table")
        assert "success by beta" in text(screen, Chart, "beta-success")
        await press(pilot, screen, "tab", "r")
        assert screen.wanted() == [MeasureTransfer(what=CNN, others=("pretrained:cnn-bn",), count=10)]
        assert isinstance(measured(screen, "transfer"), TransferMeasured)
        assert "over 10 digits that all networks classify correctly" in text(screen, Rows, "transfer-table")
        await press(pilot, screen, "escape")
        assert screen.front == "attack"


async def test_one_perturbation_for_many(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "7", AttacksScreen)
        await press(pilot, screen, "shift+tab", "shift+tab")
        await adjust(pilot, screen, "steps", *["left"] * 8)
        await adjust(pilot, screen, "made_of", *["left"] * 3)
        await adjust(pilot, screen, "count", *["left"] * 3)
        await press(pilot, screen, "r")
        assert screen.wanted() == [AttackUniversal(what=CNN, made_of=10, steps=1, count=100)]
        found = measured(screen, "universal")
        assert isinstance(found, UniversalMade)
        assert found.averaged == 100
        assert f"{100 * found.fooling_rate:.2f} %" in text(screen, Rows, "universal-table")
        assert "made from 10 training digits" in text(screen, Rows, "universal-table")
        assert f"{found.actual[0]}→{found.predicted[0]}" in words(screen.query_one("#universal-shown", RasterGrid))
        assert screen.figure() is not None
        await press(pilot, screen, "w")  # the results were without a target
        assert measured(screen, "universal") is None
        assert screen.wanted() == []
        await press(pilot, screen, "escape")
        assert screen.front == "attack"


@pytest.mark.usefixtures("asked_anew", "quick_curves")
async def test_a_measurement_can_be_stopped_and_goes_on_from_there(
    still_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.screens.attacks.measurement.SHOWN_IN_A_CURVE", 200)
    monkeypatch.setattr("engine.attacks.robustness.AT_ONCE", 10)
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "7", AttacksScreen)
        await pilot.press("tab", "r")
        await until(pilot, lambda: measured(screen, "curve") is not None)  # over the first digits
        await pilot.press("x")
        await drawn(pilot)
        part = measured(screen, "curve")
        assert part is not None
        assert 0 < part.points[0].count < 200
        assert screen.wanted() == []
        assert screen.figure() is None
        assert f"{part.points[0].count} of 200 digits" in text(screen, Rows)


async def test_an_attack_beside_training(still_app: MakeApp, small: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    patch_load(monkeypatch, small)
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "7", AttacksScreen)
        app.workspace.train(Train(train_size=1280, epochs=2, device="cpu"))
        training = app.workspace.training
        assert training is not None
        await until(pilot, lambda: training.state == "done" and len(app.workspace.history.epochs) == 2)
        await settled(pilot, screen)
        made = finished(screen)
        assert (made.epoch, made.name) == (2, app.workspace.history.name)
        assert np.isfinite(made.history).all()


@pytest.mark.usefixtures("quick_curves")
async def test_e_draws_each_page(still_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "7", AttacksScreen)
        for keys, name in (
            ((), "attack-targeted-mnist-test.png"),
            (("tab", "r"), "robustness-linf-10.png"),
            (("tab", "r"), "beta-10.png"),
            (("tab", "r"), "transfer-pgd.png"),
        ):
            await press(pilot, screen, *keys)
            await pilot.press("e")
            file, job = tmp_path / "figures" / name, app.workspace.exporting
            assert job is not None
            await until(pilot, lambda: file.exists() and job.state == "done")  # noqa: B023
            assert file.read_bytes().startswith(b"\x89PNG")
        assert len(list((tmp_path / "figures").iterdir())) == 4


async def test_answers_wait_behind_other_pages(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "7", AttacksScreen)
        made = finished(screen)
        await press(pilot, screen, "tab", "tab", "r")
        swept = measured(screen, "beta")
        await press(pilot, screen, "tab", "shift+tab")
        assert measured(screen, "beta") is swept  # it was not run again
        assert screen.figure() is not None
        await press(pilot, screen, "escape")
        assert attack(screen).shown is made
        await press(pilot, screen, "r")
        assert attack(screen).shown is not made  # `r` restarts it


async def test_what_has_no_answer_shows_none(still_app: MakeApp, small: Dataset) -> None:
    app = still_app()
    five = int((small.test.labels == 5).nonzero()[0])
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "7", AttacksScreen)
        app.workspace.digit = ("test", five)
        await adjust(pilot, screen, "alone", "right")
        assert "class 5 already" in status(screen)
        assert attack(screen).shown is None
        assert screen.figure() is None
        await press(pilot, screen, "[", "e", "tab")
        assert "class 5" not in status(screen)  # that belongs to the previous page
        await press(pilot, screen, "shift+tab", ".")
        assert finished(screen).indices == (five + 1,)


async def test_numbers_that_are_none(still_app: MakeApp, tmp_path: Path) -> None:
    model = load_weights(pretrained("cnn").model_file)
    with torch.no_grad():
        model.get_parameter("fc.3.bias")[3] = float("nan")
        save_weights(tmp_path / "nan.safetensors", model)
        model.get_parameter("fc.3.bias").zero_()
        model.get_parameter("fc.1.weight").zero_()
        model.get_parameter("fc.1.bias").fill_(-1)  # the hidden layer is dead, so there is no gradient
        save_weights(tmp_path / "dead.safetensors", model)
    app = still_app(empty=True)
    async with app.run_test(size=WIDE) as pilot:
        for name in ("nan", "dead"):
            show(app, tmp_path / f"{name}.safetensors")
            await pilot.press("1")
            screen = await go(pilot, "7", AttacksScreen)
            attack(screen)._chosen["noise"] = {"steps": 10}
            await press(pilot, screen, "A", "down", "enter", "escape", "a", "tab", "tab", "r", "escape")
            assert app.is_running


@pytest.mark.usefixtures("asked_anew")
async def test_a_paused_attack_keeps_no_figure_waiting(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        await go(pilot, "7", AttacksScreen)
        await pilot.press("A", "space")
        await until(pilot, lambda: any(job.state == "paused" for job in app.workspace.lab.unfinished("analysis")))
        await pilot.press("1", "e")
        assert "resume or stop the paused attack" in list(app._notifications)[-1].message
        assert app.workspace.exporting is None


async def test_a_digit_not_given_changes_nothing(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "7", AttacksScreen)
        made = finished(screen)
        await pilot.press("i")
        await pilot.press("escape")
        await settled(pilot, screen)
        assert attack(screen).shown is made
        await press(pilot, screen, "[")
        await pilot.press("i", *["backspace"] * 9, "7", "enter")
        await settled(pilot, screen)
        assert finished(screen).indices == (7,)
        assert "step 25" in text(screen, Raster, "attack-result")  # its last step, not an earlier one


async def test_a_sweep_of_one_point_claims_nothing(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "7", AttacksScreen)
        await press(pilot, screen, "tab", "tab", "r")
        swept = measured(screen, "beta")
        assert swept is not None
        assert beta_answer(replace(swept, points=swept.points[:1])) == [
            "the attack already fails without a penalty (beta 0): there is nothing to compare"
        ]


async def test_a_key_of_another_page_does_nothing(
    still_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "7", AttacksScreen)
        await press(pilot, screen, "tab", "space", "a", "left_square_bracket", "comma", "enter")
        assert screen.front == "curve"
        assert not list(tmp_path.glob("figures/*"))  # nothing is saved
        assert app.workspace.digit == ("test", 61)
        assert attack(screen).attack_name == "targeted"


async def test_x_leaves_a_finished_measurement_alone(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "7", AttacksScreen)
        await press(pilot, screen, "tab", "tab", "r")
        before = status(screen)
        assert "without a penalty" in before
        await press(pilot, screen, "x")
        assert status(screen) == before


async def test_a_stopped_attack_begins_once_with_other_settings(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=WIDE) as pilot:
        screen = await go(pilot, "7", AttacksScreen)
        await pilot.press("A")
        await under_way(pilot, screen)
        await pilot.press("x")
        await until(pilot, lambda: attack(screen).job is None)
        asked: list[Request] = []
        submit = app.workspace.lab.submit

        def noted(request: Request) -> Job:
            asked.append(request)
            return submit(request)

        app.workspace.lab.submit = noted  # type: ignore[method-assign]
        await pilot.press("W")
        await until(pilot, lambda: bool(asked))
        await pilot.press("x")
        assert asked == [AttackNoise(what=CNN, classes="9")]
