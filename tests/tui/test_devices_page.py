"""The page of the devices: what it asks for and when, what it shows, and what it sends to the terminal."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.event import JobFailed
from engine.lab import Job
from engine.request import Request
from engine.telemetry.requests import WatchDevices
from tests.tui.conftest import FakeJob, MakeApp
from tests.tui.devices import NOON, gpu, minutes, sampled
from tests.tui.driving import changed, drawn, progress, until, words
from tui.app import MnistTui
from tui.drawing.sparkline import sparkline
from tui.drawing.words import joules, megabytes
from tui.machines import KEPT, Machines, Trail
from tui.screens.runs import RunsScreen
from tui.widgets.gauges import Gauges
from tui.widgets.lines import Header
from tui.workspace import Notice, Workspace

pytestmark = pytest.mark.usefixtures("quick_keys")


@pytest.mark.parametrize(
    ("values", "rows", "lines"),
    [
        ([0.0, 0.5, 1.0, None, 2.0], 1, ["▁▄█ █"]),
        ([0.0, 0.5, 1.0, None, 0.75], 2, ["  █ ▄", "▁██ █"]),
        ([], 2, ["", ""]),
    ],
)
def test_sparklines(terminal: None, values: list[float | None], rows: int, lines: list[str]) -> None:
    assert sparkline(values, 1.0, rows) == lines


def test_sparklines_in_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    assert sparkline([0.0, 0.5, 1.0, None], 1.0, 2) == ["  # ", "_## "]


def test_a_trail_has_means_over_stretches_and_gaps() -> None:
    trail = Trail()
    for second, value in ((0, 1.0), (4, 3.0), (5, 7.0), (16, 9.0), (17, None)):
        trail.add(NOON + second, value)
    assert trail.columns(5, 5, NOON + 17) == [None, 2.0, 7.0, None, 9.0]
    assert trail.columns(1, 3, NOON + 5) == [None, 3.0, 7.0]
    slow = Trail()
    for at, value in ((0.0, 1.0), (1.0, 2.0), (3.0, 4.0), (6.0, 8.0)):
        slow.add(NOON + at, value)
    assert slow.columns(1, 7, NOON + 6) == [1.0, 2.0, 4.0, 4.0, None, None, 8.0]
    for second in range(3 * KEPT):
        trail.add(NOON + 100 + second, 1.0)
    assert sum(value is not None for value in trail.columns(1, 4 * KEPT, NOON + 100 + 3 * KEPT)) == KEPT


def test_the_own_machine_comes_first() -> None:
    machines = Machines()
    for host in ("zoe", "ada", "mia"):
        machines.add(sampled(host), own=host == "mia")
    assert [machine.latest.host for machine in machines] == ["mia", "ada", "zoe"]


def test_the_header_names_the_gpu_in_use_or_else_the_cpus() -> None:
    machines = Machines()
    assert machines.in_brief(training=True) == ("", "")
    machines.add(sampled(cpu=None, memory_used=None), own=True)
    assert machines.in_brief(training=True) == ("", "")
    machines.add(sampled(), own=True)
    assert machines.in_brief(training=True) == ("CPU 45 % 12.1 GB", "CPU 45 %")
    idle = gpu(1, utilisation=0.02, power=None, memory_used=None)
    machines.add(sampled(gpus=(idle, gpu(0))), own=True)
    assert machines.in_brief(training=True) == ("GPU 97 % 12.3 GB 412 W", "GPU 97 %")
    machines.add(sampled(gpus=(idle,)), own=True)
    assert machines.in_brief(training=True)[1] == "CPU 45 %"
    assert machines.in_brief(training=False) == ("GPU 2 %", "GPU 2 %")


def test_amounts_as_text() -> None:
    assert [joules(each) for each in (0.4213, 12.34, 1234.5, 123_456.0, 5.67e6, 2e9)] == [
        *("0.421 J", "12.3 J", "1,234 J", "123.5 kJ", "5.67 MJ", "2 GJ")
    ]
    assert [megabytes(each) for each in (690.0, 9_000.0, 12_600.0, 131_072.0, 3e6)] == [
        *("690 MB", "9,000 MB", "12.3 GB", "128 GB", "2.9 TB")
    ]


async def watched(app: MnistTui, pilot: Pilot[int]) -> None:
    """Have two machines looked at for some minutes."""
    for each in minutes():
        app.workspace.machines.add(each, own=each.host == "ada")
    changed(app)
    await drawn(pilot)


async def on_the_page(app: MnistTui, pilot: Pilot[int]) -> tuple[RunsScreen, Gauges]:
    await pilot.press("8", "shift+tab")
    await until(pilot, lambda: isinstance(app.screen, RunsScreen) and app.screen.front == "devices")
    await drawn(pilot)
    screen = app.screen
    assert isinstance(screen, RunsScreen)
    return screen, screen.query_one(Gauges)


async def test_samples_are_taken_only_while_they_are_wanted(
    still_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real lab."""
    monkeypatch.setattr("tui.app.DEVICES_INTERVAL", 0.05)
    app = still_app()
    app.workspace.look_at_devices = partial(Workspace.look_at_devices, app.workspace)  # type: ignore[method-assign]
    asked: list[Request] = []
    submit = app.workspace.lab.submit

    def counted(request: Request) -> Job:
        asked.append(request)
        return submit(request)

    app.workspace.lab.submit = counted  # type: ignore[method-assign]
    async with app.run_test(size=(120, 30)) as pilot:
        app._look_at_devices()
        assert not any(isinstance(request, WatchDevices) for request in asked)
        _, gauges = await on_the_page(app, pilot)
        assert WatchDevices(processes=True) in asked
        await until(pilot, lambda: bool(gauges.sections))
        assert "disk of the runs" in words(gauges)
        await until(pilot, lambda: "CPU" in words(app.screen.query_one(Header)))  # a share needs two samples
        await pilot.resize_terminal(90, 30)
        await drawn(pilot)
        header = words(app.screen.query_one(Header))  # it gives way first
        assert "CPU" not in header
        assert header.rstrip().endswith(" cpu")
        await pilot.resize_terminal(120, 30)
        await until(pilot, lambda: "CPU" in words(app.screen.query_one(Header)))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen.front == "list")  # type: ignore[attr-defined]
        asked.clear()
        app._look_at_devices()
        await drawn(pilot)
        assert not any(isinstance(request, WatchDevices) for request in asked)
        assert "CPU" not in words(app.screen.query_one(Header))
        app.workspace.training = FakeJob()
        app._look_at_devices()
        assert WatchDevices(processes=False) in asked
        app.workspace.training = None


async def test_an_empty_page_says_why(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        _, gauges = await on_the_page(app, pilot)
        assert "looking at the devices" in words(gauges)
        app.workspace.machines.add(sampled(), own=True)
        changed(app)
        await drawn(pilot)
        assert "no NVIDIA driver: there is no GPU to show" in words(gauges)
        assert "a column" in progress(app)
        for problem in ("the NVIDIA driver does not answer any more (code 1)", "GPU 0 is lost"):
            gpus = (gpu(1),) if "lost" in problem else ()
            app.workspace.machines.add(sampled(at=NOON + 1, gpus=gpus, problem=problem), own=True)
            changed(app)
            await drawn(pilot)
            assert problem[:40] in words(gauges)


async def test_two_machines_at_80_by_24(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        _, gauges = await on_the_page(app, pilot)
        await watched(app, pilot)
        text = words(gauges)
        for wanted in ("16 CPUs", "GPU 0 NVIDIA H200, trains here", "of 700 W", "54 °C", "SM 1,980 MHz", "more below"):
            assert wanted in text
        assert "4321 python 11.7 GB" in text
        assert "not known" in next(line for line in text.splitlines()[12:] if line.startswith(" power"))
        await pilot.press("end")
        await drawn(pilot)
        assert "no NVIDIA driver" in words(gauges)
        assert "more below" not in words(gauges)
        await pilot.press("home", "down")
        await drawn(pilot)
        assert "16 CPUs" not in words(gauges)
        app.workspace.machines.add(sampled(at=NOON + 400, cpus=16), own=True)
        changed(app)
        await pilot.press("end")
        await drawn(pilot)
        assert "silent for 4 min 11 s" in words(gauges)


async def test_a_column_may_be_longer(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        _, gauges = await on_the_page(app, pilot)
        await watched(app, pilot)
        before = words(gauges)
        await pilot.press("s", "right", "escape")
        await drawn(pilot)
        assert "5 s a column" in progress(app)
        assert words(gauges) != before


async def test_any_size(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        _, gauges = await on_the_page(app, pilot)
        for each in minutes():
            app.workspace.machines.add(each, own=each.host == "ada")
        for size in ((1, 1), (8, 5), (30, 8), (53, 3), (250, 70)):
            await pilot.resize_terminal(*size)
            changed(app)
            await drawn(pilot)
            await pilot.press("end", "down", "home")
            assert all(len(row) == gauges.size.width for row in gauges._rows)


async def test_a_new_sample_changes_few_cells(still_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        _, gauges = await on_the_page(app, pilot)
        await watched(app, pilot)
        before = [list(row) for row in gauges._rows]
        latest = next(machine for machine in app.workspace.machines if machine.latest.host == "grace").latest
        app.workspace.machines.add(sampled("grace", at=latest.at + 0.5, cpus=2, cpu=0.5, memory_total=8_000.0))
        changed(app)
        await drawn(pilot)
        pairs = zip(before, gauges._rows, strict=True)
        assert 0 < sum(one != other for old, new in pairs for one, other in zip(old, new, strict=True)) < 40


def test_a_failed_look_is_no_notification(tmp_path: Path) -> None:
    told: list[Notice] = []
    workspace = Workspace(tmp_path)
    workspace.tell = told.append
    workspace.look_at_devices(shown=True)
    job = workspace._sampling
    assert job
    assert job.wait(30)
    workspace._take(job, JobFailed(reason="out of file descriptors", bad_request=False))
    assert not told
    workspace.close()
