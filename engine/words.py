"""Making untrusted text safe to show; and shares in per cent."""

from __future__ import annotations

import math
import unicodedata
from typing import Any, TypeVar, cast

import msgspec
from msgspec import Struct

V = TypeVar("V")

_NEVER = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories of invisible characters, which could control the terminal or reverse the text."""


def shown(text: str) -> str:
    """`text` on one line, with invisible characters escaped as `\\x1b`, and bytes that are not UTF-8 as `\\xe9`.

    For names, notes, reasons and keys from outside of the program, wherever they are shown.
    """
    if text.isprintable():  # fast path: nothing in printable text is escaped
        return text
    return "".join(_escaped(c) if unicodedata.category(c) in _NEVER else c for c in text)


def shortened(text: str, most: int = 80) -> str:
    """The same for a name of any length, shortened to at most `most` characters."""
    words = shown(text[: most + 1])
    return words if len(words) <= most else words[: most - 1] + "…"


def shown_lines(text: str) -> str:
    """The same for text that may have several lines."""
    return "\n".join(map(shown, text.split("\n")))


def readable(value: V) -> V:
    """A struct, or a value in one, with all its text safe to show; the same object where nothing changes."""
    new: Any = value
    if isinstance(value, str):
        new = shown(value)
    elif isinstance(value, tuple):
        parts = tuple(map(readable, value))
        new = parts if any(a is not b for a, b in zip(parts, value, strict=True)) else value
    elif isinstance(value, dict):
        items = tuple(value.items())
        new = dict(pairs) if (pairs := readable(items)) is not items else value
    elif isinstance(value, Struct):
        fields = {name: getattr(value, name) for name in value.__struct_fields__}
        changed = {name: new for name, old in fields.items() if (new := readable(old)) is not old}
        new = msgspec.structs.replace(value, **changed) if changed else value
    return cast(V, new)


def percent(share: float) -> str:
    """A share from 0 to 1 as `98.94 %`; a dash for NaN, the share of nothing."""
    return "-" if math.isnan(share) else f"{share:.2%}".replace("%", " %")


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # Python's surrogate for an undecodable byte
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
