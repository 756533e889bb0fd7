"""The fast gradient sign method: a single step of size epsilon."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from engine.adversary.names import NormName
from engine.adversary.network import AttackedNetwork, Iterate
from engine.adversary.norm_ball import moved
from engine.adversary.objectives import Misclassification


def fgsm(
    network: AttackedNetwork, originals: Tensor, objective: Misclassification, epsilon: float, norm: NormName
) -> Iterator[Iterate]:
    """The fast gradient sign method (Goodfellow et al. 2015, arXiv:1412.6572); in L2 along the gradient itself.

    Yields `originals` (n, 1, 28, 28) unchanged, then the images after the single step.
    """
    logits, gradient = network.ascent(originals, objective)
    yield Iterate(originals, logits)
    images = moved(originals, gradient, epsilon, norm).clamp(0, 1)
    yield Iterate(images, network.logits(images))
