"""The notebook's training loop (its function `train`), with the same results in less time."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator
from typing import TypeVar, cast

import torch

from engine.allocator import keep_freed_memory
from engine.data.datasets import Dataset, Split, epoch_permutation
from engine.network.devices import set_threads
from engine.training.answers import packed
from engine.training.augmentation import Augmentation
from engine.training.chunks import Chunks, Diverged
from engine.training.evaluation import evaluate
from engine.training.events import DIVERGED, BatchEvaluated, BatchTrained, EpochFinished
from engine.training.insides import is_due, measured
from engine.training.requests import Train
from engine.training.robustness import certified_accuracy, robust_accuracy
from engine.training.schedule import share_of_epsilon, share_of_rate
from engine.training.state import Sums, TrainingState, steps_an_epoch, stretch_of
from engine.training.step import Step

E = TypeVar("E")
R = TypeVar("R")


class TrainingFailed(Exception):
    """Training cannot continue. The message is one line that says why and what to change."""


class _Watch:
    """Seconds of work: the time between two yields, without the time that the consumer takes in between."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self._since = time.perf_counter()

    def stop(self) -> None:
        self.seconds += time.perf_counter() - self._since

    def go(self) -> None:
        self._since = time.perf_counter()

    def over(self, work: Generator[E, None, R]) -> Generator[E, None, R]:
        """`work`, with its time counted."""
        while True:
            self.go()
            try:
                event = next(work)
            except StopIteration as stop:
                return cast(R, stop.value)
            finally:
                self.stop()
            yield event


def train(
    request: Train, data: Dataset, state: TrainingState, chunks: Chunks | None = None
) -> Iterator[BatchTrained | BatchEvaluated | EpochFinished]:
    """Train `state` from its current epoch to `request.epochs`, with an event for each step and each epoch.

    Adam with the objective of `request`, as in the notebook cross-entropy, over shuffled batches, with its schedule,
    augmentation and averaging. The order of an epoch and what its augmentation draws depend only on (seed, epoch).
    Losses are summed on the device and read RUNNING_POINTS times per epoch. At each event `state` is complete: if saved
    then, it can be resumed bit for bit. Raises TrainingFailed where the loss is no longer finite; the weights are then
    those of the last epoch that finished in this call.

    On a device other than the CPU there is one event for each chunk of steps; `chunks` are those of `prepared`, if it
    has been called with the same arguments.
    """
    keep_freed_memory()
    set_threads(request.threads)
    chunks = chunks or prepared(request, data, state)
    split = data.train.first(request.train_size)
    while state.epoch < request.epochs:
        last_good = [{key: value.clone() for key, value in each.state_dict().items()} for each in state.networks]
        try:
            yield from _epoch(request, data, split, state, chunks)
        except TrainingFailed:
            for network, weights in zip(state.networks, last_good, strict=True):
                network.load_state_dict(weights)
            raise


def prepared(request: Train, data: Dataset, state: TrainingState) -> Chunks | None:
    """The steps of a run on a GPU, captured and ready for `train`; None on a CPU, where there is nothing to prepare."""
    split = data.train.first(request.train_size)
    return None if split.labels.device.type == "cpu" else Chunks(request, split, state)


def _epoch(
    request: Train, data: Dataset, split: Split, state: TrainingState, chunks: Chunks | None
) -> Iterator[BatchTrained | BatchEvaluated | EpochFinished]:
    epoch, steps = state.epoch + 1, steps_an_epoch(request, len(split))
    try:
        yield from chunks.epoch(epoch) if chunks else _step_by_step(request, split, state)
    except Diverged as error:
        raise TrainingFailed(_diverged(request, epoch, f"around step {error.step} of {steps}")) from None
    sums, evaluation = state.sums, _Watch()
    val = yield from evaluation.over(evaluate(state.result, data.val, "val"))
    test = yield from evaluation.over(evaluate(state.result, data.test, "test"))
    if not math.isfinite(val.loss):
        raise TrainingFailed(_diverged(request, epoch, "on the validation images"))
    robust, certified = None, None
    if request.objective != "clean":
        robust = yield from evaluation.over(robust_accuracy(state.result, data.val, request))
    if request.certifies:
        certified = yield from evaluation.over(certified_accuracy(state.result, data.val, request))
    insides = (yield from evaluation.over(measured(request, split, state))) if is_due(request, epoch) else None
    state.epoch, state.sums, state.loss_sum = epoch, Sums(), None
    yield EpochFinished(
        epoch=epoch,
        epochs=request.epochs,
        train_loss=sums.seen / steps,
        val_loss=val.loss,
        val_accuracy=val.accuracy,
        test_accuracy=test.accuracy,
        train_seconds=sums.seconds,
        eval_seconds=evaluation.seconds,
        images_per_second=sums.images / sums.seconds,
        running_loss=tuple(sums.running),
        robust_accuracy=robust,
        certified_accuracy=certified,
        insides=insides,
        test_wrong=packed(test.right.cpu().numpy()),
    )


def _step_by_step(request: Train, split: Split, state: TrainingState) -> Iterator[BatchTrained]:
    """Train the rest of an epoch, with an event for each step. Raises Diverged."""
    epoch, device = state.epoch + 1, split.labels.device
    sums, watch = state.sums, _Watch(state.sums.seconds)
    order = epoch_permutation(request.seed, epoch, len(split)).to(device)
    batches = torch.split(order, request.batch_size)
    if request.norms and len(batches[-1]) == 1:
        # Batch norm needs more than one image for a variance, so the last one joins the batch before.
        batches = (*batches[:-2], torch.cat(batches[-2:]))
    steps = len(batches)
    before, stretch = state.epoch * steps, stretch_of(steps)
    if state.loss_sum is None:
        state.loss_sum = torch.zeros((), device=device)
    augmentation = Augmentation.of(request)
    drawn = augmentation.draw(request.seed, epoch, len(split)).to(device) if augmentation else None

    take = Step(request, state, device)
    for step, batch in enumerate(batches[sums.step :], sums.step + 1):
        rate = request.learning_rate * share_of_rate(request.schedule, before + step - 1, request.epochs * steps)
        share = state.average.share(before + step) if state.average else 0.0
        ramp = share_of_epsilon(request, before + step - 1, request.epochs * steps)
        numbers = None if drawn is None else drawn[sums.images : sums.images + len(batch)]
        images, labels = split.images.index_select(0, batch), split.labels.index_select(0, batch)
        state.loss_sum += take(images, labels, numbers, rate, share, ramp, before + step - 1)
        sums.images += len(batch)
        sums.step = step
        if step % stretch == 0 or step == steps:
            sum_so_far = state.loss_sum.item()
            if not math.isfinite(sum_so_far):
                raise Diverged(step)
            sums.add_point(stretch, sum_so_far)
        watch.stop()
        sums.seconds = watch.seconds
        yield BatchTrained(
            epoch=epoch,
            epochs=request.epochs,
            step=step,
            steps=steps,
            images_per_second=sums.images / watch.seconds,
            running_loss=tuple(sums.running),
        )
        watch.go()


def _diverged(request: Train, epoch: int, where: str) -> str:
    return (
        f"{DIVERGED} in epoch {epoch} {where}: "
        f"lower the learning rate ({request.learning_rate:g}); the weights of epoch {epoch - 1} are kept"
    )
