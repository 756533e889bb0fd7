"""How much memory a training run takes at most, and how much there is. Without PyTorch: it is asked before a run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.data.requests import DatasetName
from engine.geometry import CLASSES, IMAGE_SIZE, block_sizes
from engine.network.batches import EVALUATION_BATCH
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
"""Of each data set, all splits together."""
_FILES = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file")),
    2: ("memory.max", "memory.current", ("inactive_file", "active_file", "slab_reclaimable")),
}
"""Of a control group, by version: its limit, what is in use, and what of that the kernel would give back."""
_FLOAT, _INDEX = 4, 8
_COPIES = 4
"""Of the weights all the time: they, Adam's two moments, and those of the last epoch that ended well."""
_SAVED = 3
"""Of the weights while a run is written: they and the moments, copied."""
_HOLES = 1.35
"""Times what is in use: an allocator that keeps what was freed cannot fill every hole (measured over a few steps)."""


@dataclass(frozen=True)
class Need:
    """What a run holds in memory, in bytes."""

    data: int
    """The data set, on the device."""
    weights: int
    """The weights and what is kept of each."""
    step: int
    """What a training step adds: the maps of a batch, and all gradients."""
    evaluation: int
    """What an evaluation adds in a step's place."""
    saving: int
    """What writing the state adds in a step's place, in the computer's memory wherever the run trains."""

    @property
    def on_gpu(self) -> int:
        """The most at one time on a GPU, in bytes."""
        return self.data + self.weights + max(self.step, self.evaluation)

    @property
    def peak(self) -> int:
        """The most at one time in the computer's memory where it trains there, in bytes."""
        return max(self.on_gpu, self.data + self.weights + self.saving)


def parameter_count(architecture: Architecture) -> int:
    """Trainable parameters (799,078 for the notebook's network, its section 1.4)."""
    a = architecture
    side = block_sizes(a.kernel_size, a.stride, a.padding)[1][1]
    convolutions = a.channels * a.kernel_size**2 * (a.in_channels + a.channels) + 2 * a.channels
    connected = (a.channels * side**2 + 1) * a.hidden + (a.hidden + 1) * CLASSES
    return convolutions + connected + (2 * (2 * a.channels + a.hidden) if a.batch_norm else 0)


def training_need(request: Train) -> Need:
    """What `request` needs, estimated from the shapes of its tensors; the program itself is not counted.

    A step holds each convolution's map until its gradient is known, with batch norm also the normalised one, and of the
    pooled maps the places of the maxima too; then the gradients of the largest of them come on top.
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
    forth = image + kept * (maps1 + maps2) + pools + connected
    back = kept * max(maps1, maps2) + pooled1 * _FLOAT
    batch = min(a.batch_size, a.train_size)
    halves = maps1 // 2 + maps1 // 4  # an evaluation takes the maxima of rows, and of these those of columns
    evaluated = EVALUATION_BATCH * (image + maps1 + max(halves, maps2) + connected)
    return Need(
        data=IMAGES[a.dataset] * (IMAGE_SIZE**2 * _FLOAT + _INDEX),
        weights=_COPIES * weights,
        step=int(_HOLES * batch * (forth + back)) + weights,
        evaluation=int(_HOLES * evaluated),
        saving=_SAVED * weights,
    )


def check_fits(need: int, free: int | None, request: Train, where: str = "in memory", otherwise: str = "") -> None:
    """Raise RequestError, with the numbers, where `need` bytes are more than are `free` `where`; None: not known.

    `otherwise` is what else one can do, at the end of the message.
    """
    if free is None or need <= free:
        return
    raise RequestError(
        f"this run needs about {gigabytes(need)}, and {gigabytes(free)} are free {where}: lower --batch-size "
        f"({request.batch_size}), --channels ({request.channels}) or --hidden ({request.hidden}){otherwise}"
    )


def gigabytes(size: int) -> str:
    """`size` bytes for people, for example `33.1 GB`."""
    return f"{size / 1e9:,.1f} GB"


def free_memory(proc: Path = Path("/proc"), root: Path = MOUNTED) -> int | None:
    """Bytes that this process can still take: of the machine's, or of what its control groups leave if that is less.

    What the kernel would give back when asked, such as cached files, counts as free, swap does not. None where the
    system does not say (it is not Linux).
    """
    found = [*_of_machine(proc / "meminfo"), *_of_groups(proc / "self" / "cgroup", root)]
    return max(0, min(found)) if found else None


def _of_machine(meminfo: Path) -> Iterator[int]:
    for name, value in _table(meminfo).items():
        if name == "MemAvailable:":
            yield 1024 * value


def _of_groups(membership: Path, root: Path) -> Iterator[int]:
    """What is left in each control group around this process."""
    for version, group in groups("memory", root, membership):
        yield from _left(group, *_FILES[version])


def _left(group: Path, limit: str, used: str, given_back: tuple[str, ...]) -> Iterator[int]:
    try:
        most, now = (int((group / name).read_text()) for name in (limit, used))
    except (OSError, ValueError):  # there is no such group, or its limit is `max`
        return
    statistics = _table(group / "memory.stat")
    yield most - max(0, now - sum(statistics.get(name, 0) for name in given_back))


def _table(file: Path) -> dict[str, int]:
    """The first number after each name in a file of the kernel's."""
    found: dict[str, int] = {}
    with contextlib.suppress(OSError, ValueError):
        for line in file.read_text().splitlines():
            name, value, *_ = line.split()
            found[name] = int(value)
    return found
