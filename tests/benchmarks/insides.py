"""What looking into the layers after each epoch costs: `python -m tests.benchmarks.insides [IMAGES] [TURNS] [THREADS]`.

Epochs of the notebook's network with and without it, in turns in one process, and the measurement alone, with and
without batch norm: seconds of the clock and of the CPU, medians over the turns (50,000 images, 5 turns, 1 thread). On a
machine with other work, the CPU's seconds are the ones to compare. Then the bytes of an epoch's event, and of its part
about the layers.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence

import msgspec
import torch
from msgspec.structs import replace

from engine.data.datasets import Dataset, load
from engine.training.events import EpochFinished
from engine.training.insides import measured, probe
from engine.training.loop import train
from engine.training.requests import Train
from engine.training.state import TrainingState
from tests.conftest import returned


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the clock and of the CPU that `work` takes."""
    began, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - used


def measure(request: Train, data: Dataset, turns: int) -> None:
    """Print the times of epochs and of the measurement, and the size of its event."""
    found: dict[str, list[tuple[float, float]]] = {"with": [], "without": [], "alone": []}
    last: list[EpochFinished] = []

    def epoch(insides: bool) -> None:
        events = train(replace(request, insides=insides), data, TrainingState.fresh(request, torch.device("cpu")))
        last[:] = [event for event in events if isinstance(event, EpochFinished)]

    for _ in range(turns):
        found["without"].append(timed(lambda: epoch(False)))
        found["with"].append(timed(lambda: epoch(True)))
    state, split = TrainingState.fresh(request, torch.device("cpu")), data.train.first(request.train_size)
    for _ in range(turns + 1):
        found["alone"].append(timed(lambda: returned(measured(request, split, state))))
    del found["alone"][0]  # the first allocates what the others use again
    wall, cpu = ({name: statistics.median(each[n] for each in pairs) for name, pairs in found.items()} for n in (0, 1))
    variant, (count, size) = request.variant, probe(request, len(split))
    for name in ("without", "with", "alone"):
        print(f"{variant:<7}{name:<8}{wall[name]:9.3f} s, {cpu[name]:8.3f} s of CPU")
    print(
        f"{variant:<7}alone over an epoch without: {100 * wall['alone'] / wall['without']:.2f} % of the time, "
        f"{100 * cpu['alone'] / cpu['without']:.2f} % of the CPU's ({count} batches of {size} images)"
    )
    print(
        f"{variant:<7}with over without: {wall['with'] / wall['without']:.4f} of the time, "
        f"{cpu['with'] / cpu['without']:.4f} of the CPU's"
    )
    (event,) = last
    print(
        f"{variant:<7}bytes an epoch: {len(msgspec.json.encode(event)):,}, "
        f"of which {len(msgspec.json.encode(event.insides)):,} are about the layers"
    )


def main(arguments: Sequence[str] = ()) -> None:
    """Measure both variants of the notebook's network."""
    images, turns, threads = (int(n) for n in [*arguments, *("50000", "5", "1")[len(arguments) :]])
    data = returned(load("mnist", torch.device("cpu")))
    for batch_norm in (False, True):
        measure(Train(epochs=1, train_size=images, threads=threads, batch_norm=batch_norm), data, turns)


if __name__ == "__main__":
    main(sys.argv[1:])
