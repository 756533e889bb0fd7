"""The details of the selected run on screen 8: what they say, where they are, and when a run is read for them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from engine.event import Event, JobFailed
from engine.lab import Job
from engine.operations import OPERATIONS
from engine.paths import PRETRAINED
from engine.request import Request
from engine.runs.catalogue import summaries, write_note
from engine.runs.events import RunRead
from engine.runs.folder import RunFolder
from engine.runs.requests import ReadRun
from engine.training.requests import Train
from tests.runs import copies, made
from tests.tui.conftest import MakeApp, under_way
from tests.tui.driving import progress, until, words
from tests.tui.listing import here, opened
from tui.screens.runs import RunsScreen, closer
from tui.screens.runs.closer import MOST, CloserLook
from tui.screens.runs.details import Details, Sheet
from tui.widgets.chart import Chart


def told(screen: RunsScreen) -> str:
    """What the details say, without line breaks."""
    return " ".join(words(screen.query_one(Sheet)).split())


async def read(pilot: Pilot[int], screen: RunsScreen) -> RunRead:
    """Wait until the run under the cursor has been read."""
    look = screen.list.closer
    assert look is not None
    await until(pilot, lambda: screen.list.run is not None and isinstance(look.of(screen.list.run), RunRead))
    await pilot.pause()
    assert screen.list.run is not None
    found = look.of(screen.list.run)
    assert isinstance(found, RunRead)
    return found


@pytest.mark.parametrize(("size", "place"), [((160, 40), "-beside"), ((120, 40), "-below"), ((80, 40), "-below")])
async def test_what_is_known_of_a_run(
    still_app: MakeApp, tmp_path: Path, size: tuple[int, int], place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder,) = copies(tmp_path / "runs", 1)
    write_note(folder, "the first #baseline")
    other = made(tmp_path / "runs", "other", Train(learning_rate=3e-4, epochs=4, seed=7), [0.9, 0.95, 0.96, 0.955])
    app = still_app()
    async with app.run_test(size=size) as pilot:
        screen = await opened(pilot, 2)
        assert screen.list.has_class(place)
        assert here(screen) == other.name
        found = await read(pilot, screen)
        assert (found.run, found.request.seed, found.epochs) == ("other", 7, (1, 2, 3, 4))
        text = told(screen)
        assert "best validation loss 0.1070 in epoch 3, test 96.00 %" in text
        assert "last validation loss 0.1170, test 95.50 % in epoch 4" in text
        assert "request cnn, seed 7, epochs 4, learning rate 0.0003" in text
        if size != (80, 40):
            assert "defaults batch size 64, dataset mnist" in text
        loss, accuracy = screen.query_one("#run-loss", Chart), screen.query_one("#run-accuracy", Chart)
        assert [curve.name for curve in loss.curves] == ["train", "val"]
        assert list(accuracy.curves[1].ys) == pytest.approx([90, 95, 96, 95.5])
        monkeypatch.setattr(closer, "REST", 3600.0)
        await pilot.press("down")
        assert here(screen) == folder.name
        assert loss.curves == ()  # those of another run would mislead
        monkeypatch.setattr(closer, "REST", 0.01)
        await pilot.press("up", "down")
        await read(pilot, screen)
        text = told(screen)
        for part in ("finished, 15 of 15 epochs", "device cpu 2 threads", "torch", "note the first #baseline"):
            assert part in text


async def test_the_status_line_says_it_where_there_is_no_room(still_app: MakeApp, tmp_path: Path) -> None:
    write_note(made(tmp_path / "runs", "one", Train(learning_rate=3e-4), [0.9, 0.95, 0.96]), "as noted")
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, 1)
        assert not screen.query_one(Details).display
        await read(pilot, screen)
        assert "learning rate 0.0003 · best in epoch 2 · cpu · as noted" in progress(app)
        await pilot.press("v")
        assert screen.query_one(Details).display
        assert "best validation loss" in told(screen)
        await pilot.press("v")
        assert not screen.query_one(Details).display


async def test_the_details_can_be_hidden(still_app: MakeApp, tmp_path: Path) -> None:
    copies(tmp_path / "runs", 1)
    app = still_app()
    async with app.run_test(size=(160, 40)) as pilot:
        screen = await opened(pilot, 1)
        width = screen.list.rows.size.width
        await pilot.press("v")
        await pilot.pause()
        assert not screen.query_one(Details).display
        assert screen.list.rows.size.width > width


async def test_a_queued_experiment_and_a_bundled_network(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        under_way(app)
        app.workspace.enqueue([Train(seed=3), Train(batch_norm=True, epochs=5)])
        screen = await opened(pilot, 0)
        await pilot.press("home", "down")
        assert "queued, 2 of 2" in told(screen)
        assert "request cnn-bn, seed 0, epochs 5" in told(screen)
        await pilot.press("end", *["up"] * (len(PRETRAINED) - 1 - PRETRAINED.index("cnn-bn")))
        assert "the notebook's network with batch norm" in told(screen)
        await read(pilot, screen)
        assert "bundled, 15 of 15 epochs" in told(screen)
        assert "device cpu" in told(screen)


async def test_a_run_that_is_deleted_under_the_cursor(still_app: MakeApp, tmp_path: Path) -> None:
    first, second = copies(tmp_path / "runs", 2)
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, 2)
        await read(pilot, screen)
        shutil.rmtree(second.path)
        screen.look()
        await until(pilot, lambda: len(screen.runs or ()) == 1)
        assert "no run is selected" in told(screen)
        assert not screen.query_one("#run-loss", Chart).curves
        await pilot.press("down")
        assert screen.list.here is not None
        await read(pilot, screen)
        assert first.path.is_dir()


async def test_a_run_that_is_deleted_before_it_is_read(still_app: MakeApp, tmp_path: Path) -> None:
    (folder,) = copies(tmp_path / "runs", 1)
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, 1)
        run, look = screen.list.run, screen.list.closer
        assert run is not None
        assert look is not None
        shutil.rmtree(folder.path)
        look._kept.clear()
        look._ask(run)
        await until(pilot, lambda: look.of(run) is not None)
        screen.update()
        assert "was moved or deleted" in told(screen) or "no run is selected" in told(screen)


async def test_a_damaged_run_says_why(still_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder,) = copies(tmp_path / "runs", 1)
    (folder.path / "request.json").write_bytes(b"{")
    asked = requests(monkeypatch)
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, 1)
        assert "state damaged reason request.json cannot be read" in told(screen)
        await pilot.press("down")
        await read(pilot, screen)
        assert [request.what for request in asked] == ["pretrained:cnn"]  # a damaged run is not read


def requests(monkeypatch: pytest.MonkeyPatch) -> list[ReadRun]:
    """A list that collects the requests to read a run from now on; the cursor need not rest for them."""
    asked: list[ReadRun] = []
    ask = CloserLook._ask

    def noted(self: CloserLook, run: Any) -> None:
        asked.append(ReadRun(what=self._folder_of(run).what))
        ask(self, run)

    monkeypatch.setattr(CloserLook, "_ask", noted)
    monkeypatch.setattr(closer, "REST", 0.01)
    return asked


@pytest.mark.usefixtures("quick_keys")
async def test_arrow_keys_through_hundreds_of_runs(
    still_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(300):
        made(tmp_path / "runs", f"run-{n:03d}", Train(seed=n), [0.9])
    asked = requests(monkeypatch)
    monkeypatch.setattr(closer, "REST", 3600.0)
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, 300)
        lines = screen.list.rows.lines
        await pilot.press(*["down"] * 20)
        assert asked == []  # the cursor has not rested
        assert screen.list.rows.lines is lines  # they are not made anew for each key
        monkeypatch.setattr(closer, "REST", 0.01)
        await pilot.press("end", "up")
        await read(pilot, screen)
        names = [Path(request.what).name for request in asked]
        assert names[-1] == screen.list.run.name if screen.list.run else False
        assert len(names) <= 2


class FakeTimer:
    """A timer that goes off when the test says so."""

    def __init__(self, act: Callable[[], None]) -> None:
        self.act, self.stopped = act, False

    def stop(self) -> None:
        """Never go off."""
        self.stopped = True


class FakeLab:
    """Takes requests, and answers them when the test says so."""

    def __init__(self) -> None:
        self.asked: list[tuple[Job, Callable[[Job, Event], None]]] = []

    def ask(self, request: Request, listener: Callable[[Job, Event], None]) -> Job:
        """Note a request."""
        job = Job(request, OPERATIONS[ReadRun])
        self.asked.append((job, listener))
        return job


def test_the_newest_request_wins_and_little_is_kept(tmp_path: Path) -> None:
    for n in range(MOST + 2):
        made(tmp_path, f"run-{n:03d}", Train(seed=n), [0.9])
    runs, lab, timers, drawn = summaries(tmp_path), FakeLab(), [], []

    def later(_seconds: float, act: Callable[[], None]) -> FakeTimer:
        timers.append(FakeTimer(act))
        return timers[-1]

    look = CloserLook(
        lab,  # type: ignore[arg-type]
        later,  # type: ignore[arg-type]
        lambda run: RunFolder(tmp_path / run.name),
        lambda: drawn.append(1),
    )
    look.want(runs[0])
    look.want(runs[0])
    look.want(runs[1])
    assert [timer.stopped for timer in timers] == [True, False]
    timers[1].act()
    look.want(runs[2])
    timers[2].act()
    (first, _), (second, heard) = lab.asked
    assert (first.cancelled, second.cancelled) == (True, False)
    heard(second, JobFailed(reason="it is gone", bad_request=True))
    assert look.of(runs[2]) == "it is gone"
    assert look.of(runs[0]) is None
    look.want(runs[0])
    look.want(runs[2])
    assert timers[-1].stopped  # what is known is not asked for again
    assert len(lab.asked) == 2
    for run in runs:
        look.want(run)
        if not timers[-1].stopped:
            timers[-1].act()
            lab.asked[-1][1](lab.asked[-1][0], JobFailed(reason=run.name, bad_request=True))
    assert look.of(runs[-1]) == runs[-1].name
    assert look.of(runs[0]) is None
    assert len(look._kept) == MOST


@pytest.mark.parametrize("size", [(1, 1), (20, 5), (40, 10), (80, 24), (140, 12)])
async def test_details_on_a_tiny_terminal(still_app: MakeApp, tmp_path: Path, size: tuple[int, int]) -> None:
    copies(tmp_path / "runs", 2)
    app = still_app()
    async with app.run_test(size=size) as pilot:
        screen = await opened(pilot, 2)
        await pilot.press("v")
        await read(pilot, screen)
        await pilot.press("down", "v", "down", "v")
        assert app.is_running
