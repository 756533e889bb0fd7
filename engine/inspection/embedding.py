"""Maps of images: a point for each, by what a layer computes for it, with PCA, t-SNE or UMAP."""

from __future__ import annotations

import math
from collections.abc import Generator
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from msgspec.structs import replace
from torch import Tensor, nn

from engine.data.datasets import Split
from engine.event import Event, WorkAdvanced
from engine.geometry import CLASSES
from engine.inspection.components import nearest_neighbours, principal_components, rotated_onto
from engine.inspection.kept_weights import kept_convolutions
from engine.inspection.loaded import LoadedNetwork, find_images, open_network
from engine.inspection.map_events import EmbeddingAdvanced, ImagesEmbedded
from engine.inspection.neighbour_maps import Moved, check_installed, tsne, umap
from engine.inspection.requests import LAYER_WORDS, METHOD_NAMES, SUPPORT, Embed, MappedLayer
from engine.network.batches import evaluation_batch
from engine.network.model import CNN, inference_network, layer_outputs
from engine.request import RequestError
from engine.training.events import BatchEvaluated

if TYPE_CHECKING:
    from engine.event import Array

COMPONENTS = 50
"""Number of principal components that t-SNE and UMAP get, as van der Maaten and Hinton (2008) did, with 30."""
NEAREST = 10
"""Number of nearest neighbours whose labels are compared."""
MOST_VALUES = 2**28
"""Number of values of a layer, of all images together, that is computed at most: 1 GiB, and 1 more centred."""


class Reduced:
    """A layer's values for the first images of a split, reduced to COMPONENTS principal components."""

    def __init__(self, loaded: LoadedNetwork, split: Split, layer: MappedLayer, count: int, epoch: int | None) -> None:
        self._loaded, self._split, self._layer, self._count, self._epoch = loaded, split, layer, count, epoch
        self.scores = self.shares = self.logits = torch.empty(0)
        """(n, k) and (k,), as `principal_components` has them, and (n, 10), on the device; once finished."""
        self.dimensions = 0
        """Number of values for one image, once finished."""

    def finish(self, name: str) -> Generator[Event, None, None]:
        """Compute them, unless another request has, with an event after each batch; `name` is the split's.

        Raises RequestError where the layer outputs no finite numbers, or the same for all images, or too many.
        """
        if self.dimensions:
            return
        values, logits, done = torch.empty(0), [], 0
        network = inference_network(self._model())
        size = evaluation_batch(self._loaded.device.type, self._loaded.model.architecture.channels)
        for images in torch.split(self._split.images[: self._count], size):
            with torch.inference_mode():
                own, answers = _outputs(network, self._layer, images)
                if not done:
                    self._check_size(own.shape[1])
                    values = own.new_empty((self._count, own.shape[1]))
                values[done : done + len(own)] = own
            logits.append(answers)
            done += len(images)
            yield BatchEvaluated(split=name, done=done, total=self._count)
        where = f"the {LAYER_WORDS[self._layer]} of {self._loaded.name}"
        if not all(bool(torch.isfinite(rows.square()).all()) for rows in torch.split(values, size)):
            raise RequestError(f"{where} has values that are not finite: there is no map of them")
        if all(bool((rows == values[0]).all()) for rows in torch.split(values, size)):
            raise RequestError(f"{where} is the same for all images: there is no map of it")
        self.scores, self.shares = principal_components(values, COMPONENTS)
        self.logits, self.dimensions = torch.cat(logits), values.shape[1]

    def _check_size(self, dimensions: int) -> None:
        if self._count * dimensions > MOST_VALUES:
            most = MOST_VALUES // dimensions
            raise RequestError(
                f"{self._count:,} images of {dimensions:,} values each are too many: map at most {most:,} images"
            )

    def _model(self) -> CNN:
        """The network, with the convolutions of the epoch."""
        model = self._loaded.model
        if self._epoch is None or self._loaded.run is None:
            return model
        keys = [f"conv{block}.0.{name}" for block in (1, 2) for name in ("weight", "bias")]
        kept = kept_convolutions(self._loaded, self._loaded.run, self._epoch, *keys)
        model = deepcopy(model)
        with torch.no_grad():
            for key, tensor in zip(keys, kept, strict=True):
                model.get_parameter(key).copy_(tensor)
        return model

    def points(self) -> Tensor:
        """The first two principal components, (n, 2); the second one is 0 if there is only one."""
        return nn.functional.pad(self.scores[:, :2], (0, max(0, 2 - self.scores.shape[1])))


@lru_cache(maxsize=8)  # all layers, and a few epochs
def reduced_of(
    loaded: LoadedNetwork, split: Split, layer: MappedLayer, count: int, epoch: int | None = None
) -> Reduced:
    """The reduced layer, cached as long as network and split are the same objects; `epoch` is None for the latest."""
    return Reduced(loaded, split, layer, count, epoch)


def _outputs(network: nn.Sequential, layer: MappedLayer, images: Tensor) -> tuple[Tensor, Tensor]:
    """What a layer computes for images (B, 1, 28, 28), as (B, d), and the logits (B, 10)."""
    block1, block2, hidden, logits = layer_outputs(network, images)
    values = {"pixels": images, "block1": block1, "block2": block2, "hidden": hidden}[layer]
    return values.flatten(1), logits


def _epochs(request: Embed, loaded: LoadedNetwork) -> tuple[int, ...]:
    """The epochs of which the layer can be mapped, ascending: runs keep only the convolutions of earlier ones."""
    if loaded.epoch is None:
        return ()
    blocks = request.layer in ("block1", "block2")
    whole = not {"conv1", "conv2"}.intersection(loaded.model.architecture.norms)
    kept = loaded.run.kept_epochs() if loaded.run and blocks and whole else ()
    return (*(epoch for epoch in kept if epoch < loaded.epoch), loaded.epoch)


def _epoch(request: Embed, loaded: LoadedNetwork, epochs: tuple[int, ...]) -> int | None:
    """The earlier epoch that is asked for; None for the latest. Raises RequestError where it is not kept."""
    if request.epoch < 0 or request.epoch == loaded.epoch:
        return None
    if request.epoch in epochs:
        return request.epoch
    what = LAYER_WORDS[request.layer]
    if len(epochs) > 1:
        have = f"it has {epochs[0]} to {epochs[-1]}"
    elif request.layer in ("block1", "block2"):
        have = "it has only the latest"
    else:
        have = "runs keep only the convolutions, so choose layer block1 or block2"
    raise RequestError(f"{loaded.name} has no {what} of epoch {request.epoch}: {have}")


def embed(request: Embed, root: Path) -> Generator[Event, None, None]:
    """A map of images, with progress: first without its neighbours counted; t-SNE also while it moves.

    Maps of earlier epochs with PCA are rotated onto that of the latest one, so that the picture does not flip from one
    to the next. Raises RequestError where the network, the data set, the epoch or a package does not exist.
    """
    check_installed(request.method)
    loaded = yield from open_network(request, root)
    dataset, split = yield from find_images(request, loaded, root)
    count = min(request.count, len(split))
    request.check_count(count)
    epochs = _epochs(request, loaded)
    epoch = _epoch(request, loaded, epochs)
    latest = reduced_of(loaded, split, request.layer, count)
    yield from latest.finish(request.split)
    reduced, points = latest, latest.points()
    if epoch is not None:
        reduced = reduced_of(loaded, split, request.layer, count, epoch)
        yield from reduced.finish(request.split)
        points = rotated_onto(reduced.points(), points)
    total = reduced.scores.double().square().sum() / reduced.shares.sum()
    along = (points.double().square().sum(dim=0) / total).tolist()
    answers = torch.softmax(latest.logits, dim=1)
    made = ImagesEmbedded(
        name=loaded.name,
        variant=loaded.variant,
        epoch=loaded.epoch if epoch is None else epoch,
        dataset=dataset,
        split=request.split,
        method=request.method,
        layer=request.layer,
        count=count,
        seed=request.seed,
        epochs=epochs,
        dimensions=reduced.dimensions,
        components=reduced.scores.shape[1],
        kept=float(reduced.shares.sum()),
        explained=(along[0], along[1]) if request.method == "pca" else None,
        perplexity=request.perplexity if request.method == "tsne" else None,
        neighbours=request.neighbours if request.method == "umap" else None,
        divergence=None,
        nearest=min(NEAREST, count - 1),
        same_class=None,
        same_class_before=None,
        same_class_by_class=(),
        points=_array(points),
        labels=split.labels[:count].cpu().numpy().copy(),  # otherwise it shares the data set's memory
        predictions=latest.logits.argmax(dim=1).cpu().numpy(),
        probabilities=_array(answers),
        images=(split.images[:count, 0] * 255).round().to(torch.uint8).cpu().numpy(),
    )
    if request.method == "pca":
        yield EmbeddingAdvanced(embedding=made)
        near, _ = yield from nearest_neighbours(reduced.scores, made.nearest, "neighbours in the layer")
    else:
        made, near = yield from _by_neighbours(request, reduced.scores, made)
    there, _ = yield from nearest_neighbours(torch.from_numpy(made.points), made.nearest, "neighbours in the map")
    labels = split.labels[:count].cpu()
    shares = _same(labels, there)
    yield replace(
        made,
        same_class=float(shares.mean()),
        same_class_before=float(_same(labels, near.cpu()[:, : made.nearest]).mean()),
        same_class_by_class=tuple(
            float(shares[labels == number].mean()) if bool((labels == number).any()) else math.nan
            for number in range(CLASSES)
        ),
    )


def _by_neighbours(
    request: Embed, scores: Tensor, made: ImagesEmbedded
) -> Generator[Event, None, tuple[ImagesEmbedded, Tensor]]:
    """The map by t-SNE or UMAP, and the indices of the nearest neighbours that it is made of."""
    wanted = int(SUPPORT * request.perplexity) if request.method == "tsne" else request.neighbours - 1
    near, far = yield from nearest_neighbours(scores, max(wanted, made.nearest), "neighbours in the layer")
    indices, distances = near[:, :wanted].cpu().numpy(), far[:, :wanted].cpu().numpy()
    moves: Generator[Moved, None, tuple[Array, float | None]]
    if request.method == "tsne":
        moves = tsne(made.points, indices, distances, request.perplexity, request.seed)
    else:
        own = torch.arange(made.count)[:, None]
        own_indices = torch.cat((own, near[:, :wanted].cpu()), dim=1).numpy()
        own_distances = torch.cat((torch.zeros(made.count, 1), far[:, :wanted].cpu()), dim=1).numpy()
        moves = umap(scores.cpu().float().numpy(), made.points, own_indices, own_distances, request.seed)
    words = METHOD_NAMES[request.method]
    yield WorkAdvanced(words=words, done=0, total=1)
    try:
        while True:
            moved = next(moves)
            yield WorkAdvanced(words=words, done=moved.done, total=moved.total)
            if moved.points is not None:
                yield EmbeddingAdvanced(embedding=replace(made, points=moved.points.astype("float32")))
    except StopIteration as stop:
        points, divergence = stop.value
    finally:
        moves.close()
    return replace(made, points=points.astype("float32"), divergence=divergence), near


def _same(labels: Tensor, near: Tensor) -> Tensor:
    """For each image, the share of the images `near` (n, k) that have its label, of `labels` (n,)."""
    return (labels[near] == labels[:, None]).double().mean(dim=1)


def _array(values: Tensor) -> Array:
    return values.float().cpu().numpy()
