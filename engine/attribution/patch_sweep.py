"""A patch at each position on one image: the probabilities of the notebook's `occlusion_fixed`, computed fast.

It is fast because only windows are recomputed (see `patched_forward.py`), positions where the patch changes no pixel
are skipped, and the rest is batched. It stays exact because predictions near the decision boundary, where rounding
would show in a probability, are computed again in double precision.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from engine.attribution.patched_forward import PatchedImage, PatchedNetwork
from engine.geometry import CLASSES, IMAGE_SIZE
from engine.network.model import CNN

FIRST_ROWS = 2
"""Rows of a map in its first batch, so that the first results can be shown soon."""

IN_THE_BALANCE = 1.0
"""Threshold above which double precision is used, for p * (1 - p), the sensitivity of a probability to its logit, times
the range of the logits, to which their rounding errors are proportional."""
LARGE = 20.0
"""Cap on the range of the logits, which is unlimited where a class is almost impossible."""

AT_ONCE = {"cpu": 1 << 20, "cuda": 1 << 26}
"""Maximum number of elements in the largest map of a batch: about 4 MB on the CPU, and half a gigabyte on a GPU."""


class OcclusionNetwork:
    """A network prepared for occlusion, in single and in double precision."""

    def __init__(self, model: CNN) -> None:
        parameter = next(model.parameters())
        self.device = parameter.device
        self.exact = PatchedNetwork(model, torch.float64)
        quick = parameter.dtype == torch.float32  # on a GPU too: most compute in double precision at 1/64 of the speed
        self.quick = PatchedNetwork(model, torch.float32) if quick else None


def cover(image: Tensor, baseline: str, seed: int) -> Tensor:
    """The baseline (28, 28) for `image` (1, 28, 28), of which a patch shows the part at its position.

    `baseline` is a BaselineName, or a gray value from 0 to 1 as text. Noise is uniform from 0 to 1.
    """
    match baseline:
        case "noise":
            noise = torch.rand((IMAGE_SIZE, IMAGE_SIZE), generator=torch.Generator().manual_seed(seed))
            return noise.to(image)
        case "mean":
            return image.mean().expand(IMAGE_SIZE, IMAGE_SIZE)
        case _:
            return torch.full_like(image[0], float({"zero": "0", "one": "1"}.get(baseline, baseline)))


def balance(probabilities: Tensor) -> Tensor:
    """How strongly rounding affects probabilities (n, 10): (n,), to be compared with IN_THE_BALANCE."""
    logs = probabilities.log()
    return (probabilities * (1 - probabilities)).amax(dim=1) * (logs.amax(dim=1) - logs.amin(dim=1)).clamp(max=LARGE)


def _batches(places: Tensor, size: int) -> Iterator[Tensor]:
    """Parts of `places` (n,) of at most `size`, none of them empty."""
    return (part for part in torch.split(places, size) if len(part))


class OcclusionSweep:
    """A patch at each position on one image, a batch of positions at a time, row by row."""

    def __init__(
        self,
        network: OcclusionNetwork,
        image: Tensor,
        covers: Tensor,
        patch_size: int,
        stride: int,
        *,
        exact: bool = False,
    ) -> None:
        """`image` is (1, 28, 28), `covers` (28, 28) the baseline, of which the patch shows the part at its position.

        With `exact`, all positions are computed in double precision, which takes twice as long.
        """
        self.side = (IMAGE_SIZE - patch_size) // stride + 1
        """Rows and columns of the map."""
        self._patches = covers.unfold(0, patch_size, 1).unfold(1, patch_size, 1)  # (29 - p, 29 - p, p, p), a view
        self._stride = stride
        with torch.inference_mode():
            self._exact = PatchedImage(network.exact, image)
            quick = None if exact else network.quick
            self._quick = PatchedImage(quick, image) if quick else self._exact
            self.unoccluded = self._exact.probabilities
            """(10,) float64: the probabilities of the unoccluded image."""
            changes = (image != covers).to(image.dtype)[None]
            self._open = max_pool2d(changes, patch_size, stride).flatten().nonzero()[:, 0]
            self.probabilities = self.unoccluded.expand(self.side**2, CLASSES).clone()
            """(positions, 10) float64; NaN where not computed yet."""
            self.probabilities[self._open] = torch.nan
        self.computed = len(self._open)
        """Number of positions where the patch changes a pixel."""
        budget = AT_ONCE.get(network.device.type, AT_ONCE["cpu"])
        self._batch = max(1, budget // self._exact.elements(patch_size))

    def finish(self) -> Iterator[int]:
        """Compute the map; yields how many of the `computed` positions are done after each batch."""
        known, doubtful = 0, [self._open[:0]]
        first = min(self._batch, FIRST_ROWS * self.side)
        for places in (*_batches(self._open[:first], first), *_batches(self._open[first:], self._batch)):
            with torch.inference_mode():
                self.probabilities[places] = found = self._ask(self._quick, places)
                if self._quick is not self._exact:
                    doubtful.append(places[balance(found) > IN_THE_BALANCE])
            known += len(places)
            yield known
        for places in _batches(
            torch.cat(doubtful), max(1, self._batch // 2)
        ):  # double precision takes twice the memory
            with torch.inference_mode():
                self.probabilities[places] = self._ask(self._exact, places)
            yield known

    def _ask(self, image: PatchedImage, places: Tensor) -> Tensor:
        rows, columns = places // self.side * self._stride, places % self.side * self._stride
        return image.patched(self._patches[rows, columns], rows, columns).double()

    def map(self) -> Tensor:
        """The probabilities as (rows, columns, 10) float64."""
        return self.probabilities.view(self.side, self.side, CLASSES)


def drop_by_pixel(drops: Tensor, patch_size: int, stride: int) -> Tensor:
    """Maps of drops (n, rows, columns) as images (n, 28, 28): the mean drop over the patches that cover each pixel.

    0 for pixels that no patch covers. Equal to Captum's `Occlusion` where the patches cover all pixels.
    """
    pixels = torch.arange(IMAGE_SIZE, device=drops.device)[:, None]
    starts = torch.arange(drops.shape[-1], device=drops.device) * stride
    covered = ((starts <= pixels) & (pixels < starts + patch_size)).to(drops.dtype)  # (28, positions), for each axis
    count = covered.sum(1)
    return covered @ drops @ covered.T / (count[:, None] * count).clamp(min=1)
