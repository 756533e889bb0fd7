"""Keys that arrive faster than the app handles them, as from a slow connection or a held key."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from textual import events
from textual.keys import _character_to_key, key_to_character
from textual.pilot import Pilot

from engine.request import Request
from engine.runs.finding import pretrained
from engine.runs.folder import RunFolder
from tests.tui.conftest import MakeApp
from tests.tui.driving import until
from tui.app import MnistTui
from tui.keys import COMMANDS, SCREENS
from tui.palette import PaletteScreen
from tui.screens.dialogs import HelpScreen, LineScreen
from tui.screens.frame import LabScreen
from tui.screens.runs import RunsScreen
from tui.screens.train import TrainScreen
from tui.widgets.form import RequestForm

SCREENS_BY_KEY = [(number, mode) for number, _, mode in SCREENS]


def burst(app: MnistTui, *keys: str) -> None:
    """Press keys without waiting between them."""
    for key in keys:
        name = _character_to_key(key) if len(key) == 1 else key
        app.post_message(events.Key(name, key if len(key) == 1 else key_to_character(key)))


@pytest.mark.usefixtures("quick_keys")
@pytest.mark.parametrize(("number", "mode"), [(number, mode) for number, _, mode in SCREENS if mode != "train"])
async def test_keys_right_after_the_key_of_a_screen(still_app: MakeApp, number: str, mode: str) -> None:
    app = still_app(empty=True)
    leaving = ("quit", "command_palette", "screenshot", "export", "export_second")
    own = [command for command in COMMANDS if mode in command.screens and command.name not in leaving]
    keys = [key for command in own for key in command.key.split(",")]
    async with app.run_test(size=(120, 40)) as pilot:
        burst(app, number, "end", "pagedown", "left", *keys, "escape", "escape")
        await until(pilot, lambda: isinstance(app.screen, LabScreen) and app.screen.mode == mode and app.screen.ready)
        await _taken_in(pilot)
        assert app.is_running


@pytest.mark.usefixtures("quick_keys")
@pytest.mark.parametrize(("number", "mode"), SCREENS_BY_KEY)
async def test_keys_right_after_the_last_one(still_app: MakeApp, number: str, mode: str) -> None:
    app = still_app(empty=True)
    keys = [key for command in COMMANDS if mode in command.screens for key in command.key.split(",")]
    async with app.run_test(size=(120, 40)) as pilot:
        burst(app, number)
        await until(pilot, lambda: isinstance(app.screen, LabScreen) and app.screen.mode == mode and app.screen.ready)
        burst(app, "q", *keys, "end", "8", "p", "c", "7")
        await until(pilot, lambda: not app.is_running)
    assert app.return_code == 0


@pytest.mark.usefixtures("quick_keys")
async def test_another_screen_right_after_an_experiment_is_copied(still_app: MakeApp, tmp_path: Path) -> None:
    shutil.copytree(pretrained("cnn").path, tmp_path / "runs" / "a run")
    app = still_app(empty=True)
    async with app.run_test(size=(120, 40)) as pilot:
        burst(app, "8")
        await _runs_listed(pilot)
        assert isinstance(app.screen, RunsScreen)
        app.screen.list.action_duplicate()
        app.switch_mode("runs")
        await _taken_in(pilot)
        burst(app, "1")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen))
        await _taken_in(pilot)
        assert app.screen.has_class("-form")  # it was filled while another screen was in front
        assert app.is_running


@pytest.mark.usefixtures("quick_keys")
async def test_what_is_typed_right_after_its_key_is_no_command(still_app: MakeApp, tmp_path: Path) -> None:
    run = tmp_path / "runs" / "a run"
    shutil.copytree(pretrained("cnn").path, run)
    app = still_app(empty=True)
    async with app.run_test(size=(120, 40)) as pilot:
        burst(app, "s", "j", "j", "2", "5", "enter")
        await _taken_in(pilot)
        assert isinstance(app.screen, TrainScreen)  # `2` and `5` did not go to other screens
        assert app.screen.query_one(RequestForm).values["epochs"] == 25
        burst(app, "escape", "8")
        await _runs_listed(pilot)
        for key in ("N", "M", "?", "ctrl+p"):
            burst(app, key, "D", "u", "D")
            await _taken_in(pilot)
            burst(app, "escape")
            await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        assert run.is_dir()
        assert app.is_running


@pytest.mark.usefixtures("quick_keys")
async def test_a_key_is_for_the_screen_that_was_in_front(still_app: MakeApp, tmp_path: Path) -> None:
    """A key that means nothing there does nothing, though the next one goes to a screen where it would."""
    run = tmp_path / "runs" / "a run"
    shutil.copytree(pretrained("cnn").path, run)
    app = still_app(empty=True)
    asked: list[Request] = []
    app.workspace.train = asked.append  # type: ignore[method-assign, assignment]
    async with app.run_test(size=(120, 40)) as pilot:
        burst(app, "8")
        await _runs_listed(pilot)
        burst(app, "1", "D", "8")
        await _taken_in(pilot)
        burst(app, "3", "r", "1")
        await _taken_in(pilot)
        assert run.is_dir()
        assert asked == []
        copied = RunFolder(run).read_record().request
        burst(app, "8", "home", "C", "r")  # what was just copied is trained
        await until(pilot, lambda: bool(asked))
        assert asked == [copied]


@pytest.mark.usefixtures("quick_keys")
async def test_a_dialog_is_answered_once(still_app: MakeApp) -> None:
    app = still_app(empty=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, LabScreen) and app.screen.ready)
        await pilot.press("Q")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        answered: list[str | None] = []
        app.pop_screen()
        app.push_screen(LineScreen("a line", "words", ""), answered.append)
        await until(pilot, lambda: isinstance(app.screen, LineScreen) and app.screen.focused is not None)
        burst(app, "enter", "enter")
        await until(pilot, lambda: bool(answered))
        await _taken_in(pilot)
        assert answered == ["words"]
        assert isinstance(app.screen, LabScreen)
        assert app.is_running


@pytest.mark.usefixtures("quick_keys")
async def test_the_palette_goes_once(still_app: MakeApp) -> None:
    app = still_app(empty=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, LabScreen) and app.screen.ready)
        burst(app, "ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, PaletteScreen) and app.screen.is_mounted)
        palette = app.screen
        palette.dismiss()
        palette.dismiss()
        await _taken_in(pilot)
        assert isinstance(app.screen, LabScreen)
        assert app.is_running


async def _runs_listed(pilot: Pilot[int]) -> None:
    """Wait until screen 8 is in front with its runs."""

    def listed() -> bool:
        screen = pilot.app.screen
        return isinstance(screen, RunsScreen) and screen.ready and bool(screen.runs)

    await until(pilot, listed)


async def _taken_in(pilot: Pilot[int]) -> None:
    for _ in range(3):
        await pilot.pause()


async def test_the_end_of_a_job_is_taken_in_though_a_dialog_closes(still_app: MakeApp) -> None:
    """It comes without an event, and is taken in a moment later, whatever happens to the screen in between."""
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        stream = app.workspace.lab._stream
        await until(pilot, lambda: bool(app.workspace.engine) and not stream._woken)
        taken, take_in = list[bool](), app.workspace.take_in

        def counted() -> None:
            taken.append(isinstance(app.screen, HelpScreen))
            take_in()

        app.workspace.take_in = counted  # type: ignore[method-assign]
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        taken.clear()
        stream.wake()
        app.simulate_key("escape")
        await until(pilot, lambda: bool(taken) and not isinstance(app.screen, HelpScreen))
        assert not stream._woken
