"""The audit of networks on the test split: scores by class, calibration, and labels in doubt."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from engine.data.datasets import Split
from engine.event import Event, WorkAdvanced
from engine.geometry import CLASSES
from engine.inspection.audit_events import ClassScores, DisputedLabel, NetworkAudited, NetworksAudited
from engine.inspection.calibration import calibration_error, error_interval, fit_temperature, reliability
from engine.inspection.events import Digit
from engine.inspection.label_errors import disputed_labels
from engine.inspection.loaded import LoadedNetwork, find_images, open_networks
from engine.inspection.predictions import confusion_matrix
from engine.inspection.requests import Audit, InspectImages
from engine.inspection.survey import survey_of
from engine.network.batches import evaluation_batch
from engine.network.model import inference_network

UNCLEAR = "audits with the same name cannot be told apart"


def audit(request: Audit, root: Path) -> Generator[Event, None, None]:
    """Audit a network and the others on the test split, with progress after each batch.

    Temperatures are fitted on the validation split. A label is in doubt where the networks give it little probability:
    images are ranked by their self-confidence (confident learning, Northcutt et al. 2021, arXiv:1911.00068) under the
    networks' geometric mean, normalised (the logarithmic opinion pool; Genest and Zidek 1986): one that is certain of
    another class weighs more in it than in a mean. Raises RequestError where a network or the data set does not exist.
    """
    yield from audit_of((yield from open_networks(request, request.others, UNCLEAR, root)), request, root)


def audit_of(networks: Sequence[LoadedNetwork], request: Audit, root: Path) -> Generator[Event, None, None]:
    """The same of networks that have been opened, the first of which decides on the data set."""
    splits = []
    for name in ("test", "val"):
        wanted = InspectImages(dataset=request.dataset, split=name)
        dataset, split = yield from find_images(wanted, networks[0], root)
        splits.append(split)
    test, val = splits
    known = disputed_labels(dataset, len(test))
    labels, audits = test.labels.cpu(), []
    pooled = torch.zeros((len(test), CLASSES), dtype=torch.float64)
    for number, loaded in enumerate(networks):
        words, each, outputs = f"audit of {loaded.name}", len(test) + len(val), _Outputs(loaded, test, val)
        for done in outputs.finish():
            yield WorkAdvanced(words=words, done=number * each + done, total=len(networks) * each)
        logits, temperature = outputs.test, fit_temperature(outputs.val, val.labels.cpu())
        pooled += torch.log_softmax(logits, dim=1) / len(networks)
        audits.append(_audited(request, loaded, dataset, known, logits=logits, labels=labels, temperature=temperature))
    main, *others = audits
    probabilities = torch.softmax(pooled, dim=1)
    believed = probabilities.gather(1, labels[:, None])[:, 0].numpy()
    doubtful = np.argsort(believed, kind="stable")[: request.count]
    indices = tuple(doubtful.tolist())
    yield NetworksAudited(
        **main,
        others=tuple(NetworkAudited(**each) for each in others),
        doubtful=indices,
        digits=tuple(_digits(indices, labels, probabilities)),
        known=known,
        known_found=len({each.index for each in known} & set(indices)) if known else None,
        seed=request.seed,
        self_confidence=believed,
        images=test.images[torch.from_numpy(doubtful).to(test.images.device), 0].cpu().numpy(),
    )


class _Outputs:
    """The logits of a network on both splits, in double precision on the CPU."""

    def __init__(self, loaded: LoadedNetwork, test: Split, val: Split) -> None:
        self._loaded, self._test, self._val = loaded, test, val
        self.test = self.val = torch.zeros((0, CLASSES), dtype=torch.float64)
        """(N, 10) float64, once finished."""

    def finish(self) -> Iterator[int]:
        """Compute them, unless another request has; yields the number of images so far after each batch."""
        survey, network = survey_of(self._loaded, self._test), inference_network(self._loaded.model)
        for batch in survey.finish("test"):
            yield batch.done
        self.test, found = survey.logits.cpu().double(), []
        size, done = evaluation_batch(self._loaded.device.type, self._loaded.model.architecture.channels), 0
        for images in torch.split(self._val.images, size):
            with torch.inference_mode():
                found.append(network(images).cpu().double())
            done += len(images)
            yield len(self._test) + done
        self.val = torch.cat(found)


def _audited(
    request: Audit,
    loaded: LoadedNetwork,
    dataset: str,
    known: Iterable[DisputedLabel],
    *,
    logits: Tensor,
    labels: Tensor,
    temperature: float,
) -> dict[str, Any]:
    """The fields of a NetworkAudited, of the logits (N, 10) and labels (N,) of the test split."""
    predictions = logits.argmax(dim=1)
    right = (predictions == labels).numpy()
    undisputed = np.ones(len(labels), np.bool_)
    undisputed[[each.index for each in known]] = False
    fields: dict[str, Any] = {
        "name": loaded.name,
        "variant": loaded.variant,
        "epoch": loaded.epoch,
        "dataset": dataset,
        "split": "test",
        "count": len(labels),
        "accuracy": float(right.mean()),
        "accuracy_without_doubtful": None if undisputed.all() else float(right[undisputed].mean()),
        "classes": class_scores(labels, predictions),
        "temperature": temperature,
    }
    for suffix, scaled in (("", logits), ("_calibrated", logits / temperature)):
        sure = torch.softmax(scaled, dim=1).amax(dim=1).numpy()
        low, high = error_interval(sure, right, request.bins, request.seed)
        fields |= {
            f"loss{suffix}": cross_entropy(scaled, labels).item(),
            f"ece{suffix}": calibration_error(sure, right, request.bins),
            f"ece{suffix}_low": low,
            f"ece{suffix}_high": high,
            f"bins{suffix}": reliability(sure, right, request.bins),
        }
    return fields


def class_scores(labels: Tensor, predictions: Tensor) -> tuple[ClassScores, ...]:
    """Precision, recall and F1 of each class, of labels (N,) and predictions (N,) from 0 to 9."""
    confusion = confusion_matrix(labels, predictions)
    columns = (confusion.sum(dim=1), confusion.sum(dim=0), confusion.diagonal())
    return tuple(
        ClassScores(
            count=count,
            predicted=predicted,
            precision=_share(hits, predicted),
            recall=_share(hits, count),
            f1=_share(2 * hits, count + predicted),
        )
        for count, predicted, hits in zip(*(column.tolist() for column in columns), strict=True)
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _digits(indices: tuple[int, ...], labels: Tensor, probabilities: Tensor) -> Iterator[Digit]:
    """The images at `indices`, with probabilities (N, 10) of all of the split."""
    for index in indices:
        row = probabilities[index]
        predicted = int(row.argmax())
        yield Digit(
            index=index,
            actual=int(labels[index]),
            predicted=predicted,
            probability=float(row[predicted]),
            probabilities=tuple(row.tolist()),
        )
