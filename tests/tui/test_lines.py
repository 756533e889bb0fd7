from __future__ import annotations

import pytest

from tests.tui.conftest import MakeApp
from tui.widgets.lines import KeyBar


@pytest.mark.parametrize("width", [30, 40, 55, 80])
async def test_help_and_quit_are_the_last_to_go(still_app: MakeApp, width: int) -> None:
    app = still_app()
    async with app.run_test(size=(width, 24)) as pilot:
        await pilot.pause()
        row = "".join(text for text, _ in app.screen.query_one(KeyBar).draw(width, 1)[0])
        assert len(row) <= width
        assert "? help" in row
        assert "q quit" in row
