"""A network prepared for attacks: logits and pixel gradients of a batch of images."""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor

from engine.adversary.input_gradients import InputGradients
from engine.adversary.objectives import Objective
from engine.allocator import keep_freed_memory
from engine.geometry import CLASSES
from engine.network.model import CNN, inference_network

AT_ONCE = 125
"""Batch size of attacks on many images: large enough to keep the cores busy, small enough for short steps."""


class Iterate(NamedTuple):
    """The state of an attack after a step. The next step may overwrite both tensors."""

    images: Tensor
    """(n, 1, 28, 28) in [0, 1]."""
    logits: Tensor
    """(n, 10) of these images."""


class AttackedNetwork:
    """A frozen copy of a network with its batch norm folded: valid until the weights change.

    Its layout is channels last, in which the forward and backward pass on a CPU take two thirds of the time. In double
    precision, the result for an image depends on nothing but the image: in single precision, rounding differs between
    batches, which Adam amplifies to differences of a percent over the notebook's 1,500 steps.
    """

    def __init__(self, model: CNN, dtype: torch.dtype) -> None:
        keep_freed_memory()  # otherwise each step waits for pages that the previous one returned to the kernel
        layers = inference_network(copy.deepcopy(model).double()).to(dtype).requires_grad_(False)
        self.layers = layers.to(memory_format=torch.channels_last)
        """The layers of `inference_network`."""
        self._gradients = InputGradients(self.layers)
        self.device, self.dtype = next(model.parameters()).device, dtype

    def logits(self, images: Tensor) -> Tensor:
        """Logits (n, 10) of images (n, 1, 28, 28) in [0, 1]."""
        return self._gradients.forward(images)[0]

    def ascent(self, images: Tensor, objective: Objective) -> tuple[Tensor, Tensor]:
        """Logits (n, 10) of images (n, 1, 28, 28), and the gradient of `objective` by the pixels, like `images`."""
        logits, backward = self._gradients.forward(images)
        return logits, backward(objective.gradient(logits).to(logits.dtype))

    def jacobian(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (n, 10) of images (n, 1, 28, 28), and the gradient of each by the pixels, (n, 10, 1, 28, 28)."""
        count, each = len(images), torch.eye(CLASSES, dtype=images.dtype, device=images.device)
        if self.device.type == "cpu":
            logits, backward = self._gradients.forward(images)
            return logits, torch.stack([backward(one.expand(count, -1)) for one in each], dim=1)
        # On a GPU, one backward pass of ten times as many images takes as long as one of the ten passes.
        logits, backward = self._gradients.forward(images.repeat(CLASSES, 1, 1, 1))
        gradients = backward(each.repeat_interleave(count, dim=0))
        return logits[:count], gradients.reshape(CLASSES, *images.shape).transpose(0, 1)
