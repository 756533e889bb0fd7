"""The learning rate, and the share of epsilon, at each step of a run."""

from __future__ import annotations

import math

from engine.training.requests import ScheduleName, Train

RISE = 0.25
"""Share of a one-cycle run in which the learning rate rises."""


def share_of_rate(schedule: ScheduleName, step: int, steps: int) -> float:
    """The factor of the learning rate at `step` (from 0) of a run of `steps` steps, above 0 and at most 1.

    `one-cycle` rises and falls along straight lines (Smith and Topin 2018; Jordan 2024 for the lines); `cosine` falls
    along half a cosine (Loshchilov and Hutter 2017). Both are sampled in the middle of each step, so that none is 0.
    """
    at = (step + 0.5) / steps
    match schedule:
        case "constant":
            return 1.0
        case "one-cycle":
            return at / RISE if at < RISE else (1 - at) / (1 - RISE)
        case "cosine":
            return (1 + math.cos(math.pi * at)) / 2


def share_of_epsilon(request: Train, step: int, steps: int) -> float:
    """The share of its final value that epsilon has at `step` (from 0) of a run of `steps` steps, from 0 to 1.

    It is 0 during the warm-up, and then rises along a straight line, sampled in the middle of each step.
    """
    since = (step + 0.5) / steps - request.warm_up
    return min(max(since / request.ramp, 0.0), 1.0) if request.ramp else float(since >= 0)
