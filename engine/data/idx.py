"""The IDX format of MNIST's files."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.request import RequestError

IDX_TYPES: dict[int, np.dtype[Any]] = {0x08: np.dtype(np.uint8), 0x0C: np.dtype(">i4")}
"""The data types of IDX files that MNIST and similar data sets use."""


def parse_idx(data: bytes, name: str) -> np.ndarray:
    """The array in an IDX file; raises RequestError, naming the file, if it is damaged."""
    if len(data) >= 4 and data[:2] == b"\0\0" and (kind := IDX_TYPES.get(data[2])):
        rank = data[3]
        start = 4 + 4 * rank
        shape = tuple(int.from_bytes(data[at : at + 4], "big") for at in range(4, start, 4))
        if len(data) == start + math.prod(shape) * kind.itemsize:
            return np.frombuffer(data, kind, offset=start).reshape(shape)
    raise RequestError(f"{name} is damaged: it is not a valid IDX file, delete it")


Raw = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Training images (N, 28, 28) and labels (N,), test images and labels, all uint8."""
