"""What each screen and page shows at four sizes, in the dark theme; some also in other colours, or in ASCII.

After looking at a change: `pytest tests/tui/test_frames.py --update-frames`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList

from engine import operations
from engine.attacks.requests import MeasureRobustness
from engine.inspection.requests import ShowUnit, VisualiseUnits
from engine.runs.catalogue import write_note
from engine.runs.events import RunRead
from engine.runs.processes import Process
from engine.training.requests import FindLearningRate, Train
from tests.learning import recognised, run_that_recognised
from tests.runs import copies, made
from tests.tui.conftest import MakeApp, under_way
from tests.tui.devices import minutes, sampled
from tests.tui.driving import drawn, settled, until, words
from tests.tui.frames import SIZES, Frames
from tui.app import MnistTui
from tui.lessons.file import find_lesson
from tui.screens.dialogs import HelpScreen, QuitScreen
from tui.screens.frame import LabScreen
from tui.screens.inspect import InspectScreen
from tui.screens.lessons import LessonsScreen
from tui.screens.runs import RunsScreen
from tui.screens.train.learned import LearnedPage
from tui.screens.train.rates import RatesPage
from tui.widgets.lesson import LessonPanel

pytestmark = pytest.mark.usefixtures("exact_engine", "quick_keys")
SMALL_AND_LARGE = ((80, 24), (120, 40))

SEVEN = ("space", *["right"] * 9, *["down", "down", "left"] * 4, "plus")
"""The keys that draw a seven."""
PAGES: dict[str, tuple[str, ...]] = {
    "model": ("2",),
    "digits": ("3",),
    "digits matrix": ("3", "tab", "down", "right"),
    "digits a mistake": ("3", "m", "enter"),
    "digits audit": ("3", "tab", "tab"),
    "digits map": ("3", "shift+tab", "m"),
    "digits map of a class": ("3", "shift+tab", "w", "w", "plus", "right"),
    "filters conv1": ("4",),
    "filters conv2": ("4", "tab", "down", "right"),
    "filters a kernel": ("4", "enter"),
    "filters beside": ("4", "b", "right"),
    "filters pictures": ("4", "shift+tab", "shift+tab", "right"),
    "filters pictures of neurons": ("4", "shift+tab", "shift+tab", "b", "b"),
    "filters a unit": ("4", "right", "enter", "enter"),
    "filters a unit of conv2": ("4", "tab", "down", "enter", "enter"),
    "activations conv1": ("5",),
    "activations a channel of conv2": ("5", "tab", "o", "enter"),
    "occlusion": ("6",),
    "occlusion drop under a small patch": ("6", "P", "P", "P", "P", "b", "right"),
    "occlusion the patch": ("6", "enter"),
    "occlusion mean": ("6", "a"),
    "occlusion methods": ("6", "tab", "down", "right"),
    "occlusion one method": ("6", "tab", "right", "right", "enter"),
    "occlusion trust": ("6", "tab", "tab", "down", "down"),
    "occlusion mean curves": ("6", "tab", "tab", "a"),
    "attacks": ("7",),
    "attacks a moment": ("7", "a", "a", "right", "[", "[", "enter"),
    "attacks settings": ("7", "s", "s", "s", "s", "1"),
    "attacks curve": ("7", "tab", "r", "down", "down"),
    "attacks penalty": ("7", "tab", "tab", "r", "down"),
    "attacks transfer": ("7", "tab", "tab", "tab", "r"),
    "attacks universal": ("7", "shift+tab", "shift+tab", "r"),
    "attacks corruptions": ("7", "shift+tab", "r", "down", "down"),
    "attacks a corruption": ("7", "shift+tab", "down", "enter"),
    "draw": ("9",),
    "draw a stroke": ("9", *SEVEN),
    "draw a white patch": ("9", *SEVEN, "space", "f", "greater_than_sign", "z", "c", "c"),
    "draw a label": ("9", *SEVEN, "space", "w"),
    "draw a digit": ("9", "i", "shift+left", "shift+left", "shift+up", "m"),
}
"""The keys that lead to each page, by the name of its frames."""
OTHERWISE = (
    "digits matrix",
    "digits audit",
    "digits map",
    "filters conv1",
    "filters a unit of conv2",
    "occlusion",
    "occlusion methods",
    "attacks",
    "attacks curve",
    "attacks corruptions",
    "draw a stroke",
)
"""Pages that are also compared in other colours."""


@pytest.fixture(autouse=True)
def utc() -> Iterator[None]:
    """Show times as in Greenwich."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.fixture(autouse=True)
def few_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure over few digits."""
    monkeypatch.setattr("tui.screens.attacks.measurement.SHOWN_IN_A_CURVE", 10)
    monkeypatch.setattr("tui.screens.occlusion.occlusion.AVERAGED", 3)
    monkeypatch.setattr("tui.screens.occlusion.trust.MEASURED", 2)
    monkeypatch.setattr("tui.screens.filters.pictures.VisualiseUnits", partial(VisualiseUnits, steps=6))
    monkeypatch.setattr("tui.screens.filters.unit.ShowUnit", partial(ShowUnit, steps=20))


@pytest.fixture(autouse=True)
def given_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves of attacks that would take minutes are given."""
    known: dict[Any, operations.Entry] = cast(Any, operations.OPERATIONS)
    target = "tests.robustness:measure_robustness"
    monkeypatch.setitem(known, MeasureRobustness, replace(known[MeasureRobustness], target=target))


def frames(request: pytest.FixtureRequest, tmp_path: Path, name: str) -> Frames:
    return Frames(name.replace(" ", "-"), tmp_path / "shots", update=request.config.getoption("--update-frames"))


async def press(pilot: Pilot[int], *keys: str) -> None:
    """Press keys, each after the effect of the previous one is drawn."""
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


async def settle(pilot: Pilot[int]) -> None:
    await until(pilot, lambda: not isinstance(pilot.app.screen, LabScreen) or pilot.app.screen.ready)
    if isinstance(screen := pilot.app.screen, InspectScreen):
        await settled(pilot, screen)
    if isinstance(screen, RunsScreen) and screen.front == "list" and screen.list.run:
        look = screen.list.closer
        assert look is not None
        await until(pilot, lambda: screen.list.run is None or isinstance(look.of(screen.list.run), RunRead))
    await drawn(pilot)


@pytest.mark.parametrize("name", PAGES)
async def test_a_page(still_app: MakeApp, request: pytest.FixtureRequest, tmp_path: Path, name: str) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *PAGES[name])
        await frames(request, tmp_path, name).compare(pilot, lambda: settle(pilot))


@pytest.mark.parametrize("look", ["light", "no colour", "256 colours"])
@pytest.mark.parametrize("name", OTHERWISE)
async def test_a_page_in_other_colours(  # noqa: PLR0917
    still_app: MakeApp,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    look: str,
) -> None:
    if look == "no colour":
        monkeypatch.setenv("NO_COLOR", "1")
    elif look == "256 colours":
        monkeypatch.setenv("COLORTERM", "")
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *PAGES[name], *(["t"] if look == "light" else []))
        await frames(request, tmp_path, f"{name} {look}").compare(pilot, lambda: settle(pilot), SMALL_AND_LARGE)


@pytest.mark.parametrize("look", ["dark", "light", "no colour", "ASCII"])
@pytest.mark.parametrize("state", ["opened", "under way", "empty", "form"])
async def test_train(  # noqa: PLR0917
    still_app: MakeApp,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    state: str,
    look: str,
) -> None:
    if look == "no colour":
        monkeypatch.setenv("NO_COLOR", "1")
    elif look == "ASCII":
        monkeypatch.setenv("LC_ALL", "C")
    app = still_app(empty=state == "empty")
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        if state == "under way":
            under_way(app)
        keys = {"light": ("t", "y"), "ASCII": ("y",)}.get(look, ())
        await press(pilot, *keys, *(("s", "down", "down", "0", "enter") if state == "form" else ()))
        await frames(request, tmp_path, f"train {state} {look}").compare(pilot, lambda: settle(pilot))


@pytest.mark.parametrize("look", ["dark", "light", "no colour", "256 colours", "ASCII"])
async def test_insides(
    still_app: MakeApp, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: str
) -> None:
    if look == "no colour":
        monkeypatch.setenv("NO_COLOR", "1")
    elif look == "256 colours":
        monkeypatch.setenv("COLORTERM", "")
    elif look == "ASCII":
        monkeypatch.setenv("LC_ALL", "C")
    accuracies = [0.9 + 0.005 * number for number in range(12)]
    app = still_app(made(tmp_path / "runs", "mine", Train(epochs=12), accuracies, looked_into=True))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        keys = {"light": ("t",), "ASCII": ("down", "y"), "no colour": ("[", "[", "[")}.get(look, ())
        await press(pilot, "tab", "tab", *keys)
        sizes = SIZES if look in ("dark", "ASCII") else SMALL_AND_LARGE
        await frames(request, tmp_path, f"train insides {look}").compare(pilot, lambda: settle(pilot), sizes)


async def test_insides_that_are_not_known(still_app: MakeApp, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "tab", "tab")
        await frames(request, tmp_path, "train insides unknown").compare(pilot, lambda: settle(pilot), SMALL_AND_LARGE)


@pytest.mark.parametrize("look", ["dark", "no colour", "ASCII"])
async def test_learning_rates(
    still_app: MakeApp, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: str
) -> None:
    known: dict[Any, operations.Entry] = cast(Any, operations.OPERATIONS)
    target = "tests.learning:find_learning_rate"
    monkeypatch.setitem(known, FindLearningRate, replace(known[FindLearningRate], target=target))
    change_look(monkeypatch, look)
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "tab")
        if look == "dark":
            await frames(request, tmp_path, "train rates before").compare(pilot, lambda: settle(pilot))
        await press(pilot, "f")
        screen = app.screen
        await until(pilot, lambda: screen.query_one(RatesPage).found is not None)
        sizes = SIZES if look == "dark" else SMALL_AND_LARGE
        await frames(request, tmp_path, f"train rates {look}").compare(pilot, lambda: settle(pilot), sizes)


@pytest.mark.parametrize("look", ["dark", "light", "no colour", "ASCII", "no record"])
async def test_learned(
    still_app: MakeApp, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: str
) -> None:
    change_look(monkeypatch, look)
    app = still_app(None if look == "no record" else run_that_recognised(tmp_path / "runs", "a-run", recognised(1000)))
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *(["t"] if look == "light" else []), "shift+tab", "right")
        page = app.screen.query_one(LearnedPage)
        await until(pilot, lambda: page.shown is not None or bool(page.inquiry.problem))
        sizes = SIZES if look in ("dark", "no record") else SMALL_AND_LARGE
        await frames(request, tmp_path, f"train learned {look}").compare(pilot, lambda: settle(pilot), sizes)


def change_look(monkeypatch: pytest.MonkeyPatch, look: str) -> None:
    if look == "no colour":
        monkeypatch.setenv("NO_COLOR", "1")
    elif look == "ASCII":
        monkeypatch.setenv("LC_ALL", "C")


@pytest.mark.parametrize("page", ["list", "compare"])
async def test_runs(still_app: MakeApp, request: pytest.FixtureRequest, tmp_path: Path, page: str) -> None:
    first, second, *_ = copies(tmp_path / "runs", 4)
    write_note(first, "the first one #baseline")
    (second.path / "events.jsonl").write_bytes(b"".join(second.events_file.read_bytes().splitlines(True)[:5]))
    second.write_process(Process("elsewhere", "", 1, ""))
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        under_way(app)
        app.workspace.enqueue([Train(seed=3), Train(batch_norm=True, epochs=5, learning_rate=3e-4)])
        await press(pilot, "8")
        screen = app.screen
        assert isinstance(screen, RunsScreen)
        await until(pilot, lambda: bool(screen.runs))
        if page == "list":
            await press(pilot, "end")
        else:
            await press(pilot, "tab")
            await until(pilot, lambda: screen.comparison.event is not None)
        await frames(request, tmp_path, f"runs {page}").compare(pilot, lambda: settle(pilot))


async def test_a_comparison_with_a_verdict(still_app: MakeApp, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    for number, batch_norm in enumerate((False, False, True, True)):
        rise = 0.005 * number
        experiment = Train(batch_norm=batch_norm, seed=number % 2, epochs=3)
        made(tmp_path / "runs", f"run {number}", experiment, [0.9 + rise, 0.95 + rise, 0.96 + rise])
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "8")
        screen = app.screen
        assert isinstance(screen, RunsScreen)
        await until(pilot, lambda: bool(screen.runs))
        await press(pilot, "tab")
        await until(pilot, lambda: screen.comparison.event is not None)
        await frames(request, tmp_path, "runs compared").compare(pilot, lambda: settle(pilot))


@pytest.mark.parametrize("look", ["dark", "ASCII", "no driver"])
async def test_devices(
    still_app: MakeApp, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: str
) -> None:
    if look == "ASCII":
        monkeypatch.setenv("LC_ALL", "C")
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "8", "shift+tab")
        with app.workspace.changing():
            for each in [sampled()] if look == "no driver" else minutes():
                app.workspace.machines.add(each, own=each.host == "ada")
        sizes = SMALL_AND_LARGE if look == "ASCII" else SIZES
        await frames(request, tmp_path, f"runs devices {look}").compare(pilot, lambda: settle(pilot), sizes)


@pytest.mark.parametrize("look", ["dark", "light", "no colour", "ASCII"])
async def test_a_lesson(
    still_app: MakeApp,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    look: str,
) -> None:
    if look == "no colour":
        monkeypatch.setenv("NO_COLOR", "1")
    elif look == "ASCII":
        monkeypatch.setenv("LC_ALL", "C")
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, *(["t"] if look == "light" else []))
        app.tutor.begin(find_lesson("occlusion"))
        await press(pilot, "6")
        sizes = SIZES if look == "dark" else SMALL_AND_LARGE
        await frames(request, tmp_path, f"lesson {look}").compare(pilot, lambda: settle(pilot), sizes)
        await press(pilot, "m", ")")
        await until(pilot, lambda: "100 %" in words(app.screen.query_one(LessonPanel)))
        await frames(request, tmp_path, f"lesson answered {look}").compare(pilot, lambda: settle(pilot), sizes)


async def test_lessons(still_app: MakeApp, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        app.tutor.standing(find_lesson("training")).done = True
        app.tutor.standing(find_lesson("layers")).step = 2
        await press(pilot, "L")
        await until(pilot, lambda: isinstance(app.screen, LessonsScreen) and bool(app.screen.query(OptionList)))
        await frames(request, tmp_path, "lessons").compare(pilot, lambda: settle(pilot))


async def test_dialogs(still_app: MakeApp, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        await frames(request, tmp_path, "help").compare(pilot, lambda: settle(pilot))
        await press(pilot, "escape")
        assert isinstance(app, MnistTui)
        under_way(app)
        await press(pilot, "q")
        await until(pilot, lambda: isinstance(app.screen, QuitScreen))
        await frames(request, tmp_path, "quit").compare(pilot, lambda: settle(pilot))
