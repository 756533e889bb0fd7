"""A network as attacks need it: logits and gradients by the pixels, of many images at once."""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor

from engine.allocator import keep_freed_memory
from engine.attacks.input_gradients import InputGradients
from engine.attacks.objectives import Objective
from engine.geometry import CLASSES
from engine.network.model import CNN, inference_network

AT_ONCE = 125
"""Images that an attack on many takes at once: enough to keep the cores busy, few enough for a step to end soon."""


class Iterate(NamedTuple):
    """Where an attack is after a step. Both tensors may change with the next one."""

    images: Tensor
    """(n, 1, 28, 28) in [0, 1]."""
    logits: Tensor
    """(n, 10) of these images."""


class AttackedNetwork:
    """A frozen copy of a network with its batch norm folded: good until the weights change.

    It is laid out channels last, in which both passes take a CPU two thirds of the time. In double precision what
    becomes of an image depends on nothing but the image: in single, rounding differs from batch to batch, and over
    the notebook's 1,500 steps Adam makes differences of a percent of it.
    """

    def __init__(self, model: CNN, dtype: torch.dtype) -> None:
        keep_freed_memory()  # else each step waits for pages that the one before gave back
        layers = inference_network(copy.deepcopy(model).double()).to(dtype).requires_grad_(False)
        self._gradients = InputGradients(layers.to(memory_format=torch.channels_last))
        self.device, self.dtype = next(model.parameters()).device, dtype

    def logits(self, images: Tensor) -> Tensor:
        """Logits (n, 10) of images (n, 1, 28, 28) in [0, 1]."""
        return self._gradients.forward(images)[0]

    def ascent(self, images: Tensor, objective: Objective) -> tuple[Tensor, Tensor]:
        """Logits (n, 10) of images (n, 1, 28, 28), and like `images` the gradient by them of what `objective` says."""
        logits, backward = self._gradients.forward(images)
        return logits, backward(objective.gradient(logits).to(logits.dtype))

    def jacobian(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (n, 10) of images (n, 1, 28, 28), and the gradient of each by the pixels, (n, 10, 1, 28, 28)."""
        count, each = len(images), torch.eye(CLASSES, dtype=images.dtype, device=images.device)
        if self.device.type == "cpu":
            logits, backward = self._gradients.forward(images)
            return logits, torch.stack([backward(one.expand(count, -1)) for one in each], dim=1)
        # A GPU takes as long for one backward pass of ten times the images as for one of the ten.
        logits, backward = self._gradients.forward(images.repeat(CLASSES, 1, 1, 1))
        gradients = backward(each.repeat_interleave(count, dim=0))
        return logits[:count], gradients.reshape(CLASSES, *images.shape).transpose(0, 1)
