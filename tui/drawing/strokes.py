"""A soft pen on a small canvas: strokes as bright and as soft at their edges as those of MNIST."""

from __future__ import annotations

import numpy as np

from engine.geometry import IMAGE_SIZE

EDGE = 1.0
"""Width of the edge of a stroke, in pixels, along which it fades."""

Point = tuple[float, float]
"""(row, column) in pixels from the top left corner; the centre of the first pixel is (0.5, 0.5)."""


def blank() -> np.ndarray:
    """An empty canvas: (28, 28) float32 zeros."""
    return np.zeros((IMAGE_SIZE, IMAGE_SIZE), np.float32)


def stroked(canvas: np.ndarray, start: Point, end: Point, width: float) -> np.ndarray:
    """`canvas` (H, W) in [0, 1] with a straight stroke, `width` pixels wide where it is half as bright.

    Where it crosses others, the brighter one remains. The stroke may leave the canvas.
    """
    height, across = canvas.shape
    centres = np.stack(np.meshgrid(np.arange(height) + 0.5, np.arange(across) + 0.5, indexing="ij"), axis=-1)
    first, line = np.array(start), np.array(end) - np.array(start)
    length = float(line @ line)
    along = np.clip((centres - first) @ line / length, 0, 1) if length > 0 else np.zeros((height, across))
    distance = np.linalg.norm(centres - first - along[..., None] * line, axis=-1)
    ink = np.clip((width / 2 - distance) / EDGE + 0.5, 0, 1)
    made: np.ndarray = np.maximum(canvas, ink.astype(canvas.dtype))
    return made


def transformed(canvas: np.ndarray, degrees: float, factor: float) -> np.ndarray:
    """`canvas` (H, W) in [0, 1] rotated clockwise and scaled about its centre of mass, with bilinear interpolation.

    What leaves the canvas is lost; what comes from outside is empty. An empty canvas stays as it is.
    """
    mass = float(canvas.sum())
    if mass <= 0:
        return canvas
    height, width = canvas.shape
    rows, columns = np.arange(height, dtype=float), np.arange(width, dtype=float)
    middle = float(canvas.sum(axis=1) @ rows) / mass, float(canvas.sum(axis=0) @ columns) / mass
    angle = np.deg2rad(degrees)
    cosine, sine = float(np.cos(angle)) / factor, float(np.sin(angle)) / factor
    down, across = (rows - middle[0])[:, None], (columns - middle[1])[None, :]
    # Where each pixel comes from; rows count downwards, so a positive angle turns clockwise.
    y, x = middle[0] + cosine * down - sine * across, middle[1] + sine * down + cosine * across
    around = np.pad(canvas, 1)  # a pixel of emptiness on each side, so that edges fade as strokes do
    y, x = np.clip(y + 1, 0, height), np.clip(x + 1, 0, width)
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    below, beside = (y - top).astype(canvas.dtype), (x - left).astype(canvas.dtype)
    upper = around[top, left] * (1 - beside) + around[top, left + 1] * beside
    lower = around[top + 1, left] * (1 - beside) + around[top + 1, left + 1] * beside
    made: np.ndarray = upper * (1 - below) + lower * below
    return made


def shifted(canvas: np.ndarray, across: int, down: int) -> np.ndarray:
    """`canvas` (H, W) moved by whole pixels; what leaves it is lost."""
    height, width = canvas.shape
    down, across = min(max(down, -height), height), min(max(across, -width), width)
    around = np.pad(canvas, ((height, height), (width, width)))
    return around[height - down : 2 * height - down, width - across : 2 * width - across].copy()
