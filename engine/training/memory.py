"""The peak memory of a training run, estimated before it allocates anything, and the memory available."""

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
from engine.training.augmentation import Augmentation
from engine.training.insides import BATCH
from engine.training.requests import ObjectiveName, Train

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
_LIBRARIES = 2 * 32 * 2**20
"""Memory in which CUDA's matrix products work, of the threads of the forward and of the backward pass."""
_AVERAGES = 2
"""Further copies of the weights where they are averaged: the average, and that of the last good epoch."""
_SAVED = 3
"""Copies of the weights that are being written while the next epoch is trained: the weights and both moments; one more
of averages."""
_SHIFTED = 5 * _FLOAT
"""Bytes per pixel while an image is shifted: a wider image, and the index of each pixel."""
_SAMPLED = 9 * _FLOAT
"""Bytes per pixel while an image is sampled anew: homogeneous coordinates, and three grids of two coordinates."""
_MAPS: dict[ObjectiveName, float] = {
    "clean": 0.0,
    "fgsm": 0.6,
    "pgd": 1.8,
    "trades": 1.8,
    "ibp": 6.2,
    "crown-ibp": 52.0,
}
"""What an objective adds for each image of a batch, in sizes of all of its maps (measured): the pass of an attack,
which is forgotten before the training pass; the bounds of all maps; the coefficients of nine margins by all maps."""
_PROVED = 3
"""Further copies of the weights while a network is attacked or certified: one in double precision and one in single."""
_PROBED = 5
"""Further copies of the weights while layers are looked into: their gradients, those of a batch, Adam's update and its
parts, and the values as bits."""
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
    """Added by a training step: the maps of a batch, all gradients, the order of the images and what augments them."""
    evaluation: int
    """Added by an evaluation instead of a step; on a GPU, besides a step."""
    saving: int
    """The copy of the state that is being written during the next epoch, in host memory wherever the run trains."""

    @property
    def on_gpu(self) -> int:
        """Peak on a GPU, in bytes: what a captured step has allocated stays its own."""
        return self.data + self.weights + self.step + self.evaluation

    @property
    def peak(self) -> int:
        """Peak in host memory for a run on the CPU, in bytes."""
        return self.data + self.weights + max(self.step, self.evaluation) + self.saving


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
    averaged = bool(a.average)
    augmentation = Augmentation.of(a)
    # The changed image is kept for the backward pass; where it is sampled from is known before and forgotten.
    places = _SAMPLED if augmentation and augmentation.samples else _SHIFTED
    changing = 2 * image + places * IMAGE_SIZE**2 if augmentation else 0
    images = min(a.train_size, IMAGES[a.dataset])
    order, numbers = _INDEX * images, _FLOAT * augmentation.drawn * images if augmentation else 0
    robust = _MAPS[a.objective] * (maps1 + maps2)
    one = max(forward + backward + robust + (image if augmentation else 0), changing)
    halves = maps1 // 2 + maps1 // 4  # an evaluation pools rows first, then columns
    evaluated = evaluation_batch(device, a.channels) * (image + maps1 + max(halves, maps2) + connected)
    probed = a.insides * (int(_HOLES * min(batch, BATCH) * (forward + backward)) + _PROBED * weights)
    on_gpu = device != "cpu"
    return Need(
        data=IMAGES[a.dataset] * (IMAGE_SIZE**2 * _FLOAT + _INDEX),
        weights=(_COPIES + _AVERAGES * averaged + _WARM_UP * on_gpu) * weights,
        # While the numbers are drawn, there are two copies of them.
        step=order + numbers + max(int(_HOLES * batch * one) + weights, numbers) + _LIBRARIES * on_gpu,
        evaluation=max(int(_HOLES * evaluated) + _PROVED * (a.objective != "clean") * weights, probed),
        saving=(_SAVED + averaged) * weights,
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
