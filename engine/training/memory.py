"""The peak memory of a training run, and the memory available. Without PyTorch, since it is needed before a run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.data.requests import DatasetName
from engine.geometry import CLASSES, IMAGE_SIZE, block_sizes
from engine.network.batches import evaluation_batch
from engine.network.cgroups import MOUNTED, groups
from engine.network.requests import Architecture
from engine.request import RequestError
from engine.training.requests import Train

IMAGES: dict[DatasetName, int] = {
    "mnist": 70_000,
    "fashion-mnist": 70_000,
    "kmnist": 70_000,
    "emnist-digits": 280_000,
    "qmnist": 120_000,
}
"""Number of images of each data set, all splits together."""
_FILES = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file")),
    2: ("memory.max", "memory.current", ("inactive_file", "active_file", "slab_reclaimable")),
}
"""Files of a control group, by version: its limit, its usage, and the parts of it that the kernel can reclaim."""
_FLOAT, _INDEX = 4, 8
_COPIES = 4
"""Copies of the weights at any time: the weights, Adam's two moments, and the weights of the last good epoch."""
_WARM_UP = 2
"""More copies on a GPU, before a capture: weights and moments are kept, and there is no last good epoch yet."""
_SAVED = 3
"""Additional copies of the weights while a run is saved: the weights and both moments."""
_NUMBERS = 4 + 2 * 7**2
"""Random numbers that the augmentation of an image needs at most."""
_LIBRARIES = 2 * 32 * 2**20
"""Memory in which CUDA's matrix products work, of the threads of the forward and of the backward pass."""
_HOLES = 1.35
"""Factor for fragmentation: an allocator that keeps freed memory cannot reuse all of it (measured over a few steps)."""


@dataclass(frozen=True)
class Need:
    """The memory that a run needs, in bytes."""

    data: int
    """The data set, on the device."""
    weights: int
    """The weights and their copies."""
    step: int
    """Added by a training step: what it reads of its epoch, the maps of a batch, and all gradients."""
    evaluation: int
    """Added by an evaluation instead of a step; on a GPU, besides a step."""
    saving: int
    """Added by saving the state instead of a step, in host memory wherever the run trains."""

    @property
    def on_gpu(self) -> int:
        """Peak on a GPU, in bytes: what a captured step has allocated stays its own."""
        return self.data + self.weights + self.step + self.evaluation

    @property
    def peak(self) -> int:
        """Peak in host memory for a run on the CPU, in bytes."""
        return self.data + self.weights + max(self.step, self.evaluation, self.saving)


def parameter_count(architecture: Architecture) -> int:
    """Number of trainable parameters (799,078 for the notebook's network, its section 1.4)."""
    a = architecture
    side = block_sizes(a.kernel_size, a.stride, a.padding)[1][1]
    convolutions = a.channels * a.kernel_size**2 * (a.in_channels + a.channels) + 2 * a.channels
    connected = (a.channels * side**2 + 1) * a.hidden + (a.hidden + 1) * CLASSES
    return convolutions + connected + (2 * (2 * a.channels + a.hidden) if a.batch_norm else 0)


def training_need(request: Train, device: str = "cpu") -> Need:
    """The memory that `request` needs, estimated from the shapes of its tensors, without the program itself.

    `device` is the type of its device, `cpu` or `cuda`.

    A step keeps the map of each convolution for the backward pass, with batch norm also the normalised map, and the
    pooled maps with the positions of their maxima; the gradients of the largest maps come on top.
    """
    a = request
    (wide1, side1), (wide2, side2) = block_sizes(a.kernel_size, a.stride, a.padding)
    weights = _FLOAT * parameter_count(a)
    image = a.in_channels * IMAGE_SIZE**2 * _FLOAT
    maps1, maps2 = (a.channels * wide**2 * _FLOAT for wide in (wide1, wide2))  # of one image
    pooled1, pooled2 = (a.channels * side**2 for side in (side1, side2))
    kept = 2 if a.batch_norm else 1  # the convolution's map, and the normalised one
    pools = (pooled1 + pooled2) * (_FLOAT + _INDEX)
    connected = (2 * pooled2 + 3 * a.hidden) * _FLOAT
    forward = image + kept * (maps1 + maps2) + pools + connected
    backward = kept * max(maps1, maps2) + pooled1 * _FLOAT
    batch = min(a.batch_size, a.train_size)
    halves = maps1 // 2 + maps1 // 4  # an evaluation pools rows first, then columns
    evaluated = evaluation_batch(device, a.channels) * (image + maps1 + max(halves, maps2) + connected)
    copies = _COPIES + 2 * (a.average > 0) + _WARM_UP * (device != "cpu")
    augmented = any((a.shift, a.rotate, a.scale, a.elastic))
    read = min(a.train_size, IMAGES[a.dataset]) * (_INDEX + _FLOAT * _NUMBERS * augmented)
    return Need(
        data=IMAGES[a.dataset] * (IMAGE_SIZE**2 * _FLOAT + _INDEX),
        weights=copies * weights,
        step=int(_HOLES * batch * (forward + backward)) + weights + read + _LIBRARIES * (device != "cpu"),
        evaluation=int(_HOLES * evaluated),
        saving=_SAVED * weights,
    )


def check_fits(need: int, free: int | None, request: Train, where: str = "in memory", otherwise: str = "") -> None:
    """Raise RequestError, with the numbers, where `need` bytes are more than `free` (None: not known).

    `where` says which memory that is, and `otherwise`, at the end of the message, what else to do.
    """
    if free is None or need <= free:
        return
    raise RequestError(
        f"this run needs about {gigabytes(need)}, but only {gigabytes(free)} are free {where}: lower --batch-size "
        f"({request.batch_size}), --channels ({request.channels}) or --hidden ({request.hidden}){otherwise}"
    )


def gigabytes(size: int) -> str:
    """`size` bytes as text, for example `33.1 GB`."""
    return f"{size / 1e9:,.1f} GB"


def free_memory(proc: Path = Path("/proc"), root: Path = MOUNTED) -> int | None:
    """Bytes that this process can still allocate, limited by the machine and by its control groups.

    Memory that the kernel can reclaim, such as cached files, counts as free; swap does not. None where the system does
    not report it (outside of Linux).
    """
    found = [*_of_machine(proc / "meminfo"), *_of_groups(proc / "self" / "cgroup", root)]
    return max(0, min(found)) if found else None


def _of_machine(meminfo: Path) -> Iterator[int]:
    for name, value in _table(meminfo).items():
        if name == "MemAvailable:":
            yield 1024 * value


def _of_groups(membership: Path, root: Path) -> Iterator[int]:
    """Bytes left in each control group of this process."""
    for version, group in groups("memory", root, membership):
        yield from _left(group, *_FILES[version])


def _left(group: Path, limit: str, used: str, given_back: tuple[str, ...]) -> Iterator[int]:
    try:
        most, now = (int((group / name).read_text()) for name in (limit, used))
    except (OSError, ValueError):  # the group does not exist, or its limit is `max`
        return
    statistics = _table(group / "memory.stat")
    yield most - max(0, now - sum(statistics.get(name, 0) for name in given_back))


def _table(file: Path) -> dict[str, int]:
    """The first number after each name in a file of the kernel."""
    found: dict[str, int] = {}
    with contextlib.suppress(OSError, ValueError):
        for line in file.read_text().splitlines():
            name, value, *_ = line.split()
            found[name] = int(value)
    return found
