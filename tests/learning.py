"""A run that recognised given test images, and a learning-rate range test with given losses."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from engine.event import Event, WorkAdvanced
from engine.runs.folder import RunFolder
from engine.training.answers import packed
from engine.training.events import LearningRateFound, LearningRatesTried, RunFinished
from engine.training.rate_curve import rates_between, read_curve
from engine.training.requests import FindLearningRate, Train
from tests.runs import STARTED_EVENT, made

EPOCHS, COUNT = 7, 400


def recognised(count: int = COUNT, epochs: int = EPOCHS) -> np.ndarray:
    """Which of `count` images a made-up run recognises after each epoch; all kinds of images are among them."""
    right: np.ndarray = np.random.default_rng(5).random((epochs, count)) < np.linspace(0.3, 0.9, epochs)[:, None]
    right[:, :3], right[:, 3:6], right[-2:-1, 6:9], right[-1, 6:9] = True, False, True, False
    return right


def run_with(root: Path, name: str, records: Sequence[bytes], *, finished: bool = True) -> RunFolder:
    """A run without weights, with an epoch for each of `records` of what it recognised."""
    folder = made(root, name, Train(epochs=max(1, len(records))), [0.9] * len(records))
    epochs = folder.told().epochs
    folder.events_file.unlink(missing_ok=True)
    folder.append(replace(STARTED_EVENT, run=name))
    for epoch, record in zip(epochs, records, strict=True):
        folder.append(replace(epoch, test_wrong=record))
    if records and finished:
        folder.append(RunFinished(run=name, best_epoch=1, best_val_loss=0.1, test_accuracy=0.9, last_test_accuracy=0.9))
    return folder


def run_that_recognised(root: Path, name: str, right: np.ndarray | None = None) -> RunFolder:
    """A run that recognised the images in `right` (epochs, images) bool, by default `recognised()`."""
    return run_with(root, name, [packed(row) for row in (recognised() if right is None else right)])


def losses_at(rates: Sequence[float]) -> list[float]:
    """Losses that fall fastest at a rate of 1e-3, are lowest at 3e-2, and diverge from there on."""
    logs = np.log10(rates)
    fall = 1 / (1 + np.exp(-6 * (logs + 3)))
    rise = 8 * np.maximum(0.0, logs - math.log10(3e-2)) ** 2
    noise = np.random.default_rng(3).normal(0, 0.04, len(rates)) * fall
    found: list[float] = (2.3 - 1.8 * fall + rise - 0.05 * np.minimum(logs + 6, 4.5) + noise).tolist()
    return found


def find_learning_rate(request: FindLearningRate, _root: Path) -> Generator[Event, None, None]:
    """A range test with the losses of `losses_at`, which diverges at about 0.2."""
    rates = [rate for rate in rates_between(request.lowest_rate, request.highest_rate, request.steps) if rate < 0.2]
    losses = losses_at(rates)
    curve = read_curve(rates, losses, request.steps)
    half = len(rates) // 2
    yield WorkAdvanced(words=f"learning rate {rates[half]:.1e}", done=half, total=request.steps)
    yield LearningRatesTried(
        rates=tuple(rates[:half]),
        losses=tuple(losses[:half]),
        smoothed=curve.smoothed[:half],
        lowest=request.lowest_rate,
        highest=request.highest_rate,
    )
    yield LearningRateFound(
        variant=request.variant,
        dataset=request.dataset,
        objective=request.objective,
        batch_size=request.batch_size,
        seed=request.seed,
        device="cpu",
        device_name="2 threads",
        lowest=request.lowest_rate,
        highest=request.highest_rate,
        steps=request.steps,
        rates=tuple(rates),
        losses=tuple(losses),
        smoothed=curve.smoothed,
        diverged=True,
        stopped=False,
        steepest=curve.steepest,
        rises_from=curve.rises_from,
        suggested=curve.suggested,
    )
