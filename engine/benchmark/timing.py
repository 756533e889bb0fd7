"""Clocks for work that alternates, so that what else the machine does falls on all of it alike."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter

import torch

from engine.allocator import as_glibc_adapts
from engine.benchmark.effort import Effort
from engine.network.gpu import as_pytorch_does

Work = Callable[[], object]


def synchronise(device: torch.device) -> None:
    """Wait until `device` has done all that it was given: only then a clock may be read."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def as_others_do(device: torch.device) -> Iterator[None]:
    """The settings of memory and precision that the notebook's code has by itself, not those of this program."""
    with as_glibc_adapts(), as_pytorch_does(device):
        yield


def seconds(work: Work, device: torch.device) -> float:
    """Seconds that `work` takes, from the call until `device` has done it."""
    synchronise(device)
    began = perf_counter()
    work()
    synchronise(device)
    return perf_counter() - began


def by_turns(
    works: Mapping[str, Work], budget: float, effort: Effort, device: torch.device
) -> Generator[float, None, dict[str, list[float]]]:
    """Seconds of each of `works` by round, as many rounds as fit into `budget` seconds; yields the share done.

    Each runs once before, uncounted. Every other round goes through them backwards, so that none always follows the
    same one.
    """
    names = list(works)
    times: dict[str, list[float]] = {name: [] for name in names}
    began = perf_counter()
    rounds = effort.rounds(budget, sum(seconds(works[name], device) for name in names))
    for number in range(rounds):
        for name in names if number % 2 == 0 else reversed(names):
            times[name].append(seconds(works[name], device))
        yield (number + 1) / rounds
        if effort.spent(budget, began):
            break
    return times
