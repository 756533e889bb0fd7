"""What the weights, gradients and activations of each layer are like after an epoch, on a few fixed training images.

All is measured outside of the training steps, from the weights and Adam's moments as the last step left them: it draws
no random numbers and changes nothing that training reads, so a run with it is bit for bit the run without it.

The images are the first of the training split, as they are, in small batches of at most BATCH; the network is in
evaluation mode, in which batch norm uses its running statistics, so that the gradient of an image does not depend on
the others. The loss is the cross-entropy with the run's label smoothing, also where another objective is trained for.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, max_pool2d

from engine.data.datasets import Split
from engine.geometry import POOL
from engine.network.model import CNN
from engine.network.pooling import MaxPool
from engine.training.events import BatchEvaluated, Histogram, Insides, LayerInsides
from engine.training.requests import Train
from engine.training.schedule import share_of_rate
from engine.training.state import TrainingState, steps_an_epoch

BATCH = 64
"""Most images of a small batch: the notebook's batch."""
FEWEST, MOST = 2, 7
"""Number of small batches: two are needed to tell the gradient from its noise; seven are 0.9 % of the notebook's
training images."""
SHARE = 100
"""One training image of so many is looked at, within these limits."""
_KEYS = 1024
"""Number of values of a float32's sign, exponent and first digit after the binary point."""
_ONE = 254
"""The key of 1.0, without its sign."""
LOWEST, HIGHEST = -64, 39
"""The bins of a histogram, as `Histogram` numbers them: from 2^-32 up to 2^20. What is smaller counts as zero, what is
larger as in the last bin."""


def probe(request: Train, images: int) -> tuple[int, int]:
    """Number of small batches and their size, of a run on `images` training images."""
    size = min(BATCH, request.batch_size, images // FEWEST)
    return min(max(images // SHARE // size, FEWEST), MOST), size


def measured(request: Train, split: Split, state: TrainingState) -> Generator[BatchEvaluated, None, Insides]:
    """Look into the network that `state` trains after an epoch on `split`, with an event for each small batch.

    The gradient's square and variance are unbiased estimates from batches of two sizes, B_small and B_big, of all
    images (McCandlish et al. 2018, "An Empirical Model of Large-Batch Training", appendix A.1):

        |G|^2   = (B_big |G_big|^2 - B_small |G_small|^2) / (B_big - B_small)
        tr(S)   = (|G_small|^2 - |G_big|^2) / (1 / B_small - 1 / B_big)

    with |G_small|^2 the mean over all small batches. G is the gradient by all trained parameters.
    """
    model, device = state.model, split.labels.device
    count, size = probe(request, len(split))
    model.eval()  # the next step begins in training mode again
    weights = _weights(model)
    trained = state.adam.parameters
    total = [torch.zeros_like(each) for each in trained]
    square = torch.zeros((), dtype=torch.float64, device=device)
    activations = [torch.zeros(_KEYS, dtype=torch.int64, device=device) for _ in weights]
    largest: list[Tensor | None] = [None] * (len(weights) - 1)  # of each unit with a ReLU
    for number in range(count):
        images, labels = (each[number * size : (number + 1) * size] for each in (split.images, split.labels))
        outputs = _outputs(model, images)
        loss = cross_entropy(outputs[-1], labels, label_smoothing=request.label_smoothing)
        gradients = torch.autograd.grad(loss, trained)
        square += _square(gradients)
        torch._foreach_add_(total, gradients, alpha=1 / count)
        for place, output in enumerate(outputs):
            activations[place] += _keys(output.detach())
            if place < len(largest):
                maxima = output.detach().amax(dim=(0, *range(2, output.dim())))
                before = largest[place]
                largest[place] = maxima if before is None else torch.maximum(before, maxima)
        yield BatchEvaluated(split="probe", done=(number + 1) * size, total=count * size)
    dead = [float((each == 0).double().mean()) for each in largest if each is not None]
    of_small, of_big, big = float(square) / count, float(_square(total)), count * size
    found = {id(parameter): place for place, parameter in enumerate(trained)}
    rate = _last_rate(request, len(split), state)
    layers = []
    for place, (name, weight) in enumerate(weights.items()):
        at = found[id(weight)]
        layers.append(
            LayerInsides(
                layer=name,
                weights=_histogram(_keys(weight.detach())),
                gradients=_histogram(_keys(total[at])),
                activations=_histogram(activations[place]),
                weight_norm=_norm(weight.detach()),
                gradient_norm=_norm(total[at]),
                update_norm=_norm(state.adam.last_update(at, rate)),
                dead=dead[place] if place < len(dead) else None,
            )
        )
    return Insides(
        images=big,
        batch=size,
        layers=tuple(layers),
        gradient_square=(big * of_big - size * of_small) / (big - size),
        gradient_variance=max(0.0, (of_small - of_big) / (1 / size - 1 / big)),
    )


def _weights(model: CNN) -> dict[str, Tensor]:
    """The weights of the layers by their names in an event, from the first to the last."""
    hidden, output = (layer for layer in model.fc if isinstance(layer, nn.Linear))
    convolutions = {"conv1": model.conv1[0], "conv2": model.conv2[0]}
    return {
        name: cast(Tensor, layer.weight)
        for name, layer in (convolutions | {"hidden": hidden, "output": output}).items()
    }


def _outputs(model: CNN, images: Tensor) -> list[Tensor]:
    """What the layers put out: maps after pooling and ReLU (B, C, h, w) twice, (B, hidden) after ReLU, logits (B, 10).

    With PyTorch's own pooling, as in training, since that of evaluation takes longer.
    """
    outputs, now = [], model.inputs(images)
    for layer in (*model.conv1, *model.conv2, *model.fc):
        now = max_pool2d(now, POOL, POOL) if isinstance(layer, MaxPool) else layer(now)
        if isinstance(layer, nn.ReLU):
            outputs.append(now)
    return [*outputs, now]


def _last_rate(request: Train, images: int, state: TrainingState) -> float:
    """The learning rate of the last step of the epoch after the finished ones."""
    steps = steps_an_epoch(request, images)
    return request.learning_rate * share_of_rate(
        request.schedule, (state.epoch + 1) * steps - 1, request.epochs * steps
    )


def _square(tensors: Iterable[Tensor]) -> Tensor:
    """The sum of all squares, on the device, in double precision."""
    return torch.stack(torch._foreach_norm(list(tensors))).double().square().sum()


def _norm(values: Tensor) -> float:
    return float(torch.linalg.vector_norm(values))


def _keys(values: Tensor) -> Tensor:
    """How many values there are of each key, (_KEYS,): 512 for a plus sign, and the first 9 bits of the magnitude."""
    if values.dim() == 4 and values.is_contiguous(memory_format=torch.channels_last):
        values = values.permute(0, 2, 3, 1)  # flat without a copy
    keys = values.float().reshape(-1).view(torch.int32) >> 22
    return torch.bincount(keys.add_(_KEYS // 2), minlength=_KEYS)


def _histogram(keys: Tensor) -> Histogram:
    """The histogram of the numbers of values by key."""
    counts = keys.tolist()
    sides, zero = [], 0
    for side in (counts[: _KEYS // 2], counts[_KEYS // 2 :]):
        low, high = _ONE + LOWEST, _ONE + HIGHEST
        zero += sum(side[:low])
        sides.append([*side[low:high], sum(side[high:])])
    filled = [place for place, pair in enumerate(zip(*sides, strict=True)) if any(pair)]
    first, after = (filled[0], filled[-1] + 1) if filled else (0, 0)
    negative, positive = (tuple(side[first:after]) if any(side) else () for side in sides)
    return Histogram(first=LOWEST + first, negative=negative, zero=zero, positive=positive)
