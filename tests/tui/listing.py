"""Helpers to drive screen 8, and to read what it lists."""

from __future__ import annotations

from textual.pilot import Pilot
from textual.widgets import Input

from engine.runs.events import RunSummary
from tests.tui.driving import until
from tui.screens.dialogs import LineScreen
from tui.screens.runs import RunsScreen


async def opened(pilot: Pilot[int], count: int) -> RunsScreen:
    """Screen 8, after it has read the folder."""
    await pilot.press("8")
    await until(pilot, lambda: isinstance(pilot.app.screen, RunsScreen) and pilot.app.screen.runs is not None)
    screen = pilot.app.screen
    assert isinstance(screen, RunsScreen)
    assert len(screen.runs or ()) == count
    return screen


async def typed(pilot: Pilot[int], text: str) -> None:
    """Enter `text` in the dialog and confirm it."""
    await until(pilot, lambda: isinstance(pilot.app.screen, LineScreen) and bool(pilot.app.screen.query(Input)))
    dialog = pilot.app.screen
    dialog.query_one(Input).value = text
    await pilot.press("enter")
    await until(pilot, lambda: pilot.app.screen is not dialog or dialog.query_one("#line-hint").has_class("wrong"))


def live(screen: RunsScreen) -> set[str]:
    """The names of the enabled commands."""
    return {command.name for command in screen.live_commands()}


def listed(screen: RunsScreen) -> list[str]:
    """The names of the user's runs, in the order of the list."""
    keys = [row.key for row in screen.list.rows.lines]
    return [key for key in keys if isinstance(key, str) and not key.startswith("pretrained:")]


def here(screen: RunsScreen) -> str:
    """The name of the run under the cursor."""
    assert isinstance(screen.list.here, RunSummary)
    return screen.list.here.name
