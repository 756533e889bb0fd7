"""Principal components, nearest neighbours and the rotation of one map onto another: the linear algebra of maps."""

from __future__ import annotations

from collections.abc import Generator

import torch
from torch import Tensor

from engine.event import WorkAdvanced

EXACT = 1000
"""Up to so many dimensions or images, all eigenvectors are computed; beyond it, a subspace is iterated."""
_SPARE, _ITERATIONS = 10, 6
"""Dimensions of the subspace beyond those wanted, and its iterations: the leading components then have converged."""
_CHUNK = 250
"""Number of images whose distances to all others are in memory at once."""


def principal_components(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The first `count` principal components of `values` (n, d), or fewer if n or d is less.

    Returns the scores (n, k), about their mean and by descending variance, and the share (k,) of the variance that each
    has, in double precision. They are eigenvectors of the covariance, or of the images' inner products where those are
    fewer; beyond EXACT of both, a random subspace is iterated (Halko, Martinsson and Tropp 2011, algorithm 4.4). An
    eigenvector has no sign of its own: the image that is furthest out is on the positive side.
    """
    centred = values - values.mean(dim=0)
    total = torch.stack([rows.square().sum(dtype=torch.float64) for rows in torch.split(centred, _CHUNK)]).sum()
    n, d = centred.shape
    k = min(count, n, d)
    if min(n, d) > EXACT:
        scores = centred @ _leading(centred, k).to(centred.dtype)
    elif d <= n:
        _, vectors = torch.linalg.eigh((centred.T @ centred).double())  # ascending
        scores = centred @ vectors[:, -k:].flip(1).to(centred.dtype)
    else:
        squares, vectors = torch.linalg.eigh((centred @ centred.T).double())
        scores = (vectors[:, -k:] * squares[-k:].clamp_min(0).sqrt()).flip(1).to(centred.dtype)
    furthest = scores.abs().argmax(dim=0)
    scores = scores * torch.where(scores[furthest, torch.arange(k, device=scores.device)] < 0, -1, 1)
    return scores, scores.double().square().sum(dim=0) / total


def _leading(centred: Tensor, k: int) -> Tensor:
    """About the first `k` right singular vectors (d, k) of `centred` (n, d), by iterating a random subspace."""
    random = torch.Generator().manual_seed(0)
    basis = torch.randn(centred.shape[1], k + _SPARE, generator=random).to(centred)
    for _ in range(_ITERATIONS):
        basis, _ = torch.linalg.qr(centred.T @ (centred @ basis))
    projected = centred @ basis
    _, vectors = torch.linalg.eigh((projected.T @ projected).double())
    leading: Tensor = basis.double() @ vectors[:, -k:].flip(1)
    return leading


def nearest_neighbours(values: Tensor, count: int, words: str) -> Generator[WorkAdvanced, None, tuple[Tensor, Tensor]]:
    """The `count` nearest other images of each image, by Euclidean distance between the rows of `values` (n, d).

    With progress under `words`; returns indices (n, count) int64 and distances (n, count) float64, ascending. No trees,
    no approximation: for ten thousand images, all distances take less time than an index.
    """
    values = values.double()
    squares = values.square().sum(dim=1)
    indices, distances = [], []
    for start in range(0, len(values), _CHUNK):
        chunk = values[start : start + _CHUNK]
        found = torch.addmm(squares + squares[start : start + len(chunk), None], chunk, values.T, alpha=-2)
        rows = torch.arange(len(chunk), device=found.device)
        found[rows, start + rows] = torch.inf  # an image is not its own neighbour
        near, which = found.topk(count, largest=False)
        indices.append(which)
        distances.append(near.clamp_min(0).sqrt())
        yield WorkAdvanced(words=words, done=start + len(chunk), total=len(values))
    return torch.cat(indices), torch.cat(distances)


def rotated_onto(points: Tensor, other: Tensor) -> Tensor:
    """`points` (n, 2) about their mean, rotated and reflected as close as possible to `other` (n, 2).

    The orthogonal Procrustes problem (Schönemann 1966): distances between points stay as they are.
    """
    left, _, right = torch.linalg.svd(points.double().T @ other.double())
    turned: Tensor = points.double() @ left @ right
    return turned.to(points.dtype)
