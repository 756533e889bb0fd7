"""The names of the data sets and their splits."""

from __future__ import annotations

from typing import Literal

DatasetName = Literal["mnist", "fashion-mnist", "kmnist", "emnist-digits", "qmnist"]
SplitName = Literal["train", "val", "test"]
