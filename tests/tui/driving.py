"""Helpers to drive the app with keys, to call `mnist-tui`, and to read what they show."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from textual.pilot import Pilot

from engine.runs.folder import RunFolder
from engine.runs.history import RunHistory
from tui.app import MnistTui
from tui.keys import SCREENS
from tui.opened import Opened
from tui.screens.frame import LabScreen
from tui.screens.inspect import InspectScreen
from tui.widgets.cells import CellWidget
from tui.widgets.lines import ProgressLine
from tui.widgets.settings import Settings

CNN = "pretrained:cnn"
INSPECTING = [(key, mode) for key, _, mode in SCREENS if mode not in ("train", "runs")]
Call = Callable[..., tuple[int, str, str]]
S = TypeVar("S", bound=InspectScreen)


async def until(pilot: Pilot[int], condition: Callable[[], bool], seconds: float = 60) -> None:
    """Let the app run until `condition` holds."""
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        await pilot.pause(0.02)
    raise TimeoutError(f"not within {seconds} s")


async def tap(pilot: Pilot[int], *keys: str) -> None:
    """Press keys without waiting for an idle CPU, as `pilot.press` does: during training it is never idle."""
    for key in keys:
        pilot.app.simulate_key(key)
        await pilot.pause(0.02)


async def go(pilot: Pilot[int], key: str, kind: type[S]) -> S:
    """Go to a screen and wait until it has all its results."""
    await pilot.press(key)
    await until(pilot, lambda: isinstance(pilot.app.screen, kind) and pilot.app.screen.is_mounted)
    screen = pilot.app.screen
    assert isinstance(screen, kind)
    await settled(pilot, screen)
    return screen


def show(app: MnistTui, what: RunFolder | Path | None, history: RunHistory | None = None, variant: str = "") -> None:
    """Make `app` show a run or a weights file, without a notification."""
    with app.workspace.changing():
        app.workspace._open = Opened(what, history or RunHistory(), variant)


def changed(app: MnistTui) -> None:
    """Make the screens of `app` show what a test changed."""
    with app.workspace.changing():
        pass


async def settled(pilot: Pilot[int], screen: InspectScreen) -> None:
    """Wait until all results that the screen asked for have arrived and are drawn."""
    await until(pilot, lambda: all(screen.inquiry.answered(request) for request in screen.wanted()))
    await drawn(pilot)


async def adjust(pilot: Pilot[int], screen: LabScreen, name: str, *keys: str) -> None:
    """Go to a setting of the page by its keys, press `keys` there, and leave the settings."""
    row = screen.query_one(Settings)
    for _ in range(len(row.settings) + 1):
        await pilot.press("s")
        if row.selected and row.selected.name == name:
            break
    assert row.selected
    assert row.selected.name == name
    for key in keys:
        await pilot.press(key)
        if isinstance(screen, InspectScreen):
            await settled(pilot, screen)
    await pilot.press("escape")
    await drawn(pilot)


async def drawn(pilot: Pilot[int]) -> None:
    """Wait until changes are drawn: the layout is updated first, then the sizes, then the drawings."""
    for _ in range(4):
        await pilot.pause(0.005)


def words(line: CellWidget) -> str:
    """The text that a widget shows."""
    return "\n".join("".join(character for character, _ in row) for row in line._rows)


def progress(app: MnistTui) -> str:
    """The progress line under the charts."""
    return words(app.screen.query_one(ProgressLine))


def status(screen: InspectScreen) -> str:
    return words(screen.query_one(ProgressLine))


def lines(call: Call, *arguments: object) -> list[dict[str, Any]]:
    code, out, err = call(*arguments, "--json")
    assert (code, err) == (0, "")
    return [json.loads(line) for line in out.splitlines()]
