"""What the tests of attacks share: the bundled networks, images, and how events are asked for."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from engine.adversary.names import NormName
from engine.adversary.network import AttackedNetwork, Iterate
from engine.adversary.norm_ball import norms
from engine.adversary.objectives import ANY, Misclassification
from engine.attacks.events import AttackFinished, RobustnessMeasured
from engine.attacks.requests import AnyAttack, MeasureRobustness
from engine.benchmark import notebook
from engine.data.datasets import Dataset
from engine.event import Event, arrays, to_json
from engine.network.checkpoints import load_weights
from engine.network.model import CNN, seeded_cnn
from engine.network.requests import Architecture
from engine.operations import perform
from engine.request import Request
from engine.runs.finding import pretrained
from tests.ties import with_the_rule

NOWHERE = Path("nowhere")
VARIANTS = ("cnn", "cnn-bn")
NORMS: tuple[NormName, ...] = ("linf", "l2")
EXACT = torch.float64
BLACK = torch.zeros(1, 28, 28)
ARCHITECTURES = [
    Architecture(kernel_size=5, stride=2, padding=2, channels=7, hidden=33),
    Architecture(kernel_size=4, padding=0),
    Architecture(kernel_size=4, padding=0, channels=6, hidden=20, batch_norm=True),
]
FEW: dict[str, Any] = {"attack": ("fgsm", "pgd"), "epsilons": (0.1, 0.2), "steps": 3, "count": 50}
"""Of a measurement that takes no time."""

E = TypeVar("E", bound=Event)


class Networks(NamedTuple):
    """One network in four guises, all in evaluation mode."""

    model: CNN
    exact: CNN
    """In double precision."""
    attacked: AttackedNetwork
    """Of double precision."""
    theirs: nn.Module
    """The notebook's own class, in double precision; of equal maxima the first gets the gradient."""


@cache
@torch.inference_mode(False)
def of(variant: str) -> Networks:
    """The bundled network; whoever asks first, its tensors are not those of inference."""
    model = load_weights(pretrained(variant).model_file).eval()
    theirs = notebook.network(variant == "cnn-bn")
    theirs.load_state_dict(model.state_dict())
    return Networks(model, copy.deepcopy(model).double(), AttackedNetwork(model, EXACT), with_the_rule(theirs).eval())


def last(iterates: Iterator[Iterate]) -> Iterate:
    *_, found = iterates
    return found


def any_other(labels: Tensor) -> Misclassification:
    return Misclassification(labels, torch.full_like(labels, ANY))


def digits(mnist: Dataset, count: int) -> tuple[Tensor, Tensor]:
    """The first test images in double precision, with their labels."""
    return mnist.test.images[:count].double(), mnist.test.labels[:count]


def only(kind: type[E], request: Request) -> E:
    """The one event of a kind that comes of `request`."""
    (found,) = (event for event in perform(request, NOWHERE) if type(event) is kind)
    return found


def finished(request: AnyAttack) -> AttackFinished:
    return only(AttackFinished, request)


def measured(**fields: Any) -> RobustnessMeasured:
    return only(RobustnessMeasured, MeasureRobustness(**({"what": "pretrained:cnn"} | fields)))


def same(one: Event, other: Event) -> bool:
    return to_json(one) == to_json(other) and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in arrays(one)
    )


def needed(model: nn.Module, images: Tensor, originals: Tensor, labels: Tensor) -> Tensor:
    """L2 of each change; of an image that the network still gets right, more than any."""
    with torch.no_grad():
        fooled = model(images).argmax(dim=1) != labels
    return torch.where(fooled, norms(images - originals, "l2").flatten(), torch.inf)


def unsure(networks: Networks, share: float) -> CNN:
    """The network in double precision, its logits multiplied by `share`."""
    model = copy.deepcopy(networks.exact)
    with torch.no_grad():
        for each in model.fc[-1].parameters():
            each.mul_(share)
    return model


def plain_ascent(  # noqa: PLR0917
    model: nn.Module, start: Tensor, original: Tensor, target: int, steps: int, step_size: float, beta: float
) -> Tensor:
    """`steps` times x <- clip(x + step_size * gradient of (logit - beta * mean squared difference)), by autograd."""
    image = start.clone()
    for _ in range(steps):
        image.requires_grad_()
        gain = model(image)[0][0, target] - beta * (image - original).square().mean()
        (gradient,) = torch.autograd.grad(gain, image)
        image = (image.detach() + step_size * gradient).clamp(0, 1)
    return image


def odd_network(architecture: Architecture, images: Tensor) -> CNN:
    model = seeded_cnn(architecture, 3)
    model.train()(images)  # moves the running means of batch norm
    return model.eval()
