"""What the terminal sends, before it becomes keys: text that arrives all at once was pasted, and is no keys."""

from __future__ import annotations

import os
import select
import time
from codecs import getincrementaldecoder

from textual._xterm_parser import BRACKETED_PASTE_END, BRACKETED_PASTE_START, XTermParser
from textual.drivers.linux_driver import LinuxDriver

BURST, KINDS = 8, 4
"""Characters at once, and different ones among them, that nobody types: a slow line gathers some keys too."""

GATHER = 0.005
"""Seconds that text may pause within a paste."""

PATIENCE = 1.0
"""Seconds after which a paste whose end does not come has ended."""

MOST = 10_000
"""Characters of one paste that are taken."""


class Pastes:
    """Marks pastes in what a terminal sends, also those that it does not mark, and ends those without an end."""

    def __init__(self) -> None:
        self.open = False
        """Whether a paste has begun and not ended."""
        self.first = True
        """Whether nothing was taken yet: what was typed before anybody read comes at once too."""
        self._taken = 0
        self._before = ""
        """The last characters before: the mark of a beginning may come in two parts."""
        self._held = ""
        """What may become the mark of the end."""
        self._rest = ""

    def take(self, text: str) -> str:
        """`text` as a parser of keys should see it."""
        rest, out, before = self._held + text, "", self.first
        self._held, self.first = "", False
        while rest:
            out += self._paste(rest) if self.open else self._keys(rest, typed=before)
            rest, self._rest = self._rest, ""
        return out

    def end(self) -> str:
        """What ends the paste that is open."""
        self.open, self._held = False, ""
        return BRACKETED_PASTE_END

    def _keys(self, text: str, *, typed: bool) -> str:
        seen = self._before + text
        at = seen.find(BRACKETED_PASTE_START)
        if at >= 0:
            after = at + len(BRACKETED_PASTE_START) - len(self._before)
            self.open, self._taken, self._before, self._rest = True, 0, "", text[after:]
            return text[:after]
        self._before, self._rest = seen[1 - len(BRACKETED_PASTE_START) :], ""
        if typed or not pasted(text):
            return text
        return f"{BRACKETED_PASTE_START}{text[:MOST]}{BRACKETED_PASTE_END}"

    def _paste(self, text: str) -> str:
        body, end, self._rest = text.partition(BRACKETED_PASTE_END)
        if end:
            self.open = False
        else:
            marks = (BRACKETED_PASTE_END[:n] for n in range(len(BRACKETED_PASTE_END) - 1, 0, -1))
            self._held = next((mark for mark in marks if body.endswith(mark)), "")
            body = body.removesuffix(self._held)
        taken = body[: max(0, MOST - self._taken)]
        self._taken += len(body)
        # An escape within, such as that of a colour, would end the paste for the parser of keys.
        return "".join(filter(_plain, taken)) + end


def pasted(text: str) -> bool:
    """Whether nobody types this at once: several characters, and not one key held down."""
    return len(text) >= BURST and len(set(text)) >= KINDS and plain(text)


def plain(text: str) -> bool:
    """Whether it is text alone, no keys such as arrows."""
    return all(map(_plain, text))


def _plain(character: str) -> bool:
    return character.isprintable() or character in "\r\n\t"


class Keyboard(LinuxDriver):
    """The driver for a terminal, with pastes told from keys."""

    def run_input_thread(self) -> None:
        """Read what the terminal sends until the app ends."""
        parser, pastes = XTermParser(self._debug), Pastes()
        decode = getincrementaldecoder("utf-8")(errors="replace").decode
        heard = time.monotonic()
        while not self.exit_event.is_set():
            text = decode(self._read(0.1))
            while text and plain(text) and len(text) < MOST and (more := decode(self._read(GATHER))):
                text += more
            if text:
                text, heard = pastes.take(text), time.monotonic()
            elif pastes.open and time.monotonic() - heard >= PATIENCE:
                text = pastes.end()
            for event in (*(parser.feed(text) if text else ()), *parser.tick()):
                self.process_message(event)

    def _read(self, seconds: float) -> bytes:
        """What comes within that time; nothing where the terminal is gone, whose signal ends the app."""
        if not select.select([self.fileno], [], [], seconds)[0]:
            return b""
        try:
            data = os.read(self.fileno, 1 << 12)
        except OSError:
            data = b""
        if not data:
            self.exit_event.wait(seconds)
        return data
