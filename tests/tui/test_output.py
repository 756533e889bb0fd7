"""What is sent to the terminal looks the same in fewer bytes."""

from __future__ import annotations

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from tui.output import SparingUpdate, sparing

COLUMNS, ROWS = 24, 4
COLOURS = ("#14161a", "#d4d7dd", "red", "color(200)", None)
styles = st.builds(
    Style,
    color=st.sampled_from(COLOURS),
    bgcolor=st.sampled_from(COLOURS),
    bold=st.booleans(),
    dim=st.booleans(),
    italic=st.booleans(),
    underline=st.booleans(),
    reverse=st.booleans(),
    strike=st.booleans(),
)
words = st.tuples(st.text("ab ⡠─", min_size=1, max_size=5), styles)
lines = st.lists(st.lists(words, max_size=6), min_size=1, max_size=ROWS)


def shown(*texts: str) -> list[list[tuple[object, ...]]]:
    """The cells of a terminal after `texts`, without what does not show on a blank."""
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.Stream(screen)
    for text in texts:
        stream.feed(text)
    rows = [[screen.buffer[y][x] for x in range(COLUMNS)] for y in range(ROWS)]
    lined = ("underscore", "reverse", "strikethrough")
    return [
        [
            cell._replace(fg="", bold=False, italics=False)
            if cell.data == " " and not any(getattr(cell, name) for name in lined)
            else cell
            for cell in row
        ]
        for row in rows
    ]


def console() -> Console:
    return Console(color_system="truecolor", force_terminal=True)


def strip(*given: tuple[str, Style]) -> Strip:
    return Strip([Segment(text, style) for text, style in given])


@settings(derandomize=True, max_examples=80, deadline=None)
@given(lines)
def test_the_shortest_changes_of_style_look_the_same(rows: list[list[tuple[str, Style]]]) -> None:
    update = LayoutUpdate([[strip(*row)] for row in rows], Region(0, 0, COLUMNS, ROWS))
    usual = update.render_segments(console())
    text = SparingUpdate(update).render_segments(console())
    assert shown(text) == shown(usual)
    assert len(text) <= len(usual)
    assert shown(text, "\x1b[4;1Hafter") == shown(usual, "\x1b[4;1Hafter")  # the terminal has its own style again


def test_a_colour_that_stays_is_sent_once() -> None:
    ground = Style(bgcolor="#14161a", color="#d4d7dd")
    text = sparing(console_text(("one", ground), (" ", ground + Style(color="red")), ("two", ground)))
    assert text == "\x1b[38;2;212;215;221;48;2;20;22;26mone two\x1b[0m"


def console_text(*given: tuple[str, Style]) -> str:
    return strip(*given).render(console())


def test_a_style_that_is_not_known_is_left_alone() -> None:
    text = "\x1b[58;5;3mcurly\x1b[0m \x1b[31mred\x1b[0m"
    assert sparing(text) == text


@given(lines, st.lists(st.tuples(st.integers(0, ROWS - 1), st.integers(0, COLUMNS - 1), st.integers(1, COLUMNS))))
def test_a_change_is_sent_from_the_text_that_it_touches(
    rows: list[list[tuple[str, Style]]], changes: list[tuple[int, int, int]]
) -> None:
    filled = [strip(*row).adjust_cell_length(COLUMNS, Style()) for row in (rows * ROWS)[:ROWS]]
    split = [list(line.divide([COLUMNS // 2, COLUMNS])) for line in filled]
    chops = [{0: left, COLUMNS // 2: right} for left, right in split]
    spans = sorted((y, x, min(COLUMNS, x + width)) for y, x, width in changes)
    if not spans:
        return
    update = ChopsUpdate(chops, spans, [[COLUMNS // 2, COLUMNS]] * ROWS)
    ours, usual = (each.render_segments(console()) for each in (SparingUpdate(update), update))
    before = LayoutUpdate([[line] for line in filled], Region(0, 0, COLUMNS, ROWS)).render_segments(console())
    assert shown(before, ours) == shown(before, usual) == shown(before)
    blank = shown(ours)
    for y, left, right in spans:  # all that the regions touch was sent
        assert blank[y][left:right] == shown(before)[y][left:right]


@pytest.mark.parametrize(("span", "sent"), [((0, 4, 5), "two"), ((0, 0, 1), "one "), ((0, 2, 5), "one two")])
def test_what_a_region_does_not_touch_is_not_sent(span: tuple[int, int, int], sent: str) -> None:
    row = strip(("one ", Style()), ("two", Style(bold=True)), (" three", Style()))
    text = SparingUpdate(ChopsUpdate([{0: row}], [span], [[13]])).render_segments(console())
    screen = pyte.Screen(COLUMNS, ROWS)
    pyte.Stream(screen).feed(text)
    assert screen.display[0].strip() == sent.strip()
