"""The notebook's networks, `CNN` and `CNN_batch_norm` (sections 1 and 1.6), as one module."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from engine.geometry import CLASSES, POOL, block_sizes
from engine.network.pooling import MaxPool
from engine.network.requests import Architecture, NormedLayer


class Standardise(nn.Module):
    """Subtracts `mean` from the pixels and divides them by `std`; the identity for 0 and 1.

    It comes before the first convolution's zero padding, which is therefore zero after standardisation.
    """

    def __init__(self, mean: float, std: float) -> None:
        super().__init__()
        self.mean, self.std = mean, std

    def forward(self, images: Tensor) -> Tensor:
        """The standardised images, of the same shape."""
        return images if (self.mean, self.std) == (0.0, 1.0) else (images - self.mean) / self.std


class CNN(nn.Module):
    """Two blocks of convolution (and batch norm), 2x2 max-pooling and ReLU; then two fully connected layers.

    The keys of its state dict are the notebook's: conv1.0, conv2.0, fc.1, fc.3, and with batch norm conv1.1, conv2.1,
    fc.2, fc.4. Pooling comes before ReLU: the two commute bit for bit, and ReLU then does a quarter of the work. A
    network for standardised pixels standardises them itself, so that its input images are always in [0, 1].
    """

    def __init__(self, architecture: Architecture | None = None) -> None:
        super().__init__()
        self.architecture = a = architecture or Architecture()
        (_, _), (_, side) = block_sizes(a.kernel_size, a.stride, a.padding)
        self.inputs = Standardise(a.mean, a.std)
        self.conv1 = self._block("conv1", a.in_channels)
        self.conv2 = self._block("conv2", a.channels)
        self.fc = nn.Sequential(
            nn.Flatten(),  # (B, C, side, side) -> (B, C * side * side)
            nn.Linear(a.channels * side * side, a.hidden),
            *([nn.BatchNorm1d(a.hidden)] if "fc1" in a.norms else []),
            nn.ReLU(),
            nn.Linear(a.hidden, CLASSES),
            *([nn.BatchNorm1d(CLASSES)] if "logits" in a.norms else []),
        )

    def _block(self, name: NormedLayer, in_channels: int) -> nn.Sequential:
        a = self.architecture
        return nn.Sequential(
            nn.Conv2d(in_channels, a.channels, a.kernel_size, a.stride, a.padding),
            *([nn.BatchNorm2d(a.channels)] if name in a.norms else []),
            MaxPool(),
            nn.ReLU(),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, 10) of images (B, 1, 28, 28) in [0, 1]: the first of the two values that the notebook returns."""
        return cast(Tensor, self.fc(self.conv2(self.conv1(self.inputs(images)))))

    def cancelled_biases(self) -> list[nn.Parameter]:
        """The biases that a batch norm right after them cancels: they have no effect on the logits in training."""
        layers = [*self.conv1, *self.conv2, *self.fc]
        return [
            cast(nn.Parameter, layer.bias)
            for layer, after in pairwise(layers)
            if isinstance(after, nn.BatchNorm1d | nn.BatchNorm2d)
        ]

    def probabilities(self, images: Tensor) -> Tensor:
        """Softmax of the logits, (B, 10): the second of the two values that the notebook returns."""
        return torch.softmax(self(images), dim=1)


class _Maxima(nn.Module):
    """2x2 max-pooling as maxima of rows, then of columns: without a gradient, their positions are not needed."""

    def forward(self, maps: Tensor) -> Tensor:
        height, width = (side // POOL * POOL for side in maps.shape[-2:])
        rows = torch.maximum(maps[..., 0:height:2, :width], maps[..., 1:height:2, :width])
        return torch.maximum(rows[..., 0::2], rows[..., 1::2])


def inference_network(model: CNN) -> nn.Sequential:
    """The layers of `model`, which is put in evaluation mode, as one sequence with batch norm folded into the layers.

    Computes logits (B, 10) of images (B, 1, 28, 28), equal to those of `model` up to rounding, and a quarter faster
    with batch norm. Folded layers are copies: the sequence is valid until the weights change. It supports no gradients.
    """
    model.eval()
    layers: list[nn.Module] = []
    for layer in (model.inputs, *model.conv1, *model.conv2, *model.fc):
        match layer:
            case nn.BatchNorm2d():
                layers[-1] = fuse_conv_bn_eval(cast(nn.Conv2d, layers[-1]), layer)
            case nn.BatchNorm1d():
                layers[-1] = fuse_linear_bn_eval(cast(nn.Linear, layers[-1]), layer)
            case MaxPool():
                layers.append(_Maxima())
            case _:
                layers.append(layer)
    return nn.Sequential(*layers)


def layer_outputs(layers: Iterable[nn.Module], images: Tensor) -> list[Tensor]:
    """What the network of `layers`, as in `inference_network`, computes for images (B, 1, 28, 28), layer by layer.

    The maps of both blocks after pooling and ReLU (B, C, h, w), the hidden layer after ReLU (B, hidden), and the logits
    (B, 10).
    """
    outputs, now = [], images
    for layer in layers:
        now = layer(now)
        if isinstance(layer, nn.ReLU):
            outputs.append(now)
    return [*outputs, now]


def seeded_cnn(architecture: Architecture, seed: int) -> CNN:
    """A CNN on the CPU with PyTorch's default initial weights, determined by `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return CNN(architecture)


def count_parameters(model: nn.Module) -> int:
    """Number of trainable parameters (799,078 for the notebook's network, its section 1.4)."""
    return sum(parameter.numel() for parameter in model.parameters())
