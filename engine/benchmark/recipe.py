"""The time in which the recipe `fast` reaches the notebook's test accuracy, beside the notebook's loop."""

from __future__ import annotations

import statistics
from collections.abc import Generator

import torch
from msgspec.structs import replace

from engine.benchmark.events import Measurement
from engine.benchmark.training import STEP, WHOLE, steps
from engine.data.datasets import Dataset
from engine.network.gpu import bf16_pays
from engine.training.events import BatchTrained, EpochFinished
from engine.training.loop import train
from engine.training.recipes import with_recipe
from engine.training.requests import Train
from engine.training.state import TrainingState
from engine.words import percent

ACCURACY = 0.9914
"""The best test accuracy of the notebook's network without batch norm, which its log prints."""
EPOCHS = 9
"""The epoch of its log that reaches it, of 15."""


def measure_recipe(data: Dataset, rows: list[Measurement]) -> Generator[float, None, list[Measurement]]:
    """The row of a run by the recipe, its evaluation apart; `rows` hold the notebook's time of a step.

    A run that misses the accuracy says so.
    """
    device = data.train.labels.device
    request = with_recipe(Train(device=str(device), threads=torch.get_num_threads()), "fast")
    if not bf16_pays(device):
        request = replace(request, precision="fp32")
    state, epochs = TrainingState.fresh(request, device), list[EpochFinished]()
    for event in train(request, data, state):
        if isinstance(event, BatchTrained):
            yield (event.epoch - 1 + event.step / event.steps) / event.epochs
        elif isinstance(event, EpochFinished):
            epochs.append(event)
    step = statistics.median(row.peer_median or 0.0 for row in rows if row.name == STEP and row.variant == "cnn")
    accuracy = epochs[-1].test_accuracy
    said = "" if accuracy >= ACCURACY else f", which is less than {percent(ACCURACY)}"
    return [
        Measurement.of(
            "training",
            f"to {percent(ACCURACY)} on the test images",
            "s",
            [sum(each.train_seconds for each in epochs)],
            [EPOCHS * steps(WHOLE) * step / 1000],
            variant=request.variant,
            precision=request.precision,
            peer="notebook" if accuracy >= ACCURACY else "",
            note=f"recipe fast, here {percent(accuracy)}{said}; the notebook's loop ({EPOCHS} epochs) from its step; "
            "without evaluation",
        )
    ]
