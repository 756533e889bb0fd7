"""Bounds against many points, and their time: `python -m tests.benchmarks.bounds`.

Half of the points are random, inside of the box and at its corners, and half are those through which PGD goes. Each is
computed by the network itself, in single precision, with batch norm as it is and folded. The exit code is 1 where one
breaks a bound of a logit or of a margin. Arguments: points a network (100,000), and networks (the bundled ones).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from engine.adversary.network import AttackedNetwork
from engine.adversary.norm_ball import random_starts
from engine.adversary.objectives import ANY, Misclassification
from engine.adversary.pgd import pgd
from engine.bounds.affine import AffineLayers
from engine.bounds.crown import crown_margins, tightened
from engine.bounds.interval import interval_bounds, interval_logits, interval_margins, others
from engine.data.datasets import Split, load
from engine.inspection.loaded import load_network
from engine.network.model import CNN
from engine.network.requests import Inspect
from engine.paths import PRETRAINED
from tests.conftest import returned
from tests.engine.bounds.networks import near

NETWORKS = tuple(f"pretrained:{name}" for name in PRETRAINED)
EPSILONS = (0.002, 0.02, 0.1, 0.3)
IMAGES, STEPS = 25, 50


def points(network: AttackedNetwork, split: Split, epsilon: float, count: int, seed: int) -> Iterator[Tensor]:
    """Batches of points (IMAGES, 1, 28, 28) within epsilon of the first images, `count` in all or a few more."""
    images, labels = split.images[:IMAGES], split.labels[:IMAGES]
    yield from near(images, epsilon, count // 2 // IMAGES + 1, seed)
    objective, left = Misclassification(labels, torch.full_like(labels, ANY)), count // 2
    for restart in range(count):
        start = [random_starts(images, epsilon, "linf", seed, range(IMAGES), restart)]
        for iterate in pgd(network, images, objective, epsilon, "linf", epsilon / 8, STEPS, start):
            yield iterate.images
            left -= IMAGES
            if left <= 0:
                return


def check(name: str, model: CNN, split: Split, count: int) -> int:
    """Print what the points of all epsilons say; returns the number of broken bounds."""
    layers, folded = AffineLayers.to_prove(model), AttackedNetwork(model, torch.float32)
    labels, broken = split.labels[:IMAGES], 0
    for number, epsilon in enumerate(EPSILONS):
        began = time.perf_counter()
        bounds = interval_bounds(layers, split.images[:IMAGES], epsilon)
        plain, (lower, upper) = interval_margins(layers, bounds, labels), interval_logits(layers, bounds)
        middle = time.perf_counter()
        crown = crown_margins(layers, bounds, labels)
        end = time.perf_counter()
        tight = crown_margins(layers, tightened(layers, bounds), labels)
        seconds = (middle - began, end - middle, time.perf_counter() - end)
        seen, wrong, nearest = 0, 0, float("inf")
        for some in points(folded, split, epsilon, count // len(EPSILONS), number):
            for logits in (model(some).double(), folded.logits(some).double()):
                margins = logits.gather(1, labels[:, None]) - logits.gather(1, others(labels))
                wrong += int((logits < lower).sum() + (logits > upper).sum())
                wrong += int(sum((margins < each).sum() for each in (plain, crown, tight)))
                nearest = min(nearest, (margins - torch.stack((plain, crown, tight)).amax(dim=0)).min().item())
            seen += len(some)
        took = ", ".join(
            f"{word} {1e3 * each / IMAGES:.1f} ms"
            for word, each in zip(("intervals", "CROWN", "tighter"), seconds, strict=True)
        )
        print(
            f"{name:<18} epsilon {epsilon:<6g} {seen:,} points, {wrong} bounds broken, "
            f"nearest margin {nearest:.4g} above its bound; an image: {took}"
        )
        broken += wrong
    return broken


@torch.inference_mode()
def main(arguments: Sequence[str] = ()) -> int:
    """Print all checks; returns the number of broken bounds."""
    given = [int(word) for word in arguments if word.isdigit()]
    names = [word for word in arguments if not word.isdigit()] or NETWORKS
    split = returned(load("mnist", torch.device("cpu"))).test
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    broken = 0
    for name in names:
        model = load_network(Inspect(what=name, device="cpu"), Path("runs")).model
        broken += check(name, model, split, given[0] if given else 100_000)
    return broken


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) > 0)
