"""The notebook's section 3.2: a digit moved towards a target class, with a penalty on the perturbation.

The perturbation is penalised but unbounded. The images of a call form one batch, each independent of the others.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from engine.adversary.network import AttackedNetwork, Iterate
from engine.adversary.objectives import LogitObjective
from engine.adversary.optimizers import OPTIMIZERS
from engine.attacks.requests import AttackTargeted
from engine.geometry import IMAGE_SIZE


@torch.inference_mode()
def from_digits(
    network: AttackedNetwork, originals: Tensor, settings: AttackTargeted, starts: Tensor | None = None
) -> Iterator[Iterate]:
    """`targeted_attack` of the notebook's section 3.2: logit ascent with a squared-error penalty.

    Yields `originals` (n, 1, 28, 28), or `starts` of the same shape where given, and the images after each step. The
    penalty is on the difference from the originals, as the mean squared error of each image.
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
