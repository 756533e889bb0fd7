"""What is sent to a terminal so that it rings or shows a notification of the desktop."""

from __future__ import annotations

import os
from collections.abc import Mapping

from tui.alerts.alert import Alert
from tui.drawing.graphics import through_tmux

BELL = "\a"
MOST = 200
"""Maximum length of the texts of a notification, in characters."""


def sequences(
    alert: Alert, *, bell: bool, osc9: bool, osc777: bool, environment: Mapping[str, str] = os.environ
) -> str:
    """The bell and the control sequences; a terminal that knows no notifications gets none.

    OSC 9 carries one text, OSC 777 a title and a text. tmux passes them on to its terminal if it is asked to, and if
    its option `allow-passthrough` is on; the bell it handles itself.
    """
    parts = [BELL] if bell else []
    if environment.get("TERM", "") not in ("", "dumb", "linux"):
        if osc9:
            parts.append(_passed(f"\x1b]9;{_text(f'{alert.title}: {alert.words}')}\x1b\\", environment))
        if osc777:
            title, words = _text(alert.title).replace(";", ","), _text(alert.words)
            parts.append(_passed(f"\x1b]777;notify;{title};{words}\x1b\\", environment))
    return "".join(parts)


def _passed(sequence: str, environment: Mapping[str, str]) -> str:
    """`sequence`, in tmux as one that it passes on."""
    return through_tmux(sequence) if environment.get("TMUX") else sequence


def _text(words: str) -> str:
    """A text without anything that could end the sequence."""
    return "".join(each for each in words if each.isprintable())[:MOST]
