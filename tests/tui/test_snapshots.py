"""Snapshots of each screen at 80x24 and 120x40, with and without colour, dark and light, full and empty."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.runs.catalogue import write_note
from engine.runs.processes import Process
from engine.training.requests import Train
from tests.runs import copies
from tests.tui.conftest import MakeApp, under_way
from tests.tui.driving import until
from tui.app import MnistTui

SnapCompare = Callable[..., bool]
SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])


async def _settle(pilot: Pilot[int]) -> None:
    await pilot.pause()
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


@SIZES
def test_train_opened_on_the_pretrained_network(
    snap_compare: SnapCompare, still_app: MakeApp, size: tuple[int, int]
) -> None:
    assert snap_compare(still_app(), terminal_size=size, run_before=_settle)


@SIZES
def test_train_under_way(snap_compare: SnapCompare, still_app: MakeApp, size: tuple[int, int]) -> None:
    async def run(pilot: Pilot[int]) -> None:
        await _settle(pilot)
        assert isinstance(pilot.app, MnistTui)
        under_way(pilot.app)
        await _settle(pilot)

    assert snap_compare(still_app(), terminal_size=size, run_before=run)


@SIZES
def test_train_with_nothing_to_show(snap_compare: SnapCompare, still_app: MakeApp, size: tuple[int, int]) -> None:
    assert snap_compare(still_app(empty=True), terminal_size=size, run_before=_settle)


@SIZES
def test_train_without_colour(
    snap_compare: SnapCompare, still_app: MakeApp, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(still_app(), terminal_size=size, run_before=_settle)


@SIZES
def test_train_in_ascii(
    snap_compare: SnapCompare, still_app: MakeApp, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    assert snap_compare(still_app(), terminal_size=size, run_before=_settle)


@SIZES
def test_train_in_the_light_theme_on_a_log_axis(
    snap_compare: SnapCompare, still_app: MakeApp, size: tuple[int, int]
) -> None:
    async def run(pilot: Pilot[int]) -> None:
        await _settle(pilot)
        await pilot.press("t", "y")
        await _settle(pilot)

    assert snap_compare(still_app(), terminal_size=size, run_before=run)


@SIZES
def test_form_with_a_value_that_is_wrong(snap_compare: SnapCompare, still_app: MakeApp, size: tuple[int, int]) -> None:
    async def run(pilot: Pilot[int]) -> None:
        await _settle(pilot)
        await pilot.press("s", "down", "0", "enter")
        await _settle(pilot)

    assert snap_compare(still_app(), terminal_size=size, run_before=run)


@SIZES
def test_help(snap_compare: SnapCompare, still_app: MakeApp, size: tuple[int, int]) -> None:
    async def run(pilot: Pilot[int]) -> None:
        await _settle(pilot)
        await pilot.press("question_mark")
        await _settle(pilot)

    assert snap_compare(still_app(), terminal_size=size, run_before=run)


def test_question_before_leaving_a_run(snap_compare: SnapCompare, still_app: MakeApp) -> None:
    async def run(pilot: Pilot[int]) -> None:
        await _settle(pilot)
        assert isinstance(pilot.app, MnistTui)
        under_way(pilot.app)
        await pilot.press("q")
        await _settle(pilot)

    assert snap_compare(still_app(), terminal_size=(80, 24), run_before=run)


def test_wide_terminal(snap_compare: SnapCompare, still_app: MakeApp, tmp_path: Path) -> None:
    assert snap_compare(still_app(), terminal_size=(200, 60), run_before=_settle)


@SIZES
def test_runs(snap_compare: SnapCompare, still_app: MakeApp, size: tuple[int, int], tmp_path: Path) -> None:
    first, second, *_ = copies(tmp_path / "runs", 4)
    write_note(first, "the first one #baseline")
    (second.path / "events.jsonl").write_bytes(b"".join(second.events_file.read_bytes().splitlines(True)[:5]))
    second.write_process(Process("elsewhere", "", 1, ""))

    async def run(pilot: Pilot[int]) -> None:
        await _settle(pilot)
        app = pilot.app
        assert isinstance(app, MnistTui)
        under_way(app)
        app.workspace.enqueue([Train(seed=3), Train(batch_norm=True, epochs=5, learning_rate=3e-4)])
        await pilot.press("8", "down", "down", "down", "down")
        await until(pilot, lambda: bool(getattr(app.screen, "runs", None)))
        await pilot.press("end")
        await _settle(pilot)

    assert snap_compare(still_app(), terminal_size=size, run_before=run)
