"""Pictures of real pixels: what to ask a terminal, what its answers mean, and how a picture is sent.

Kitty's protocol with Unicode placeholders: a picture is sent once, under a number, and shows wherever the terminal
draws its placeholder characters, whose colour is that number. So a picture is text to everything else: it scrolls, is
covered and is removed as text is, also in tmux.
"""

from __future__ import annotations

import fcntl
import os
import re
import struct
import subprocess
import termios
from base64 import b64encode
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Literal

import msgspec
from rich.color import Color
from rich.style import Style

from tui.drawing.cells import Cell

PLACEHOLDER = "\U0010eeee"
_DIACRITICS = (
    "305 30d+1 310 312 33d+2 346 34a+2 350+2 357 35b 363+12 483+4 592+3 597+2 59c+5 5a8+1 5ab+1 5af 5c4 610+7 657+4 "
    "65d+1 6d6+6 6df+3 6e4 6e7+1 6eb+1 730 732+1 735+1 73a 73d 73f+2 743 745 747 749+1 7eb+6 7f3 816+3 81b+8 825+2 "
    "829+4 951 953+1 f82+1 f86+1 135d+2 17dd 193a 1a17 1a75+7 1b6b 1b6d+6 1cd0+2 1cda+1 1ce0 1dc0+1 1dc3+6 1dcb+1 "
    "1dd1+21 1dfe 20d0+1 20d4+3 20db+1 20e1 20e7 20e9 20f0 2cef+2 2de0+31 a66f a67c+1 a6f0+1 a8e0+17 aab0 aab2+1 "
    "aab7+1 aabe+1 aac1 fe20+6 10a0f 10a38 1d185+4 1d1aa+3 1d242+2"
)
"""The combining characters that number rows and columns, in the protocol's order: of runs, the first and how many more
follow it."""
CHUNK = 4096
"""Maximum number of characters of a picture in one control sequence."""
_PROBE = 31
"""The number of the picture that the question is about; no picture is sent under it."""
_PLACES = ("kitty", "ghostty")
"""Names of terminals that show placeholders. Others that know the protocol, such as WezTerm, leave them out."""
_ITERM = ("iTerm2", "WezTerm")
"""Beginnings of the names of terminals with iTerm2's protocol, whose colours are finer than those of sixels."""
Protocol = Literal["kitty", "iterm", "sixel"]
USUAL_CELL = (10, 20)
"""Width and height of a cell in pixels where the terminal does not tell: it then scales pictures a little."""


class Facts(msgspec.Struct):
    """What a terminal has answered so far."""

    graphics: bool = False
    """Whether it takes kitty's protocol."""
    name: str = ""
    cell: tuple[int, int] | None = None
    """Width and height of a cell in pixels."""
    screen: tuple[int, int] | None = None
    """Width and height of the text in pixels."""
    sixel: bool = False
    """Whether it takes sixels."""
    complete: bool = False
    """Whether it has answered the last question, so that it will not answer the others any more."""

    def hear(self, answer: str) -> str:
        """Note an answer; returns what it says went wrong with a picture, or an empty string."""
        if answer.startswith("\x1b_G"):
            keys, _, words = answer[3:-2].partition(";")
            if f"i={_PROBE}" in keys.split(","):
                self.graphics = words == "OK"
            elif words != "OK":
                return words.partition(":")[0][:40] or "an error"
        elif answer.startswith("\x1bP>|"):
            self.name = answer[4:-2]
        elif size := re.fullmatch(r"\x1b\[([46]);(\d{1,5});(\d{1,5})t", answer):
            kind, height, width = size[1], int(size[2]), int(size[3])
            if width and height:
                self.cell, self.screen = ((width, height), self.screen) if kind == "6" else (self.cell, (width, height))
        elif answer.startswith("\x1b[?"):
            self.sixel = "4" in answer[3:-1].split(";")[1:]
            self.complete = True
        return ""

    @property
    def placeholders(self) -> bool:
        """Whether it shows pictures in place of placeholders."""
        return self.graphics and self.name.lower().startswith(_PLACES)

    def protocol(self, *, tmux: bool) -> Protocol | None:
        """The best protocol for its pictures; None if it shows none. In tmux, only that draws over the text."""
        if self.placeholders:
            return "kitty"
        if not tmux and self.name.startswith(_ITERM):
            return "iterm"
        return "sixel" if self.sixel else None

    def cell_of(self, columns: int, rows: int) -> tuple[int, int] | None:
        """Width and height of a cell in pixels, on a screen of this size in cells; None if that is not known."""
        if self.cell is None and self.screen and self.screen[0] >= columns > 0 and self.screen[1] >= rows > 0:
            return self.screen[0] // columns, self.screen[1] // rows
        return self.cell


def through_tmux(sequence: str) -> str:
    """`sequence` as tmux passes it on to the terminal."""
    return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"


def question(*, tmux: bool) -> str:
    """What to ask: whether kitty's protocol is known, the name, the sizes, and last what every terminal answers.

    tmux passes on only the first; it answers the others itself, for the pictures that it can show. Its own name is of
    no use.
    """
    known, name = f"\x1b_Gi={_PROBE},s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\", "\x1b[>q"
    return (through_tmux(known) if tmux else known + name) + "\x1b[16t\x1b[14t\x1b[c"


def transmission(number: int, png: bytes, columns: int, rows: int, *, tmux: bool) -> str:
    """The control sequences that send a picture of `columns` x `rows` cells, in place of what had its number before.

    Only errors are answered.
    """
    data = b64encode(png).decode()
    keys = f"a=T,U=1,q=1,f=100,i={number},c={columns},r={rows},"
    sent = []
    for start in range(0, len(data), CHUNK):
        more = int(start + CHUNK < len(data))
        sent.append(f"\x1b_G{keys}m={more};{data[start : start + CHUNK]}\x1b\\")
        keys = "q=1,"
    return "".join(map(through_tmux, sent) if tmux else sent)


def removal(numbers: Iterable[int], *, tmux: bool) -> str:
    """The control sequences that remove pictures from the terminal's memory."""
    sent = (f"\x1b_Ga=d,d=I,i={number},q=2\x1b\\" for number in numbers)
    return "".join(map(through_tmux, sent) if tmux else sent)


def _diacritics() -> Iterator[str]:
    for run in _DIACRITICS.split():
        first, _, more = run.partition("+")
        yield from map(chr, range(int(first, 16), int(first, 16) + int(more or 0) + 1))


PLACES = tuple(_diacritics())
"""The character of each row and each column; their number is the most that a picture can have."""


@lru_cache(256)
def placeholders(number: int, columns: int, rows: int) -> tuple[tuple[Cell, ...], ...]:
    """The cells of picture `number`, from 1 to 2^24 - 1."""
    style = Style.from_color(Color.from_rgb(number >> 16, number >> 8 & 255, number & 255))
    return tuple(
        tuple((f"{PLACEHOLDER}{PLACES[row]}{PLACES[column]}", style) for column in range(columns))
        for row in range(rows)
    )


def in_tmux() -> bool:
    """Whether the program runs in tmux."""
    return bool(os.environ.get("TMUX"))


def outside_tmux() -> str:
    """The name of the terminal that tmux runs in, as that answered tmux; empty where tmux does not tell.

    Takes a few milliseconds; half a second at most.
    """
    try:
        told = subprocess.run(
            ("tmux", "display-message", "-p", "#{client_termtype}"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=0.5,
            text=True,
            errors="replace",
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return told.stdout.strip()


def told_by_system(terminal: int, columns: int, rows: int) -> tuple[int, int] | None:
    """Width and height of a cell in pixels, as the system knows them of `terminal`; None if it does not."""
    try:
        _, _, width, height = struct.unpack("HHHH", fcntl.ioctl(terminal, termios.TIOCGWINSZ, bytes(8)))
    except OSError:
        return None
    return (width // columns, height // rows) if width >= columns > 0 and height >= rows > 0 else None
