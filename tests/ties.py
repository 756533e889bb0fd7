"""An independent implementation of the rule for ties in `engine.network.pooling`, and controlled rounding errors."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine.adversary import input_gradients as passes
from engine.network import pooling

FIRST_MAXIMA = pooling.first_maxima
"""The function of the engine."""


class FirstMaxPool(nn.Module):
    """2x2 maxima: each takes the first value that no later one exceeds by the tolerance per position between them."""

    def forward(self, maps: Tensor) -> Tensor:
        four = maps.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)  # (n, C, H, W, 4), by rows
        largest = maps.detach().flatten(1).max(dim=1).values.abs()[:, None, None, None]
        best, place = four[..., 0], torch.zeros(four.shape[:-1])
        for later in range(1, 4):
            value = four[..., later]
            ahead = (value - best).detach() > (later - place) * (1e-10 * largest)
            best, place = torch.where(ahead, value, best), torch.where(ahead, later, place)
        return best


def with_the_rule(model: nn.Module) -> nn.Module:
    """A copy of `model` in double precision that pools with FirstMaxPool."""
    model = copy.deepcopy(model).double()
    for block in model.children():
        for name, layer in block.named_children():
            if isinstance(layer, nn.MaxPool2d):
                setattr(block, name, FirstMaxPool())
    return model


@contextmanager
def rounded_otherwise(seed: int) -> Iterator[None]:
    """Perturb the values that the engine takes maxima of, as a different order of summation might.

    Do not nest or interleave two of these, as alternating generators would: the first to end would restore the state
    of the other.
    """
    assert {pooling.first_maxima, vars(passes)["first_maxima"]} == {FIRST_MAXIMA}, "rounding falls otherwise already"
    generator, exact = torch.Generator().manual_seed(seed), FIRST_MAXIMA

    def rounded(maps: Tensor, *window: Any) -> tuple[Tensor, Tensor]:
        noise = torch.rand(maps.shape, generator=generator, dtype=maps.dtype) - 0.5
        largest = maps.detach().abs().amax(dim=(1, 2, 3), keepdim=True)
        return exact(maps + 16 * torch.finfo(maps.dtype).eps * largest * noise, *window)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pooling, "first_maxima", rounded)
        patch.setattr(passes, "first_maxima", rounded)
        yield
