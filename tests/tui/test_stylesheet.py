"""Style sheets are parsed once per theme, and a screen is shown once it is complete, without a pause."""

from __future__ import annotations

import unittest.mock
from collections.abc import Callable
from typing import Any

import pytest
from textual.color import Color
from textual.css.stylesheet import Stylesheet
from textual.timer import Timer

from tests.tui.conftest import MakeApp
from tui.drawing.theme import DARK, LIGHT
from tui.sturdy_app import BRIEF
from tui.stylesheet import LastingStylesheet
from tui.widgets.lines import Header

CSS = "Header { background: $panel; }"


def sheet() -> LastingStylesheet:
    found = LastingStylesheet({"panel": "#ff0000"})
    found.add_source(CSS, ("here", "css"))
    return found


def panel(of: Stylesheet) -> Color:
    (rule,) = of.rules
    return rule.styles.background


def test_the_same_variables_keep_what_was_parsed() -> None:
    ours = sheet()
    (before,) = ours.rules
    ours.set_variables({"panel": "#ff0000"})
    ours.reparse()
    assert ours.rules[0] is before


def test_other_variables_and_sources_are_parsed() -> None:
    ours = sheet()
    assert panel(ours) == Color(255, 0, 0)
    ours.set_variables({"panel": "#00ff00"})
    ours.reparse()
    assert panel(ours) == Color(0, 255, 0)
    ours.add_source("Tabs { background: $panel; }", ("there", "css"))
    ours.reparse()
    assert len(ours.rules) == 2


async def test_another_theme_has_other_colours_and_the_first_one_comes_back(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test() as pilot:
        for theme in (DARK, LIGHT, DARK):
            app.theme = theme.name
            await pilot.pause()
            assert app.screen.query_one(Header).styles.background == Color.parse(theme.panel or "")


async def test_another_screen_is_shown_without_a_pause(still_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    app, waits = still_app(), []

    def timed(delay: float, callback: Callable[[], None] | None = None, **named: Any) -> Timer:
        if named.get("name") == "delay_update":
            waits.append(delay)
        return type(app).set_timer(app, delay, callback, **named)

    async with app.run_test() as pilot:
        monkeypatch.setattr(app, "set_timer", timed)
        await pilot.press("2")
        await pilot.press("1")
    assert waits == [BRIEF, BRIEF]


async def test_a_frame_within_a_batch_is_rendered_once_after_it(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test() as pilot:
        await pilot.pause()
        screen = app.screen
        with unittest.mock.patch.object(
            screen._compositor, "render_update", wraps=screen._compositor.render_update
        ) as render:
            with app.batch_update():
                screen._refresh_layout()
                screen.refresh(layout=True)
                screen._compositor_refresh()
                await pilot.pause()
                assert render.call_count == 0
            await pilot.pause()
            assert render.call_count > 0
