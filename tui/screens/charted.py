"""Pages with a chart whose horizontal axis can be enlarged."""

from __future__ import annotations

from tui.screens.pages import Page
from tui.widgets.chart import Chart


class ChartedPage(Page):
    """The base of pages with one chart."""

    def action_zoom_in(self) -> None:
        self.query_one(Chart).zoom_in()

    def action_zoom_out(self) -> None:
        self.query_one(Chart).zoom_out()

    def action_zoom_reset(self) -> None:
        self.query_one(Chart).zoom_reset()
