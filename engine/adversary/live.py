"""Attacks on a network while it is trained: on its present weights, which they leave as they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from engine.adversary.input_gradients import InputGradients
from engine.adversary.objectives import Objective
from engine.network.model import CNN, inference_network


class Frozen:
    """The logits and the pixel gradients of a network whose weights do not change meanwhile, by autograd."""

    def __init__(self, model: CNN) -> None:
        self._model = model

    def logits(self, images: Tensor) -> Tensor:
        """Logits (n, 10) of images (n, 1, 28, 28)."""
        # With a graph, and then without: in half of the width, PyTorch keeps the converted weights for later passes.
        with torch.enable_grad():
            return self._logits(images).detach()

    def gradient(self, images: Tensor, objective: Objective) -> Tensor:
        """The gradient of `objective` by images (n, 1, 28, 28), of their shape."""
        pixels = images.detach().requires_grad_()
        with torch.enable_grad():
            logits = self._logits(pixels)
        # Only of the pixels: autograd computes no gradients of weights then.
        (found,) = torch.autograd.grad(logits, pixels, objective.gradient(logits.detach()).to(logits.dtype))
        return found

    def _logits(self, images: Tensor) -> Tensor:
        logits: Tensor = self._model(images)
        return logits


class _Bf16(Frozen):
    """The same on a CPU in bf16."""

    def _logits(self, images: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            logits: Tensor = self._model(images)
        return logits.float()


class _Fast(Frozen):
    """The same on a CPU in single precision, by passes that take half of autograd's time."""

    def __init__(self, model: CNN) -> None:
        self._passes = InputGradients(inference_network(model), once=True)

    def logits(self, images: Tensor) -> Tensor:
        """Logits (n, 10) of images (n, 1, 28, 28)."""
        return self._passes.forward(images)[0]

    def gradient(self, images: Tensor, objective: Objective) -> Tensor:
        """The gradient of `objective` by images (n, 1, 28, 28), of their shape."""
        logits, backward = self._passes.forward(images)
        return backward(objective.gradient(logits).to(logits.dtype))


class LiveNetwork:
    """A network in training as an attack on it sees it: with its running statistics, which the attack leaves alone."""

    def __init__(self, model: CNN, *, bf16: bool = False) -> None:
        """`bf16` is whether it is trained in half of the width, which on a GPU is up to its surroundings."""
        self._model = model
        self._norms = [each for each in model.modules() if isinstance(each, nn.BatchNorm1d | nn.BatchNorm2d)]
        on_cpu = next(model.parameters()).device.type == "cpu"
        self._kind = Frozen if not on_cpu else _Bf16 if bf16 else _Fast

    @contextmanager
    def frozen(self) -> Iterator[Frozen]:
        """The network with its present weights, while the context lasts; it is in training mode afterwards."""
        for norm in self._norms:
            norm.eval()
        try:
            yield self._kind(self._model)
        finally:
            self._model.train()
