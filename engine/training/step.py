"""One training step: augmentation, objective with its forward passes, backward pass, Adam, averaging."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from engine.network.gpu import autocast, tf32
from engine.network.kernels import training_logits
from engine.training.augmentation import Augmentation
from engine.training.objective import objective_of
from engine.training.requests import Train
from engine.training.state import TrainingState


class Step:
    """The step of a run; its weights, moments and averages are those of `state`, changed in place."""

    def __init__(self, request: Train, state: TrainingState, device: torch.device) -> None:
        self._state = state
        self._precision = request.precision
        self._objective = objective_of(request, state.model)
        self._augment = Augmentation.of(request)
        self._logits: Callable[[Tensor], Tensor] = state.model
        if device.type == "cpu":
            self._logits = lambda images: training_logits(state.model, images, request.precision)
        self.begin()

    def begin(self) -> None:
        """Be ready for the next step, also after an evaluation or an interrupted step."""
        self._state.model.train()
        for parameter in self._state.model.parameters():
            parameter.grad = None

    def __call__(  # noqa: PLR0917
        self,
        images: Tensor,
        labels: Tensor,
        numbers: Tensor | None,
        rate: float | Tensor,
        share: float | Tensor = 0.0,
        ramp: float | Tensor = 1.0,
        number: int | Tensor = 0,
    ) -> Tensor:
        """Take a step on a batch; returns its mean loss, in nats, on the device.

        `images` is (B, 1, 28, 28), `labels` (B,), `numbers` what their augmentation drew, (B, drawn), `rate` the
        learning rate, `share` that of the new weights in their average, `ramp` and `number` (from 0) what an objective
        other than clean is told of the step. The last four may be tensors on the device, `ramp` () and the others (1,).
        """
        state = self._state
        if self._augment and numbers is not None:
            images = self._augment(images, numbers)
        with tf32(self._precision):
            with autocast(self._precision, images.device):
                loss = self._objective.loss(images, labels, self._logits, ramp, number)
            torch.autograd.backward(loss)
        state.adam.step(rate)
        if state.average:
            state.average.add(share)
        return loss.detach()
