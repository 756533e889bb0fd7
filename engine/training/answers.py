"""Which images of a split a network recognised, packed so that every epoch of a run can keep it."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from engine.event import Array

_EFFORT = 9


def packed(right: Array) -> bytes:
    """Which of N images were recognised, (N,) bool, as a few hundred bytes: one bit per image, compressed.

    The bits that are set are those of the images that were not recognised, the first image being the highest bit of the
    first byte: after the first epochs they are few, which compresses well.
    """
    return zlib.compress(np.packbits(~right).tobytes(), _EFFORT)


def unpacked(data: bytes, count: int) -> Array:
    """Which of `count` images were recognised, (count,) bool, from the result of `packed`.

    Raises ValueError where `data` is not that of so many images.
    """
    size = -(-count // 8)
    stream = zlib.decompressobj()
    try:
        bits = stream.decompress(data, size + 1)
    except zlib.error as error:
        raise ValueError(f"the record of the recognised images is damaged ({error})") from None
    if len(bits) != size or not stream.eof:
        raise ValueError(f"the record of the recognised images is not of {count:,} images")
    right: Array = np.unpackbits(np.frombuffer(bits, np.uint8), count=count) == 0
    return right
