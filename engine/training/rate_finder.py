"""The learning-rate range test: one short training with a rate that rises from step to step (Smith 2017)."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from pathlib import Path

import torch
from msgspec.structs import replace
from torch import Tensor

from engine.allocator import keep_freed_memory
from engine.data.datasets import Dataset, Split, epoch_permutation
from engine.event import Cancelled, Event, WorkAdvanced
from engine.network.devices import choose_device, device_name, threads_set
from engine.network.gpu import check_precision
from engine.training.augmentation import Augmentation
from engine.training.events import LearningRateFound, LearningRatesTried
from engine.training.loading import load_for
from engine.training.rate_curve import has_diverged, rates_between, read_curve, smooth
from engine.training.requests import FindLearningRate
from engine.training.state import TrainingState
from engine.training.step import Step

SHOWN = 5
"""Steps between two reports of the losses so far."""


def find_learning_rate(request: FindLearningRate, _root: Path) -> Generator[Event, None, None]:
    """Train from the weights that `request.seed` draws, with the loss at each rate; nothing is written.

    The network, its batches, their augmentation and the objective are those of a run of `request`, from its first step;
    a robust objective has its full epsilon. Stops where the loss diverges. Ends with LearningRateFound; where Cancelled
    is thrown in, with what is known by then. Raises RequestError where it could not start.
    """
    device = choose_device(request.device)
    check_precision(request.precision, device)
    data = yield from load_for(request, device)
    keep_freed_memory()
    with threads_set(request.threads):
        yield from _found(request, data, device)


def _found(request: FindLearningRate, data: Dataset, device: torch.device) -> Generator[Event, None, None]:
    split = data.train.first(request.train_size)
    state = TrainingState.fresh(replace(request, average=0.0), device)
    take, batches = Step(request, state, device), _batches(request, split)
    rates = rates_between(request.lowest_rate, request.highest_rate, request.steps)
    losses: list[float] = []
    diverged = stopped = False
    for number, (rate, batch) in enumerate(zip(rates, batches, strict=False)):
        loss = take(*batch, rate, number=number).item()
        diverged = not math.isfinite(loss)
        if not diverged:
            losses.append(loss)
            diverged = has_diverged(losses)
        try:
            yield WorkAdvanced(words=f"learning rate {rate:.1e}", done=number + 1, total=request.steps)
            if losses and (number % SHOWN == 0 or diverged or number + 1 == request.steps):
                tried, smoothed = tuple(rates[: len(losses)]), tuple(smooth(losses, request.steps))
                yield LearningRatesTried(
                    rates=tried, losses=tuple(losses), smoothed=smoothed, lowest=rates[0], highest=rates[-1]
                )
        except Cancelled:
            stopped = True
        if diverged or stopped:
            break
    tried = tuple(rates[: len(losses)])
    curve = read_curve(tried, losses, request.steps)
    yield LearningRateFound(
        variant=request.variant,
        dataset=request.dataset,
        objective=request.objective,
        batch_size=request.batch_size,
        seed=request.seed,
        device=str(device),
        device_name=device_name(device),
        lowest=rates[0],
        highest=rates[-1],
        steps=request.steps,
        rates=tried,
        losses=tuple(losses),
        smoothed=curve.smoothed,
        diverged=diverged,
        stopped=stopped,
        steepest=curve.steepest,
        rises_from=curve.rises_from,
        suggested=curve.suggested,
    )


def _batches(request: FindLearningRate, split: Split) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """Images, labels and the numbers of their augmentation of one batch after another, in the order of a run's epochs.

    All have the full size: what is left of an epoch is left out.
    """
    augmentation, device, size = Augmentation.of(request), split.labels.device, request.batch_size
    epoch = 0
    while True:
        epoch += 1
        order = epoch_permutation(request.seed, epoch, len(split)).to(device)
        drawn = augmentation.draw(request.seed, epoch, len(split)).to(device) if augmentation else None
        for start in range(0, len(split) - size + 1, size):
            batch = order[start : start + size]
            numbers = None if drawn is None else drawn[start : start + size]
            yield split.images.index_select(0, batch), split.labels.index_select(0, batch), numbers
