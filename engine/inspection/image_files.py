"""Reading the user's image files: within limits, with errors of one line."""

from __future__ import annotations

import math
import warnings
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from engine.reading import open_regular, read_start
from engine.request import RequestError
from engine.words import shown

if TYPE_CHECKING:
    from engine.event import Array

MOST_PIXELS = 100_000_000
"""Maximum number of pixels of an image."""
ENOUGH = 2000
"""Longer side, in pixels, beyond which an image is reduced as soon as it is read: hundreds of times what is needed."""
_NUMPY = b"\x93NUMPY"
_DEEP = ("I;16", "I;16B", "I;16L", "I;16N", "I")
"""Pillow's modes of gray images with 16 bits a pixel."""


class _Unsuitable(Exception):
    """The file was read, and cannot be used; the message says why, in a few words."""


def read_image(name: str) -> Array:
    """The image in a PNG, JPEG or `.npy` file, (H, W) float32: 0 for black to 1 for white.

    Colours become gray levels; what is transparent becomes white, or black if nothing could be seen on white. The array
    of a `.npy` is (H, W): of bool, of integers up to 255 or 65,535, or of floats up to 1 or 255. Raises RequestError
    where there is no such file, or it is damaged, of one colour, or has more than MOST_PIXELS pixels.
    """
    path = Path(name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what Pillow does not like in a file that it can read
            image = _from_numpy(path) if read_start(path, len(_NUMPY)) == _NUMPY else _from_picture(path)
    except FileNotFoundError:
        raise RequestError(f"there is no file {shown(name)}: name a PNG, JPEG or .npy file") from None
    except _Unsuitable as error:
        raise RequestError(f"{shown(name)} cannot be used: {error}") from None
    except Exception as error:  # from damaged files, decoders raise almost anything
        raise RequestError(f"{shown(name)} cannot be read ({_reason(error)}): give a PNG, JPEG or .npy file") from None
    if image.min() == image.max():
        raise RequestError(f"{shown(name)} cannot be used: it is of one colour, so nothing is drawn on it")
    return image


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "it is no image of these kinds, or it is damaged"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    words = shown(" ".join(str(error).split())) or type(error).__name__
    return words if len(words) <= 100 else f"{words[:99]}…"


def _check_size(width: int, height: int) -> None:
    if not width * height:
        raise _Unsuitable("it has no pixels")
    if width * height > MOST_PIXELS:
        raise _Unsuitable(
            f"its {width:,} x {height:,} pixels are more than {MOST_PIXELS // 10**6} million: reduce it first"
        )


def _from_picture(path: Path) -> Array:
    try:
        with BufferedReader(open_regular(path)) as file, Image.open(file, formats=("PNG", "JPEG")) as image:
            _check_size(*image.size)
            return _gray(image)
    except Image.DecompressionBombError:  # Pillow refuses it before its size is known here
        raise _Unsuitable(f"it has more than {MOST_PIXELS // 10**6} million pixels: reduce it first") from None


def _gray(opened: Image.Image) -> Array:
    image: Image.Image = ImageOps.exif_transpose(opened)
    if image.mode in _DEEP:
        return _levels(_reduced(image.convert("I").convert("F"))) / 65535
    if not image.has_transparency_data:
        return _levels(_reduced(image.convert("L"))) / 255
    image = _reduced(image.convert("RGBA"))
    for ground in ("white", "black"):
        levels = _levels(Image.alpha_composite(Image.new("RGBA", image.size, ground), image).convert("L")) / 255
        if levels.min() < levels.max():
            break
    return levels


def _reduced(image: Image.Image) -> Image.Image:
    factor = math.ceil(max(image.size) / ENOUGH)
    # No side becomes less than a pixel.
    return image.reduce(tuple(min(factor, side) for side in image.size)) if factor > 1 else image  # type: ignore[arg-type]


def _levels(image: Image.Image) -> Array:
    return np.asarray(image, np.float32)


def _from_numpy(path: Path) -> Array:
    try:
        # Mapped, so that a header that promises too much does not allocate it.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError:  # in words about maps and pickles
        raise _Unsuitable("it is damaged, empty, or holds no numbers") from None
    if array.ndim != 2:
        raise _Unsuitable(f"it is an array of shape {array.shape}: give one of shape (rows, columns)")
    if array.dtype.kind not in "buif":
        raise _Unsuitable(f"it is an array of {shown(str(array.dtype))[:20]}: give one of integers or floats")
    height, width = array.shape
    _check_size(width, height)
    levels = np.array(array, np.float32)
    low, high = float(levels.min()), float(levels.max())
    if not (low >= 0 and high <= 65535):  # also where a value is NaN
        raise _Unsuitable(f"its values are {low:g} to {high:g}: give 0 to 1, 0 to 255 or 0 to 65535")
    return levels / (1 if high <= 1 else 255 if high <= 255 else 65535)
