"""What a training step minimises: the registry of objectives, each of which lives beside its attack or its bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor
from torch.nn.functional import cross_entropy

from engine.adversary.training_pgd import FGSM_STEP, PGD_STEP, PGDTraining
from engine.adversary.training_trades import TradesTraining
from engine.bounds.objective import CrownIntervalObjective, IntervalObjective
from engine.network.model import CNN
from engine.training.requests import ObjectiveName, Train


class Objective(Protocol):
    """What a training step minimises.

    A GPU captures it in a graph, which it replays at each step: nothing may wait for the device, and what is computed
    may not depend on numbers on it.
    """

    def loss(
        self,
        images: Tensor,
        labels: Tensor,
        logits: Callable[[Tensor], Tensor],
        ramp: float | Tensor,
        step: int | Tensor,
    ) -> Tensor:
        """The mean loss of a batch, in nats, differentiable by the weights.

        `images` is (B, 1, 28, 28) in [0, 1], augmented, and `labels` (B,). `logits` gives the logits (B, 10) of images
        in training mode. `ramp`, from 0 to 1, is the share of its final value that epsilon has, and `step`, from 0, the
        number of the step in the run; on the device they may be tensors, () and (1,).
        """


class Clean:
    """The cross-entropy of the images as they are, with smoothed labels if so asked: the notebook's objective."""

    def __init__(self, smoothing: float) -> None:
        self._smoothing = smoothing

    def loss(
        self,
        images: Tensor,
        labels: Tensor,
        logits: Callable[[Tensor], Tensor],
        ramp: float | Tensor,
        step: int | Tensor,
    ) -> Tensor:
        """As `Objective.loss`."""
        return cross_entropy(logits(images), labels, label_smoothing=self._smoothing)


def _pgd(request: Train, model: CNN, steps: int, step_size: float) -> Objective:
    return PGDTraining(
        model, request.train_epsilon, steps, request.attack_step_size or step_size,
        seed=request.seed, smoothing=request.label_smoothing, bf16=request.precision == "bf16",
    )  # fmt: skip


def _automatic(request: Train) -> float:
    return PGD_STEP * request.train_epsilon / request.attack_steps


def _trades(request: Train, model: CNN) -> Objective:
    return TradesTraining(
        model, request.train_epsilon, request.attack_steps, request.attack_step_size or _automatic(request),
        request.beta, seed=request.seed, smoothing=request.label_smoothing, bf16=request.precision == "bf16",
    )  # fmt: skip


OBJECTIVES: dict[ObjectiveName, Callable[[Train, CNN], Objective]] = {
    "clean": lambda request, _: Clean(request.label_smoothing),
    "fgsm": lambda request, model: _pgd(request, model, 1, FGSM_STEP * request.train_epsilon),
    "pgd": lambda request, model: _pgd(request, model, request.attack_steps, _automatic(request)),
    "trades": _trades,
    "ibp": lambda request, model: IntervalObjective(model, request.train_epsilon, request.kappa),
    "crown-ibp": lambda request, model: CrownIntervalObjective(model, request.train_epsilon, request.kappa),
}
"""How each objective is made, for a request and the network that is trained, whose weights change in place."""


def objective_of(request: Train, model: CNN) -> Objective:
    """The objective of `request` for the training of `model`."""
    return OBJECTIVES[request.objective](request, model)
