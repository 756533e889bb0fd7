"""Run folders that crashes, other programs or users have damaged or changed, shown in the app."""

from __future__ import annotations

import shutil
from pathlib import Path

from engine.runs.folder import RunFolder, RunRecord
from tests.runs import EPOCH, GOOD, SHORT, STARTED, epoch_line, written
from tests.tui.conftest import MakeApp
from tests.tui.driving import progress, until, words
from tui.screens.dialogs import LineScreen
from tui.screens.runs import RunsScreen
from tui.screens.runs.details import Sheet
from tui.widgets.chart import Chart


def made(folder: Path, *parts: bytes) -> RunFolder:
    run = written(folder, *parts)
    run.write_record(RunRecord(SHORT, {}, "cpu", "a CPU", 1))
    return run


async def test_damaged_lines_are_counted_and_a_folder_that_vanishes_is_said_to_have(
    still_app: MakeApp, tmp_path: Path
) -> None:
    run = made(tmp_path / "runs" / "x", STARTED, EPOCH, b"\0" * 40 + b"\n", GOOD)
    app = still_app(run)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "1 damaged event line skipped" in progress(app))
        with run.events_file.open("ab") as file:  # as another process would
            file.write(b"\0" * 40 + b"\n" + epoch_line(2) + GOOD)
        await until(pilot, lambda: len(app.workspace.history.epochs) == 2)
        await until(pilot, lambda: "2 damaged event lines" in progress(app))
        shutil.rmtree(run.path)
        await until(pilot, lambda: "the folder of run x is gone" in progress(app))
        await pilot.press("2", "3", "8", "1")
        assert app.is_running


async def test_a_long_run_is_read_in_pieces(still_app: MakeApp, tmp_path: Path) -> None:
    lines = [epoch_line(n, val_loss=1 / n, running_loss=[0.123456789] * 32) for n in range(1, 6001)]
    app = still_app(made(tmp_path / "runs" / "x", STARTED, *lines, GOOD))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: len(app.workspace.history.epochs) == 6000)
        chart = app.screen.query_one("#loss", Chart)
        await until(pilot, lambda: bool(chart.curves) and bool(chart.curves[2].xs) and chart.curves[2].xs[-1] == 6000)
        assert not app.workspace.reading
        assert len(chart.curves[0].xs) < 5000


async def test_names_and_notes_of_others(still_app: MakeApp, tmp_path: Path) -> None:
    run = made(tmp_path / "runs" / "a\x1b[31m[red]b", STARTED, EPOCH, GOOD)
    run.note_file.write_text('{"text":"\\u001b[2J[/] \\u202e"}')
    app = still_app(run)
    async with app.run_test(size=(140, 40)) as pilot:
        await pilot.press("8")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and app.screen.runs is not None)
        screen = app.screen
        assert isinstance(screen, RunsScreen)
        await until(pilot, lambda: "a\\x1b[31m[red]b" in words(screen.list.rows))
        assert "\\x1b[2J[/] \\u202e" in progress(app)
        assert "a\\x1b[31m[red]b" in words(screen.query_one(Sheet))
        for key in ("N", "M"):
            await pilot.press(key)
            await until(pilot, lambda: isinstance(app.screen, LineScreen))
            await pilot.press("enter")  # unchanged
            await until(pilot, lambda: app.screen is screen)
        assert run.path.is_dir()
        app.notify("[/] \x1b[2J", title="[red]\x1b")
        app.copy_to_clipboard("caf\udce9")
        await pilot.pause()
        assert not any("\x1b[2J" in strip.text for strip in app.screen._compositor.render_strips())
