"""The notebook's training loop (its function `train`), with the same results in less time."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar, cast

import torch
from msgspec import Struct, field
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim.adam import adam

from engine.allocator import keep_freed_memory
from engine.data.datasets import Dataset, Split, epoch_permutation
from engine.network.batches import EVALUATION_BATCH
from engine.network.devices import set_threads
from engine.network.gpu import precision
from engine.network.kernels import training_logits
from engine.network.model import CNN, inference_network, seeded_cnn
from engine.training.events import DIVERGED, BatchEvaluated, BatchTrained, EpochFinished
from engine.training.requests import Train
from engine.words import shortened

E = TypeVar("E")
R = TypeVar("R")

RUNNING_POINTS = 32
"""Number of points of the running training loss per epoch: each requires a synchronisation with the device."""


class TrainingFailed(Exception):
    """Training cannot continue. The message is one line that says why and what to change."""


class Sums(Struct):
    """The sums of an unfinished epoch: everything needed to resume it, except weights and optimizer."""

    step: int = 0
    """Number of steps done."""
    images: int = 0
    seen: float = 0.0
    """The sum of the losses at the last point of `running`."""
    running: list[float] = field(default_factory=list)
    """The running training loss so far."""
    seconds: float = 0.0
    """Time spent training."""


@dataclass
class TrainingState:
    """Everything needed to resume a run: weights, optimizer and progress."""

    model: CNN
    optimizer: torch.optim.Adam
    epoch: int = 0
    """Number of finished epochs."""
    sums: Sums = dataclasses.field(default_factory=Sums)
    """Those of the current epoch."""
    loss_sum: Tensor | None = None
    """Sum of the losses of the current epoch, on the device; None before its first step."""

    @classmethod
    def fresh(cls, request: Train, device: torch.device) -> TrainingState:
        """Weights drawn from the seed (the same on every device) and a new Adam."""
        model = seeded_cnn(request, request.seed).to(device).to(memory_format=torch.channels_last)
        for bias in model.cancelled_biases():
            bias.requires_grad_(False)  # its gradient is only rounding error, which Adam would turn into steps
        return cls(model, torch.optim.Adam(model.parameters(), lr=request.learning_rate, fused=True))

    def tensors(self) -> dict[str, Tensor]:
        """Weights as `model.KEY`, Adam's state as `optimizer.NUMBER.NAME`, and `loss_sum`; on the CPU."""
        tensors = {f"model.{key}": value for key, value in self.model.state_dict().items()}
        if self.loss_sum is not None:
            tensors["loss_sum"] = self.loss_sum
        for number, memory in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": value for name, value in memory.items()}
        return {key: value.detach().to("cpu", copy=True).contiguous() for key, value in tensors.items()}

    def restore(self, tensors: dict[str, Tensor], sums: Sums, steps: int) -> None:
        """Restore the result of `tensors()`, and `sums` of an epoch of `steps` steps; the caller sets `epoch`.

        Raises ValueError, with what does not fit, before anything is changed: fused Adam would read and write beyond
        the end of a moment that is too small.
        """
        _check_sums(sums, steps, "loss_sum" in tensors)
        expected = {f"model.{key}": value for key, value in self.model.state_dict().items()}
        parameters = dict(self.model.named_parameters())
        for number, like in enumerate(parameters.values()):
            if not like.requires_grad and not any(each.startswith(f"optimizer.{number}.") for each in tensors):
                continue  # a bias that batch norm cancels: only older files have moments for it
            shapes: dict[str, Tensor] = {"exp_avg": like, "exp_avg_sq": like, "step": torch.tensor(0.0)}
            expected |= {f"optimizer.{number}.{name}": value for name, value in shapes.items()}
        if sums.step:
            expected["loss_sum"] = torch.tensor(0.0)
        _check_tensors(tensors, expected)
        device = next(iter(parameters.values())).device
        if sums.step:
            self.loss_sum = tensors["loss_sum"].to(device)
        self.sums = sums
        self.model.load_state_dict({key: tensors[f"model.{key}"] for key in self.model.state_dict()})
        memory: dict[int, dict[str, Tensor]] = {}
        for number in range(len(parameters)):
            names = [name for name in ("step", "exp_avg", "exp_avg_sq") if f"optimizer.{number}.{name}" in tensors]
            if names:
                memory[number] = {name: tensors[f"optimizer.{number}.{name}"] for name in names}
        whole = self.optimizer.state_dict()
        self.optimizer.load_state_dict({"state": memory, "param_groups": whole["param_groups"]})
        for parameter, moments in self.optimizer.state.items():
            for name in ("exp_avg", "exp_avg_sq"):
                # Fused Adam works on raw memory, so a moment must have the same memory layout as its parameter.
                moments[name] = torch.empty_like(parameter).copy_(moments[name])


def _check_tensors(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    """Raise ValueError where a tensor is missing, surplus, of the wrong shape or type, or has impossible values."""
    for key in [*wanted, *found]:
        if key not in found or key not in wanted:
            raise ValueError(f"{shortened(key)} is {'surplus' if key in found else 'missing'}")
        have, want = found[key], wanted[key]
        if have.shape != want.shape or have.dtype != want.dtype:
            kinds = (f"{tuple(each.shape)} of {str(each.dtype).removeprefix('torch.')}" for each in (have, want))
            raise ValueError("{} is {}, expected {}".format(key, *kinds))
        if not have.isfinite().all():
            raise ValueError(f"{key} has values that are not finite")
        if key.endswith(".exp_avg_sq") and (have < 0).any():
            raise ValueError(f"{key} has negative squares")
        if key.endswith(".step") and not (have >= 1 and have == have.round()):
            raise ValueError(f"{key} is {have.item():g}, expected a number of steps")


def _check_sums(sums: Sums, steps: int, begun: bool) -> None:
    """Raise ValueError where `sums` cannot be those of an epoch of `steps` steps, `begun` or not."""
    stretch = math.ceil(steps / RUNNING_POINTS)
    points = sums.step // stretch + (sums.step == steps and steps % stretch > 0)
    sensible = math.isfinite(sums.seen) and math.isfinite(sums.seconds) and sums.images >= sums.step
    if not 0 <= sums.step <= steps or len(sums.running) != points or begun != (sums.step > 0) or not sensible:
        raise ValueError(
            f"step {sums.step} of {steps} with {len(sums.running)} points of the running loss is impossible"
        )
    if sums.step and sums.seconds <= 0:
        raise ValueError(f"step {sums.step} after {sums.seconds:g} seconds is impossible")


def steps_an_epoch(request: Train, images: int) -> int:
    """Number of steps of an epoch over `images` images."""
    alone = bool(request.norms) and images % request.batch_size == 1
    return math.ceil(images / request.batch_size) - alone


def evaluate(model: CNN, split: Split, name: str) -> Generator[BatchEvaluated, None, tuple[float, float]]:
    """Mean cross-entropy (nats) and accuracy (0 to 1) of `model` over the images of `split`, in evaluation mode."""
    network = inference_network(model)
    loss = torch.zeros((), dtype=torch.float64, device=split.labels.device)
    correct = torch.zeros((), dtype=torch.int64, device=split.labels.device)
    for start in range(0, len(split), EVALUATION_BATCH):
        with torch.inference_mode():
            labels = split.labels[start : start + EVALUATION_BATCH]
            logits = network(split.images[start : start + EVALUATION_BATCH])  # (B, 10)
            loss += cross_entropy(logits, labels, reduction="sum")
            correct += (logits.argmax(dim=1) == labels).sum()
        yield BatchEvaluated(split=name, done=min(start + EVALUATION_BATCH, len(split)), total=len(split))
    return loss.item() / len(split), correct.item() / len(split)


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
    request: Train, data: Dataset, state: TrainingState
) -> Iterator[BatchTrained | BatchEvaluated | EpochFinished]:
    """Train `state` from its current epoch to `request.epochs`, with an event for each step and each epoch.

    Adam with cross-entropy over shuffled batches, as in the notebook. The order of an epoch depends only on (seed,
    epoch). Losses are summed on the device and read RUNNING_POINTS times per epoch. At each event `state` is complete:
    if saved then, it can be resumed bit for bit. Raises TrainingFailed where the loss is no longer finite; the weights
    are then those of the last epoch that finished in this call.
    """
    keep_freed_memory()
    set_threads(request.threads)
    split = data.train.first(request.train_size)
    while state.epoch < request.epochs:
        last_good = {key: value.clone() for key, value in state.model.state_dict().items()}
        try:
            yield from _epoch(request, data, split, state)
        except TrainingFailed:
            state.model.load_state_dict(last_good)
            raise


def _epoch(
    request: Train, data: Dataset, split: Split, state: TrainingState
) -> Iterator[BatchTrained | BatchEvaluated | EpochFinished]:
    epoch = state.epoch + 1
    model, device = state.model, split.labels.device
    logits = partial(training_logits, model) if device.type == "cpu" else model
    adam_step = _adam_step(state.optimizer)
    sums, watch = state.sums, _Watch(state.sums.seconds)
    order = epoch_permutation(request.seed, epoch, len(split)).to(device)
    batches = torch.split(order, request.batch_size)
    if request.norms and len(batches[-1]) == 1:
        # Batch norm needs more than one image for a variance, so the last one joins the batch before.
        batches = (*batches[:-2], torch.cat(batches[-2:]))
    steps = len(batches)
    stretch = math.ceil(steps / RUNNING_POINTS)
    if state.loss_sum is None:
        state.loss_sum = torch.zeros((), device=device)

    model.train()
    for step, batch in enumerate(batches[sums.step :], sums.step + 1):
        with precision(request.precision):
            loss = cross_entropy(logits(split.images.index_select(0, batch)), split.labels.index_select(0, batch))
            torch.autograd.backward(loss)
            adam_step()
        state.loss_sum += loss.detach()
        sums.images += len(batch)
        sums.step = step
        if step % stretch == 0 or step == steps:
            sum_so_far = state.loss_sum.item()
            if not math.isfinite(sum_so_far):
                raise TrainingFailed(_diverged(request, epoch, f"around step {step} of {steps}"))
            sums.running.append((sum_so_far - sums.seen) / (step - stretch * len(sums.running)))
            sums.seen = sum_so_far
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

    watch.stop()
    evaluation = _Watch()
    val_loss, val_accuracy = yield from evaluation.over(evaluate(model, data.val, "val"))
    _, test_accuracy = yield from evaluation.over(evaluate(model, data.test, "test"))
    if not math.isfinite(val_loss):
        raise TrainingFailed(_diverged(request, epoch, "on the validation images"))
    state.epoch, state.sums, state.loss_sum = epoch, Sums(), None
    yield EpochFinished(
        epoch=epoch,
        epochs=request.epochs,
        train_loss=sums.seen / steps,
        val_loss=val_loss,
        val_accuracy=val_accuracy,
        test_accuracy=test_accuracy,
        train_seconds=watch.seconds,
        eval_seconds=evaluation.seconds,
        images_per_second=sums.images / watch.seconds,
        running_loss=tuple(sums.running),
    )


def _adam_step(optimizer: torch.optim.Adam) -> Callable[[], None]:
    """A step of fused Adam that then frees the gradients.

    `Optimizer.step` collects its lists at every step; they do not change, so this collects them once.
    """
    optimizer.zero_grad()
    settings = optimizer.param_groups[0]
    beta1, beta2 = settings["betas"]
    constants = {name: settings[name] for name in ("lr", "eps", "weight_decay", "amsgrad", "maximize")}
    parameters: list[Tensor] = []
    moments: list[list[Tensor]] = []

    def step() -> None:
        if not parameters:  # the optimizer itself takes the first step, which creates its state
            optimizer.step()
            parameters.extend(p for p in settings["params"] if p.grad is not None)
            states = [optimizer.state[p] for p in parameters]
            moments.extend([each[name] for each in states] for name in ("exp_avg", "exp_avg_sq", "step"))
        else:
            gradients = [cast(Tensor, p.grad) for p in parameters]
            means, squares, steps = moments
            with torch.no_grad():
                adam(
                    parameters, gradients, means, squares, [], steps, fused=True, beta1=beta1, beta2=beta2, **constants
                )
        for parameter in parameters:
            parameter.grad = None

    return step


def _diverged(request: Train, epoch: int, where: str) -> str:
    return (
        f"{DIVERGED} in epoch {epoch} {where}: "
        f"lower the learning rate ({request.learning_rate:g}); the weights of epoch {epoch - 1} are kept"
    )
