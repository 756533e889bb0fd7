"""Pictures as pixels of the terminal, and as PNG."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from tui.drawing.raster import BLANK, OUTLINE, Levels, Palette

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Bitmap:
    """An image of at most 256 colours."""

    pixels: np.ndarray[Any, np.dtype[np.uint8]]
    """(H, W), indices into the colours."""
    colours: list[Colour]
    clear: int | None = None
    """The index of pixels that are transparent."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.pixels.shape[1], self.pixels.shape[0]

    def cut(self, left: int, top: int, width: int, height: int) -> Bitmap:
        """A rectangle of it."""
        return Bitmap(self.pixels[top : top + height, left : left + width], self.colours, self.clear)

    def png(self) -> bytes:
        """The image as PNG."""
        width, height = self.size
        # Each row begins with its filter: 2, the difference to the row above, which is mostly the same.
        above = np.vstack((np.zeros((1, width), np.uint8), self.pixels[:-1]))
        filtered = np.hstack((np.full((height, 1), 2, np.uint8), self.pixels - above))
        parts = [
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            (b"PLTE", bytes(channel for colour in self.colours for channel in colour)),
            *([] if self.clear is None else [(b"tRNS", b"\xff" * self.clear + b"\x00")]),
            (b"IDAT", zlib.compress(filtered.tobytes(), 6)),
            (b"IEND", b""),
        ]
        chunks = (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in parts
        )
        return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def bitmap_of(  # noqa: PLR0917
    levels: Levels,
    colours: Palette,
    size: tuple[int, int],
    finer: int,
    cell: tuple[int, int],
    ground: Colour | None = None,
) -> Bitmap:
    """Levels (H, W) with the pixels of `size` cells (columns, rows), so that the terminal does not scale it.

    `finer` levels are along half the height of a cell. What is blank has the colour `ground`, or is transparent.
    """
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
    used = [*colours.rgb, ground or (0, 0, 0), (red, green, blue)]
    return Bitmap(whole[np.ix_(down, across)].astype(np.uint8), used, None if ground else blank)
