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

import msgspec
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from engine.data.datasets import Split
from engine.geometry import POOL
from engine.network.model import CNN, layer_outputs
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
EPOCHS = 1000
"""Maximum number of epochs of a run after which its layers are looked into, so that its events stay small."""
LOWEST, HIGHEST = -64, 39
"""The bins of a histogram, as `Histogram` numbers them: from 2^-32 up to 2^20. What is smaller counts as zero, what is
larger as in the last bin."""


def probe(request: Train, images: int) -> tuple[int, int]:
    """Number of small batches and their size, of a run on `images` training images."""
    size = min(BATCH, request.batch_size, images // FEWEST)
    return min(max(images // SHARE // size, FEWEST), MOST), size


def is_due(request: Train, epoch: int) -> bool:
    """Whether the layers are looked into after `epoch`: in a run of more than EPOCHS after as many, and the last."""
    return request.insides and (epoch == request.epochs or epoch % -(-request.epochs // EPOCHS) == 0)


def measured(request: Train, split: Split, state: TrainingState) -> Generator[BatchEvaluated, None, Insides | None]:
    """Look into the network that `state` trains after an epoch on `split`, with an event for each small batch.

    The gradient's square and variance are unbiased estimates from batches of two sizes, B_small and B_big, of all
    images (McCandlish et al. 2018, "An Empirical Model of Large-Batch Training", appendix A.1). None where a number is
    not finite, or so large that the event could not be read again: the loss may still be finite then.

        |G|^2   = (B_big |G_big|^2 - B_small |G_small|^2) / (B_big - B_small)
        tr(S)   = (|G_small|^2 - |G_big|^2) / (1 / B_small - 1 / B_big)

    with |G_small|^2 the mean over all small batches. G is the gradient by all trained parameters.
    """
    count, size = probe(request, len(split))
    state.model.eval()  # the next step begins in training mode again
    found = _Sums(state, split.labels.device)
    for number in range(count):
        images, labels = (each[number * size : (number + 1) * size] for each in (split.images, split.labels))
        found.add(images, labels, request.label_smoothing)
        yield BatchEvaluated(split="probe", done=(number + 1) * size, total=count * size)
    insides = found.insides(count, size, _last_rate(request, len(split), state))
    try:
        return msgspec.json.decode(msgspec.json.encode(insides), type=Insides)
    except msgspec.ValidationError:
        return None


class _Sums:
    """What is summed over the small batches, on the device; nothing waits for it before the end."""

    def __init__(self, state: TrainingState, device: torch.device) -> None:
        self._model, self._adam = state.model, state.adam
        self._weights = _weights(state.model)
        self._gradients = [torch.zeros_like(each) for each in state.adam.parameters]
        """The sum of the gradients of the batches, by each parameter."""
        self._square = torch.zeros((), dtype=torch.float64, device=device)
        """The sum of their squares."""
        self._activations = [torch.zeros(_KEYS, dtype=torch.int64, device=device) for _ in self._weights]
        """The number of outputs by key, of each layer."""
        self._largest: list[Tensor] = []
        """The largest output of each unit, of each layer with a ReLU."""

    def add(self, images: Tensor, labels: Tensor, smoothing: float) -> None:
        """Add a batch."""
        outputs = _outputs(self._model, images)
        loss = cross_entropy(outputs[-1], labels, label_smoothing=smoothing)
        gradients = torch.autograd.grad(loss, self._adam.parameters)
        self._square += _square(gradients)
        torch._foreach_add_(self._gradients, gradients)
        outputs = [output.detach() for output in outputs]
        torch._foreach_add_(self._activations, [_keys(output) for output in outputs])
        largest = [output.amax(dim=(0, *range(2, output.dim()))) for output in outputs[:-1]]
        before = self._largest or largest
        self._largest = [torch.maximum(one, other) for one, other in zip(before, largest, strict=True)]

    def insides(self, count: int, size: int, rate: float) -> Insides:
        """The result after `count` batches of `size` images, where `rate` was the learning rate of the last step."""
        places = {id(parameter): place for place, parameter in enumerate(self._adam.parameters)}
        torch._foreach_div_(self._gradients, float(count))
        keys, norms = [], []
        for weight, activations in zip(self._weights.values(), self._activations, strict=True):
            at = places[id(weight)]
            values = [weight.detach(), self._gradients[at], self._adam.last_update(at, rate)]
            keys += [_keys(values[0]), _keys(values[1]), activations]
            norms += [torch.linalg.vector_norm(each).double() for each in values]
        dead = [(each == 0).double().mean() for each in self._largest]
        # One transfer from the device for all counts, and one for all other numbers.
        histograms = [_histogram(each) for each in torch.stack(keys).tolist()]
        of_small, of_big, *numbers = torch.stack(
            [self._square / count, _square(self._gradients), *norms, *dead]
        ).tolist()
        layers, big = len(self._weights), count * size
        shares = [*numbers[3 * layers :], None]
        return Insides(
            images=big,
            batch=size,
            layers=tuple(
                LayerInsides(
                    layer=name,
                    weights=histograms[3 * place],
                    gradients=histograms[3 * place + 1],
                    activations=histograms[3 * place + 2],
                    weight_norm=numbers[3 * place],
                    gradient_norm=numbers[3 * place + 1],
                    update_norm=numbers[3 * place + 2],
                    dead=shares[place],
                )
                for place, name in enumerate(self._weights)
            ),
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
    """As `layer_outputs`, with PyTorch's own pooling, as in training, since that of evaluation takes longer."""
    layers = (model.inputs, *model.conv1, *model.conv2, *model.fc)
    return layer_outputs((nn.MaxPool2d(POOL) if isinstance(layer, MaxPool) else layer for layer in layers), images)


def _last_rate(request: Train, images: int, state: TrainingState) -> float:
    """The learning rate of the last step of the epoch after the finished ones."""
    steps = steps_an_epoch(request, images)
    return request.learning_rate * share_of_rate(
        request.schedule, (state.epoch + 1) * steps - 1, request.epochs * steps
    )


def _square(tensors: Iterable[Tensor]) -> Tensor:
    """The sum of all squares, on the device, in double precision."""
    return torch.stack(torch._foreach_norm(list(tensors))).double().square().sum()


def _keys(values: Tensor) -> Tensor:
    """How many values there are of each key, (_KEYS,): 512 for a plus sign, and the first 9 bits of the magnitude."""
    if values.dim() == 4 and values.is_contiguous(memory_format=torch.channels_last):
        values = values.permute(0, 2, 3, 1)  # flat without a copy
    keys = (values.float().reshape(-1).view(torch.int32) >> 22).add_(_KEYS // 2)
    if keys.device.type == "cpu":
        return torch.bincount(keys, minlength=_KEYS)
    return torch.histc(keys.float(), _KEYS, 0, _KEYS).long()  # for which a GPU is not waited for


def _histogram(counts: list[int]) -> Histogram:
    """The histogram of the numbers of values by key."""
    sides, zero = [], 0
    for side in (counts[: _KEYS // 2], counts[_KEYS // 2 :]):
        low, high = _ONE + LOWEST, _ONE + HIGHEST
        zero += sum(side[:low])
        sides.append([*side[low:high], sum(side[high:])])
    filled = [place for place, pair in enumerate(zip(*sides, strict=True)) if any(pair)]
    first, after = (filled[0], filled[-1] + 1) if filled else (0, 0)
    negative, positive = (tuple(side[first:after]) if any(side) else () for side in sides)
    return Histogram(first=LOWEST + first, negative=negative, zero=zero, positive=positive)
