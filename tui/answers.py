"""What a terminal answers to questions about itself, taken out of its input, so that no part of it counts as keys."""

from __future__ import annotations

import re
import time

from textual.message import Message

_ANSWERS = re.compile(
    r"\x1b_G[^\x1b]*\x1b\\"  # on graphics, in kitty's protocol
    r"|\x1bP>\|[^\x1b]*\x1b\\"  # name and version
    r"|\x1b\[\?[\d;]*c"  # device attributes
    r"|\x1b\[[46];\d+;\d+t"  # sizes in pixels
)
_BEGUN = re.compile(r"\x1b(?:_(?:G[^\x1b]*\x1b?)?|P(?:>(?:\|[^\x1b]*\x1b?)?)?|\[(?:\?[\d;]*|[46](?:;[\d;]*)?)?)?\Z")
"""What may be the beginning of an answer, at the end of the input."""
_CERTAIN = ("\x1b_G", "\x1bP>")
"""Beginnings that no key has."""

SOON, LATER = 0.025, 1.0
"""Seconds to wait for the rest of what may be an answer, and of what certainly is one."""
MOST = 4096
"""Maximum number of characters of an answer."""


class Answered(Message):
    """The terminal answered."""

    def __init__(self, answer: str) -> None:
        """`answer` is its control sequence."""
        super().__init__()
        self.answer = answer


class Answers:
    """Takes answers out of the input, once a question was asked; before that, the input stays as it is."""

    def __init__(self) -> None:
        self.asked = False
        """Whether there was a question. Answers may come late, so it stays."""
        self._held, self._since = "", 0.0

    @property
    def patience(self) -> float | None:
        """Seconds to wait for the rest of what is held; None if nothing is."""
        if not self._held:
            return None
        return (LATER if self._held.startswith(_CERTAIN) else SOON) - (time.monotonic() - self._since)

    def take(self, text: str) -> tuple[str, list[str]]:
        """`text` without answers, and these. No more text (an empty one) may end the wait for the rest of one."""
        if not self.asked:
            return text, []
        if not text:
            if (left := self.patience) is None or left > 0:
                return "", []
            text, self._held = self._held, ""
            return ("" if text.startswith(_CERTAIN) else text), []
        text, self._held = self._held + text, ""
        found = _ANSWERS.findall(text)
        text = _ANSWERS.sub("", text)
        if (begun := _BEGUN.search(text)) and len(begun[0]) < MOST:
            text, self._held, self._since = text[: begun.start()], begun[0], time.monotonic()
        return text, found
