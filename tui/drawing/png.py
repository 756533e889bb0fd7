"""Pictures as PNG: levels with their colours, each a rectangle of pixels of the terminal."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from tui.drawing.raster import BLANK, OUTLINE, Levels, Palette


def picture_of(levels: Levels, colours: Palette, size: tuple[int, int], finer: int, cell: tuple[int, int]) -> bytes:
    """Levels (H, W) as PNG with the pixels of `size` cells, so that the terminal does not scale it."""
    (columns, rows), (wide, high) = size, cell
    whole = np.full((rows * 2 * finer, columns * finer), BLANK, np.int16)
    whole[: levels.shape[0], : levels.shape[1]] = levels
    blank, outline = len(colours.rgb), len(colours.rgb) + 1
    whole[whole == BLANK] = blank
    whole[whole == OUTLINE] = outline
    down = np.arange(rows * high) * whole.shape[0] // (rows * high)
    across = np.arange(columns * wide) * whole.shape[1] // (columns * wide)
    accent = colours.accent.color
    red, green, blue = accent.get_truecolor() if accent else (255, 255, 255)
    return png_of(whole[np.ix_(down, across)], [*colours.rgb, (0, 0, 0), (red, green, blue)], clear=blank)


def png_of(pixels: np.ndarray, colours: list[tuple[int, int, int]], clear: int | None = None) -> bytes:
    """An image (H, W) of indices into at most 256 `colours` as PNG; pixels of index `clear` are transparent."""
    height, width = pixels.shape
    # Each row begins with its filter: 2, the difference to the row above, which is mostly the same.
    rows = pixels.astype(np.uint8)
    above = np.vstack((np.zeros((1, width), np.uint8), rows[:-1]))
    filtered = np.hstack((np.full((height, 1), 2, np.uint8), rows - above))
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", bytes(channel for colour in colours for channel in colour)),
        *([] if clear is None else [(b"tRNS", b"\xff" * clear + b"\x00")]),
        (b"IDAT", zlib.compress(filtered.tobytes(), 6)),
        (b"IEND", b""),
    ]
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
