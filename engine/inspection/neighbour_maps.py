"""t-SNE and UMAP of principal components, by the libraries openTSNE and umap-learn, which are extras."""

from __future__ import annotations

import importlib.util
import io
import warnings
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from engine.inspection.requests import MapMethod
from engine.inspection.stepwise import stepwise
from engine.request import RequestError

if TYPE_CHECKING:
    from engine.event import Array

PACKAGES: dict[MapMethod, tuple[str, str]] = {"tsne": ("openTSNE", "openTSNE"), "umap": ("umap", "umap-learn")}
"""For each method, the module that it needs, and the package that has it."""
EARLY, LATE = 250, 250
"""Iterations of t-SNE with exaggeration, and without."""
EXAGGERATION = 12
EPOCHS = 200
"""Epochs of UMAP, as its authors advise for large data sets: 500 look the same and take longer."""
SPREAD, MIN_DISTANCE = 1.0, 0.1
"""UMAP's scale of distances, and the closest of them: its authors' defaults, as are the numbers below."""
_OFTEN = 10
"""Iterations of t-SNE between two reports."""
_MANY = 3000
"""Images from which repulsion is interpolated on a grid; that of fewer is approximated by a tree sooner."""
_CELL = 2.0
"""Side of the cells of the grid that repulsion is interpolated on, where a map has outgrown its first grid: with 1, the
library's default, the second half takes two and a half times as long, and classes come apart no better."""


class Moved(NamedTuple):
    """The state of a map that is being made."""

    done: int
    total: int
    """Iterations."""
    points: Array | None
    """(n, 2); None where the library does not show them."""


def check_installed(method: MapMethod) -> None:
    """Raise RequestError where the package of a method is missing."""
    if method in PACKAGES and importlib.util.find_spec((names := PACKAGES[method])[0]) is None:
        name = {"tsne": "t-SNE", "umap": "UMAP"}[method]
        raise RequestError(f"{name} needs the package {names[1]}: pip install {names[1]}")


def tsne(
    start: Array, indices: Array, distances: Array, perplexity: float, seed: int
) -> Generator[Moved, None, tuple[Array, float]]:
    """t-SNE (van der Maaten and Hinton 2008) from `start` (n, 2), with the state every few iterations.

    `indices` and `distances` (n, k) are those of the nearest neighbours of each image. Repulsion is interpolated on a
    grid (Linderman et al. 2019) or, of few images, approximated by a tree (van der Maaten 2014). Returns the points
    (n, 2) and the Kullback-Leibler divergence in nats.
    """
    from openTSNE import TSNEEmbedding, affinity, initialization, nearest_neighbors

    threads = torch.get_num_threads()

    def work(report: Callable[[Moved], None]) -> tuple[Array, float]:
        index = nearest_neighbors.PrecomputedNeighbors(indices, distances)
        likeness = affinity.PerplexityBasedNN(knn_index=index, perplexity=perplexity, n_jobs=threads)
        embedding = TSNEEmbedding(
            initialization.rescale(start.astype(np.float64)),
            likeness,
            n_jobs=threads,
            random_state=seed,
            negative_gradient_method="bh" if len(start) < _MANY else "fft",
            ints_in_interval=_CELL,
        )
        done = 0

        def moved(iteration: int, _error: float, points: Array) -> None:
            report(Moved(done + iteration, EARLY + LATE, np.array(points)))

        for count, exaggeration, momentum in ((EARLY, EXAGGERATION, 0.5), (LATE, 1, 0.8)):
            embedding = embedding.optimize(
                count,
                exaggeration=exaggeration,
                momentum=momentum,
                inplace=True,
                callbacks=[moved],
                use_callbacks=True,
                callbacks_every_iters=_OFTEN,
            )
            done += count
        return np.array(embedding), float(embedding.kl_divergence)

    return (yield from stepwise(work))


def umap(
    values: Array, start: Array, indices: Array, distances: Array, seed: int
) -> Generator[Moved, None, tuple[Array, None]]:
    """UMAP (McInnes, Healy and Melville 2018) of `values` (n, k) from `start` (n, 2), with the state after each epoch.

    `indices` and `distances` (n, neighbours) are those of the nearest neighbours of each image, of which it is itself
    the first one. One thread, since several would make each map another one. Returns the points (n, 2), and None.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)  # TensorFlow, which is not used here, is not installed
        from umap.umap_ import find_ab_params, fuzzy_simplicial_set, simplicial_set_embedding

    def work(report: Callable[[Moved], None]) -> tuple[Array, None]:
        random = np.random.RandomState(seed)
        graph, _, _ = fuzzy_simplicial_set(
            values,
            indices.shape[1],
            random,
            "euclidean",
            knn_indices=indices,
            knn_dists=distances.astype(np.float32),
        )
        a, b = find_ab_params(SPREAD, MIN_DISTANCE)
        counter = {"file": _Counter(report), "bar_format": "{n} ", "mininterval": 0, "miniters": 1, "disable": False}
        points, _ = simplicial_set_embedding(
            values,
            graph,
            n_components=2,
            initial_alpha=1.0,
            a=a,
            b=b,
            gamma=1.0,
            negative_sample_rate=5,
            n_epochs=EPOCHS,
            init=start.astype(np.float32),
            random_state=random,
            metric="euclidean",
            metric_kwds={},
            densmap=False,
            densmap_kwds={},
            output_dens=False,
            tqdm_kwds=counter,
        )
        return np.array(points), None

    return (yield from stepwise(work))


class _Counter(io.StringIO):
    """The file that UMAP's progress bar writes to, the only way in which it reports."""

    def __init__(self, report: Callable[[Moved], None]) -> None:
        super().__init__()
        self._report = report

    def write(self, text: str) -> int:
        """Report the number in `text`, if it is one."""
        if (number := text.strip()).isdecimal():
            self._report(Moved(int(number), EPOCHS, None))
        return len(text)
