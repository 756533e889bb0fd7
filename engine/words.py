"""Words from elsewhere, made safe to show."""

from __future__ import annotations

import unicodedata

_NEVER = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode's categories of what is no sign: a terminal would obey it, or it would turn other words around."""


def shown(text: str) -> str:
    """`text` on one line with all that is no visible sign escaped, as `\\x1b`, and bytes that are no UTF-8, as `\\xe9`.

    For names, notes, reasons and keys that others chose, wherever people read them.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(c) if unicodedata.category(c) in _NEVER else c for c in text)


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python keeps a byte of a name that is no text
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
