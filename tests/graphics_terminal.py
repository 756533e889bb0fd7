"""A terminal with pictures: the real program in a pseudo-terminal that answers questions, and keeps what it is sent."""

from __future__ import annotations

import io
import os
import re
from base64 import b64decode
from dataclasses import dataclass
from typing import Any, Literal

from PIL import Image

from tests.pty_app import PtyApp
from tui.drawing.graphics import PLACEHOLDER

Kind = Literal["kitty", "wezterm", "liar", "late", "mute"]
"""kitty; a terminal that knows the protocol and no placeholders; one that answers as kitty and takes no picture; one
that answers as kitty, but too late; one that answers nothing."""

_SEQUENCE = re.compile(rb"\x1b_G([^;\x1b]*);?([^\x1b]*)\x1b\\|\x1b\[>q|\x1b\[16t|\x1b\[14t|\x1b\[c")
_BEGUN = re.compile(rb"\x1b(?:_[^\x1b]*\x1b?|\[[>\d]*)?\Z")
_PASSED = re.compile(rb"\x1bPtmux;((?:[^\x1b]|\x1b\x1b)*)\x1b\\", re.DOTALL)


@dataclass
class Shown:
    """A picture in the terminal's memory."""

    image: Image.Image
    columns: int
    rows: int


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

    def answer(self, *answers: bytes) -> None:
        """Send these answers."""
        for each in answers:
            os.write(self.fd, each)

    def _feed(self, data: bytes) -> None:
        data, self._rest = self._rest + data, b""
        data = _PASSED.sub(lambda passed: passed[1].replace(b"\x1b\x1b", b"\x1b"), data)
        if begun := _BEGUN.search(data):
            data, self._rest = data[: begun.start()], begun[0]
        super()._feed(_SEQUENCE.sub(self._take, data))

    def _take(self, found: re.Match[bytes]) -> bytes:
        sequence = found[0]
        if sequence.startswith(b"\x1b_G"):
            self.bytes += len(sequence)
            self._graphics(dict(pair.split("=") for pair in found[1].decode().split(",")), found[2])
            return b""
        name = b"WezTerm 20240203" if self.kind == "wezterm" else b"kitty(0.39.1)"
        answers = {
            b"\x1b[>q": b"\x1bP>|" + name + b"\x1b\\",
            b"\x1b[16t": b"\x1b[6;20;10t",
            b"\x1b[14t": b"\x1b[4;800;1200t",
            b"\x1b[c": b"\x1b[?62;c",
        }
        self._answer(answers[sequence])
        return b""

    def _answer(self, answer: bytes) -> None:
        if self.kind == "late":
            self.late.append(answer)
        elif self.kind != "mute":
            self.answer(answer)

    def _graphics(self, keys: dict[str, str], data: bytes) -> None:
        if keys.get("a") == "q":
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
