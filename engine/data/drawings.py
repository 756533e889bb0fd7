"""The user's own drawings, in a file in the folder of runs: a data set of one split."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import zipfile
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np

from engine.data.events import DrawingKept
from engine.data.requests import DRAWINGS, KeepDrawing
from engine.event import Event
from engine.geometry import CLASSES, IMAGE_SIZE
from engine.paths import write_whole
from engine.reading import read_bytes, reason
from engine.request import RequestError
from engine.words import shown

MOST = 10_000
"""Maximum number of drawings, as many as MNIST has test images."""
MOST_BYTES = 2 * MOST * IMAGE_SIZE**2
"""Maximum size of the file, in bytes, compressed or not."""

Drawings = tuple[np.ndarray, np.ndarray]
"""Images (n, 28, 28) and their labels (n,), both uint8."""


def read_drawings(root: Path) -> Drawings:
    """The drawings that are kept in `root`, in the order in which they came.

    Raises RequestError where there are none, and where their file is damaged.
    """
    path = root / DRAWINGS
    try:
        packed = io.BytesIO(read_bytes(path, MOST_BYTES))
        if sum(part.file_size for part in zipfile.ZipFile(packed).infolist()) > MOST_BYTES:
            raise ValueError("it is too large")
        with np.load(packed, allow_pickle=False) as kept:
            images, labels = kept["images"], kept["labels"]
    except FileNotFoundError:
        raise RequestError(f"no drawings in {shown(str(root))}: draw a digit on screen 9 and keep it there") from None
    except OSError as error:
        raise RequestError(f"{shown(str(path))} cannot be read ({reason(error)})") from None
    except KeyError as error:
        raise _damaged(path, f"there are no {error.args[0].split()[0]}") from None
    except Exception as error:  # NumPy and zipfile raise many kinds for a damaged file
        raise _damaged(path, shown(str(error)) or type(error).__name__) from None
    if images.dtype != np.uint8 or images.shape[1:] != (IMAGE_SIZE, IMAGE_SIZE):
        raise _damaged(path, "the images are not 28x28 bytes")
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise _damaged(path, "there is not one label for each image")
    if not len(labels):
        raise _damaged(path, "there is no image")
    if labels.min() < 0 or labels.max() >= CLASSES:
        raise _damaged(path, "a label is not a digit from 0 to 9")
    return images, labels.astype(np.uint8)


def _damaged(path: Path, why: str) -> RequestError:
    return RequestError(f"{shown(str(path))} is damaged ({why}): restore it, or move it away")


def keep_drawing(request: KeepDrawing, root: Path) -> Generator[Event, None, None]:
    """Add a drawing to those in `root`; one that is there already, pixel by pixel, only gets the new label.

    Raises RequestError where nothing is drawn, and where the file is damaged, full, or cannot be written.
    """
    image = np.frombuffer(request.pixels, np.uint8).reshape(1, IMAGE_SIZE, IMAGE_SIZE)
    if not image.any():
        raise RequestError("nothing is drawn: draw a digit first")
    path, before = root / DRAWINGS, None
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _alone(root):
            if path.exists():
                images, labels = read_drawings(root)
            else:
                images, labels = np.zeros((0, IMAGE_SIZE, IMAGE_SIZE), np.uint8), np.zeros(0, np.uint8)
            there = np.flatnonzero((images == image).all(axis=(1, 2)))
            index = int(there[0]) if len(there) else len(images)
            if len(there):
                before, labels = int(labels[index]), labels.copy()
                labels[index] = request.label
            elif index < MOST:
                images = np.concatenate((images, image))
                labels = np.append(labels, np.uint8(request.label))
            else:
                raise RequestError(f"{shown(str(path))} holds {MOST:,} drawings, as many as it can: move it away")
            if before != request.label:
                write_whole(path, lambda partial: _write(partial, images, labels))
    except OSError as error:
        raise RequestError(
            f"cannot keep the drawing in {shown(str(path))} ({reason(error)}): make room there"
        ) from None
    yield DrawingKept(index=index, label=request.label, count=len(labels), before=before)


def _write(partial: Path, images: np.ndarray, labels: np.ndarray) -> None:
    with partial.open("wb") as file:
        np.savez_compressed(file, images=images, labels=labels)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes from changing the drawings meanwhile, where the file system supports it."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
