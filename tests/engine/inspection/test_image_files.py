"""Image files of many kinds, and those that are refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.inspection import image_files
from engine.inspection.image_files import read_image
from engine.request import RequestError

DRAWN = np.zeros((30, 40), np.uint8)
DRAWN[5:20, 10:14] = 255
DRAWN[5:9, 14:30] = 128


def transparent(colour: int) -> Image.Image:
    pixels = np.full((*DRAWN.shape, 4), colour, np.uint8)
    pixels[..., 3] = DRAWN
    return Image.fromarray(pixels)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.fromarray(DRAWN), DRAWN / 255),
        (Image.fromarray(DRAWN).convert("RGB"), DRAWN / 255),
        (Image.fromarray(DRAWN).convert("P"), DRAWN / 255),
        (Image.fromarray(DRAWN >= 255), DRAWN >= 255),
        (Image.fromarray(DRAWN.astype(np.uint16) * 257), DRAWN / 255),
        (transparent(0), 1 - DRAWN / 255),  # black ink
        (transparent(255), DRAWN / 255),  # white ink
    ],
    ids=["gray", "colour", "palette", "bits", "deep", "black ink", "white ink"],
)
def test_kinds_of_png(tmp_path: Path, image: Image.Image, expected: np.ndarray) -> None:
    image.save(tmp_path / "drawn.png")
    found = read_image(str(tmp_path / "drawn.png"))
    assert found.dtype == np.float32
    assert found == pytest.approx(expected.astype(np.float32), abs=0.006)


def test_a_photograph_is_turned_as_it_was_taken(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    Image.fromarray(DRAWN).save(tmp_path / "turned.jpg", quality=100, exif=exif)
    assert read_image(str(tmp_path / "turned.jpg")) == pytest.approx(np.rot90(DRAWN, -1) / 255, abs=0.1)


@pytest.mark.parametrize(
    "array",
    [DRAWN, DRAWN / 255, DRAWN.astype(np.float64), DRAWN.astype(np.int64), DRAWN.astype(np.uint16) * 257],
    ids=["bytes", "shares", "floats", "integers", "deep"],
)
def test_kinds_of_arrays(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "drawn.npy", array)
    assert read_image(str(tmp_path / "drawn.npy")) == pytest.approx(DRAWN / 255, abs=1e-6)


def test_a_large_image_is_reduced_and_keeps_what_is_drawn(tmp_path: Path) -> None:
    Image.fromarray(DRAWN.repeat(100, axis=0).repeat(100, axis=1)).save(tmp_path / "large.png")
    found = read_image(str(tmp_path / "large.png"))
    assert found.shape == (1500, 2000)
    assert found[25::50, 25::50] == pytest.approx(DRAWN / 255)


def cut(path: Path, image: Image.Image) -> None:
    image.save(path)
    path.write_bytes(path.read_bytes()[:200])


def of_objects(path: Path) -> None:
    np.save(path, np.array([[{}]], object), allow_pickle=True)


def promising(path: Path) -> None:
    """The header of an array of 80 GB, and nothing else."""
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (10**5, 10**5)})


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40), np.uint8))
REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "none.png": (lambda _: None, "there is no file"),
    "folder.png": (Path.mkdir, "not a regular file"),
    "pipe.png": (os.mkfifo, "not a regular file"),
    "words.png": (lambda path: path.write_text("a digit"), "it is no image of these kinds, or it is damaged"),
    "nothing.png": (Path.touch, "it is no image of these kinds"),
    "cut.png": (lambda path: cut(path, NOISE), "truncated"),
    "cut.jpg": (lambda path: cut(path, NOISE), "cannot be read"),
    "gray.png": (lambda path: Image.new("L", (9, 9), 90).save(path), "it is of one colour"),
    "clear.png": (lambda path: Image.new("RGBA", (9, 9), (0, 0, 0, 0)).save(path), "it is of one colour"),
    "gray.npy": (lambda path: np.save(path, np.ones((9, 9))), "it is of one colour"),
    "many.npy": (lambda path: np.save(path, np.zeros((3, 9, 9))), "shape (3, 9, 9): give one of shape (rows, columns)"),
    "none.npy": (lambda path: np.save(path, np.zeros((0, 9))), "it has no pixels"),
    "nan.npy": (lambda path: np.save(path, np.array([[0, np.nan]])), "give 0 to 1, 0 to 255 or 0 to 65535"),
    "below.npy": (lambda path: np.save(path, np.array([[0, -1]])), "its values are -1 to 0"),
    "words.npy": (lambda path: np.save(path, np.array([["a", "b"]])), "give one of integers or floats"),
    "objects.npy": (of_objects, "holds no numbers"),
    "promising.npy": (promising, "it is damaged"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    make, words = REFUSED[name]
    make(tmp_path / name)
    with pytest.raises(RequestError) as caught:
        read_image(str(tmp_path / name))
    message = str(caught.value)
    assert words in message
    assert name in message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["large.png", "large.npy"])
def test_too_many_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path = tmp_path / name
    monkeypatch.setattr(image_files, "MOST_PIXELS", 1_000_000)
    if name.endswith("npy"):
        np.save(path, np.zeros((1001, 1000), np.uint8))
    else:
        Image.new("1", (1000, 1001)).save(path)
    with pytest.raises(RequestError, match="its 1,000 x 1,001 pixels are more than 1 million: reduce it first"):
        read_image(str(path))
    # A picture that Pillow itself does not open.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    if not name.endswith("npy"):
        with pytest.raises(RequestError, match="it has more than 1 million pixels"):
            read_image(str(path))
