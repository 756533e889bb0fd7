"""What share of a cluster each run gets."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

from engine.training.requests import Train

GRAIN = 10_000
"""Ray counts cores and GPUs in parts of this size."""
FIRST = 0.01
"""The share of a GPU that the run gets on which the share of all others is measured."""


class Machine(Struct, frozen=True):
    """A machine of the cluster."""

    cores: float
    gpus: float


class Share(Struct, frozen=True):
    """What a run gets."""

    cores: float
    threads: int
    """Number of CPU threads where its request names none."""
    gpus: float = 0.0


def wants_gpu(request: Train, machines: Sequence[Machine]) -> bool:
    """Whether the run is to be trained on a GPU: `auto` is, where the cluster has one."""
    return request.device != "cpu" and any(machine.gpus for machine in machines)


def share(request: Train, machines: Sequence[Machine], parallel: int, memory: float | None = None) -> Share:
    """The share of a run.

    On a CPU as many cores as it has threads, one by default; with `parallel`, as many as let that many runs have room.
    On a GPU, `memory` is the measured share of a GPU's memory that a run takes; None until it is known, which gives a
    first run little, so that others fit beside it; with `parallel`, as with cores.
    """
    largest = max(machine.cores for machine in machines)
    if parallel:
        cores = _even([machine.cores for machine in machines], parallel)
    else:
        cores = min(largest, float(request.threads or 1))
    if not wants_gpu(request, machines):
        return Share(cores=_grain(cores), threads=max(1, int(cores)))
    cores = min(cores, 1.0)
    if parallel:
        gpus = _even([1.0] * int(sum(machine.gpus for machine in machines)), parallel)
    elif memory is None:
        gpus = FIRST
    else:
        beside = int((1 - FIRST) / max(memory, 1 / GRAIN)) - 1  # the first run, which holds little, takes as much
        gpus = (1 - FIRST) / beside if beside > 0 else 1.0
    return Share(cores=_grain(cores), threads=1, gpus=_grain(gpus))


def _even(sizes: Sequence[float], count: int) -> float:
    """The largest share of which `count` fit into machines, or GPUs, of these sizes: none spans two."""
    shares = sorted({size / parts for size in sizes for parts in range(1, count + 1) if size}, reverse=True)
    return next(each for each in shares if sum(int(size / each + 1e-9) for size in sizes) >= count)


def _grain(amount: float) -> float:
    """`amount` rounded down to what Ray can count, but not to nothing."""
    return max(1, math.floor(amount * GRAIN + 1e-6)) / GRAIN
