"""Changes of a TOML file that keep its comments, its order and everything else that is in it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from engine.request import RequestError

_HEADER = re.compile(r"\s*\[(?!\[)([^\]]*)\]\s*(#.*)?$")
_ANY_HEADER = re.compile(r"\s*\[")
LONGEST_VALUE = 100
"""Lines that a value can have to be found; each is parsed again with those before it."""
Value = str | bool | Sequence[str]


def written(value: Value) -> str:
    """A value as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return f"[{', '.join(map(written, value))}]"


class Entry(NamedTuple):
    """What gives a value, or begins a table."""

    path: tuple[str, ...]
    first: int
    """Index of its first line."""
    last: int
    """Index of the line after its last one."""
    name: str
    """Its name as it is written; of a table, the header."""


def places(text: str) -> dict[str, int]:
    """The number of the line, from 1, on which each name outside of tables, or each table, is first given."""
    found: dict[str, int] = {}
    for entry in _entries(text.splitlines()):
        found.setdefault(entry.path[0], entry.first + 1)
    return found


def changed(text: str, path: tuple[str, ...], value: Value | None) -> str:
    """`text` with another value at `path`, a name or a table and a name; None removes it.

    The result is parsed again: RequestError is raised, and nothing should be written, where it would say anything else
    than `text` with that one change.
    """
    wanted = tomllib.loads(text)
    _put(wanted, path, value)
    try:
        new = _edited(text, path, value)
        if tomllib.loads(new) == wanted:
            return new
    except ValueError:
        pass
    raise RequestError(f"{'.'.join(path)} is written in a way that cannot be changed safely: edit the file by hand")


def _put(table: dict[str, object], path: tuple[str, ...], value: Value | None) -> None:
    *tables, name = path
    for each in tables:
        inner = table.setdefault(each, {})
        if not isinstance(inner, dict):
            raise RequestError(f"{each} is no table in the file: edit it by hand")
        table = inner
    if value is None:
        table.pop(name, None)
    else:
        table[name] = value if isinstance(value, str | bool) else list(value)


def _edited(text: str, path: tuple[str, ...], value: Value | None) -> str:
    lines = text.splitlines(keepends=True)
    end = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    if found := next((each for each in _entries(lines) if each.path == path), None):
        comment = _comment(lines[found.first]) if found.last == found.first + 1 else ""
        kept = f"  {comment}" if comment else ""
        new = [] if value is None else [f"{found.name} = {written(value)}{kept}{end}"]
        return "".join([*lines[: found.first], *new, *lines[found.last :]])
    if value is None:
        return text
    line = f"{_key(path[-1])} = {written(value)}{end}"
    if lines and not lines[-1].endswith(("\n", "\r")):
        lines[-1] += end
    headers = [number for number, each in enumerate(lines) if _ANY_HEADER.match(each) and _starts(lines, number)]
    table = path[:-1]
    here = next((n for n in headers if _table(lines[n]) == table), None) if table else -1
    if here is None:
        gap = [end] if lines and lines[-1].strip() else []
        return "".join([*lines, *gap, f"[{'.'.join(map(_key, table))}]{end}", line])
    until = next((n for n in headers if n > here), len(lines))
    if until < len(lines):  # before the blank lines and the comment that introduce the next table
        while until > here + 1 and lines[until - 1].strip()[:1] in ("", "#"):
            until -= 1
    if until in headers:
        line += end
    return "".join([*lines[:until], line, *lines[until:]])


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else written(name)


def _starts(lines: Sequence[str], number: int) -> bool:
    """Whether what is before a line is complete: no string or array is open there."""
    try:
        tomllib.loads("".join(lines[:number]))
    except ValueError:
        return False
    return True


def _table(line: str) -> tuple[str, ...]:
    """The path of a table from its header; empty where the line is none."""
    if not _HEADER.match(line.rstrip("\r\n")):
        return ()
    table: object = tomllib.loads(line)
    path: list[str] = []
    while isinstance(table, dict) and table:
        (name, table), *_ = table.items()
        path.append(name)
    return tuple(path)


def _entries(lines: Sequence[str]) -> Iterator[Entry]:
    """The values and the headers of a file, in its order; of arrays of tables, nothing."""
    lines = [each if each.endswith("\n") else f"{each}\n" for each in lines]
    table: tuple[str, ...] = ()
    number = 0
    while number < len(lines):
        line, last = lines[number], number + 1
        if _ANY_HEADER.match(line):
            table = _table(line)
            if table:
                yield Entry(table, number, last, line.strip())
        elif "=" in line and not line.lstrip().startswith("#"):
            ends = range(last, min(number + LONGEST_VALUE, len(lines)) + 1)
            last = next((n for n in ends if _parses(lines[number:n])), last)
            if own := _names(lines[number:last]):
                yield Entry((*table, *own), number, last, line.partition("=")[0].strip())
        number = last


def _parses(lines: Sequence[str]) -> bool:
    try:
        tomllib.loads("".join(lines))
    except ValueError:
        return False
    return True


def _names(lines: Sequence[str]) -> tuple[str, ...]:
    """The name that lines give a value to, with the tables that a dotted name has."""
    try:
        found: object = tomllib.loads("".join(lines))
    except ValueError:
        return ()
    path: list[str] = []
    dots = len(re.findall(r"\.", lines[0].partition("=")[0]))
    while isinstance(found, dict) and found and len(path) <= dots:
        (name, found), *_ = found.items()
        path.append(name)
    return tuple(path)


def _comment(line: str) -> str:
    """The comment at the end of a line that gives a value; empty without one."""
    for at in (found.start() for found in re.finditer("#", line)):
        if _parses([line[:at]]):
            return line[at:].strip()
    return ""
