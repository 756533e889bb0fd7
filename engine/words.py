"""Words from elsewhere, made safe to show; and shares in per cent."""

from __future__ import annotations

import math
import unicodedata
from typing import Any, TypeVar, cast

import msgspec
from msgspec import Struct

V = TypeVar("V")

_NEVER = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode's categories of what is no sign: a terminal would obey it, or it would turn other words around."""


def shown(text: str) -> str:
    """`text` on one line with all that is no visible sign escaped, as `\\x1b`, and bytes that are no UTF-8, as `\\xe9`.

    For names, notes, reasons and keys that others chose, wherever people read them.
    """
    if text.isprintable():  # which a few spaces are not, and nothing that is escaped is
        return text
    return "".join(_escaped(c) if unicodedata.category(c) in _NEVER else c for c in text)


def shortened(text: str, most: int = 80) -> str:
    """The same of a name that may be of any length: at most `most` characters of it."""
    words = shown(text[: most + 1])
    return words if len(words) <= most else words[: most - 1] + "…"


def shown_lines(text: str) -> str:
    """The same of words that may have several lines."""
    return "\n".join(map(shown, text.split("\n")))


def readable(value: V) -> V:
    """A struct, or what is in one, with all text in it as it can be shown; the same object where nothing changes."""
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
    if 0xDC80 <= code <= 0xDCFF:  # how Python keeps a byte of a name that is no text
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
