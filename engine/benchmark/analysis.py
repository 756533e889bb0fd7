"""Occlusion maps and attacks by the notebook's loops, by Captum where it has the same, and by the engine."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import torch
from torch import nn

from engine.attacks.attack import attack
from engine.attacks.noise import noise
from engine.attacks.requests import AnyAttack, AttackNoise, AttackTargeted
from engine.attribution.patch_sweep import OcclusionNetwork, OcclusionSweep
from engine.attribution.requests import Occlude
from engine.benchmark import notebook
from engine.benchmark.effort import VARIANTS, Effort
from engine.benchmark.events import Measurement
from engine.benchmark.timing import as_others_do, by_turns, seconds
from engine.data.datasets import Split
from engine.geometry import IMAGE_SIZE
from engine.inspection.loaded import LoadedNetwork, load_network
from engine.network.requests import Inspect
from engine.plotting import import_matplotlib

PERTURBATIONS = (16, 64, 256, 512)
"""Perturbations an evaluation, of which Captum gets the number with which it is fastest here."""
NOISE_STEPS = (1500, 500, 300, 100, 50)
"""How many steps attacks from noise are measured on: as many as the time allows."""


def _networks(variant: str, root: Path, device: torch.device) -> tuple[LoadedNetwork, nn.Module]:
    """The bundled network of `variant`, and the notebook's module with the same weights."""
    ours = load_network(Inspect(what=f"pretrained:{variant}", device=str(device)), root)
    theirs = notebook.network(bool(VARIANTS[variant])).to(device)
    theirs.load_state_dict(ours.model.state_dict())
    return ours, theirs.eval()


def measure_occlusion(
    variant: str, test: Split, root: Path, effort: Effort, device: torch.device
) -> Generator[float, None, list[Measurement]]:
    """The map of the notebook's digit with its patch, stride 1, by the notebook, by Captum and by the engine."""
    import_matplotlib()  # Captum needs it
    from captum.attr import Occlusion

    settings = Occlude()
    ours, theirs = _networks(variant, root, device)
    image, label, size = test.images[settings.index], int(test.labels[settings.index]), settings.patch_size
    ready, black = OcclusionNetwork(ours.model), torch.zeros(IMAGE_SIZE, IMAGE_SIZE, device=device)
    captum = Occlusion(lambda images: theirs(images)[1])

    def by_notebook() -> None:
        with as_others_do(device):
            notebook.occlusion_fixed(theirs, image, label, size, settings.stride)

    def by_captum(at_once: int) -> None:
        with torch.no_grad():
            captum.attribute(
                image[None], sliding_window_shapes=(1, size, size), target=label, perturbations_per_eval=at_once
            )

    def by_us() -> None:
        for _ in OcclusionSweep(ready, image, black, size, settings.stride).finish():
            pass

    best = min(PERTURBATIONS, key=lambda n: min(seconds(lambda: by_captum(n), device) for _ in range(2)))
    works = {"notebook": by_notebook, "Captum": lambda: by_captum(best), "ours": by_us}
    times = yield from by_turns(works, effort.occlusion, effort, device)
    notes = {"notebook": "", "Captum": f"{best} perturbations an evaluation, its best here"}
    return [
        Measurement.of(
            "occlusion",
            f"map of a digit, {size}x{size} patch",
            "ms",
            times["ours"],
            times[peer],
            scale=1000,
            variant=variant,
            peer=peer,
            note=note,
        )
        for peer, note in notes.items()
    ]


def _attack(request: AnyAttack, root: Path) -> None:
    for _ in attack(request, root):
        pass


def measure_noise(
    variant: str, root: Path, effort: Effort, device: torch.device
) -> Generator[float, None, list[Measurement]]:
    """The notebook's attack from noise, 1,500 steps towards each of ten classes, which the engine runs as one batch."""
    what = f"pretrained:{variant}"
    _, theirs = _networks(variant, root, device)
    starts = noise(range(10), 0).to(device)

    def by_notebook(steps: int) -> None:
        with as_others_do(device):
            for digit in range(10):
                start = starts[digit : digit + 1].clone().requires_grad_()
                notebook.non_targeted_attack(theirs, start, digit, steps)

    def by_us(steps: int) -> None:
        _attack(AttackNoise(what=what, device=str(device), steps=steps), root)

    most, least = NOISE_STEPS[0], 20
    one = seconds(lambda: by_us(least), device) + seconds(lambda: by_notebook(least), device)
    # A round more than the least number is the one that does not count.
    steps = effort.part(effort.noise * effort.least / (effort.least + 1), one * most / least, NOISE_STEPS)
    works = {"notebook": lambda: by_notebook(steps), "ours": lambda: by_us(steps)}
    times = yield from by_turns(works, effort.noise, effort, device)
    return [
        Measurement.of(
            "attacks",
            "ten digits from noise",
            "s",
            times["ours"],
            times["notebook"],
            scale=most / steps,
            variant=variant,
            peer="notebook",
            note="" if steps == most else f"scaled up from {steps:,} of {most:,} steps",
        )
    ]


def measure_gallery(
    variant: str, test: Split, root: Path, effort: Effort, device: torch.device
) -> Generator[float, None, list[Measurement]]:
    """The notebook's targeted attack, 25 steps, on its gallery: a digit of each class but the target's."""
    request = AttackTargeted(what=f"pretrained:{variant}", device=str(device))
    _, theirs = _networks(variant, root, device)
    images = [test.images[i : i + 1] for i in request.indices if int(test.labels[i]) != request.target]

    def by_notebook() -> None:
        with as_others_do(device):
            for image in images:
                notebook.targeted_attack(theirs, image, request.target, request.steps)

    works = {"notebook": by_notebook, "ours": lambda: _attack(request, root)}
    times = yield from by_turns(works, effort.gallery, effort, device)
    return [
        Measurement.of(
            "attacks",
            "gallery of nine digits",
            "ms",
            times["ours"],
            times["notebook"],
            scale=1000,
            variant=variant,
            peer="notebook",
        )
    ]
