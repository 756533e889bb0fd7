"""The loss and the accuracy of a network on a split."""

from __future__ import annotations

from collections.abc import Generator

import torch
from torch.nn.functional import cross_entropy

from engine.data.datasets import Split
from engine.network.batches import evaluation_batch
from engine.network.model import CNN, inference_network
from engine.training.events import BatchEvaluated


def evaluate(model: CNN, split: Split, name: str) -> Generator[BatchEvaluated, None, tuple[float, float]]:
    """Mean cross-entropy (nats) and accuracy (0 to 1) of `model` over the images of `split`, in evaluation mode."""
    network = inference_network(model)
    size = evaluation_batch(split.labels.device.type, model.architecture.channels)
    loss = torch.zeros((), dtype=torch.float64, device=split.labels.device)
    correct = torch.zeros((), dtype=torch.int64, device=split.labels.device)
    for start in range(0, len(split), size):
        with torch.inference_mode():
            labels = split.labels[start : start + size]
            logits = network(split.images[start : start + size])  # (B, 10)
            loss += cross_entropy(logits, labels, reduction="sum")
            correct += (logits.argmax(dim=1) == labels).sum()
        yield BatchEvaluated(split=name, done=min(start + size, len(split)), total=len(split))
    return loss.item() / len(split), correct.item() / len(split)
