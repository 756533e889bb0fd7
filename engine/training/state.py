"""Everything needed to resume a run: weights, moments and progress."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from msgspec import Struct, field
from torch import Tensor

from engine.bounds.initial import tighten
from engine.network.model import CNN, seeded_cnn
from engine.training.adam import MOMENTS, Adam
from engine.training.averaging import Average
from engine.training.requests import Train
from engine.words import shortened

RUNNING_POINTS = 32
"""Number of points of the running training loss per epoch: each requires a synchronisation with the device."""


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

    def add_point(self, stretch: int, total: float) -> None:
        """Add a point of the running loss after `step`, where `total` is the sum of the epoch's losses so far."""
        self.running.append((total - self.seen) / (self.step - stretch * len(self.running)))
        self.seen = total


@dataclass
class TrainingState:
    """Weights, moments, averaged weights, and progress."""

    model: CNN
    adam: Adam
    average: Average | None = None
    epoch: int = 0
    """Number of finished epochs."""
    loss_sum: Tensor | None = None
    """Sum of the losses of the current epoch, on the device; None before its first step."""
    in_flight: Callable[[], None] | None = None
    """Waits for the steps that the device has yet to do, and counts them; None where there are none."""
    _sums: Sums = dataclasses.field(default_factory=Sums)

    @classmethod
    def fresh(cls, request: Train, device: torch.device) -> TrainingState:
        """Weights drawn from the seed (the same on every device), for an objective with bounds those of `tighten`, and
        a new Adam."""
        # On a GPU, float32 has its fastest kernels where the channels come first; half the width where they come last.
        first = device.type != "cpu" and request.precision == "fp32"
        layout = torch.contiguous_format if first else torch.channels_last
        model = seeded_cnn(request, request.seed)
        if request.certifies:
            tighten(model, request.seed, request.train_epsilon)
        model = model.to(device).to(memory_format=layout)
        for bias in model.cancelled_biases():
            bias.requires_grad_(False)  # its gradient is only rounding error, which Adam would turn into steps
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        average = Average(model, request.average) if request.average else None
        return cls(model, Adam(trained, request.weight_decay), average)

    @property
    def sums(self) -> Sums:
        """Those of the current epoch, of the same moment as the weights."""
        self.settle()
        return self._sums

    @sums.setter
    def sums(self, sums: Sums) -> None:
        self._sums = sums

    def settle(self) -> None:
        """Wait until weights, moments and sums are of the same moment: a GPU is given steps ahead."""
        if self.in_flight:
            self.in_flight()

    @property
    def result(self) -> CNN:
        """The network that is evaluated and kept: that of the averaged weights, where there are any."""
        return self.average.model if self.average else self.model

    @property
    def networks(self) -> list[CNN]:
        """The network that is trained, and the one with its averaged weights if there is one."""
        return [self.model, self.average.model] if self.average else [self.model]

    def live(self) -> dict[str, Tensor]:
        """All tensors by their names in a state file, with the tensors themselves."""
        live = {f"model.{key}": value for key, value in self.model.state_dict().items()}
        if self.average:
            live |= {f"average.{key}": value for key, value in self.average.model.state_dict().items()}
        moments = 0
        for number, parameter in enumerate(self.model.parameters()):
            if parameter.requires_grad:
                live |= {f"optimizer.{number}.{name}": value for name, value in self.adam.moments(moments).items()}
                moments += 1
        return live

    def tensors(self) -> dict[str, Tensor]:
        """Weights as `model.KEY`, averaged ones as `average.KEY`, Adam's state as `optimizer.NUMBER.NAME`, and
        `loss_sum`; copies on the CPU."""
        self.settle()
        live = self.live()
        if self.loss_sum is not None:
            live["loss_sum"] = self.loss_sum
        return {key: value.detach().to("cpu", copy=True).contiguous() for key, value in live.items()}

    def restore(self, tensors: dict[str, Tensor], sums: Sums, steps: int) -> None:
        """Restore the result of `tensors()`, and `sums` of an epoch of `steps` steps; the caller sets `epoch`.

        Raises ValueError, with what does not fit, before anything is changed.
        """
        _check_sums(sums, steps, "loss_sum" in tensors)
        live = self.live()
        expected = dict(live)
        for number, parameter in enumerate(self.model.parameters()):
            # Only older files have moments of a bias that batch norm cancels; they are checked and not used.
            if not parameter.requires_grad and any(each.startswith(f"optimizer.{number}.") for each in tensors):
                like = (parameter, parameter, torch.tensor(0.0))
                expected |= {f"optimizer.{number}.{name}": one for name, one in zip(MOMENTS, like, strict=True)}
        if sums.step:
            expected["loss_sum"] = torch.tensor(0.0)
        _check_tensors(tensors, expected)
        with torch.no_grad():
            for key, value in live.items():
                value.copy_(tensors[key])
        if sums.step:
            self.loss_sum = tensors["loss_sum"].to(next(self.model.parameters()).device)
        self.sums = sums


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
    stretch = stretch_of(steps)
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


def stretch_of(steps: int) -> int:
    """Number of steps between two points of the running loss, of an epoch of `steps` steps."""
    return math.ceil(steps / RUNNING_POINTS)
