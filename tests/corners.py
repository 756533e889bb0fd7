"""How much centring matters: accuracy on test digits at the four corners of their image, as they are and centred.

`python -m tests.corners` prints it for the bundled networks, for the first 100 test digits or as many as are named.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from engine.data.datasets import Split, load
from engine.inspection.loaded import load_network
from engine.inspection.predictions import answers
from engine.inspection.prepared import centred, resized
from engine.network.requests import Inspect
from engine.paths import PRETRAINED
from tests.conftest import returned

CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))
"""The (row, column) of each corner: 0 for the first one, 1 for the last one."""


def tight(digit: np.ndarray) -> np.ndarray:
    """A digit (H, W) without the empty rows and columns around it."""
    rows, columns = np.flatnonzero(digit.any(axis=1)), np.flatnonzero(digit.any(axis=0))
    return digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def in_corner(image: np.ndarray, side: int, corner: Sequence[int]) -> np.ndarray:
    """`image` (H, W) in a corner of a black (side, side)."""
    field = np.zeros((side, side), np.float32)
    top, left = (at * (side - length) for at, length in zip(corner, image.shape, strict=True))
    field[top : top + image.shape[0], left : left + image.shape[1]] = image
    return field


def accuracies(what: str, split: Split) -> tuple[float, float]:
    """The accuracy of the network `what` on all images of `split` at each corner: resized only, and centred."""
    network = load_network(Inspect(what=what, device="cpu"), Path("nowhere"))
    labels = split.labels.repeat_interleave(len(CORNERS))
    moved = [in_corner(tight(digit), 28, corner) for digit in split.images[:, 0].numpy() for corner in CORNERS]

    def accuracy(images: list[np.ndarray]) -> float:
        return float((answers(network, torch.from_numpy(np.stack(images)).unsqueeze(1)) == labels).double().mean())

    return accuracy([resized(image) for image in moved]), accuracy([centred(image) for image in moved])


def main() -> None:
    """Print both accuracies of each bundled network."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    split = returned(load("mnist", torch.device("cpu"))).test.first(count)
    print(f"{count} test digits at each of the four corners: as they are, centred")
    for name in PRETRAINED:
        raw, prepared = accuracies(f"pretrained:{name}", split)
        print(f"pretrained:{name:<14}{raw:>8.2%}{prepared:>9.2%}")


if __name__ == "__main__":
    main()
