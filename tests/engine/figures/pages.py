"""What is written on a figure, and whether all of it is on the page."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.text import Text


def title(figure: Figure) -> str:
    return figure.get_suptitle()


def caption(figure: Figure) -> str:
    (text,) = (text.get_text() for text in figure.texts if text.get_gid() == "caption")
    return text


def inside(figure: Figure) -> None:
    """No word is cut off by an edge of the page."""
    figure.draw_without_rendering()
    box = figure.bbox
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        if text.get_text() and text.get_visible():
            extent = text.get_window_extent()
            assert box.x0 <= extent.x0 <= extent.x1 <= box.x1, text.get_text()
            assert box.y0 <= extent.y0 <= extent.y1 <= box.y1, text.get_text()
