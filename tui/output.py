"""What is sent to the terminal: only what changed, and only the changes of style between one text and the next."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import groupby, islice
from operator import itemgetter
from typing import NamedTuple

from rich.color import ColorSystem
from rich.console import Console
from textual._compositor import ChopsUpdate, CompositorUpdate
from textual.strip import Strip

from tui.drawing.cells import width

_SGR = re.compile(r"\x1b\[([\d;]*)m")
"""The control sequence that selects a style, with its parameters."""
_MOVES = re.compile(r"(?:\x1b\[[\d;?]*[A-Za-ln-z]|\r|\n)*")
"""Control sequences that show nothing, mostly those that move the cursor."""
_OFF = {"1": "22", "2": "22", "3": "23", "4": "24", "5": "25", "6": "25", "7": "27", "8": "28", "9": "29"}
"""What ends each attribute; bold and dim end together."""
_ON_BLANKS = frozenset("4579")
"""Attributes that show on blanks: underlined, blinking, reversed, struck through."""


class _Look(NamedTuple):
    """A style as the parameters of control sequences; an empty colour is the terminal's own."""

    ink: str = ""
    ground: str = ""
    attributes: frozenset[str] = frozenset()


_PLAIN = _Look()


class SparingUpdate(CompositorUpdate):
    """An update of Textual's as few bytes.

    Textual sends the rows of a changed region from the left edge of the widget, and each text between a style and its
    end, although the next one mostly has the same background. Here a text that a region does not touch is left out.
    """

    def __init__(self, update: CompositorUpdate, through: Callable[[str], str] = str) -> None:
        """What is sent goes `through` a function."""
        self._update, self._through = update, through

    def render_segments(self, console: Console) -> str:
        """The text and the control sequences to send."""
        if isinstance(self._update, ChopsUpdate):
            return sparing(self._through("".join(_changed(self._update, console))))
        return sparing(self._through(self._update.render_segments(console)))


def _changed(update: ChopsUpdate, console: Console) -> Iterator[str]:
    """The texts that the regions of an update touch, and the moves to those that do not follow another one."""
    colours = console._color_system or ColorSystem.TRUECOLOR  # as Textual renders strips
    for y, row in groupby(update.spans, key=itemgetter(0)):
        spans, cursor = [(left, right) for _, left, right in row], -1
        for start, strip in update.chops[y].items():
            x = start
            for text, style, _ in strip or ():
                end = x + width(text)
                for left, right in spans:
                    if left < end and x < right:
                        if cursor != x:
                            yield f"\x1b[{x - cursor}C" if cursor >= 0 else f"\x1b[{y + 1};{x + 1}H"
                        yield text if style is None else Strip.render_style(style, text, colours)
                        cursor = end
                        break
                x = end


def sparing(text: str) -> str:
    """`text` with the shortest changes of style that look the same, for a terminal in its own style; it ends in that.

    The ink of a blank does not count. A text with a style that is not known here stays as it is.
    """
    wanted = sent = _PLAIN
    pieces: list[str] = []
    for number, piece in enumerate(_SGR.split(text)):  # by turns what is shown and the parameters of a style
        if number % 2:
            after = _after(wanted, piece)
            if after is None:
                return text
            wanted = after
        elif piece:
            if piece[0] not in "\x1b\r\n" or not _MOVES.fullmatch(piece):
                look = wanted
                if not piece.strip(" ") and _ON_BLANKS.isdisjoint(sent.attributes | wanted.attributes):
                    look = sent._replace(ground=wanted.ground)
                if look is not sent:
                    pieces.append(_change(sent, look))
                    sent = look
            pieces.append(piece)
    pieces.append(_change(sent, wanted))
    return "".join(pieces)


@lru_cache(4096)
def _after(look: _Look, parameters: str) -> _Look | None:
    """The style once a sequence with these parameters has been received; None if one of them is not known here."""
    codes = iter(parameters.split(";"))
    for code in codes:
        number = int(code or 0)
        if number in (38, 48):
            kind = next(codes, "")
            colour = ";".join([code, kind, *islice(codes, {"5": 1, "2": 3}.get(kind, 0))])
            look = look._replace(ink=colour) if number == 38 else look._replace(ground=colour)
        elif number == 0:
            look = _PLAIN
        elif code in _OFF:
            look = look._replace(attributes=look.attributes | {code})
        elif number // 10 in (3, 9):
            look = look._replace(ink="" if number == 39 else code)
        elif number // 10 in (4, 10):
            look = look._replace(ground="" if number == 49 else code)
        else:
            return None
    return look


@lru_cache(4096)
def _change(before: _Look, after: _Look) -> str:
    """The control sequence between two styles."""
    if after == before:
        return ""
    if after == _PLAIN:
        return "\x1b[0m"
    off = {_OFF[code] for code in before.attributes - after.attributes}
    on = {code for code in after.attributes if code not in before.attributes or _OFF[code] in off}
    ink = [after.ink or "39"] if after.ink != before.ink else []
    ground = [after.ground or "49"] if after.ground != before.ground else []
    difference = [*sorted(off), *sorted(on), *ink, *ground]
    anew = ["0", *sorted(after.attributes), *filter(None, (after.ink, after.ground))]
    return f"\x1b[{min(';'.join(difference), ';'.join(anew), key=len)}m"
