"""AutoAttack by torchattacks and by the engine: `python -m tests.benchmarks.autoattack [IMAGES] [NETWORK ...]`.

In one process and in turns, batch by batch, in L-infinity. NETWORK is as for `mnist-tui`, or the notebook's weights,
with an epsilon after `@` (`pretrained:cnn@0.1`; without one 0.3, and 0.1 for the bundled networks without robust
training, which nothing at 0.3 would tell apart). IMAGES (1,000) are the first ones of the test split.

torchattacks' own AutoAttack takes 10 steps where the paper's standard version has 100: here it takes 100 as well, and
with `short` also its own 10. `quick` is for trying it out: 2 steps and 20 queries on both sides. `unproved` leaves out
the images whose answer is proved, which no attack can change: they count as correct under both, and cost neither time.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torchattacks
from torch import Tensor

from engine.adversary.autoattack import QUERIES, STEPS, autoattack
from engine.adversary.network import AT_ONCE, AttackedNetwork
from engine.adversary.objectives import ANY, Misclassification
from engine.allocator import keep_freed_memory
from engine.bounds.certified import certified
from engine.data.datasets import load
from engine.inspection.loaded import load_network
from engine.inspection.requests import Evaluate
from engine.network.model import CNN
from tests.conftest import returned

NOWHERE = Path("runs")
NETWORKS = ("pretrained:cnn", "pretrained:cnn-bn")
PROVED_AT_ONCE = 500
EPSILONS = {"pretrained:cnn": 0.1, "pretrained:cnn-bn": 0.1}


class Contest:
    """Both implementations on one network: what each leaves correct, and the processor time of each."""

    def __init__(self, model: CNN, epsilon: float, steps: int, queries: int) -> None:
        self.model, self.network = model, AttackedNetwork(model, torch.float32)
        self.epsilon, self.steps, self.queries = epsilon, steps, queries
        self.right = {"torchattacks": 0, "ours": 0}
        self.seconds = {"torchattacks": 0.0, "ours": 0.0}
        self.wall = {"torchattacks": 0.0, "ours": 0.0}

    def by_torchattacks(self, images: Tensor, labels: Tensor, _: range) -> Tensor:
        attack = torchattacks.AutoAttack(self.model, norm="Linf", eps=self.epsilon, n_classes=10, seed=0)
        for each in attack._autoattack.attacks:
            if hasattr(each, "n_queries"):
                each.n_queries = self.queries
            else:
                each.steps = self.steps
        found: Tensor = attack(images, labels)
        return found

    def by_us(self, images: Tensor, labels: Tensor, indices: range) -> Tensor:
        objective = Misclassification(labels, torch.full_like(labels, ANY))
        work = autoattack(
            self.network, images, objective, self.epsilon, "linf", 0, indices, steps=self.steps, queries=self.queries
        )
        with torch.inference_mode():
            *_, last = work
        return last.images.clone()

    def turn(
        self, name: str, way: Callable[[Tensor, Tensor, range], Tensor], part: tuple[Tensor, Tensor, range]
    ) -> None:
        began, wall = time.process_time(), time.perf_counter()
        found = way(*part)
        self.seconds[name] += time.process_time() - began
        self.wall[name] += time.perf_counter() - wall
        with torch.inference_mode():
            self.right[name] += int((self.model(found).argmax(dim=1) == part[1]).sum())

    def run(self, images: Tensor, labels: Tensor) -> None:
        ways = {"torchattacks": self.by_torchattacks, "ours": self.by_us}
        for number, first in enumerate(range(0, len(images), AT_ONCE)):
            chosen = slice(first, first + AT_ONCE)
            part = images[chosen], labels[chosen], range(first, first + len(images[chosen]))
            for name in sorted(ways, reverse=number % 2 == 0):
                self.turn(name, ways[name], part)


def contest(  # noqa: PLR0917
    what: str, count: int, steps: int, queries: int, images: Tensor, labels: Tensor, unproved: bool = False
) -> None:
    """Print the accuracy that each leaves on the first `count` images, and the time that it takes.

    With `unproved`, on those of them whose answer is not proved.
    """
    name, _, bound = what.partition("@")
    epsilon = float(bound) if bound else EPSILONS.get(name, 0.3)
    model = load_network(Evaluate(what=name, device="cpu"), NOWHERE).model.eval()
    work = Contest(model, epsilon, steps, queries)
    images, labels = images[:count], labels[:count]
    with torch.inference_mode():
        clean = int((model(images).argmax(dim=1) == labels).sum())
    n, proved = len(images), 0
    if unproved:
        parts = (slice(first, first + PROVED_AT_ONCE) for first in range(0, n, PROVED_AT_ONCE))
        safe = torch.cat([certified(model, images[part], labels[part], epsilon) for part in parts])
        images, labels, proved = images[~safe], labels[~safe], int(safe.sum())
        print(f"{proved:,} images are proved, and left out")
    work.run(images, labels)
    attacked = max(len(images), 1)
    print(f"{name}   epsilon {epsilon:g}   {n:,} images, {100 * clean / n:.1f} % without attack   {steps} steps")
    for who in ("torchattacks", "ours"):
        left = 100 * (proved + work.right[who]) / n
        print(
            f"    {who:<14}{left:6.2f} % left   {work.seconds[who]:9.2f} s of processor time"
            f"   {work.wall[who]:9.2f} s   {work.seconds[who] / attacked:.3f} s an image"
        )
    ratio = work.seconds["torchattacks"] / max(work.seconds["ours"], 1e-9)
    print(f"    theirs over ours {ratio:.1f}, in processor time", flush=True)


def main(arguments: Sequence[str] = ()) -> None:
    """Print the contest on each network."""
    counts = [int(word) for word in arguments if word.isdigit()]
    count = counts[0] if counts else 1000
    networks = [word for word in arguments if not word.isdigit() and word not in ("quick", "short", "unproved")]
    keep_freed_memory()
    split = returned(load("mnist", torch.device("cpu"))).test
    print(f"torch {torch.__version__}, torchattacks {torchattacks.__version__}, {torch.get_num_threads()} threads")
    steps, queries = (2, 20) if "quick" in arguments else (STEPS, QUERIES)
    for what in networks or NETWORKS:
        for each in [steps, 10] if "short" in arguments else [steps]:
            contest(what, count, each, queries, split.images, split.labels, "unproved" in arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
