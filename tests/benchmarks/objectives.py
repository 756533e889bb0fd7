"""What a step of each training objective takes, beside one of clean training: `python -m tests.benchmarks.objectives`.

All in one process, in turns, at full epsilon, with the notebook's network. Arguments: steps of each objective (200),
batch size (64), threads (0: all). The ratio is that of the medians; an epoch is 50,000 images without evaluation.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from statistics import median
from typing import get_args

import torch

from engine.allocator import keep_freed_memory
from engine.data.datasets import Dataset, load
from engine.network.devices import set_threads
from engine.training.requests import ObjectiveName, Train
from engine.training.robustness import certified_accuracy, robust_accuracy
from engine.training.state import TrainingState
from engine.training.step import Step
from tests.conftest import returned

CPU = torch.device("cpu")
MOST: dict[ObjectiveName, float] = {"fgsm": 3.0, "pgd": 9.0}
"""The ratios to stay below."""
EPOCH = 50_000
"""Images of an epoch."""


def measured(data: Dataset, steps: int, batch: int) -> dict[ObjectiveName, list[float]]:
    """The seconds of each step by objective; of each, the first is left out."""
    requests = {name: Train(objective=name, batch_size=batch, device="cpu") for name in get_args(ObjectiveName)}
    states = {name: TrainingState.fresh(request, CPU) for name, request in requests.items()}
    takes = {name: Step(request, states[name], CPU) for name, request in requests.items()}
    found: dict[ObjectiveName, list[float]] = {name: [] for name in requests}
    for step in range(steps + 1):
        begin = step * batch % (len(data.train) - batch)
        images, labels = (each[begin : begin + batch] for each in (data.train.images, data.train.labels))
        for name, take in takes.items():
            since = time.perf_counter()
            take(images, labels, None, 1e-3, 0.0, 1.0, step)
            if step:
                found[name].append(time.perf_counter() - since)
    return found


def main(arguments: Sequence[str] = ()) -> None:
    """Print all figures."""
    steps, batch, threads = (int(word) for word in [*arguments, *("200", "64", "0")[len(arguments) :]])
    keep_freed_memory()
    print(f"torch {torch.__version__}, {set_threads(threads)} threads, {steps} steps of {batch} images each")
    data = returned(load("mnist", CPU))
    found = measured(data, steps, batch)
    clean = median(found["clean"])
    for name, seconds in found.items():
        typical = median(seconds)
        aim = f"   (at most {MOST[name]:g})" if name in MOST else ""
        print(
            f"{name:<10}{1000 * typical:8.2f} ms a step{typical * EPOCH / batch:8.1f} s an epoch"
            f"{typical / clean:7.2f} times clean{aim}"
        )
    request, model = Train(objective="ibp"), TrainingState.fresh(Train(), CPU).model
    for words, measure in (("PGD-10", robust_accuracy), ("interval bounds", certified_accuracy)):
        count = min(1000, 5 * steps)
        since = time.perf_counter()
        returned(measure(model, data.val.first(count), request))
        print(f"{words} of {count:,} validation images: {time.perf_counter() - since:.2f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
