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

    On a CPU as many cores as it has threads, one by default; with `parallel`, the cores of the cluster divided by it.
    On a GPU, `memory` is the measured share of a GPU's memory that a run takes; None until it is known, which gives a
    first run little, so that others fit beside it; with `parallel`, the GPUs divided by it.
    """
    largest = max(machine.cores for machine in machines)
    if parallel:
        cores = min(largest, sum(machine.cores for machine in machines) / parallel)
    else:
        cores = min(largest, float(request.threads or 1))
    if not wants_gpu(request, machines):
        return Share(cores=_grain(cores), threads=max(1, int(cores)))
    cores = min(cores, 1.0)
    if parallel:
        gpus = min(1.0, sum(machine.gpus for machine in machines) / parallel)
    elif memory is None:
        gpus = FIRST
    else:
        fit = int((1 - FIRST) / max(memory, 1 / GRAIN))
        gpus = (1 - FIRST) / fit if fit > 1 else 1.0
    return Share(cores=_grain(cores), threads=1, gpus=_grain(gpus))


def _grain(amount: float) -> float:
    """`amount` rounded down to what Ray can count, but not to nothing."""
    return max(1, math.floor(amount * GRAIN + 1e-6)) / GRAIN
