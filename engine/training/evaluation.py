"""The loss and the accuracy of a network on a split."""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from engine.data.datasets import Split
from engine.network.batches import evaluation_batch
from engine.network.model import CNN, inference_network
from engine.training.events import BatchEvaluated


class Evaluation(NamedTuple):
    """What a network does with a split."""

    loss: float
    """Mean cross-entropy over its images, in nats."""
    accuracy: float
    """0 to 1."""
    right: Tensor
    """(N,) bool on the split's device: whether the predicted class of each image is its label."""


def evaluate(model: CNN, split: Split, name: str) -> Generator[BatchEvaluated, None, Evaluation]:
    """Loss, accuracy and recognised images of `model` over the images of `split`, in evaluation mode."""
    network = inference_network(model)
    size = evaluation_batch(split.labels.device.type, model.architecture.channels)
    loss = torch.zeros((), dtype=torch.float64, device=split.labels.device)
    right = torch.zeros(len(split), dtype=torch.bool, device=split.labels.device)
    for start in range(0, len(split), size):
        with torch.inference_mode():
            labels = split.labels[start : start + size]
            logits = network(split.images[start : start + size])  # (B, 10)
            loss += cross_entropy(logits, labels, reduction="sum")
            right[start : start + size] = logits.argmax(dim=1) == labels
        yield BatchEvaluated(split=name, done=min(start + size, len(split)), total=len(split))
    return Evaluation(loss.item() / len(split), right.sum().item() / len(split), right)
