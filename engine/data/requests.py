"""The names of the data sets and their splits, and the request that keeps a drawing."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from engine.geometry import CLASSES, IMAGE_SIZE
from engine.request import Request

DatasetName = Literal["mnist", "fashion-mnist", "kmnist", "emnist-digits", "qmnist"]
"""The data sets that networks are trained on."""
SplitName = Literal["train", "val", "test"]
PartName = Literal["train", "val", "test", "drawings"]
"""Where an image is: in a split of a network's data set, or among the user's drawings, a data set of one split."""

DRAWINGS = "drawings.npz"
"""The file of the drawings in the folder of runs: `images` (n, 28, 28) and `labels` (n,), both uint8."""

Pixels = Annotated[
    bytes,
    Meta(
        title=f"{IMAGE_SIZE**2} gray levels, a byte each",
        description="gray levels of 28x28 pixels, row by row: 0 for black, on which is drawn, to 255 for white",
        min_length=IMAGE_SIZE**2,
        max_length=IMAGE_SIZE**2,
    ),
]


def part_of(dataset: str, split: str) -> str:
    """How the images of a split are called, a PartName: as the split is, or drawings, which have only one."""
    return dataset if dataset == "drawings" else split


def source_of(dataset: str, split: str) -> str:
    """A data set and its split in words: `mnist test`, or `drawings`."""
    return dataset if dataset == "drawings" else f"{dataset} {split}"


class KeepDrawing(Request, frozen=True, tag="keep-drawing"):
    """Keep a drawing as a network receives it, with the digit that it shows: one of the data set `drawings`."""

    pixels: Pixels = bytes(IMAGE_SIZE**2)
    label: Annotated[int, Meta(ge=0, lt=CLASSES, description="digit that the drawing shows")] = 0
