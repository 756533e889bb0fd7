"""Robustness curves made of given accuracies, as a measurement would report them."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

import numpy as np

from engine.attacks.events import FallenImage, RobustnessMeasured, RobustnessPointMeasured
from engine.attacks.requests import MeasureRobustness
from engine.event import Event
from engine.inspection.intervals import wilson

COUNT = 100
EPSILONS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
ROBUST: Mapping[str, Mapping[str, Sequence[int]]] = {
    "pretrained:cnn": {
        "autoattack": (99, 93, 61, 14, 1, 0, 0),
        "pgd": (99, 94, 66, 17, 1, 0, 0),
        "certified": (99, 12, 0, 0, 0, 0, 0),
    },
    "pretrained:cnn-bn": {
        "autoattack": (98, 97, 96, 95, 94, 93, 91),
        "pgd": (98, 97, 97, 96, 95, 94, 92),
        "certified": (98, 96, 95, 91, 85, 71, 40),
    },
}
"""The number of images, of COUNT, that are correct at each of EPSILONS, by network and attack."""


def measure_robustness(request: MeasureRobustness, _root: Path) -> Generator[Event, None, None]:
    """The curves of ROBUST, for the two networks of `request`."""
    yield curves(dict(zip((request.what, *request.others), ROBUST.values(), strict=True)), request.norm)


def curves(
    correct: Mapping[str, Mapping[str, Sequence[int]]] = ROBUST, norm: str = "linf", fallen_by: str = "autoattack"
) -> RobustnessMeasured:
    """The curves of `correct`, the number of images of COUNT that stay correct, by network and attack."""
    about = {"variant": "cnn", "epoch": 15, "dataset": "mnist", "split": "test"}
    points = []
    for network, attacks in correct.items():
        for attack, numbers in attacks.items():
            for epsilon, right in zip(EPSILONS, numbers, strict=True):
                low, high = wilson(right, COUNT)
                points.append(
                    RobustnessPointMeasured(
                        name=network,
                        attack=attack,
                        norm=norm,
                        epsilon=epsilon,
                        count=COUNT,
                        correct=right,
                        accuracy=right / COUNT,
                        low=low,
                        high=high,
                        class_count=(10,) * 10,
                        class_correct=(right // 10,) * 10,
                        **about,  # type: ignore[arg-type]
                    )
                )
    return RobustnessMeasured(
        name=next(iter(correct)),
        networks=tuple(correct),
        norm=norm,
        asked=COUNT,
        points=tuple(points),
        median_l2={},
        fallen=(FallenImage(index=0, actual=7, epsilon=0.05, taken_for=9),),
        fallen_by=fallen_by,
        fallen_images=np.zeros((1, 28, 28), np.float32),
        **about,  # type: ignore[arg-type]
    )
