"""The notebook's section 3.1: noise that is optimised until the network classifies it as a given class.

The perturbation is unbounded. The images of a call form one batch, and each is independent of the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from engine.adversary.ascent import ascend, noise_image
from engine.adversary.network import AttackedNetwork, Iterate
from engine.adversary.objectives import LogitObjective
from engine.attacks.requests import AttackNoise
from engine.network.seeds import generator


def noise(numbers: Sequence[int], seed: int) -> Tensor:
    """A starting image (n, 1, 28, 28) for each class or index, on the CPU; not clamped, as in the notebook."""
    return torch.stack([noise_image(generator(seed, number)) for number in numbers])


@torch.inference_mode()
def from_noise(
    network: AttackedNetwork, starts: Tensor, classes: list[int], settings: AttackNoise
) -> Iterator[Iterate]:
    """`non_targeted_attack` of the notebook's section 3.1: activation maximisation (Erhan et al. 2009).

    Yields the images before the first step and after each, from `starts` (n, 1, 28, 28), one for each of `classes`.
    The options, all off in the notebook, are those of `ascend`. With jitter, intermediate logits are those of shifted
    images.
    """
    images = starts.to(network.device, copy=True)
    objective = LogitObjective(torch.tensor(classes, device=network.device))
    streams = [generator(settings.seed, number, 1) for number in classes]
    for logits in ascend(
        images, lambda shifted: network.ascent(shifted, objective), settings, streams, settings.optimizer
    ):
        yield Iterate(images, logits)
    yield Iterate(images, network.logits(images))
