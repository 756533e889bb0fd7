"""Whether the squared-error penalty of the notebook's targeted attack has the effect claimed in observation 3.2.1."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor

from engine.adversary.network import AT_ONCE
from engine.attacks.attack import attacked, precision
from engine.attacks.events import BetaPoint, BetaSweepAdvanced, BetaSwept
from engine.attacks.requests import AttackTargeted, SweepBeta
from engine.attacks.targeted import from_digits
from engine.event import Event, WorkAdvanced
from engine.inspection.loaded import find_images, open_network
from engine.request import RequestError

DECADES = range(-5, 9)
"""Powers of ten of beta, from the notebook's value up; the sweep ends early once the attack fails."""
FAILED = 0.01
"""An attack fails if it fools at most this share of the digits, beyond those that are misclassified without it."""


def sweep_beta(request: SweepBeta, root: Path) -> Generator[Event, None, None]:
    """The targeted attack with beta 0, 1e-5, 1e-4 and so on until it fails, on the same digits each time.

    Raises RequestError where the network or data set does not exist, or fewer than two digits are of another class.
    """
    loaded = yield from open_network(request, root)
    dataset, split = yield from find_images(request, loaded, root)
    chosen = (split.labels != request.target).nonzero()[: request.count, 0]
    if len(chosen) < 2:
        raise RequestError(
            f"too few images in {request.images_name} are not of class {request.target}: choose another target"
        )
    network = attacked(loaded, precision(loaded, exact=request.exact))
    originals = split.images[chosen].to(network.dtype)
    settings = AttackTargeted(target=request.target, steps=request.steps, step_size=request.step_size, beta=0.0)
    known: dict[str, Any] = {
        "name": loaded.name,
        "variant": loaded.variant,
        "epoch": loaded.epoch,
        "dataset": dataset,
        "split": request.split,
        "target": request.target,
        "steps": request.steps,
        "step_size": request.step_size,
        "averaged": len(chosen),
    }
    points: list[BetaPoint] = []
    free, anyway = torch.empty(0), 0.0
    betas = [0.0, *(10.0**power for power in DECADES)]
    steps = -(-len(chosen) // AT_ONCE) * (request.steps + 1)
    for number, beta in enumerate(betas):
        now = msgspec.structs.replace(settings, beta=beta)
        images, answers, done = [], [], number * steps
        for batch in torch.split(originals, AT_ONCE):
            for iterate in from_digits(network, batch, now):
                if beta == 0 and (done - number * steps) % (request.steps + 1) == 0:
                    anyway += (iterate.logits.argmax(dim=1) == request.target).sum().item() / len(chosen)
                done += 1
                yield WorkAdvanced(words=f"beta {beta:g}", done=done, total=len(betas) * steps)
            images.append(iterate.images)
            answers.append(iterate.logits.argmax(dim=1))
        change = (torch.cat(images) - originals).flatten(1)
        l2 = change.norm(dim=1)
        free = free if points else l2
        points.append(_point(beta, torch.cat(answers) == request.target, change.abs().amax(dim=1), l2, free - l2))
        yield BetaSweepAdvanced(**known, points=tuple(points))
        if points[-1].success <= anyway + FAILED:
            break
    yield BetaSwept(**known, points=tuple(points))


def _point(beta: float, fooled: Tensor, linf: Tensor, l2: Tensor, closer: Tensor) -> BetaPoint:
    return BetaPoint(
        beta=beta,
        success=fooled.double().mean().item(),
        l2=l2.mean().item(),
        l2_spread=l2.std().item(),
        linf=linf.mean().item(),
        linf_spread=linf.std().item(),
        closer=closer.mean().item(),
        closer_margin=1.96 * closer.std().item() / len(closer) ** 0.5,
    )
