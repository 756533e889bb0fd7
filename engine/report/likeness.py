"""Whether images look like digits: their correlation with training digits, compared with what real digits have."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from engine.data.datasets import Split
from engine.geometry import CLASSES

if TYPE_CHECKING:
    from engine.event import Array

AT_ONCE = 10_000
"""Number of training digits that are compared at once: their correlations with 1,000 images take 40 MB."""
LOW = 5
"""Percentile of real digits from which on an image counts as like a digit: 95 % of real digits do."""


class Likeness(NamedTuple):
    """Correlations (Pearson, over the 784 pixels) of images with training digits; NaN for a constant image."""

    mean: Array
    """(n,): with the mean training digit of the image's class."""
    nearest: Array
    """(n,): with the training digit, of any class, that it correlates with most."""

    def like_digits(self, real: Likeness) -> int:
        """The number of images whose nearest training digit is no farther than that of 95 % of the `real` digits."""
        return int((self.nearest >= np.percentile(real.nearest, LOW)).sum())


def likeness(images: Tensor, classes: Tensor, train: Split) -> Likeness:
    """The likeness of images (n, 28, 28), each made for or of one of `classes` (n,), to the digits of `train`."""
    one = _standardised(images.flatten(1).to(train.images.device))
    digits = train.images.flatten(1)
    means = torch.stack([digits[train.labels == digit].mean(dim=0) for digit in range(CLASSES)])
    own = (one * _standardised(means)[classes.to(one.device)]).sum(dim=1)
    nearest = torch.full((len(one),), -1.0, device=one.device)
    for batch in torch.split(digits, AT_ONCE):
        nearest = torch.maximum(nearest, (one @ _standardised(batch).T).max(dim=1).values)
    return Likeness(own.double().cpu().numpy(), nearest.double().cpu().numpy())


def _standardised(rows: Tensor) -> Tensor:
    """Rows (n, 784) minus their mean, of length 1, so that their products are correlations; NaN for a constant one."""
    centred = rows - rows.mean(dim=1, keepdim=True)
    scaled: Tensor = centred / centred.norm(dim=1, keepdim=True)
    return scaled
