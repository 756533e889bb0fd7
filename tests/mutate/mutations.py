"""Ways to damage a file: the bytes of any file, and parts of JSON, safetensors, zip and pickle files."""

from __future__ import annotations

import io
import json
import pickle
import pickletools
import random
import struct
import zipfile
from collections.abc import Callable
from typing import Any

Mutation = Callable[[bytes, random.Random], bytes]

DEEP = 100_000
"""Levels of nesting that exceed any recursion limit."""


class Raw(str):
    """JSON text to be written verbatim."""

    __slots__ = ()


VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 10**6, 10**9, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63), 0.5, -0.0, 1e308),
    *("", "0", "\ud800", "\x1b[2J\x1b]0;x\x07", "[/] [red]x", "../../x", "/etc/passwd", "x" * 100_000, "\0", "é"),
    *([], {}, [[]], {"": None}, [0] * 1000, ["x"], {"x": 1}),
    *(Raw("NaN"), Raw("Infinity"), Raw("-Infinity"), Raw("1e400"), Raw("9" * 400), Raw("01"), Raw("[" * DEEP)),
    *(Raw("[" * DEEP + "]" * DEEP), Raw('{"a":' * DEEP + "1" + "}" * DEEP), Raw('"\\ud800"'), Raw('"\\u0000"')),
)
TYPES = ("F64", "F32", "F16", "BF16", "F8_E4M3", "I64", "I32", "U8", "BOOL", "C64", "X9")


def write_json(value: Any) -> bytes:
    """`value` as JSON text, with `Raw` parts verbatim."""
    marks: list[str] = []

    def marked(each: Any) -> Any:
        if isinstance(each, Raw):
            marks.append(str(each))
            return f"@raw{len(marks) - 1}@"
        if isinstance(each, dict):
            return {key: marked(item) for key, item in each.items()}
        return [marked(item) for item in each] if isinstance(each, list) else each

    text = json.dumps(marked(value))
    for number, raw in enumerate(marks):
        text = text.replace(f'"@raw{number}@"', raw)
    return text.encode("utf-8", "surrogatepass")


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to each value inside `value`."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += _places(item, (*path, key))
    return found


def change_json(value: Any, chance: random.Random) -> Any:
    """`value` with one part replaced, removed, extended or renamed."""
    places = _places(value)
    if not places or chance.random() < 0.05:
        return chance.choice(VALUES)
    *way, last = chance.choice(places)
    inside = value
    for key in way:
        inside = inside[key]
    what = chance.random()
    if what < 0.65:
        old = inside[last]
        inside[last] = chance.choice(VALUES)
        if isinstance(old, int | float) and chance.random() < 0.3:
            inside[last] = chance.choice((old + 1, old - 1, -old, old * 2, old * 1000, str(old), [old], float(old)))
    elif what < 0.85:
        del inside[last]
    elif isinstance(inside, dict):
        inside[chance.choice(("x", "type", "", "request", "\x1b[2J", "a.b"))] = (
            inside.pop(last) if chance.random() < 0.5 else chance.choice(VALUES)
        )
    else:
        inside.insert(chance.randrange(len(inside) + 1), chance.choice((inside[last], *VALUES)))
    return value


def in_json(data: bytes, chance: random.Random) -> bytes:
    """Change one value of a JSON file."""
    text = write_json(change_json(json.loads(data), chance))
    if chance.random() < 0.1:  # a duplicate key
        text = text.replace(b"{", b'{"request": 1, "text": 2, "number": 3, ', 1)
    return text


def in_lines(data: bytes, chance: random.Random) -> bytes:
    """Change one line of a JSON Lines file, or the order of lines."""
    lines = data.splitlines(keepends=True)
    at = chance.randrange(len(lines))
    match chance.randrange(12):
        case 0 | 1 | 2 | 3:
            lines[at] = write_json(change_json(json.loads(lines[at]), chance)) + b"\n"
        case 4:
            del lines[at]
        case 5:
            lines.insert(at, chance.choice(lines))
        case 6:
            chance.shuffle(lines)
        case 7:
            lines[at] = lines[at][: chance.randrange(len(lines[at]))] + chance.choice((b"", b"\n"))
        case 8:
            lines.insert(at, b"\0" * chance.choice((1, 512, 4096)) + chance.choice((b"", b"\n")))
        case 9:
            lines.insert(at, chance.choice((b"\n", b"\xff\xfe\n", b"{}\n", b"[]\n", b"null\n", b"\xef\xbb\xbf\n")))
        case 10:
            lines[at] = lines[at] * chance.choice((2, 2000))
        case _:
            lines[at] = chance.choice((b" " * 2**20, b"x" * 2**22, b"[" * DEEP, b'"\\ud800"')) + b"\n"
    return b"".join(lines)


def in_header(data: bytes, chance: random.Random) -> bytes:  # noqa: PLR0912
    """Change the header of a safetensors file: names, shapes, types, offsets, metadata, or its length."""
    length = struct.unpack("<Q", data[:8])[0]
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    names = [name for name in header if name != "__metadata__"]
    name = chance.choice(names)
    tensor, other = header[name], header[chance.choice(names)]
    match chance.randrange(13):
        case 0 | 1 | 2:
            header = change_json(header, chance)
        case 3:
            tensor["dtype"] = chance.choice(TYPES)
        case 4:
            tensor["shape"] = chance.choice(
                ([], [0], [-1], [2**40, 2**40], [1], tensor["shape"][::-1], [*other["shape"]])
            )
        case 5:
            tensor["shape"] = [*tensor["shape"], 1]
        case 6:
            tensor["data_offsets"] = chance.choice(([0, 2**62], [-4, 4], [8, 4], other["data_offsets"], [0, 0]))
        case 7:
            header[chance.choice(("x", "conv1.0.weight", "module." + name, ""))] = header.pop(name)
        case 8:
            header[name], other_name = other, chance.choice(names)
            header[other_name] = tensor
        case 9:
            header["__metadata__"] = chance.choice(
                ({}, {"architecture": "{}"}, {"progress": "[]"}, {"x": "y" * 10**6}, 3)
            )
        case 10:
            metadata = header.get("__metadata__") or {"architecture": "{}"}
            key = chance.choice(list(metadata))
            try:
                metadata[key] = write_json(change_json(json.loads(metadata[key]), chance)).decode("utf-8", "replace")
            except ValueError:
                metadata[key] = "{"
            header["__metadata__"] = metadata
        case 11:
            start, end = tensor["data_offsets"]
            size = (end - start) // 4
            if tensor["dtype"] == "F32":
                values = chance.choice((float("nan"), float("inf"), 3e38, 0.0, 1e-45))
                body = body[:start] + struct.pack(f"<{size}f", *[values] * size) + body[end:]
        case _:
            length = chance.choice((0, 1, 2**63, 2**64 - 1, length + 1, length - 1, 10**9, 2**27))
            return struct.pack("<Q", length) + data[8:]
    text = write_json(header)
    return struct.pack("<Q", len(text)) + text + body


class _Touch:
    """An object whose pickle executes code when it is loaded unsafely."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        import os

        return os.system, (self.command,)


def in_pickle(data: bytes, chance: random.Random) -> bytes:  # noqa: PLR0911
    """Remove, duplicate, move or replace an instruction of a pickle, or insert code to execute."""
    try:
        spots = [place for _, _, place in pickletools.genops(data) if place is not None]
    except ValueError:
        return flip(data, chance)
    if len(spots) < 3:
        return flip(data, chance)
    at = chance.randrange(1, len(spots) - 1)
    start, end = spots[at], spots[at + 1]
    match chance.randrange(8):
        case 0:
            return data[:start] + data[end:]
        case 1:
            return data[:start] + data[start:end] * chance.choice((2, 1000)) + data[end:]
        case 2:
            other = chance.choice(spots[:-1])
            return data[:start] + data[other : spots[spots.index(other) + 1]] + data[end:]
        case 3:
            return pickle.dumps(_Touch("touch was-run"), 2)
        case 4:
            return data[:start] + b"cos\nsystem\n(X\x0d\x00\x00\x00touch was-runtR0" + data[start:]
        case 5:
            evil = chance.choice((b"cbuiltins\nexec\n", b"cbuiltins\neval\n", b"ctorch\nload\n", b"cposix\nsystem\n"))
            return data[:start] + evil + data[end:]
        case 6:
            return data[:start] + b"(" * DEEP + data[start:]
        case _:
            return data[:start] + bytes([chance.randrange(256)]) + data[start + 1 :]


def in_zip(data: bytes, chance: random.Random) -> bytes:
    """Change, rename, duplicate, remove or deflate a record of a zip file, or change its directory."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        records = [(info.filename, file.read(info)) for info in file.infolist()]
    what, way = chance.randrange(11), zipfile.ZIP_STORED
    at = chance.randrange(len(records))
    name, content = records[at]
    match what:
        case 0 | 1 | 2 | 3:
            at = next(n for n, (each, _) in enumerate(records) if each.endswith("data.pkl"))
            records[at] = (records[at][0], in_pickle(records[at][1], chance))
        case 4:
            records[at] = (name, anyhow(content, chance))
        case 5:
            del records[at]
        case 6:
            records[at] = (chance.choice(("x", "../x", "/x", name + "x", name.upper())), content)
        case 7:
            records[at] = (name, content + b"\0" * chance.choice((1, 4096, 300 << 20)))
            way = zipfile.ZIP_DEFLATED
        case 8:
            way = chance.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
        case 9:
            records.insert(at, (name + "2", content))
        case _:  # sizes and offsets in the directory
            spot = data.rfind(b"PK\x01\x02", 0, chance.randrange(len(data) // 2, len(data)))
            field = chance.choice((10, 16, 20, 24, 42))
            claim = struct.pack("<I", chance.choice((0, 1, 2**31, 2**32 - 1)))
            return data[: spot + field] + claim + data[spot + field + 4 :]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", way) as file:
        for name, content in records:
            file.writestr(name, content)
    return packed.getvalue()


def flip(data: bytes, chance: random.Random) -> bytes:
    """Flip some bits."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 10))):
        if changed:
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def anyhow(data: bytes, chance: random.Random) -> bytes:  # noqa: PLR0911
    """Change the bytes of any file: flip, truncate, blank, insert, remove or duplicate some."""
    start, length = chance.randrange(len(data) + 1), chance.choice((1, 2, 8, 64, 512, 4096))
    match chance.randrange(9):
        case 0 | 1 | 2:
            return flip(data, chance)
        case 3:
            return data[:start]
        case 4:
            return data[:start] + b"\0" * len(data[start : start + length]) + data[start + length :]
        case 5:
            return data[:start] + chance.randbytes(length) + data[start:]
        case 6:
            return data[:start] + data[start + length :]
        case 7:
            return data + chance.choice((data, b"\0", b"\n", chance.randbytes(length)))
        case _:
            lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n"
            return chance.choice((b"", b"\n", lfs, b"<!DOCTYPE html><html></html>", b"\0" * 4096, b"\xff" * 64))
