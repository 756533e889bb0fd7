"""Transfer: how often adversarial images of one network fool another (Szegedy et al. 2014, arXiv:1312.6199)."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import torch
from torch import Tensor

from engine.adversary.network import AT_ONCE
from engine.attacks.attack import attacked
from engine.attacks.events import TransferMeasured
from engine.attacks.requests import MeasureTransfer
from engine.attacks.verdicts import MINIMISES, Setting, attack_many
from engine.data.datasets import Split
from engine.event import Event, WorkAdvanced
from engine.inspection.loaded import LoadedNetwork, find_images, load_network, open_networks
from engine.inspection.predictions import answers
from engine.request import RequestError
from engine.runs.finding import other_bundled


def measure_transfer(request: MeasureTransfer, root: Path) -> Generator[Event, None, None]:
    """Make adversarial images for each of several networks, and evaluate them on all of them.

    Only images that all networks classify correctly are attacked, so that every error is due to the attack. Raises
    RequestError where a network or the data set does not exist, or there is no such image.
    """
    main = load_network(request, root)
    others = request.others or (other_bundled(main.variant, main.run.read_record().request if main.run else None),)
    networks = yield from open_networks(request, others, "transfer is measured between different networks", root)
    dataset, split = yield from find_images(request, main, root)
    chosen = _right(networks, split)[: request.count]
    if not len(chosen):
        raise RequestError(
            f"no image in {request.images_name} is classified correctly by all of these networks: choose others"
        )
    steps = request.steps if request.attack == "pgd" else 0
    setting = Setting(request.attack, request.norm, request.epsilon, steps, 1, request.seed)
    batches = torch.split(chosen, AT_ONCE)
    success, sizes, total = [], [], len(networks) * len(chosen)
    for number, loaded in enumerate(networks):
        fooled, size = torch.zeros(len(networks)), 0.0
        for place, batch in enumerate(batches):
            images, labels = split.images[batch], split.labels[batch]
            shown = images
            for iterate in attack_many(attacked(loaded, loaded.dtype), images, labels, batch.tolist(), setting):
                shown = iterate.images
                yield WorkAdvanced(
                    words=f"attacks on {loaded.name}", done=number * len(chosen) + place * AT_ONCE, total=total
                )
            fooled += torch.stack([(answers(each, shown) != labels).sum() for each in networks]).cpu()
            size += (shown - images).flatten(1).norm(dim=1).sum().item()
        success.append(tuple((fooled / len(chosen)).tolist()))
        sizes.append(size / len(chosen))
    yield TransferMeasured(
        name=main.name,
        variant=main.variant,
        epoch=main.epoch,
        dataset=dataset,
        split=request.split,
        attack=request.attack,
        norm="l2" if request.attack in MINIMISES else request.norm,
        epsilon=None if request.attack in MINIMISES else request.epsilon,
        averaged=len(chosen),
        networks=tuple(loaded.name for loaded in networks),
        success=tuple(success),
        l2=tuple(sizes),
    )


def _right(networks: list[LoadedNetwork], split: Split) -> Tensor:
    """Indices of the images that all of `networks` classify correctly."""
    right = torch.ones(len(split), dtype=torch.bool, device=split.labels.device)
    for loaded in networks:
        right &= answers(loaded, split.images) == split.labels
    return right.nonzero()[:, 0]
