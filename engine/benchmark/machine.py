"""The rates that this machine reaches in the two operations that a training step consists of."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import NamedTuple, get_args

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from engine.benchmark.effort import Effort
from engine.benchmark.events import Measurement
from engine.benchmark.timing import Work, by_turns, seconds
from engine.network.gpu import bf16_pays, check_precision, tf32
from engine.network.requests import PrecisionName
from engine.request import RequestError

LONG = 0.03
"""Seconds of a measured call at least, so that what surrounds it does not count."""
CHANNELS, SIDE, KERNEL = 128, 28, 3
"""Of the convolution: the network's own are smaller, and reach less."""
SIZES = {"product": (256, 8192), "convolution": (1, 4096)}
"""The smallest and the largest matrix (side), and batch of images."""


class _Operation(NamedTuple):
    work: Work
    operations: float
    """Floating-point operations of a call: two for each multiply-add."""


def _product(size: int, dtype: torch.dtype, device: torch.device) -> _Operation:
    left, right, result = (torch.rand(size, size, device=device).to(dtype) for _ in range(3))
    return _Operation(lambda: torch.mm(left, right, out=result), 2.0 * size**3)


def _convolution(size: int, dtype: torch.dtype, device: torch.device) -> _Operation:
    def tensor(*shape: int) -> Tensor:
        return torch.rand(shape, device=device).to(dtype).to(memory_format=torch.channels_last)

    images, weight = tensor(size, CHANNELS, SIDE, SIDE), tensor(CHANNELS, CHANNELS, KERNEL, KERNEL)
    multiply_adds = size * SIDE**2 * CHANNELS**2 * KERNEL**2
    return _Operation(lambda: conv2d(images, weight, padding=KERNEL // 2), 2.0 * multiply_adds)


_MAKERS: dict[str, Callable[[int, torch.dtype, torch.device], _Operation]] = {
    "product": _product,
    "convolution": _convolution,
}


def precisions(device: torch.device) -> Iterator[PrecisionName]:
    """The precisions that `device` can train in, bf16 only where it pays."""
    for name in get_args(PrecisionName):
        if name == "bf16" and not bf16_pays(device):
            continue
        try:
            check_precision(name, device)
        except RequestError:
            continue
        yield name


@torch.inference_mode()
def measure_rates(effort: Effort, device: torch.device) -> Generator[float, None, list[Measurement]]:
    """The rates of matrix products and convolutions in each precision."""
    operations = {}
    for kind in _MAKERS:
        for name in precisions(device):
            operations[kind, name] = _sized(kind, name, device)
    works = {f"{kind} {name}": each.work for (kind, name), each in operations.items()}
    times = yield from by_turns(works, effort.machine / 2, effort, device)  # finding the sizes takes the other half
    return [
        Measurement.of(
            "machine",
            f"matrix {kind}" if kind == "product" else kind,
            "GFLOP/s",
            [each.operations / 1e9 / taken for taken in times[f"{kind} {name}"]],
            precision=name,
        )
        for (kind, name), each in operations.items()
    ]


def _sized(kind: str, name: str, device: torch.device) -> _Operation:
    """The operation at the smallest size, by doubling, at which a call is long."""
    dtype = torch.bfloat16 if name == "bf16" else torch.float32
    size, largest = SIZES[kind]
    while True:
        found = _MAKERS[kind](size, dtype, device)
        work = _in_tf32(found.work) if name == "tf32" else found.work
        if size >= largest or min(seconds(work, device) for _ in range(2)) >= LONG:
            return _Operation(work, found.operations)
        size *= 2


def _in_tf32(work: Work) -> Work:
    def inside() -> None:
        with tf32("tf32"):
            work()

    return inside


def best_rate(rates: list[Measurement], name: str) -> float:
    """The best rate of the machine in a precision, in GFLOP/s."""
    return max(row.median for row in rates if row.precision == name)
