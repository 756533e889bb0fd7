"""A terminal with pictures: the real program in a pseudo-terminal that answers questions, and keeps what it is sent."""

from __future__ import annotations

import io
import os
import re
from base64 import b64decode
from dataclasses import dataclass
from typing import Any, Literal

import pyte
from PIL import Image

from tests.pty_app import PtyApp
from tui.drawing.graphics import PLACEHOLDER

Kind = Literal["kitty", "liar", "late", "iterm", "sixel"]
"""kitty; one that answers as kitty and takes no picture; one that answers as kitty, but too late; iTerm2; xterm with
sixels."""

_SEQUENCE = re.compile(
    rb"\x1b_G(?P<keys>[^;\x1b]*);?(?P<data>[^\x1b]*)\x1b\\"
    rb"|\x1bP[\d;]*q\"1;1;(?P<wide>\d+);(?P<high>\d+)[^\x1b]*\x1b\\"
    rb"|\x1b\]1337;File=(?P<file>[^:\x07]*):(?P<png>[^\x07]*)\x07"
    rb"|\x1b\[>q|\x1b\[16t|\x1b\[14t|\x1b\[c"
)
_BEGUN = re.compile(rb"\x1b(?:[_P][^\x1b]*\x1b?|\][^\x07]*|\[[>\d]*)?\Z")
_PASSED = re.compile(rb"\x1bPtmux;((?:[^\x1b]|\x1b\x1b)*)\x1b\\", re.DOTALL)


@dataclass
class Shown:
    """A picture in the terminal's memory."""

    image: Image.Image
    columns: int
    rows: int


class _Covered(pyte.Screen):
    """A screen with pictures over its text."""

    covered: dict[tuple[int, int], int]
    """The cells (row, column) that a picture covers, each with the number of the picture, counted as they arrived."""

    def draw(self, data: str) -> None:
        """Write text, over pictures too."""
        for character in data:
            self.covered.pop((self.cursor.y, self.cursor.x), None)
            super().draw(character)


class GraphicsTerminal(PtyApp):
    """A terminal of a kind. Its cells have 10 x 20 pixels."""

    def __init__(self, kind: Kind, *arguments: Any, **named: Any) -> None:
        self.kind: Kind = kind
        self.pictures: dict[int, Shown] = {}
        """By their numbers."""
        self.sent = 0
        """Number of pictures that arrived."""
        self.bytes = 0
        """Bytes of pictures that arrived."""
        self.late: list[bytes] = []
        """The answers of a terminal that is late, which a test sends on."""
        self._rest = b""
        self._keys: dict[str, str] = {}
        self._data = b""
        super().__init__(*arguments, **named)
        self.over = _Covered(self.screen.columns, self.screen.lines)
        self.over.covered = {}
        self.screen, self._stream = self.over, pyte.ByteStream(self.over)

    def answer(self, *answers: bytes) -> None:
        """Send these answers."""
        for each in answers:
            os.write(self.fd, each)

    def _feed(self, data: bytes) -> None:
        data, self._rest = self._rest + data, b""
        data = _PASSED.sub(lambda passed: passed[1].replace(b"\x1b\x1b", b"\x1b"), data)
        if begun := _BEGUN.search(data):
            data, self._rest = data[: begun.start()], begun[0]
        at = 0
        for found in _SEQUENCE.finditer(data):
            super()._feed(data[at : found.start()])
            self._take(found)
            at = found.end()
        super()._feed(data[at:])

    def _take(self, found: re.Match[bytes]) -> None:
        sequence = found[0]
        if found["keys"] is not None:
            self.bytes += len(sequence)
            self._graphics(dict(pair.split("=") for pair in found["keys"].decode().split(",")), found["data"])
        elif found["wide"]:
            self._cover(int(found["wide"]) // 10, int(found["high"]) // 20, sequence)
        elif found["file"]:
            keys = dict(pair.split("=") for pair in found["file"].decode().split(";"))
            image = Image.open(io.BytesIO(b64decode(found["png"])))
            assert image.size == (10 * int(keys["width"]), 20 * int(keys["height"]))
            self._cover(int(keys["width"]), int(keys["height"]), sequence)
        else:
            name = {"iterm": b"iTerm2 3.5.1", "sixel": b"XTerm(390)"}.get(self.kind, b"kitty(0.39.1)")
            answers = {
                b"\x1b[>q": b"\x1bP>|" + name + b"\x1b\\",
                b"\x1b[16t": b"\x1b[6;20;10t",
                b"\x1b[14t": b"\x1b[4;800;1200t",
                b"\x1b[c": b"\x1b[?62;4;22c" if self.kind == "sixel" else b"\x1b[?62;22c",
            }
            self._answer(answers[sequence])

    def _cover(self, columns: int, rows: int, sequence: bytes) -> None:
        """A picture over the text, from the cursor on."""
        self.sent += 1
        self.bytes += len(sequence)
        top, left = self.screen.cursor.y, self.screen.cursor.x
        assert top + rows < self.screen.lines
        assert left + columns <= self.screen.columns
        cells = ((row, column) for row in range(top, top + rows) for column in range(left, left + columns))
        self.over.covered |= dict.fromkeys(cells, self.sent)

    def _answer(self, answer: bytes) -> None:
        if self.kind == "late":
            self.late.append(answer)
        else:
            self.answer(answer)

    def _graphics(self, keys: dict[str, str], data: bytes) -> None:
        if keys.get("a") == "q":
            if self.kind not in ("iterm", "sixel"):
                self._answer(b"\x1b_Gi=%s;OK\x1b\\" % keys["i"].encode())
        elif keys.get("a") == "d":
            self.pictures.pop(int(keys["i"]), None)
        else:
            self._keys = self._keys or keys
            self._data += data
            if keys["m"] == "0":
                whole, self._keys, data, self._data = self._keys, {}, self._data, b""
                self.sent += 1
                if self.kind == "liar":
                    self.answer(b"\x1b_Gi=%s;ENOTSUP:no pictures here\x1b\\" % whole["i"].encode())
                    return
                assert (whole["a"], whole["U"], whole["f"]) == ("T", "1", "100")
                picture = Image.open(io.BytesIO(b64decode(data)))
                self.pictures[int(whole["i"])] = Shown(picture, int(whole["c"]), int(whole["r"]))

    def placed(self) -> dict[int, set[tuple[int, int]]]:
        """The cells (row, column) of the screen with placeholders, by the number of their picture."""
        found: dict[int, set[tuple[int, int]]] = {}
        for row, line in self.screen.buffer.items():
            for column, character in line.items():
                if character.data.startswith(PLACEHOLDER):
                    found.setdefault(int(character.fg, 16), set()).add((row, column))
        return found
