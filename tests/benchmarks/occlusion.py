"""Occlusion maps by the notebook's loop, by Captum and by the engine: `python -m tests.benchmarks.occlusion`.

All alternate in one process. Arguments: rounds (9), patch sizes (8 4). Test digit 61, stride 1, both networks. Captum
gets the number of perturbations per evaluation with which it is fastest here. The engine is timed with a prepared
network, as for every map but the first of a network; the time to prepare it is printed too.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence

import torch
from captum.attr import Occlusion
from torch import Tensor, nn

from engine.allocator import keep_freed_memory
from engine.attribution.patch_sweep import OcclusionNetwork, OcclusionSweep
from engine.benchmark import notebook
from engine.data.datasets import load
from engine.network.checkpoints import load_weights
from engine.network.model import CNN
from engine.runs.finding import pretrained
from tests.conftest import returned

PERTURBATIONS = (16, 32, 64, 128, 256, 512, 1024)


def milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def network(variant: str) -> tuple[CNN, nn.Module]:
    ours = load_weights(pretrained(variant).model_file)
    theirs = notebook.network(variant == "cnn-bn")
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs.eval()


def compare(variant: str, image: Tensor, label: int, patch_size: int, rounds: int) -> None:
    """Print the median times of one experiment, and the ratios in each round."""
    ours, theirs = network(variant)
    made = statistics.median(milliseconds(lambda: OcclusionNetwork(ours)) for _ in range(3))
    ready, black = OcclusionNetwork(ours), torch.zeros(28, 28)
    captum = Occlusion(lambda images: theirs(images)[1])

    def by_notebook() -> None:
        notebook.occlusion_fixed(theirs, image, label, patch_size, 1)

    def by_captum(at_once: int) -> None:
        with torch.no_grad():
            captum.attribute(
                image[None],
                sliding_window_shapes=(1, patch_size, patch_size),
                target=label,
                perturbations_per_eval=at_once,
            )

    def by_us() -> None:
        for _ in OcclusionSweep(ready, image, black, patch_size, 1).finish():
            pass

    by_us()
    by_notebook()
    best = min(
        PERTURBATIONS,
        key=lambda n: statistics.median(milliseconds(lambda: by_captum(n)) for _ in range(min(3, rounds))),
    )
    times: dict[str, list[float]] = {"notebook": [], "Captum": [], "ours": []}
    for _ in range(rounds):
        times["notebook"].append(milliseconds(by_notebook))
        times["Captum"].append(milliseconds(lambda: by_captum(best)))
        times["ours"].append(milliseconds(by_us))
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"{variant:<7} patch {patch_size}   " + "   ".join(f"{name} {ms:6.1f} ms" for name, ms in medians.items()))
    for name in ("notebook", "Captum"):
        ratios = [one / other for one, other in zip(times[name], times["ours"], strict=True)]
        note = f", {best} perturbations an evaluation" if name == "Captum" else ""
        print(
            f"{'':<17} {name} over ours: median {statistics.median(ratios):.1f} "
            f"(from {min(ratios):.1f} to {max(ratios):.1f}){note}"
        )
    print(f"{'':<17} to make the network ready, once: {made:.1f} ms")


def main(arguments: Sequence[str] = ()) -> None:
    """Print all experiments."""
    given = [int(word) for word in arguments]
    rounds, patch_sizes = given[0] if given else 9, given[1:] or [8, 4]
    keep_freed_memory()
    data = returned(load("mnist", torch.device("cpu")))
    image, label = data.test.images[61], int(data.test.labels[61])
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, test digit 61 ({label}), stride 1")
    for variant in ("cnn", "cnn-bn"):
        for patch_size in patch_sizes:
            compare(variant, image, label, patch_size, rounds)


if __name__ == "__main__":
    main(sys.argv[1:])
