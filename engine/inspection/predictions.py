"""The predictions of a network: the notebook's section 1.2, and its test loop with a confusion matrix."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import torch
from torch import Tensor

from engine.data.datasets import Split
from engine.event import Event
from engine.geometry import CLASSES
from engine.inspection.events import Digit, DigitsShown, SplitEvaluated
from engine.inspection.loaded import LoadedNetwork, find_images, open_network
from engine.inspection.requests import Evaluate, ShowDigits
from engine.inspection.survey import survey_of
from engine.network.batches import evaluation_batch
from engine.network.events import WeightsRead
from engine.network.pixels import standardised_hint
from engine.request import RequestError


def confusion_matrix(labels: Tensor, predictions: Tensor) -> Tensor:
    """Counts (10, 10) int64 of labels (N,) and predictions (N,): a row is an actual class, a column a predicted one."""
    return torch.bincount(labels * CLASSES + predictions, minlength=CLASSES**2).view(CLASSES, CLASSES)


def evaluate_split(request: Evaluate, root: Path) -> Generator[Event, None, None]:
    """Loss, accuracy and confusion matrix on a whole split, with progress after each batch.

    Raises RequestError where the network or data set does not exist.
    """
    loaded = yield from open_network(request, root)
    dataset, split = yield from find_images(request, loaded, root)
    if loaded.foreign is not None and (hint := standardised_hint(loaded.model, split)):
        yield WeightsRead(name=loaded.name, notes=(hint,))
    survey = survey_of(loaded, split)
    yield from survey.finish(request.split)
    predictions = survey.logits.argmax(dim=1)
    confusion = confusion_matrix(split.labels, predictions)
    yield SplitEvaluated(
        name=loaded.name,
        variant=loaded.variant,
        epoch=loaded.epoch,
        dataset=dataset,
        split=request.split,
        count=len(split),
        loss=survey.loss(),
        accuracy=(predictions == split.labels).double().mean().item(),
        class_accuracy=tuple((confusion.diagonal() / confusion.sum(dim=1)).tolist()),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        labels=split.labels.cpu().numpy().copy(),  # otherwise it shares the data set's memory
        predictions=predictions.cpu().numpy(),
        probabilities=torch.softmax(survey.logits, dim=1).cpu().numpy(),
    )


def show_digits(request: ShowDigits, root: Path) -> Generator[Event, None, None]:
    """Some images of a split with their actual and predicted classes.

    A random order of all predictions needs only these images; anything else needs predictions for the whole split
    first, with progress after each batch. Raises RequestError where the network or data set does not exist.
    """
    loaded = yield from open_network(request, root)
    dataset, split = yield from find_images(request, loaded, root)
    if request.order == "random" and request.predicted < 0:
        order = torch.randperm(len(split), generator=torch.Generator().manual_seed(request.seed)).to(loaded.device)
    else:
        survey = survey_of(loaded, split)
        yield from survey.finish(request.split)
        order = _ordered(request, survey.logits, split.labels)
        if request.predicted >= 0:
            order = order[survey.logits.argmax(dim=1)[order] == request.predicted]
    if request.digit >= 0:
        order = order[split.labels[order] == request.digit]
    chosen = order[: request.count]
    images = split.images[chosen]
    yield DigitsShown(
        name=loaded.name,
        variant=loaded.variant,
        epoch=loaded.epoch,
        dataset=dataset,
        split=request.split,
        order=request.order,
        digit=request.digit,
        seed=request.seed,
        predicted=request.predicted,
        matching=len(order),
        digits=tuple(describe(loaded, split, chosen)),
        images=images.squeeze(1).cpu().numpy(),
    )


def describe(loaded: LoadedNetwork, split: Split, indices: Tensor) -> list[Digit]:
    """The predictions of `loaded` for the images of `split` at `indices` (n,)."""
    if not len(indices):
        return []
    with torch.inference_mode():
        # In batches, since the maps of ten thousand images would take gigabytes.
        size = evaluation_batch(indices.device.type, loaded.model.architecture.channels)
        batches = torch.split(indices, size)
        probabilities = torch.cat([loaded.model.probabilities(split.images[batch]) for batch in batches])  # (n, 10)
    best, predicted = probabilities.max(dim=1)
    columns = (indices, split.labels[indices], predicted, best, probabilities)
    return [
        Digit(index=index, actual=actual, predicted=guess, probability=sure, probabilities=tuple(all_ten))
        for index, actual, guess, sure, all_ten in zip(*(column.tolist() for column in columns), strict=True)
    ]


def _ordered(request: ShowDigits, logits: Tensor, labels: Tensor) -> Tensor:
    """Indices (n,) of a split's images in the requested order; ties are in the split's own order."""
    if request.order == "random":
        return torch.randperm(len(labels), generator=torch.Generator().manual_seed(request.seed)).to(labels.device)
    surest, predicted = torch.softmax(logits.double(), dim=1).max(dim=1)
    descending = request.order != "least-certain"
    order = surest.argsort(descending=descending, stable=True)
    return order[(predicted != labels)[order]] if request.order == "mistakes" else order


def answers(loaded: LoadedNetwork, images: Tensor) -> Tensor:
    """The classes (n,) that `loaded` predicts for images (n, 1, 28, 28), in batches."""
    with torch.inference_mode():
        batches = torch.split(images, evaluation_batch(images.device.type, loaded.model.architecture.channels))
        found: list[Tensor] = [loaded.model(batch).argmax(dim=1) for batch in batches]
    return torch.cat(found)


def check_index(index: int, split: Split, name: str) -> None:
    """Raise RequestError where the split has no image `index`."""
    if index >= len(split):
        raise RequestError(f"index {index} is beyond the {len(split):,} images of {name}: the last is {len(split) - 1}")
