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


def shifted(canvas: np.ndarray, across: int, down: int) -> np.ndarray:
    """`canvas` (H, W) moved by whole pixels; what leaves it is lost."""
    height, width = canvas.shape
    down, across = min(max(down, -height), height), min(max(across, -width), width)
    around = np.pad(canvas, ((height, height), (width, width)))
    return around[height - down : 2 * height - down, width - across : 2 * width - across].copy()
