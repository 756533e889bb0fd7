"""The common parts of all figures: style, title, small print, and panels placed in inches.

No pyplot: it keeps figures in global state, and figures are drawn in a worker thread.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font

from engine.inspection.events import ImagesEvent
from engine.network.events import NetworkEvent
from engine.words import shown

DPI = 200
WIDTH = 7.2
"""Width of a page, in inches: that of a paper's text across two columns."""
TOP = 0.45
"""Height of the title, in inches."""
BOTTOM = 0.3
"""Height of the small print, in inches."""
SMALL = 6.5
"""Font size of the small print, in points."""

BLUE, VERMILLION, GREEN, PURPLE, ORANGE = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"
SERIES = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, "#56B4E9", "#000000", "#8C8C8C")
"""Colours of curves, in order: those of Okabe and Ito, which are safe for colour-blind readers, except for the yellow,
which is not visible on white. The screen uses the same ones in the same order."""
ROLES = {
    "train": BLUE, "val": VERMILLION, "test": GREEN, "running": "#8C8C8C", "robust": ORANGE, "certified": PURPLE
}  # fmt: skip
"""Colours of what is measured during training."""
FAINT = "#666666"

FONT = "DejaVu Sans"  # included in Matplotlib, so that figures look the same everywhere
_LOOK = {
    "font.family": FONT,
    "font.size": 8,
    "text.parse_math": False,  # a dollar sign in a file name is not mathematics
    "axes.linewidth": 0.6,
    "axes.edgecolor": "#333333",
    "axes.formatter.useoffset": False,
    "axes.titlesize": 8.5,
    "axes.titlepad": 4,
    "axes.labelsize": 7.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.linewidth": 0.4,
    "grid.color": "#DDDDDD",
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.columnspacing": 1.2,
    "legend.borderpad": 0.2,
    "lines.linewidth": 1.2,
    "lines.markersize": 3,
}


@contextmanager
def look() -> Iterator[None]:
    """Draw and save in the project's style, whatever the user's settings of Matplotlib are."""
    with style.context(["default", _LOOK]):
        yield


def page(height: float, title: str, small_print: str, width: float = WIDTH) -> Figure:
    """A white page with `height` inches between its title and its small print."""
    total = TOP + height + BOTTOM
    figure = Figure((width, total), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    figure.suptitle(_drawable(title), y=1 - 0.14 / total, va="top", fontsize=10)
    text = _drawable(small_print)
    figure.text(0.15 / width, 0.1 / total, text, va="bottom", fontsize=SMALL, color=FAINT, gid="caption")
    return figure


def panel(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes on a page, in inches from its left edge and from below its title."""
    page_width, page_height = figure.get_size_inches()
    bottom = page_height - TOP - top - height
    return figure.add_axes((left / page_width, bottom / page_height, width / page_width, height / page_height))


def small_print(event: NetworkEvent, *notes: str) -> str:
    """The line at the bottom: the network, its epoch, the images, `notes`, and the program."""
    parts = [shortened(event.name)]
    if event.epoch is not None:
        parts.append(f"epoch {event.epoch}")
    if isinstance(event, ImagesEvent):
        parts.append(event.source)
    return joined(*parts, *notes)


def joined(*parts: str) -> str:
    """Join parts of the small print into one line."""
    return " · ".join([*parts, "mnist-tui"])


def shortened(name: str, most: int = 48) -> str:
    """A name shortened to at most `most` characters, keeping its beginning and its end."""
    name, half = shown(name), most // 2
    return name if len(name) <= most else f"{name[: half - 1]}…{name[-half:]}"


def _drawable(text: str) -> str:
    """`text` with a question mark for each character missing in the font, of which Matplotlib would warn."""
    font = get_font(findfont(FONT))
    return "".join(c if c.isprintable() and font.get_char_index(ord(c)) else "?" for c in text)


def png_of(figure: Figure) -> bytes:
    """The PNG file of `figure` as bytes, with DPI dots per inch."""
    buffer = io.BytesIO()
    with look():
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": "mnist-tui"})
    return buffer.getvalue()
