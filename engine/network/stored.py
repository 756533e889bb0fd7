"""Tensors in a file that are not loaded yet, and limits for what a file may hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

MOST_BYTES = 2 << 30
"""Maximum size of a weights file, and of what is read from it."""
MOST_UNPACKED = 256 << 20
"""Maximum size of compressed parts of a zip archive, of which torch.save writes none."""
MOST_LISTED = 4 << 20
"""Maximum size of an archive's list of contents; a pickle may be four times as large. A state dict needs less."""
MOST_TENSORS = 10_000
MOST_SIDES = 8
"""Maximum number of dimensions of a tensor."""
FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
"""The data types that weights may have."""


class FileError(ValueError):
    """A file cannot be read. The message says why, and is worded to follow the file's name."""


@dataclass(eq=False)
class Stored:
    """A tensor in the file that is not loaded yet."""

    shape: tuple[int, ...]
    kind: str
    """For example `float32`, or `sparse`."""
    _load: Callable[[], Tensor] | None = None

    @property
    def plain(self) -> bool:
        """Whether its data type is one that weights may have."""
        return self._load is not None and getattr(torch, self.kind, None) in FLOATS

    def load(self) -> Tensor:
        """The tensor on the CPU, if it is plain. Raises FileError."""
        assert self._load is not None, "only plain tensors can be loaded"
        return self._load()


@dataclass
class TensorFile:
    """The contents of a file."""

    content: Any
    """A Stored, or dicts, lists and plain values that contain Stored."""
    metadata: dict[str, str] = field(default_factory=dict)
    """Text stored with the tensors."""
    ordered: bool = True
    """Whether the tensors are in the order in which they were saved."""


OURS = "mnist_tui"
"""The key of this program's description of the network in a state dict's `_metadata`, beside PyTorch's own."""


def metadata_of(state: dict[Any, Any]) -> dict[str, str]:
    """The description stored with a state dict of this program; empty for others."""
    own = getattr(state, "_metadata", None)
    ours = own.get(OURS) if isinstance(own, dict) else None
    return {key: each for key, each in ours.items() if isinstance(each, str)} if isinstance(ours, dict) else {}
