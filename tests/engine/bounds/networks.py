"""Networks of many architectures, and their bounds by other means: explicit matrices and plain loops."""

from __future__ import annotations

import copy
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.bounds.objective import IntervalObjective
from engine.data.datasets import Dataset
from engine.network.model import CNN, seeded_cnn
from engine.network.requests import Architecture

Numbers: TypeAlias = NDArray[np.float64]

ARCHITECTURES = (
    Architecture(channels=3, hidden=7),
    Architecture(channels=2, hidden=5, batch_norm=True),
    Architecture(channels=2, hidden=6, kernel_size=4, stride=2, padding=3, mean=0.13, std=0.31),
    Architecture(channels=3, hidden=4, kernel_size=5, padding=0),
    Architecture(channels=2, hidden=4, kernel_size=2, stride=1, padding=0, norm_layers=("conv2", "logits")),
    Architecture(channels=2, hidden=9, kernel_size=7, stride=1, padding=2, norm_layers=("fc1",)),
)


@lru_cache
def network(architecture: Architecture) -> CNN:
    """A network in evaluation mode, with running means and batch norm that are not those of initialisation."""
    model = seeded_cnn(architecture, 3)
    generator = torch.Generator().manual_seed(4)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            for tensor, low, high in (
                (layer.running_mean, -0.3, 0.3),
                (layer.running_var, 0.2, 2.0),
                (layer.weight.data, -1.5, 1.5),
                (layer.bias.data, -0.5, 0.5),
            ):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)
    return model.eval()


def matrix(layer: nn.Module, size: tuple[int, ...]) -> tuple[Numbers, Numbers]:
    """The matrix and the constant of an affine layer of inputs of shape `size`, from what it makes of unit vectors."""
    count = int(np.prod(size))
    with torch.inference_mode():
        constant = layer(torch.zeros(1, *size, dtype=torch.float64)).flatten()
        columns = layer(torch.eye(count, dtype=torch.float64).view(count, *size)).flatten(1) - constant
    return columns.T.numpy(), constant.numpy()


def windows(height: int, width: int, channels: int) -> NDArray[np.int64]:
    """The four inputs of each output of 2x2 pooling of flattened maps, (outputs, 4)."""
    found = [
        [c * height * width + (2 * i + a) * width + 2 * j + b for a in range(2) for b in range(2)]
        for c in range(channels)
        for i in range(height // 2)
        for j in range(width // 2)
    ]
    return np.array(found)


class Explicit(NamedTuple):
    """A network as matrices in double precision, for flat vectors."""

    weights: list[Numbers]
    biases: list[Numbers]
    windows: list[NDArray[np.int64]]
    """The four inputs of each output of the pooling after the first and second layer, (outputs, 4)."""

    def box(self, model: CNN, image: Tensor, epsilon: float) -> tuple[Numbers, Numbers]:
        """The least and the largest standardised pixels."""
        ends = ((image.double() + sign * epsilon).clamp(0, 1) for sign in (-1, 1))
        lower, upper = (model.inputs(each).flatten().numpy() for each in ends)
        return lower, upper

    def intervals(self, lower: Numbers, upper: Numbers) -> list[tuple[Numbers, Numbers]]:
        """Interval bounds of the outputs of each affine layer: each product by itself, at either end."""
        found = []
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            ends = weight * lower, weight * upper
            lower, upper = (best(*ends).sum(axis=1) + bias for best in (np.minimum, np.maximum))
            found.append((lower, upper))
            if number < len(self.windows):
                lower, upper = (each[self.windows[number]].max(axis=1) for each in (lower, upper))
            lower, upper = np.maximum(lower, 0), np.maximum(upper, 0)
        return found


@lru_cache
def explicit(model: CNN) -> Explicit:
    """The matrices of `model`, from what its own layers make of unit vectors."""
    doubled, size, found = copy.deepcopy(model).double(), (1, 28, 28), Explicit([], [], [])
    for block in (doubled.conv1, doubled.conv2):
        affine = nn.Sequential(*(each for each in block if not isinstance(each, nn.MaxPool2d | nn.ReLU)))
        with torch.inference_mode():
            channels, height, width = affine(torch.zeros(1, *size, dtype=torch.float64)).shape[1:]
        for kept, array in zip((found.weights, found.biases), matrix(affine, size), strict=True):
            kept.append(array)
        found.windows.append(windows(height, width, channels))
        size = channels, height // 2, width // 2
    layers = list(doubled.fc)[1:]
    relu = next(number for number, layer in enumerate(layers) if isinstance(layer, nn.ReLU))
    for part in (layers[:relu], layers[relu + 1 :]):
        inputs = next(each for each in part if isinstance(each, nn.Linear)).in_features
        for kept, array in zip((found.weights, found.biases), matrix(nn.Sequential(*part), (inputs,)), strict=True):
            kept.append(array)
    return found


def near(images: Tensor, epsilon: float, count: int, seed: int) -> Tensor:
    """`count` images within epsilon of each of `images`, in [0, 1]: half of them at corners of the box."""
    generator = torch.Generator().manual_seed(seed)
    moves = torch.rand((count, *images.shape), generator=generator) * 2 - 1
    moves[::2] = moves[::2].sign()
    return (images + epsilon * moves).clamp(0, 1)


@lru_cache(maxsize=1)
def trained_by_bounds(mnist: Dataset) -> CNN:
    """A small network that a few steps of IBP trained to withstand some perturbations of 0.05."""
    model = seeded_cnn(Architecture(channels=4, hidden=30), 0).train()
    objective, optimizer = IntervalObjective(model, 0.1, 0.5), torch.optim.Adam(model.parameters(), 5e-3)
    for step in range(120):
        chosen = slice(40 * step, 40 * step + 40)
        loss = objective.loss(mnist.train.images[chosen], mnist.train.labels[chosen], model, min(1.0, step / 60), step)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    return model.eval()
