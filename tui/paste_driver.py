"""Terminal input before it is parsed into keys: answers are taken out, and text that arrives at once is a paste."""

from __future__ import annotations

import os
import select
import time
from codecs import getincrementaldecoder
from typing import Any

from textual._xterm_parser import BRACKETED_PASTE_END, BRACKETED_PASTE_START, XTermParser
from textual.drivers.linux_driver import LinuxDriver

from tui.answers import Answered, Answers

BURST, KINDS = 8, 4
"""Minimum number of characters, and of distinct ones, that make input a paste. Slow connections batch some keys too."""

GATHER, LONE = 0.005, 0.001
"""Maximum pause within a paste, and after its first character, in seconds; nearly always that one is a key."""

LOOK = 0.1
"""Seconds between two checks for the end of the app while no key is pressed."""

PATIENCE = 1.0
"""Seconds without input after which a paste without an end marker is ended."""

MOST = 10_000
"""Maximum number of characters of a paste; the rest is dropped."""


class Pastes:
    """Adds markers around pastes that the terminal does not mark, and ends pastes whose end marker is missing."""

    def __init__(self) -> None:
        self.open = False
        """Whether a paste has started but not ended."""
        self.first = True
        """Whether no input was processed yet: keys typed before the app started also arrive all at once."""
        self._taken = 0
        self._before = ""
        """The last characters of the previous input, since a start marker may arrive in two parts."""
        self._held = ""
        """The beginning of what may be an end marker."""
        self._rest = ""

    def take(self, text: str) -> str:
        """`text` with markers around pastes, for the parser."""
        rest, out, before = self._held + text, "", self.first
        self._held, self.first = "", False
        while rest:
            out += self._paste(rest) if self.open else self._keys(rest, typed=before)
            rest, self._rest = self._rest, ""
        return out

    def end(self) -> str:
        """End the open paste; returns the end marker."""
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
        # For the parser, an escape sequence within the text, such as a colour, would end the paste.
        return "".join(filter(_plain, taken)) + end


def pasted(text: str) -> bool:
    """Whether `text` was pasted: too many characters for typing, and not one key held down."""
    return len(text) >= BURST and len(set(text)) >= KINDS and plain(text)


def plain(text: str) -> bool:
    """Whether `text` has no escape sequences, such as those of arrow keys."""
    return all(map(_plain, text))


def _plain(character: str) -> bool:
    return character.isprintable() or character in "\r\n\t"


class PasteDriver(LinuxDriver):
    """A terminal driver that recognises unmarked pastes, and what the terminal answers to questions."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.answers = Answers()

    def ask(self, question: str) -> None:
        """Send a question; the answers come as messages to the app."""
        self.answers.asked = True
        self.write(question)

    def run_input_thread(self) -> None:
        """Process terminal input until the app ends."""
        parser, pastes = XTermParser(self._debug), Pastes()
        decode = getincrementaldecoder("utf-8")(errors="replace").decode
        heard = time.monotonic()
        while not self.exit_event.is_set():
            # After an escape character, the parser takes it for the key `esc` unless more arrives within this time.
            awaited = parser._awaiting.timeout
            pauses = [pause for pause in (awaited, self.answers.patience) if pause is not None]
            text = decode(self._read(max(0.0, min(LOOK, *pauses)) if pauses else LOOK))
            while text and plain(text) and len(text) < MOST:
                more = decode(self._read(GATHER if len(text) > 1 else LONE))
                if not more:
                    break
                text += more
            text, answers = self.answers.take(text)
            for answer in answers:
                self.send_message(Answered(answer))
            if text:
                text, heard = pastes.take(text), time.monotonic()
            elif pastes.open and time.monotonic() - heard >= PATIENCE:
                text = pastes.end()
            for event in (*(parser.feed(text) if text else ()), *parser.tick()):
                self.process_message(event)

    def _read(self, seconds: float) -> bytes:
        """Input that arrives within `seconds`. Empty if the terminal is gone; the hang-up signal then ends the app."""
        if not select.select([self.fileno], [], [], seconds)[0]:
            return b""
        try:
            data = os.read(self.fileno, 1 << 12)
        except OSError:
            data = b""
        if not data:
            self.exit_event.wait(seconds)
        return data
