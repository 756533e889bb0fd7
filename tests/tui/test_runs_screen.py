"""Screen 8 driven by its keys: the list, the queue, and actions on runs."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.attacks.requests import AttackNoise
from engine.runs import catalogue
from engine.runs.events import RunSummary
from engine.runs.folder import RunFolder
from engine.runs.processes import Process
from engine.runs.recording import train_run
from engine.training.events import EpochFinished
from engine.training.requests import Train
from tests.runs import copies, made
from tests.tui.conftest import FakeJob, MakeApp, under_way
from tests.tui.driving import adjust, changed, drawn, progress, show, tap, until, words
from tests.tui.listing import here, listed, live, opened, typed
from tui.app import MnistTui
from tui.screens.runs.details import Sheet
from tui.screens.train import TrainScreen
from tui.widgets.chart import Chart
from tui.widgets.form import RequestForm

SMALL = Train(epochs=2, train_size=640, threads=1, channels=4, hidden=16)


async def test_no_runs(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, 0)
        assert "no run yet: r on screen 1 trains one" in words(screen.list.rows)
        await pilot.press("u", "x", "o", "O", "e", "J", "K", "down", "end")
        assert app.is_running
        assert app.screen is screen


async def test_notes_filter_and_order(still_app: MakeApp, tmp_path: Path) -> None:
    first, second, third = copies(tmp_path / "runs", 3)
    (third.path / "events.jsonl").write_bytes(b"".join(third.events_file.read_bytes().splitlines(True)[:4]))
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, 3)
        assert listed(screen) == [third.name, second.name, first.name]
        await pilot.press("down", "N")
        await typed(pilot, "the second #good")
        await until(pilot, lambda: "the second #good" in words(screen.list.rows))
        assert catalogue.read_note(second) == "the second #good"
        assert "the second #good" in progress(app)
        await pilot.press("slash", *"#GOOD", "space", *"finished", "enter")
        assert listed(screen) == [second.name]
        assert "1 of 3 runs matches '#GOOD finished'" in words(screen.list.rows)
        await pilot.press("slash", *["backspace"] * 14, "enter")
        # The cursor stayed on its run.
        assert screen.list.here == next(run for run in screen.runs or () if run.name == second.name)
        await pilot.press(*"ooooo")
        assert "by validation loss" in words(screen.list.rows)
        losses = [run.val_loss or 9.0 for run in screen.list.shown]
        assert losses == sorted(losses)
        assert isinstance(screen.list.here, RunSummary)
        assert screen.list.here.name == second.name


async def test_rename_delete_and_undo(still_app: MakeApp, tmp_path: Path) -> None:
    first, second = copies(tmp_path / "runs", 2)
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, 2)
        assert "undo" not in live(screen)
        await pilot.press("M")
        await typed(pilot, "a/b")
        assert "must be a folder name" in str(app.screen.query_one("#line-hint").render())
        await typed(pilot, "renamed")  # the line is still there
        await until(pilot, lambda: "renamed" in listed(screen))
        await pilot.press("home")
        name = listed(screen)[0]
        await pilot.press("D")
        await until(pilot, lambda: len(screen.runs or ()) == 1)
        assert (tmp_path / "runs" / ".trash" / name).is_dir()
        assert "undo" in live(screen)
        await pilot.press("u")
        await until(pilot, lambda: len(screen.runs or ()) == 2)
        assert {path.name for path in (tmp_path / "runs").iterdir()} == {"renamed", first.name, ".trash"}
        assert second.name != "renamed"


async def test_open_and_copy(still_app: MakeApp, tmp_path: Path) -> None:
    (folder,) = copies(tmp_path / "runs", 1)
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, 1)
        await pilot.press("enter")
        assert app.workspace.what == str(folder.path)
        assert not app.workspace.bundled
        await until(pilot, lambda: "▸ 20260101-000000-cnn" in words(screen.list.rows))
        await pilot.press("C")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen) and app.screen.ready)
        form = app.screen.query_one(RequestForm)
        await until(pilot, lambda: form.request() == folder.read_record().request)


async def test_a_damaged_run_is_no_trouble(still_app: MakeApp, tmp_path: Path) -> None:
    (folder,) = copies(tmp_path / "runs", 1)
    (folder.path / "request.json").write_bytes(b"{")
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, 1)
        assert "cannot be read" in progress(app)
        await pilot.press("enter", "C", "e", "N", "escape")
        assert app.is_running
        assert "cannot be read" in next(iter(app._notifications)).message


async def test_the_queue(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        under_way(app)
        await until(pilot, lambda: app.focused is not None)
        await pilot.press("Q")
        await typed(pilot, "seeds=2 colour=red")
        assert "colour is no field to sweep over" in str(app.screen.query_one("#line-hint").render())
        await typed(pilot, "seeds=2 batch-norm=no,yes")
        assert [(each.batch_norm, each.seed) for each in app.workspace.queue] == [
            (False, 0),
            (False, 1),
            (True, 0),
            (True, 1),
        ]
        screen = await opened(pilot, 0)
        assert "queued, 4" in words(screen.list.rows)
        await pilot.press("J")
        assert [each.seed for each in app.workspace.queue[:2]] == [1, 0]
        await pilot.press("K", "K", "delete")
        assert [(each.batch_norm, each.seed) for each in app.workspace.queue] == [(False, 1), (True, 0), (True, 1)]
        assert "queued: D removes it" in progress(app)


async def test_a_queue_is_worked_off(app: MnistTui, monkeypatch: pytest.MonkeyPatch) -> None:
    """It skips a run that does not fit into memory and creates no folder for it."""
    monkeypatch.setattr("engine.training.loading.free_memory", lambda: 2 * 10**9)
    large = replace(SMALL, batch_size=640, channels=1024)
    async with app.run_test(size=(120, 40)) as pilot:
        app.workspace.enqueue(
            [SMALL, large, Train(epochs=1, train_size=640, threads=1, channels=4, hidden=16, batch_norm=True)]
        )
        await until(pilot, lambda: app.workspace.history.state == "finished" and app.workspace.variant == "cnn-bn")
        assert not app.workspace.queue
        screen = await opened(pilot, 2)
        assert [run.state for run in screen.runs or ()] == ["finished", "finished"]
        assert "queue: 2 finished, 1 failed" in words(screen.list.rows)
        assert {run.name: screen.list._remark(run) for run in screen.runs or ()} == {
            app.workspace.queue.turns[0].run: "queue 1",
            app.workspace.queue.turns[2].run: "queue 3",
        }
        await pilot.press("down")
        assert "this session's queue: finished best validation loss" in " ".join(words(screen.query_one(Sheet)).split())
        await pilot.press("home")
        assert words(screen.list.rows).splitlines()[2].startswith("    failed, 2")
        assert "memory" in progress(app)
        await pilot.press("slash", *"queue", "enter")
        assert len(listed(screen)) == 2
        await pilot.press("slash", *["backspace"] * 5, "enter", "home", "D")
        assert "queue: 2 finished" in words(screen.list.rows)
        assert "failed" not in words(screen.list.rows)
        assert len(screen.runs or ()) == 2
    assert app.workspace.lab.close()


async def test_resume_from_the_list(app: MnistTui, tmp_path: Path) -> None:
    work = train_run(SMALL, tmp_path / "runs")
    while not isinstance(next(work), EpochFinished):
        pass
    work.close()
    (path,) = (tmp_path / "runs").iterdir()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, 1)
        assert "stopped" in words(screen.list.rows)
        await tap(pilot, "R")
        await until(pilot, lambda: app.workspace.history.state == "finished")
        await until(pilot, lambda: "finished" in words(screen.list.rows))
    assert RunFolder(path).history().state == "finished"
    assert app.workspace.lab.close()


@pytest.mark.parametrize("size", [(1, 1), (20, 5), (40, 10)])
async def test_no_size_is_too_small(still_app: MakeApp, tmp_path: Path, size: tuple[int, int]) -> None:
    copies(tmp_path / "runs", 2)
    app = still_app()
    async with app.run_test(size=size) as pilot:
        await opened(pilot, 2)
        await pilot.press("down", "o", "N", "escape")
        assert app.is_running


async def test_marked_runs_are_compared(still_app: MakeApp, tmp_path: Path) -> None:
    root = tmp_path / "runs"
    for normed in (True, False):
        for seed in (0, 1):
            name, request = f"{'bn' if normed else 'plain'}-{seed}", Train(batch_norm=normed, seed=seed)
            made(root, name, request, [0.9, 0.95 + 0.001 * seed + 0.01 * normed, 0.96])
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, 4)
        await pilot.press("space", "down", "space", "down", "space")
        assert screen.marked == {"plain-1", "plain-0", "bn-1"}
        comparison = screen.comparison
        await pilot.press("tab")
        await until(pilot, lambda: comparison.event is not None)
        event = comparison.event
        assert event is not None
        assert [group.runs for group in event.groups] == [("bn-1",), ("plain-0", "plain-1")]
        assert "3 runs in 2 groups" in words(comparison.rows)
        chart = comparison.query_one(Chart)
        assert "validation loss" in words(chart)
        assert "anecdote" in words(comparison.rows)
        app.workspace.training = FakeJob()
        app.workspace.enqueue([SMALL])  # it waits
        screen.list.rows.key = app.workspace.queue[0]  # the list is not shown, so keys have no effect on its lines
        await pilot.press("D", "x", "C", "u", "R", "J")
        assert (list(app.workspace.queue), app.screen) == ([SMALL], screen)
        screen.list.rows.key = "plain-0"
        await pilot.press("D", "x", "C", "u", "R")
        assert len(catalogue.summaries(root)) == 4
        assert not list(root.glob("*/resume/stop"))
        assert app.screen is screen
        await pilot.press("y")
        assert "test accuracy (%)" in words(chart)
        assert [f"{y:.1f}" for y in chart.curves[-1].ys] == ["90.0", "95.0", "96.0"]
        await pilot.press("left")
        assert "at epoch 2" in words(comparison.rows)
        assert "95.05" in words(comparison.rows)
        await adjust(pilot, screen, "by_seconds", "right")
        assert "at 4 s" in words(comparison.rows)
        await adjust(pilot, screen, "smoothing", "right")
        assert "mean of 3" in words(chart)
        assert chart.curves[-1].ys[-1] == pytest.approx((90 + 95.05 + 96) / 3)
        assert screen.figure() is not None
        await pilot.press("N", "D", "R", "C")  # keys of the list, which is not shown
        assert app.screen is screen
        assert len(catalogue.summaries(root)) == 4
        await pilot.press("escape", "escape")
        assert screen.front != "compare"
        assert not screen.marked
        await pilot.press("tab")
        await until(pilot, lambda: comparison.event is not None and len(comparison.event.groups[0].runs) == 2)
        assert len(screen.marked) == 4  # all runs if none is marked


@pytest.mark.usefixtures("few_images", "quick_keys")
async def test_a_report_from_a_key(app: MnistTui, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.report.notebook.AVERAGED", 2)
    monkeypatch.setattr("engine.report.notebook.AttackNoise", partial(AttackNoise, steps=5))
    list(train_run(SMALL, tmp_path / "runs"))
    (path,) = (tmp_path / "runs").iterdir()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, 1)
        await tap(pilot, "E")
        await until(pilot, lambda: "x stops" in progress(app))
        assert "stop" in live(screen)
        await tap(pilot, "x")
        await until(pilot, lambda: "report" not in progress(app))
        assert not (path / "report").exists()
        await tap(pilot, "E")
        await until(pilot, (path / "report" / "report.html").is_file, 120)
        await until(pilot, lambda: "report.html" in list(app._notifications)[-1].message)
    assert app.workspace.lab.close()


async def test_more_groups_than_colours(still_app: MakeApp, tmp_path: Path) -> None:
    for n in range(10):
        made(tmp_path / "runs", f"r{9 - n}", Train(channels=n + 1), [0.9] * (1 + (n == 9)))
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, 10)
        await pilot.press("tab")
        await until(pilot, lambda: screen.comparison.event is not None)
        await pilot.press("y", "left", "left", "s", "right", "escape", "e")
        assert app.is_running
        assert "10 groups" in words(screen.comparison.rows)


async def test_the_cursor_stays_on_its_run(still_app: MakeApp, tmp_path: Path) -> None:
    first, second, third = copies(tmp_path / "runs", 3)
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, 3)
        await pilot.press("down", "space")
        assert here(screen) == second.name
        shutil.copytree(first.path, first.path.with_name("20270101-000000-cnn"))
        screen.look()
        await until(pilot, lambda: len(screen.runs or ()) == 4)
        assert here(screen) == second.name
        await pilot.press("M")
        await typed(pilot, "renamed")
        await until(pilot, lambda: listed(screen) == ["renamed", "20270101-000000-cnn", third.name, first.name])
        assert here(screen) == "renamed"
        assert screen.marked == {"renamed"}
        catalogue.rename(RunFolder(second.path.with_name("renamed")), "aside")  # as another program would
        screen.look()
        await until(pilot, lambda: "renamed" not in listed(screen))
        before = {path.name for path in (tmp_path / "runs").iterdir()}
        await pilot.press("D", "C", "enter", "R", "N")  # no run is under the cursor
        assert {path.name for path in (tmp_path / "runs").iterdir()} == before
        assert app.screen is screen
        assert "delete" not in live(screen)
        await pilot.press("down")
        name = here(screen)
        neighbour = listed(screen)[1]
        await pilot.press("D")
        await until(pilot, (tmp_path / "runs" / ".trash" / name).is_dir)
        assert here(screen) == neighbour


async def test_a_queued_experiment_whose_turn_comes(still_app: MakeApp, tmp_path: Path) -> None:
    (folder,) = copies(tmp_path / "runs", 1)
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        under_way(app)
        app.workspace.enqueue([SMALL, replace(SMALL), replace(SMALL)])  # equal but distinct
        screen = await opened(pilot, 1)
        await pilot.press("down")
        assert screen.list.rows.cursor == 1
        app.workspace.queue.remove(0)  # before the next redraw
        await pilot.press("D")
        assert len(app.workspace.queue) == 1
        assert screen.list.rows.cursor == 0
        assert screen.list.here is app.workspace.queue[0]
        app.workspace.training = FakeJob(app.workspace.queue[0])
        app.workspace.queue.remove(0)
        show(app, app.workspace.opened)
        await pilot.press("D")
        assert screen.list.here is None
        assert folder.path.is_dir()
        app.workspace.history.name = folder.name  # it has started
        screen.update()
        assert here(screen) == folder.name


async def test_going_on_where_another_machine_may_be_at_it(app: MnistTui, tmp_path: Path) -> None:
    work = train_run(SMALL, tmp_path / "runs")
    while not isinstance(next(work), EpochFinished):
        pass
    (path,) = (tmp_path / "runs").iterdir()
    folder, events = RunFolder(path), (path / "events.jsonl").read_bytes()
    work.close()
    folder.events_file.write_bytes(events)
    folder.write_process(replace(Process.own(), host="node-a", boot="another", number=7))
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, 1)
        await tap(pilot, "R")
        assert app.workspace.training is None
        notified = list(app._notifications)[-1]
        assert notified.title == f"{path.name} is under way"
        assert notified.message.startswith("process 7 on node-a gave a sign of life")
        await tap(pilot, "R")
        await until(pilot, lambda: app.workspace.history.state == "finished")
    assert folder.history().state == "finished"
    assert app.workspace.lab.close()


async def test_keys_pressed_before_the_disk_has_answered(still_app: MakeApp, tmp_path: Path) -> None:
    names = [folder.name for folder in copies(tmp_path / "runs", 3)]
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, 3)
        screen.list.action_delete()
        screen.list.action_delete()
        await until(pilot, lambda: len(screen.runs or ()) == 2)
        screen.list.action_delete()
        await until(pilot, lambda: len(screen.runs or ()) == 1)
        screen.list.action_undo()
        screen.list.action_undo()
        await until(pilot, lambda: len(screen.runs or ()) == 3)
        assert sorted(run.name for run in screen.runs or ()) == names
        assert [notice.severity for notice in app._notifications] == ["information", "information"]


async def test_a_comparison_is_drawn_when_something_changed(
    still_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in (0, 1):
        made(tmp_path / "runs", f"run-{seed}", Train(seed=seed), [0.9, 0.95])
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, 2)
        await pilot.press("tab")
        await until(pilot, lambda: screen.comparison.event is not None)
        drawn: list[object] = []
        chart = screen.comparison.query_one(Chart)
        monkeypatch.setattr(chart, "show", lambda *arguments, **_: drawn.append(arguments))
        for _ in range(5):
            changed(app)
        assert drawn == []
        await pilot.press("left")
        assert len(drawn) == 1


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (120, 40), (200, 60)])
@pytest.mark.parametrize("channels", [1, 8])
async def test_the_answer_never_falls_off(
    still_app: MakeApp, tmp_path: Path, size: tuple[int, int], channels: int
) -> None:
    for seed in (0, 1):
        for normed in (True, False):
            for count in range(1, channels + 1):
                request = Train(batch_norm=normed, seed=seed, channels=count)
                name = f"{'bn' if normed else 'plain'}-{count}-{seed}"
                made(tmp_path / "runs", name, request, [0.9, 0.95 + 0.001 * seed + 0.01 * normed, 0.96])
    app = still_app()
    async with app.run_test(size=size) as pilot:
        screen = await opened(pilot, 4 * channels)
        await pilot.press("tab")
        await until(pilot, lambda: screen.comparison.event is not None)
        await drawn(pilot)
        table = screen.comparison.rows
        text = " ".join(words(table).split())
        assert "test accuracy: " in text
        assert "95 % interval" in text
        assert "significant difference" in text
        assert "±" in text
        assert "+-" not in text
        lines = words(table).splitlines()
        assert sum("±" in line for line in lines) >= min(2 * channels, 3)
        chart = screen.comparison.query_one(Chart)
        assert chart.size.height >= 6
        assert len(lines) + chart.size.height == screen.comparison.size.height
        assert lines[-1].strip()  # no room is wasted below it
        await pilot.press("down", "end", "up", "left", "right")
        assert app.is_running


async def test_more_groups_than_colours_are_all_in_the_table(still_app: MakeApp, tmp_path: Path) -> None:
    for n in range(10):
        made(tmp_path / "runs", f"r{n}", Train(channels=n + 1), [0.9])
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, 10)
        await pilot.press("tab")
        await until(pilot, lambda: screen.comparison.event is not None)
        await drawn(pilot)
        text = words(screen.comparison.rows)
        assert "10 runs in 10 groups: the curves of the first 8" in text
        await pilot.press("end")
        assert len(screen.comparison.rows.lines) == 10
