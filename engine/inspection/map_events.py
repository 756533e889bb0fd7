"""The events of maps of images: a point for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.event import Progress
from engine.inspection.events import ImagesEvent
from engine.inspection.requests import MapMethod, MappedLayer

if TYPE_CHECKING:
    from engine.event import Array


class ImagesEmbedded(ImagesEvent, frozen=True):
    """A map of the first images of a split: a point for each, by what a layer computes for it."""

    method: MapMethod
    layer: MappedLayer
    count: int
    """Number of images, n."""
    seed: int
    epochs: tuple[int, ...]
    """Epochs of which this layer can be mapped, ascending."""
    dimensions: int
    """Number of values of the layer for one image."""
    components: int
    """Number of principal components to which these were reduced first."""
    kept: float
    """Share of the layer's variance that these have, 0 to 1."""
    explained: tuple[float, float] | None
    """For PCA, the share of the layer's variance along each axis, 0 to 1."""
    perplexity: float | None
    """For t-SNE."""
    neighbours: int | None
    """For UMAP."""
    divergence: float | None
    """For t-SNE, the Kullback-Leibler divergence that it has minimised, in nats."""
    nearest: int
    """Number of nearest neighbours that are counted in what follows."""
    same_class: float | None
    """Mean share of the nearest neighbours of an image in the map that have its label, 0 to 1; null until measured."""
    same_class_before: float | None
    """The same of its neighbours in the principal components."""
    same_class_by_class: tuple[float, ...]
    """That in the map for the images of each class; NaN for a class without images; empty until measured."""
    points: Array
    """(n, 2) float32. Those of PCA are in the units of the layer, about their mean."""
    labels: Array
    """(n,) int64."""
    predictions: Array
    """(n,) int64: the answers of the network as it is now, also where an earlier epoch's block is mapped."""
    probabilities: Array
    """(n, 10) float32."""
    images: Array
    """(n, 28, 28) uint8: gray levels from 0 to 255."""

    @property
    def mistakes(self) -> int:
        """Number of images whose predicted class is not their label."""
        return int((self.predictions != self.labels).sum())


class EmbeddingAdvanced(Progress, frozen=True):
    """A map before its neighbours are counted, or one that is still moving."""

    at_once = True
    embedding: ImagesEmbedded
