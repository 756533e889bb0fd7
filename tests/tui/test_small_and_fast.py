"""Keys that arrive before a screen is ready, and terminals that are too small."""

from __future__ import annotations

from itertools import product

import pytest
from textual.events import Key, MouseDown, Resize
from textual.geometry import Size
from textual.widgets._toast import Toast

from tests.tui.conftest import MakeApp
from tui.palette import PaletteScreen
from tui.screens.dialogs import HelpScreen

TINY = ((0, 0), (1, 1), (4, 24), (6, 24), (120, 1), (80, 24))


async def test_keys_in_one_burst_with_the_palette(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test() as pilot:
        for key in ("pagedown", "pageup", "down", "up", "ctrl+p"):
            for each in ("ctrl+p", key):
                app.post_message(Key(each, None))
            await pilot.pause()
            assert isinstance(app.screen, PaletteScreen)
            await pilot.press("escape")
            assert not isinstance(app.screen, PaletteScreen)


async def test_dialogs_in_terminals_of_any_size(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        for keys, kind in ((["ctrl+p", "z"], PaletteScreen), (["question_mark"], HelpScreen)):
            await pilot.press(*keys)
            for size in TINY:
                await pilot.resize_terminal(*size)
                await pilot.press("pagedown")
            assert isinstance(app.screen, kind)
            assert app.size == (80, 24)
            await pilot.press("escape")


@pytest.mark.parametrize("width", [4, 6])
async def test_the_palette_opened_in_a_narrow_terminal(still_app: MakeApp, width: int) -> None:
    app = still_app()
    async with app.run_test(size=(width, 24)) as pilot:
        await pilot.press("ctrl+p", "a")
        await pilot.pause()
        assert isinstance(app.screen, PaletteScreen)


async def test_many_resizes_at_once(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        for width, height in product((0, 7, 40, 120), (0, 3, 24)):
            app.post_message(Resize(Size(width, height), Size(width, height)))
        await pilot.resize_terminal(80, 24)
        assert app.screen.size == (80, 24)


async def test_a_screen_asked_for_when_the_app_has_left(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test() as pilot:
        await pilot.pause()
    app.switch_mode("runs")  # as the key after `q` would
    assert app.screen_stack == []


@pytest.mark.parametrize("dialog", [False, True])
async def test_two_clicks_on_a_notification(still_app: MakeApp, dialog: bool) -> None:
    """The first removes it, the second arrives before the next layout."""
    app = still_app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        if dialog:
            await pilot.press("question_mark")
        app.notify("words", timeout=60)
        await pilot.pause()
        toast = app.screen.query_one(Toast)
        x, y = toast.content_region.offset
        await toast.remove()
        app.post_message(MouseDown(None, x, y, 0, 0, 1, False, False, False))
        await pilot.pause()
        assert not app.screen.query(Toast)
