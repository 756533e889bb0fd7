"""The Train screen driven by its keys, with the real lab, on a few hundred real images."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch
from msgspec.structs import replace
from textual.events import AppBlur, AppFocus, MouseScrollDown, MouseScrollUp, Paste
from textual.geometry import Region
from textual.pilot import Pilot
from textual.screen import Screen

from engine.benchmark import notebook
from engine.event import Event
from engine.inspection.requests import Summarise
from engine.lab import Job
from engine.network.events import DeviceFellBack
from engine.network.requests import WarmUp
from engine.operations import OPERATIONS
from engine.request import Request, RequestError
from engine.runs import processes
from engine.runs.catalogue import write_note
from engine.runs.folder import RunFolder, ask_to_stop
from engine.runs.processes import Process
from engine.runs.recording import train_run
from engine.training.events import DIVERGED, EpochFinished, RunCancelled, RunFailed, RunFinished
from engine.training.recipes import RECIPES, with_recipe
from engine.training.requests import ROBUST, Train
from engine.words import percent
from tests.runs import EPOCH_EVENT, made
from tests.tui.conftest import MakeApp, under_way
from tests.tui.driving import changed, drawn, progress, show, tap, until, words
from tui.app import MnistTui
from tui.drawing.terminal import glyphs
from tui.drawing.words import duration
from tui.keys import Command
from tui.opened import Opened
from tui.screens import screen_of
from tui.screens.dialogs import QuitScreen
from tui.screens.pages import PagedScreen
from tui.screens.train import TrainScreen
from tui.screens.train.curves import FORM_ROWS
from tui.widgets.chart import Chart
from tui.widgets.facts import Facts
from tui.widgets.form import RequestForm
from tui.widgets.lines import Header, KeyBar
from tui.widgets.table import COLUMNS, EpochTable, fitting, loss_in_words


def train_screen(app: MnistTui) -> TrainScreen:
    """The Train screen, which must be in front."""
    assert isinstance(app.screen, TrainScreen)
    return app.screen


def keys(app: MnistTui) -> str:
    """The text of the key bar."""
    return words(app.screen.query_one(KeyBar))


SMALL = Train(epochs=2, train_size=1280, threads=1)


async def start(pilot: Pilot[int], app: MnistTui, request: Request) -> None:
    """Fill in the form with `request` and start the run."""
    await until(pilot, lambda: app.focused is not None)
    train_screen(app).query_one(RequestForm).fill(request)
    await tap(pilot, "escape", "r")
    await until(pilot, lambda: app.workspace.training is not None or app.workspace.history.state != "finished")


async def test_a_run_from_key_to_disk(app: MnistTui, tmp_path: Path) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await start(pilot, app, SMALL)
        await until(pilot, lambda: app.workspace.history.state == "finished")
        await pilot.pause()
        loss = train_screen(app).query_one("#loss", Chart)
        assert [list(curve.xs) for curve in loss.curves[1:]] == [[1, 2], [1, 2]]
        assert app.workspace.training is None
        assert [fact.words for fact in app.workspace.facts()][1:3] == ["seed 0", "cnn"]
        assert "epoch 2/2" in words(train_screen(app).query_one(Header))
    (folder,) = (tmp_path / "runs").iterdir()
    assert isinstance(RunFolder(folder).events()[-1], RunFinished)
    assert app.workspace.lab.close()


async def test_a_run_asked_for_before_the_first_frame_comes_after_the_warm_up(
    app: MnistTui, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.workspace, "on_change", lambda _: None)  # no screen exists yet
    app.workspace.train(SMALL)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.workspace.engine is not None)
        assert app.workspace.history.state != "finished"
        await until(pilot, lambda: app.workspace.history.state == "finished")
    assert app.workspace.lab.close()


async def test_a_notebooks_weights_file_opens(tmp_path: Path) -> None:
    path = tmp_path / "[bold]mine.pth"  # looks like markup but must not be read as such
    torch.save(notebook.network(True).state_dict(), path)
    app = MnistTui(tmp_path / "runs", weights=path)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until(pilot, lambda: app.workspace.history.name == path.name)
        await until(pilot, lambda: bool(app.screen.query("Toast")))
        facts = [fact.words for fact in app.workspace.facts()]
        assert facts == [path.name, "cnn-bn", "800,206 parameters"]
        assert [notification.message for notification in app._notifications] == [
            f"{path.name}: cnn-bn, 800,206 parameters"
        ]
    assert app.return_code in (None, 0)


async def test_a_damaged_weights_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.pth"
    path.write_bytes(b"not weights")
    app = MnistTui(tmp_path / "runs", weights=path)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until(pilot, lambda: bool(app.workspace.problem))
        assert "broken.pth" in app.workspace.problem
        assert "\n" not in app.workspace.problem


async def test_pause_resume_and_cancel(app: MnistTui, tmp_path: Path) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await start(pilot, app, Train(epochs=500, train_size=640, threads=1))
        await until(pilot, lambda: len(app.workspace.history.epochs) >= 1)
        job = app.workspace.training
        assert job is not None
        await tap(pilot, "space")
        await until(pilot, lambda: job.state == "paused")
        assert [c.label for c in train_screen(app).live_commands() if c.name == "pause"] == ["resume"]
        await tap(pilot, "space")
        await until(pilot, lambda: job.state == "running")
        await tap(pilot, "x")
        await until(pilot, lambda: app.workspace.training is None)
        assert app.workspace.history.state == "stopped"
    (folder,) = (tmp_path / "runs").iterdir()
    assert isinstance(RunFolder(folder).events()[-1], RunCancelled)
    assert app.workspace.lab.close()


async def test_a_second_run_waits_for_a_cancel(app: MnistTui, tmp_path: Path) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await start(pilot, app, Train(epochs=500, train_size=640, threads=1))
        job = app.workspace.training
        await tap(pilot, "r")
        assert app.workspace.training is job
        await until(pilot, lambda: bool(app.workspace.history.epochs))
        assert app.workspace.lab.unfinished("training") == [job]
        assert len(list((tmp_path / "runs").iterdir())) == 1
    assert app.workspace.lab.close()


async def test_a_run_cancelled_before_it_began_makes_room_for_another(app: MnistTui) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await start(pilot, app, SMALL)
        assert app.workspace.training is not None
        app.workspace.training.cancel()  # during the warm-up before it, or just after
        await until(pilot, lambda: app.workspace.training is None)
        await pilot.press("r")
        await until(pilot, lambda: app.workspace.history.state == "finished")
    assert app.workspace.lab.close()


async def test_quitting_asks_while_a_run_is_under_way(app: MnistTui) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await start(pilot, app, Train(epochs=500, train_size=640, threads=1))
        await until(pilot, lambda: app.workspace.history.state == "running")
        await tap(pilot, "q")
        await until(pilot, lambda: isinstance(app.screen, QuitScreen))
        await tap(pilot, "n")
        await until(pilot, lambda: not isinstance(app.screen, QuitScreen))
        assert app.workspace.training is not None
        await tap(pilot, "q")
        await until(pilot, lambda: isinstance(app.screen, QuitScreen))
        await tap(pilot, "y")
    assert app.return_value == 0
    assert app.workspace.lab.close()


async def test_a_run_that_cannot_begin_leaves_what_was_open(app: MnistTui, monkeypatch: pytest.MonkeyPatch) -> None:
    import engine.training.loading

    def offline(*_: object) -> None:
        raise RequestError("no connection")

    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.workspace.engine is not None)
        before = app.workspace.facts()
        monkeypatch.setattr(engine.training.loading, "load", offline)
        app.workspace.train(Train(batch_norm=True))
        await until(pilot, lambda: app.workspace.training is None)
        assert app.workspace.facts() == before
        assert app.workspace.problem == "no connection"
    assert app.workspace.lab.close()


async def test_the_last_words_of_a_job_are_heard(app: MnistTui, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if they arrive, and the job ends, just after the events were fetched."""
    heard: list[Event] = []
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.workspace.engine is not None)
        take, job = (
            app.workspace.lab.drain,
            app.workspace.ask(Summarise(what="pretrained:cnn"), lambda _, event: heard.append(event)),
        )

        def late() -> list[tuple[Job, Event]]:
            taken = take()
            job.wait()
            return taken

        monkeypatch.setattr(app.workspace.lab, "drain", late)
        await until(pilot, lambda: bool(heard), 5)
    assert app.workspace.lab.close()


async def test_a_failed_run_says_why_and_the_app_lives_on(app: MnistTui, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    import engine.runs.writing

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.workspace.engine is not None)
        monkeypatch.setattr(engine.runs.writing, "save_state", full)
        await start(pilot, app, SMALL)
        await until(pilot, lambda: app.workspace.history.state == "failed")
        assert "No space left on device" in app.workspace.history.reason
        monkeypatch.undo()
        await pilot.press("r")
        await until(pilot, lambda: app.workspace.history.state == "finished")
    assert app.workspace.lab.close()


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        (("down", "down", "enter", "backspace", "backspace"), "epochs must be a whole number"),
        (("down", "down", "down", "1"), "batch size must be a whole number from 2 to 60000, not 1"),
        (("down", "down", "down", "down", "enter", "home", "-"), "learning rate must be a number more than 0"),
        (("end", "up", "up", "up", "enter", "end", "9"), "kernel size must be a whole number from 1 to 28, not 39"),
        (
            ("end", "up", "up", "up", "2", "8", "enter"),
            "conv2: a kernel of 28 pixels is larger than the padded map of 3",
        ),
    ],
)
async def test_bad_values_are_named_and_nothing_runs(still_app: MakeApp, keys: tuple[str, ...], reason: str) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.focused is not None)
        await pilot.press("s", *keys, "enter")
        await drawn(pilot)
        assert reason in " ".join(words(train_screen(app).query_one(RequestForm)).split())
        train_screen(app).action_run()  # while a number is typed, the key would be part of it
        assert app.workspace.training is None
        await pilot.pause()
        assert reason in list(app._notifications)[-1].message
        await pilot.press("escape", "escape")
        await drawn(pilot)


async def test_a_field_is_edited_after_enter_or_a_digit_and_left_by_enter_or_escape(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.focused is not None)
        form = train_screen(app).query_one(RequestForm)
        await pilot.press("s", "down", "down", "y")  # outside editing every key of the screen works
        assert train_screen(app).curves.logarithmic
        assert not form.editing
        await pilot.press("enter", "5")
        assert (form.editing, form.text) == (True, "155")
        await pilot.press("y", "q", "r", "e", "backspace", "enter")  # a number has no such letters, except the `e`
        assert train_screen(app).curves.logarithmic
        assert (form.editing, form.values["epochs"]) == (False, 155)
        await pilot.press("2", "0", "escape")
        assert (form.editing, form.values["epochs"]) == (False, 155)
        await pilot.press("7", "down", "right")  # another field takes what was typed
        assert form.values["epochs"] == 7
        assert form.values["batch_size"] == 128
        await pilot.press("down", "left", "down", "right", "escape")
        assert form.values["learning_rate"] == 0.0005
        assert form.values["seed"] == 1
        assert app.focused is not form


async def test_what_is_typed_stays_in_its_field(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.focused is not None)
        form = train_screen(app).query_one(RequestForm)
        await pilot.press("s", "down", "down", "6")
        app.post_message(AppBlur())  # another window is in front for a while
        await drawn(pilot)
        assert form.values["epochs"] == 15
        app.post_message(AppFocus())
        await until(pilot, lambda: app.focused is form)
        await pilot.press("4")
        assert form.text == "64"
        await pilot.click(RequestForm, offset=(20, 4))  # the next field
        await drawn(pilot)
        assert (form.values["epochs"], form.values["batch_size"]) == (64, 64)
        assert not form.editing
        await pilot.press("enter", "escape", "down", "enter")  # nothing was typed
        form.fill(Train(learning_rate=0.00012345678))
        await pilot.press("enter", "enter")
        assert form.values["learning_rate"] == 0.00012345678


async def test_a_click_on_another_place_only_selects(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.focused is not None)
        form = train_screen(app).query_one(RequestForm)
        await pilot.click(RequestForm, offset=(20, 1))
        await drawn(pilot)
        assert (app.focused, form.values["batch_norm"]) == (form, False)
        await pilot.click(RequestForm, offset=(20, 1))
        await drawn(pilot)
        assert form.values["batch_norm"]


async def test_another_run_is_seen_whole(still_app: MakeApp, tmp_path: Path) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.focused is not None)
        await pilot.press("left", "plus", "plus")
        loss = train_screen(app).query_one("#loss", Chart)
        assert (loss.cursor, loss.zoom) == (15, 2)
        app.workspace.open(made(tmp_path / "runs", "mine", Train(), [0.9, 0.95]))
        await until(pilot, lambda: loss.cursor is None)
        assert loss.zoom == 0


async def test_digits_go_to_screens_unless_a_number_is_selected(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.focused is not None)
        await pilot.press("2")
        await until(pilot, lambda: getattr(app.screen, "mode", "") == "model")
        await pilot.press("1", "s", "2")  # a choice is selected
        await until(pilot, lambda: getattr(app.screen, "mode", "") == "model")


async def test_numbers_can_be_pasted_into_a_field(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.focused is not None)
        form = train_screen(app).query_one(RequestForm)
        await pilot.press("s", "down", "down")
        app.post_message(Paste("40"))
        await pilot.pause()
        assert form.text == "40"
        app.post_message(Paste("; rm -rf /"))
        await until(pilot, lambda: bool(app._notifications))
        assert form.text == "40"
        assert "pasted text is ignored" in list(app._notifications)[-1].message
        await pilot.press("enter")
        assert form.values["epochs"] == 40


async def test_a_cursor_reads_both_charts_at_an_epoch(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.focused is not None)
        screen = train_screen(app)
        charts = [screen.query_one(name, Chart) for name in ("#loss", "#accuracy")]
        epochs = app.workspace.history.epochs
        await pilot.press("right", "escape")
        assert [chart.cursor for chart in charts] == [None, None]  # in the form, right changes a choice
        await pilot.press("left", "h", "left", "l")
        here = epochs[-2]
        assert f"epoch {here.epoch} " in words(charts[0])
        assert f"train {here.train_loss:.4f}  ⠒⠒ val {here.val_loss:.4f}" in words(charts[0])
        assert f"val {100 * here.val_accuracy:.2f} %  ⠒⠒ test {100 * here.test_accuracy:.2f} %" in words(charts[1])
        await pilot.press("plus", "plus", "minus")
        assert [chart.zoom for chart in charts] == [1, 1]
        await pilot.press("0", "right", "right")
        assert [(chart.cursor, chart.zoom) for chart in charts] == [(None, 0), (None, 0)]
        assert f"val {epochs[-1].val_loss:.4f}" in words(charts[0])


async def test_a_figure_has_the_axis_of_the_screen(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.focused is not None)
        figures = [train_screen(app).figure()]
        await pilot.press("y")
        figures.append(train_screen(app).figure())
        assert [figure.logarithmic for figure in figures if figure] == [False, True]


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_legends_name_every_curve(still_app: MakeApp, size: tuple[int, int]) -> None:
    app = still_app()
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.focused is not None)
        for keys in ((), ("escape", "left"), ("y", "plus")):
            await pilot.press(*keys)
            for name, curves in (("#loss", ("running", "train", "val")), ("#accuracy", ("val", "test"))):
                shown = words(train_screen(app).query_one(name, Chart))
                assert all(f" {curve} " in shown for curve in curves)
                assert "epoch 15" in shown  # the last epoch, with the unit of the axis
                assert {"#loss": "(nats)", "#accuracy": "(%)"}[name] in shown


async def test_form_folds_away_on_a_narrow_terminal(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.focused is not None)
        form = app.screen.query_one(RequestForm)
        assert not form.display
        await pilot.press("s")
        assert form.display
        assert app.focused is form
        await pilot.press("right", "escape")
        assert not form.display
        assert form.request() == Train(batch_norm=True)


@pytest.mark.parametrize("size", [(1, 1), (23, 7), (79, 17), (300, 100)])
async def test_no_size_is_too_small(still_app: MakeApp, size: tuple[int, int]) -> None:
    app = still_app()
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        await pilot.press("s", "y", "question_mark", "escape", "escape")
        await pilot.resize_terminal(50, 15)
        await pilot.resize_terminal(*size)
        await pilot.pause()
        assert app.is_running


def _handlers(screen: Screen[None], command: Command) -> list[object]:
    """The objects that handle `command`: the screen, or each of its pages."""
    if not isinstance(screen, PagedScreen) or hasattr(screen, f"action_{command.name}"):
        return [screen]
    return [screen.page_named(name) for name in screen.page_titles() if not command.pages or name in command.pages]


async def test_palette_and_help_know_every_command(still_app: MakeApp) -> None:
    from tui.keys import COMMANDS

    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        for command in COMMANDS:
            for mode in command.screens:
                screen = TrainScreen() if mode == "train" else screen_of(mode)
                for handler in _handlers(screen, command):
                    assert hasattr(handler, f"action_{command.name}"), command
            if not command.screens:
                namespace, _, action = command.action_on("").partition("(")[0].rpartition(".")
                assert hasattr(app.screen if namespace else app, f"action_{action}"), command
        await pilot.press("ctrl+p")
        await pilot.pause()
        await pilot.press(*"log", "enter")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen) and app.screen.curves.logarithmic)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.6, "1 min 00 s"), (82, "1 min 22 s"), (3900, "1 h 05 min")]
)
def test_duration(seconds: float, words: str) -> None:
    assert duration(seconds) == words


async def test_a_stopped_run_goes_on(app: MnistTui, tmp_path: Path) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await start(pilot, app, Train(epochs=4, train_size=640, threads=1, channels=4, hidden=16))
        await until(pilot, lambda: len(app.workspace.history.epochs) >= 1)
        await tap(pilot, "x")
        await until(pilot, lambda: app.workspace.training is None)
        done = len(app.workspace.history.epochs)
        assert f"stopped after epoch {done}" in progress(app)
        assert "R resume" in keys(app)
        await tap(pilot, "R")
        await until(pilot, lambda: app.workspace.history.state == "finished")
        assert [epoch.epoch for epoch in app.workspace.history.epochs] == [1, 2, 3, 4]
        assert "R resume" not in keys(app)
    (folder,) = (tmp_path / "runs").iterdir()
    assert [type(event).__name__ for event in RunFolder(folder).events()].count("RunStarted") == 2
    assert app.workspace.lab.close()


async def test_the_next_start_offers_what_was_not_finished(app: MnistTui, tmp_path: Path) -> None:
    work = train_run(Train(epochs=2, train_size=640, threads=1, channels=4, hidden=16), tmp_path / "runs")
    while not isinstance(next(work), EpochFinished):
        pass
    (alive,) = (tmp_path / "runs").iterdir()
    path = alive.with_name("left-behind")
    shutil.copytree(alive, path)
    list(work)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: f"run {path.name} was not finished: R resumes it" in progress(app))
        await tap(pilot, "R")
        await until(pilot, lambda: app.workspace.history.state == "finished")
        assert app.workspace.opened is not None
        assert app.workspace.what == str(path)
    assert app.workspace.lab.close()


async def test_a_run_of_another_process_is_followed(small_runs: None, tmp_path: Path) -> None:
    request = Train(epochs=3, train_size=640, threads=1, channels=4, hidden=16)
    work = train_run(request, tmp_path / "runs")
    while not isinstance(next(work), EpochFinished):
        pass
    (path,) = (tmp_path / "runs").iterdir()
    app = MnistTui(tmp_path / "runs", RunFolder(path))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: f"process {os.getpid()} trains this run: epoch 1 finished" in progress(app))
        assert "x stop" in keys(app)
        list(work)
        await until(pilot, lambda: app.workspace.history.state == "finished")
        assert len(app.workspace.history.epochs) == 3
        assert "best validation loss" in progress(app)
    assert app.workspace.lab.close()


async def test_a_run_of_another_process_is_stopped(
    small_runs: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "LOOK", 0.001)
    work = train_run(replace(SMALL, epochs=100_000), tmp_path / "runs")
    while not isinstance(next(work), EpochFinished):
        pass
    (path,) = (tmp_path / "runs").iterdir()
    RunFolder(path).write_process(replace(Process.own(), host="node-a", boot="another", number=7))
    app = MnistTui(tmp_path / "runs", RunFolder(path))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "process 7 on node-a trains this run: epoch 1 finished" in progress(app))
        await tap(pilot, "x")
        message = list(app._notifications)[-1].message
        assert message == "process 7 on node-a was asked to stop: it does so at its next step"
        assert isinstance(list(work)[-1], RunCancelled)
        await until(pilot, lambda: app.workspace.history.state == "stopped")
        assert "R resume" in keys(app)
    assert app.workspace.lab.close()


async def test_a_run_of_this_app_is_stopped_by_another_process(app: MnistTui, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LOOK", 0.001)
    async with app.run_test(size=(120, 40)) as pilot:
        app.workspace.train(replace(SMALL, epochs=100_000))
        app.workspace.enqueue([SMALL])
        await until(pilot, lambda: bool(app.workspace.history.epochs))
        assert isinstance(app.workspace.opened, RunFolder)
        ask_to_stop(run := app.workspace.opened)
        await until(pilot, lambda: app.workspace.training is None)
        assert run.history().state == "stopped"
        assert app.is_running
        assert not app.workspace.queue
        assert app.workspace.history.state == "finished"  # the next one in the queue has run
    assert app.workspace.lab.close()


async def test_a_paused_run_is_stopped_by_another_process(still_app: MakeApp, tmp_path: Path) -> None:
    app = still_app()
    async with app.run_test():
        under_way(app)
        run, job = RunFolder(tmp_path), app.workspace.training
        show(app, run)
        assert job is not None
        run.stop_file.parent.mkdir()
        run.stop_file.touch()
        app.workspace.look_around()
        assert not job.cancelled  # a running job checks the file itself
        job.pause()
        app.workspace.look_around()
        assert job.cancelled


async def test_the_header_says_why_the_cpu_computes(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.workspace.engine is not None)
        for _ in range(2):  # each job reports it
            app.workspace._take(
                Job(WarmUp(), OPERATIONS[WarmUp]), DeviceFellBack(reason="cuda:0 is too old for this PyTorch")
            )
        changed(app)
        await pilot.pause()
        header = train_screen(app).query_one(Header)
        assert [fact.words for fact in header.place] == ["cuda:0 is too old for this PyTorch"]
        assert len(app._notifications) == 1


async def test_a_form_takes_a_device_that_it_does_not_offer(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.focused is not None)
        form = train_screen(app).query_one(RequestForm)
        form.fill(Train(device="cuda:1"))
        request = form.request()
        assert isinstance(request, Train)
        assert request.device == "cuda:1"
        await pilot.press("s")
        form.select("device")
        for word in ("auto", "cpu", "cuda"):
            await pilot.press("right")
            assert form.values["device"] == word


def this_run(app: MnistTui) -> str:
    """What the screen tells of the open run."""
    return words(train_screen(app).query_one(Facts))


@pytest.mark.parametrize("size", [(100, 30), (120, 40), (200, 60)])
async def test_the_request_of_the_open_run_stands_above_the_form(still_app: MakeApp, size: tuple[int, int]) -> None:
    app = still_app()
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "pretrained:cnn" in this_run(app))
        facts, form = train_screen(app).query_one(Facts), train_screen(app).query_one(RequestForm)
        assert (facts.title, form.title) == ("this run", "next")
        assert facts.region.bottom <= form.region.y
        told = " ".join(this_run(app).split())
        for known in ("batch norm off", "batch size 64", "learning rate 0.001", "seed 0", "train size 50,000"):
            assert known in told
        assert ("speed 8,512 img/s" in told) == (size != (100, 30))
        room = form.size.height
        left_out = len(form.fields) + 1 - room  # it scrolls, unless all of it fits below its title
        assert (f"{left_out} more" in words(form)) == (left_out > 0)
        assert ("hidden" in words(form)) == (left_out <= 0)
        assert room >= FORM_ROWS


async def test_where_it_does_not_fit_the_wheel_scrolls(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: "pretrained:cnn" in this_run(app))
        facts = train_screen(app).query_one(Facts)
        assert "…" in this_run(app)
        x, y = facts.region.offset
        for _ in range(40):
            facts.post_message(MouseScrollDown(facts, x, y, 0, 1, 0, False, False, False))
        await until(pilot, lambda: "speed 8,512 img/s" in this_run(app))
        assert "…" not in this_run(app)
        for _ in range(40):
            facts.post_message(MouseScrollUp(facts, x, y, 0, -1, 0, False, False, False))
        await until(pilot, lambda: "pretrained:cnn" in this_run(app))


@pytest.mark.parametrize(("width", "both"), [(80, True), (64, True), (63, False)])
async def test_on_a_narrow_terminal_it_stands_beside_the_form(still_app: MakeApp, width: int, both: bool) -> None:
    app = still_app()
    async with app.run_test(size=(width, 24)) as pilot:
        await until(pilot, lambda: app.focused is not None)
        facts, form = train_screen(app).query_one(Facts), train_screen(app).query_one(RequestForm)
        assert not facts.region
        await pilot.press("s")
        await until(pilot, lambda: bool(form.region))
        assert bool(facts.region) == both
        await until(pilot, lambda: not both or "learning rate 0.001" in "".join(strips(facts)))
        await pilot.press("escape")
        await until(pilot, lambda: not facts.region)


def strips(facts: Facts) -> list[str]:
    """The lines that a widget gives to Textual."""
    return [strip.text for strip in facts.render_lines(Region(0, 0, *facts.outer_size))]


async def test_it_follows_what_is_open(still_app: MakeApp, tmp_path: Path) -> None:
    app = still_app(empty=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.focused is not None)
        facts = train_screen(app).query_one(Facts)
        assert not facts.region
        run = made(tmp_path / "runs", "mine", Train(learning_rate=3e-4, seed=3), [0.9, 0.95])
        app.workspace.open(run)
        await until(pilot, lambda: "learning rate 0.0003" in this_run(app))
        style = next(style for row in facts._rows for text, style in row if text == "3")
        assert style.bold
        under_way(app)
        await until(pilot, lambda: "20260101-000000-cnn" in this_run(app))
        assert "parameters 799,078" in " ".join(this_run(app).split())
        (run.path / "request.json").write_bytes(b"{")
        app.workspace.training = None
        app.workspace.open(run)
        await until(pilot, lambda: "request.json cannot be read" in this_run(app))
        assert "request.json cannot be read" in progress(app)
        with app.workspace.changing():
            app.workspace._open = Opened(tmp_path / "theirs.pth")
        await until(pilot, lambda: "theirs.pth" in this_run(app).replace("\n", "").replace(" ", ""))
        assert facts.title == "this file"


@pytest.mark.parametrize("name", ["[/x]", "a\x1b[2Jb", "日本語" * 20])
async def test_names_and_notes_of_any_kind_are_text(still_app: MakeApp, tmp_path: Path, name: str) -> None:
    run = made(tmp_path / "runs", name, Train(), [0.9])
    write_note(run, f"{name} {name}")
    app = still_app(run)
    for size in ((200, 60), (100, 30), (30, 9)):
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await pilot.press("s")
            await pilot.pause()
            assert "\x1b" not in this_run(app) + words(train_screen(app).query_one(Header))
        app = still_app(run)


async def test_the_end_of_a_run_is_told_on_any_screen(app: MnistTui) -> None:
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await start(pilot, app, SMALL)
        await tap(pilot, "2")
        await until(pilot, lambda: app.workspace.history.state == "finished")
        await until(pilot, lambda: bool(app.screen.query("Toast")))
        assert not isinstance(app.screen, TrainScreen)
        (notification,) = (each for each in app._notifications if "finished" in each.title)
        best = app.workspace.history.best
        assert best is not None
        told = f"test accuracy {percent(best.test_accuracy)} (epoch {best.epoch} of 2, best validation loss), "
        assert notification.message.startswith(told)
    assert app.workspace.lab.close()


@pytest.mark.parametrize(
    ("last", "words", "hint"),
    [
        (RunCancelled(run="x", epoch=2), "stopped after epoch 2 of 15: R resumes it", ""),
        (RunFailed(run="x", reason="no space: make room"), "failed: no space: make room", ""),
        (
            RunFailed(run="x", reason=f"{DIVERGED} in epoch 3 around step 5 of 9: lower the learning rate (1)"),
            "diverged in epoch 3 around step 5 of 9: lower the learning rate (1)",
            "",
        ),
        (
            RunFinished(run="x", best_epoch=2, best_val_loss=0.03, test_accuracy=0.987, last_test_accuracy=0.987),
            "best validation loss 0.0300 in epoch 2, with test accuracy 98.70 %",
            "r trains another",
        ),
    ],
)
async def test_how_a_run_stands_is_said_in_words(still_app: MakeApp, last: Event, words: str, hint: str) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.workspace.engine is not None)
        under_way(app)
        app.workspace.history.add(last)
        app.workspace.training = None
        changed(app)
        await until(pilot, lambda: words in progress(app))
        assert hint in progress(app)


async def test_ctrl_c_says_which_key_quits(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.workspace.engine is not None)
        await pilot.press("ctrl+c", "ctrl+c", "ctrl+c")
        assert [each.message for each in app._notifications] == ["q quits (it asks while a run trains)"]
        assert app.is_running


async def test_the_star_is_for_the_best_epoch_alone(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        table = train_screen(app).query_one(EpochTable)
        await until(pilot, lambda: bool(table._rows) and "15/15" in words(table) and app.focused is not None)
        await pilot.press("escape", "home")
        await until(pilot, lambda: " 1/15" in words(table))
        await pilot.pause()
        lines = "".join(strip.text for strip in app.screen._compositor.render_strips())
        assert lines.count(glyphs().best) == 1
        (line,) = (line for line in words(table).splitlines() if glyphs().best in line)
        assert line.split()[0] == "5/15"


def test_a_loss_of_any_size_fits_its_column() -> None:
    assert [loss_in_words(loss) for loss in (0.0, 0.05, 999.9999, 65886323.2, 1e39)] == [
        "0.0000",
        "0.0500",
        "999.9999",
        "6.59e+07",
        "1.00e+39",
    ]


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_the_mark_of_the_best_epoch_is_never_cut_off(monkeypatch: pytest.MonkeyPatch, locale: str) -> None:
    monkeypatch.setenv("LC_ALL", locale)
    sizes = dict(COLUMNS)
    for width in range(32, 120):
        titles, mark = fitting(width, EPOCH_EVENT)
        assert sum(sizes[title] for title in titles) + len(mark) <= width
        assert {"epoch", "val loss", "test acc"} <= set(titles)
        assert (len(titles) == len(COLUMNS) - 2) == (width >= 72)
        for chosen, shares in {"robust": (0.9, None), "certified": (0.9, 0.8)}.items():
            robust = replace(EPOCH_EVENT, robust_accuracy=shares[0], certified_accuracy=shares[1])
            titles, mark = fitting(width, robust)
            assert sum(sizes[title] for title in titles) + len(mark) <= width
            assert {"epoch", chosen} <= set(titles)


async def test_a_recipe_fills_the_form_until_a_field_is_changed(
    still_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = {"batch_norm": True, "epochs": 2, "batch_size": 256, "shift": 1}
    monkeypatch.setitem(RECIPES, "fast", fast)
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.focused is not None)
        form = train_screen(app).query_one(RequestForm)

        async def recipe() -> str:
            await drawn(pilot)
            return (
                next(line for line in words(form).splitlines() if line.startswith(" recipe"))
                .split(maxsplit=1)[1]
                .strip()
            )

        form.fill(Train(seed=5, channels=8))
        await pilot.press("s", "down")
        assert await recipe() == "‹notebook›"
        await pilot.press("right")
        assert await recipe() == "‹fast›"
        assert form.request() == with_recipe(Train(seed=5, channels=8), "fast")
        await pilot.press("down", "5", "enter")
        assert await recipe() == "fast, changed"
        assert form.values["epochs"] == 5
        await pilot.press("2", "enter")
        assert await recipe() == "fast"
        form.select("average")
        await pilot.press("0", ".", "9", "enter")
        form.select("recipe")
        assert await recipe() == "‹fast, changed›"
        await pilot.press("left")
        assert await recipe() == "‹notebook›"
        assert form.request() == Train(seed=5, channels=8)


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (120, 40)])
async def test_every_field_of_the_form_is_in_view_with_its_help(still_app: MakeApp, size: tuple[int, int]) -> None:
    app = still_app()
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.focused is not None)
        form = train_screen(app).query_one(RequestForm)
        await pilot.press("s")
        for setting in form.settings:
            form.select(setting.name)
            shown = "\n".join(form_lines(form))
            assert f" {setting.label}" in shown
            assert setting.help[:20] in " ".join(shown.split())
            assert ("left and right change it" if not setting.parse else "edits it") in " ".join(shown.split())


def form_lines(form: RequestForm) -> list[str]:
    """What the form shows in its size."""
    return ["".join(text for text, _ in row) for row in form.draw(*form.size)[: form.size.height]]


async def test_the_legend_says_that_the_training_loss_is_not_comparable(still_app: MakeApp, tmp_path: Path) -> None:
    run = made(tmp_path / "runs", "mine", Train(shift=1, label_smoothing=0.1), [0.9, 0.95])
    app = still_app(run)
    async with app.run_test(size=(120, 40)) as pilot:
        loss = train_screen(app).query_one("#loss", Chart)
        await until(pilot, lambda: "train (augmented, smoothed labels) " in words(loss))
        assert "shift 1" in " ".join(this_run(app).split())
        assert "recipe" not in this_run(app)  # it is the notebook's


async def test_the_form_shows_only_what_the_objective_uses(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, TrainScreen))
        form = train_screen(app).query_one(RequestForm)

        def shown() -> set[str]:
            return {field.name for field in form.fields}

        assert shown().isdisjoint(ROBUST)
        form.apply("objective", "trades")
        assert shown() & set(ROBUST) == set(ROBUST) - {"kappa"}
        form.apply("beta", 3.0)
        form.apply("objective", "ibp")
        assert shown() & set(ROBUST) == {"train_epsilon", "warm_up", "ramp", "kappa"}
        assert form.check() == ""
        form.apply("batch_norm", True)
        assert "leave batch norm out" in form.check()
        form.apply("objective", "clean")
        assert shown().isdisjoint(ROBUST)
        assert form.request() == Train(batch_norm=True, beta=3.0)  # what is hidden keeps its value
        form.fill(Train(objective="pgd", attack_steps=9))
        assert form.request() == Train(objective="pgd", attack_steps=9)
        assert "attack_steps" in shown()
        form.apply("recipe", "notebook")
        assert form.request() == Train()


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_what_a_robust_run_withstands_is_on_the_screen(
    still_app: MakeApp, tmp_path: Path, size: tuple[int, int]
) -> None:
    request = Train(objective="ibp", train_epsilon=0.2)
    run = made(
        tmp_path / "runs", "proved", request, [0.9, 0.92, 0.94], robust=[0.5, 0.6, 0.7], certified=[0.3, 0.5, 0.4]
    )
    app = still_app(run)
    async with app.run_test(size=size) as pilot:
        screen = train_screen(app)
        await until(pilot, lambda: "certified" in words(screen.query_one(EpochTable)))
        table = words(screen.query_one(EpochTable))
        assert "60.00 %" in table
        assert "50.00 %" in table
        assert f"50.00 %  {glyphs().best}" in " ".join(line.rstrip() for line in table.splitlines()) or size[0] > 80
        accuracy = screen.query_one("#accuracy", Chart)
        assert [curve.name for curve in accuracy.curves] == ["val", "test", "robust", "certified"]
        assert len({curve.ink for curve in accuracy.curves}) == 4
        assert "train (ibp)" in words(screen.query_one("#loss", Chart))
