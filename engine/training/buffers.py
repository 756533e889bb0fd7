"""What the steps of an epoch read on a device, at fixed addresses: a step finds its own by a counter that it advances.

So all steps of an epoch are the same work, which can be launched again and again without anything from the host.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from engine.data.datasets import Split, epoch_permutation
from engine.training.augmentation import Augmentation
from engine.training.requests import Train
from engine.training.schedule import share_of_epsilon, share_of_rate
from engine.training.state import TrainingState, steps_an_epoch
from engine.training.stream import Stream


class Batch(NamedTuple):
    """What a step reads."""

    images: Tensor
    labels: Tensor
    numbers: Tensor | None
    rate: float | Tensor
    share: float | Tensor
    ramp: float | Tensor = 1.0
    number: int | Tensor = 0


class EpochBuffers:
    """The order of the images, the numbers for their augmentation, learning rates, shares, counters, sum of losses.

    All are zero at first, which are valid values: every step then trains on the first image.
    """

    def __init__(self, request: Train, split: Split, state: TrainingState, stream: Stream) -> None:
        self.split = split
        self._request, self._average, self._stream = request, state.average, stream
        self._augmentation = Augmentation.of(request)
        size, device = len(split), split.labels.device
        self.steps = steps_an_epoch(request, size)
        """Number of steps of an epoch."""
        # A last image that batch norm cannot take alone joins the batch before.
        self.whole = size // request.batch_size - (-(-size // request.batch_size) > self.steps)
        """Number of steps of `batch_size` images; there is one more if other images are left."""
        self.at = torch.zeros(1, dtype=torch.int64, device=device)
        """Number of steps done."""
        self.loss_sum = torch.zeros((), device=device)
        """The sum of their losses, in nats."""
        self.order = torch.zeros(size, dtype=torch.int64, device=device)
        """Indices of the images."""
        drawn = self._augmentation.drawn if self._augmentation else 0
        self.numbers = torch.zeros((size, drawn), device=device) if drawn else None
        """What the augmentation of each position in `order` draws, (size, drawn)."""
        self.rates = torch.zeros(self.steps, device=device) if request.schedule != "constant" else None
        """The learning rate of each step, where it changes."""
        self.shares = torch.zeros(self.steps, device=device) if state.average else None
        """The share of the weights after each step in their average."""
        robust = request.objective != "clean"
        self.ramps = torch.zeros(self.steps, device=device) if robust else None
        """The share of epsilon at each step, where there is one."""
        self.before = torch.zeros(1, dtype=torch.int64, device=device) if robust else None
        """Number of steps of the epochs before."""
        self._staged: dict[int, Tensor] = {}

    def images_until(self, step: int) -> int:
        """Number of images of the epoch's first `step` steps."""
        return len(self.split) if step == self.steps else step * self._request.batch_size

    def batch(self, last: bool) -> Batch:
        """What the next step reads; `last` for the one after the `whole` ones."""
        at, indices = self.at, self._rows(self.order, last)
        return Batch(
            images=self.split.images.index_select(0, indices),
            labels=self.split.labels.index_select(0, indices),
            numbers=None if self.numbers is None else self._rows(self.numbers, last),
            rate=self._request.learning_rate if self.rates is None else self.rates.index_select(0, at),
            share=0.0 if self.shares is None else self.shares.index_select(0, at),
            ramp=1.0 if self.ramps is None else self.ramps.index_select(0, at).squeeze(0),
            number=0 if self.before is None else self.before + at,
        )

    def _rows(self, values: Tensor, last: bool) -> Tensor:
        """The rows of `values`, which has one for each position in the order, that belong to the next step."""
        size = self._request.batch_size
        if last:
            return values[self.whole * size :]
        batches = values[: self.whole * size].view(self.whole, size, *values.shape[1:])
        return batches.index_select(0, self.at).squeeze(0)

    def fill(self, epoch: int, step: int, loss_sum: Tensor | None) -> None:
        """Upload what `epoch` (from 1) needs, `step` steps of which are done, with the sum of their losses.

        Everything is copied within the stream, from memory that is not changed before the next call; by then, the
        device must be done with the epoch.
        """
        request, before, steps = self._request, (epoch - 1) * self.steps, range(self.steps)
        self._upload(self.at, torch.tensor([step]))
        self._upload(self.order, epoch_permutation(request.seed, epoch, len(self.split)))
        if self._augmentation and self.numbers is not None:
            self._upload(self.numbers, self._augmentation.draw(request.seed, epoch, len(self.split)))
        if self.rates is not None:
            shares = [share_of_rate(request.schedule, before + at, request.epochs * self.steps) for at in steps]
            self._upload(self.rates, request.learning_rate * torch.tensor(shares, dtype=torch.float64))
        if self._average and self.shares is not None:
            shares = [self._average.share(before + at + 1) for at in steps]
            self._upload(self.shares, torch.tensor(shares, dtype=torch.float64))
        if self.ramps is not None and self.before is not None:
            shares = [share_of_epsilon(request, before + at, request.epochs * self.steps) for at in steps]
            self._upload(self.ramps, torch.tensor(shares, dtype=torch.float64))
            self._upload(self.before, torch.tensor([before]))
        if loss_sum is None:
            self.loss_sum.zero_()
        else:
            self.loss_sum.copy_(loss_sum)

    def _upload(self, target: Tensor, values: Tensor) -> None:
        """Copy `values` to `target` by way of memory of the host from which the copy is not waited for."""
        staged = self._staged.get(id(target))
        if staged is None:
            staged = self._staged[id(target)] = self._stream.host_memory(target)
        target.copy_(staged.copy_(values), non_blocking=True)
