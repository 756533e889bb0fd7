"""Attacks by torchattacks and by the engine: `python -m tests.benchmarks.attacks`.

The notebook's loops are in `mnist-tui bench`. Runs in one process, with both bundled networks. Arguments: digits per
curve (1,000); `minimum` to add DeepFool and Carlini-Wagner; `cnn` or `cnn-bn` for only one network. torchattacks
computes in single precision, its default. The engine is timed from the request to the last event, including progress.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torchattacks
from torch import Tensor

from engine.adversary.network import AT_ONCE, AttackedNetwork
from engine.allocator import keep_freed_memory
from engine.attacks import verdicts
from engine.attacks.attack import attacked
from engine.attacks.events import RobustnessMeasured
from engine.attacks.requests import CurveAttackName, MeasureRobustness
from engine.attacks.verdicts import Setting, attack_many
from engine.data.datasets import Split, load
from engine.event import Event
from engine.network.checkpoints import load_weights
from engine.network.model import CNN
from engine.operations import perform
from engine.request import Request
from engine.runs.finding import pretrained
from tests.conftest import returned

NOWHERE = Path("nowhere")
VARIANTS = ("cnn", "cnn-bn")
EPSILONS = (0.05, 0.1, 0.2, 0.3)


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def result(request: Request) -> Event:
    """The last event of `request`."""
    *_, event = perform(request, NOWHERE)
    return event


def bundled(variant: str) -> CNN:
    return load_weights(pretrained(variant).model_file).eval()


def curve(variant: str, split: Split, count: int) -> None:
    """Print the time and the points of a robustness curve of PGD with 40 steps."""
    model = bundled(variant)
    images, labels = split.images[:count], split.labels[:count]

    def by_torchattacks() -> list[float]:
        accuracies = []
        for epsilon in EPSILONS:
            attack, right = torchattacks.PGD(model, eps=epsilon, alpha=2.5 * epsilon / 40, steps=40), 0
            for batch, wanted in batches(images, labels):
                found = attack(batch, wanted)
                with torch.inference_mode():
                    right += int((model(found).argmax(dim=1) == wanted).sum())
            accuracies.append(right / count)
        return accuracies

    request = MeasureRobustness(what=f"pretrained:{variant}", attack=("pgd",), epsilons=EPSILONS, count=count, steps=40)

    def by_us() -> list[float]:
        verdicts.verdicts_of.cache_clear()
        attacked.cache_clear()
        event = result(request)
        assert isinstance(event, RobustnessMeasured)
        return [point.accuracy for point in event.points]

    points: dict[str, list[float]] = {}
    theirs = seconds(lambda: points.update(torchattacks=by_torchattacks()))
    ours = seconds(lambda: points.update(ours=by_us()))
    print(
        f"{variant:<7} PGD-40 on {count:,} digits   torchattacks {theirs:6.2f} s   ours {ours:6.2f} s   "
        f"torchattacks over ours {theirs / ours:.1f}"
    )
    for name, accuracies in points.items():
        words = "   ".join(f"{e:g}: {100 * a:5.1f} %" for e, a in zip(EPSILONS, accuracies, strict=True))
        print(f"{'':<7} accuracy by epsilon, {name:<12} {words}")


def batches(images: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(torch.split(images, AT_ONCE), torch.split(labels, AT_ONCE), strict=True)


def smallest(variant: str, split: Split, count: int) -> None:
    """Print the size of the perturbations that DeepFool and Carlini-Wagner find, and the time they take."""
    model = bundled(variant)
    images, labels = split.images[:count], split.labels[:count]
    network = AttackedNetwork(model, torch.float32)

    def by_us(attack: CurveAttackName) -> Tensor:
        found, first = [], 0
        for batch, wanted in batches(images, labels):
            indices = range(first, first + len(batch))
            *_, last = attack_many(network, batch, wanted, indices, Setting(attack, "l2", 0.0, 0, 0, 0))
            found.append(last.images)
            first += len(batch)
        return torch.cat(found)

    def by_torchattacks(attack: Any) -> Tensor:
        return torch.cat([attack(batch, wanted) for batch, wanted in batches(images, labels)])

    ways: dict[str, tuple[str, Callable[[], Tensor]]] = {
        "torchattacks": (
            "DeepFool",
            lambda: by_torchattacks(torchattacks.DeepFool(model, steps=50, overshoot=0.02)),
        ),
        "ours": ("DeepFool", lambda: by_us("deepfool")),
        "torchattacks ": ("CW", lambda: by_torchattacks(torchattacks.CW(model, c=1, steps=200, lr=0.01))),
        "ours ": ("CW", lambda: by_us("cw")),
    }
    for name, (attack, way) in ways.items():
        found: list[Tensor] = []
        took = seconds(lambda found=found, way=way: found.append(way()))  # type: ignore[misc]
        with torch.inference_mode():
            fooled = model(found[0]).argmax(dim=1) != labels
        lengths = (found[0] - images).flatten(1).norm(dim=1)
        median = torch.where(fooled, lengths, torch.inf).median().item()
        print(
            f"{variant:<7} {attack:<8} on {count} digits   {name.strip():<12} median L2 {median:.3f}, "
            f"of those fooled {lengths[fooled].median():.3f}   {int(fooled.sum())} fooled   {took:6.2f} s"
        )


def main(arguments: Sequence[str] = ()) -> None:
    """Print all experiments."""
    given = [int(word) for word in arguments if word.isdigit()]
    count = given[0] if given else 1000
    variants = [variant for variant in VARIANTS if variant in arguments] or VARIANTS
    keep_freed_memory()
    split = returned(load("mnist", torch.device("cpu"))).test
    print(f"torch {torch.__version__}, torchattacks {torchattacks.__version__}, {torch.get_num_threads()} threads")
    for variant in variants:
        curve(variant, split, count)
    if "minimum" in arguments:
        for variant in variants:
            smallest(variant, split, min(200, count))


if __name__ == "__main__":
    main(sys.argv[1:])
