"""The notebook's section 3.2: a digit led towards another class, with a penalty on what changes.

The penalty bounds nothing. All images of a call are one batch, and none has a say in what becomes of the others.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from engine.attacks.network import AttackedNetwork, Iterate
from engine.attacks.objectives import LogitObjective
from engine.attacks.optimizers import OPTIMIZERS
from engine.attacks.requests import AttackTargeted
from engine.geometry import IMAGE_SIZE


@torch.inference_mode()
def from_digits(
    network: AttackedNetwork, originals: Tensor, settings: AttackTargeted, starts: Tensor | None = None
) -> Iterator[Iterate]:
    """`targeted_attack` of the notebook's section 3.2: logit ascent with a squared-error penalty.

    `originals` (n, 1, 28, 28) as they are, and after each step; with `starts`, like them, these are where it begins.
    The penalty is on the difference from the originals; the mean of the squared error is each image's own.
    """
    images = (originals if starts is None else starts).to(originals, copy=True)
    objective = LogitObjective(torch.full((len(images),), settings.target, device=images.device))
    optimizer = OPTIMIZERS[settings.optimizer](images, settings.step_size)
    pull = 2 * settings.beta / IMAGE_SIZE**2
    for _ in range(settings.steps):
        logits, gradient = network.ascent(images, objective)
        yield Iterate(images, logits)
        optimizer.climb(gradient.sub_(images - originals, alpha=pull) if pull else gradient)
    yield Iterate(images, network.logits(images))
