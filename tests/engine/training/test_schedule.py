"""The learning rate at each step, against formulas of its own."""

from __future__ import annotations

import itertools
import math
from typing import get_args

import numpy as np
import pytest
import torch

from engine.data.datasets import Dataset
from engine.training.adam import Adam
from engine.training.loop import train
from engine.training.requests import ScheduleName, Train
from engine.training.schedule import share_of_epsilon, share_of_rate
from engine.training.state import TrainingState


@pytest.mark.parametrize("steps", [1, 2, 3, 392, 10_001])
@pytest.mark.parametrize("schedule", get_args(ScheduleName))
def test_no_step_is_without_a_rate_or_above_the_maximum(schedule: ScheduleName, steps: int) -> None:
    shares = [share_of_rate(schedule, step, steps) for step in range(steps)]
    assert min(shares) > 0
    assert max(shares) <= 1
    assert steps < 392 or max(shares) > 0.99


def test_shapes() -> None:
    middles = (np.arange(400) + 0.5) / 400
    assert all(share_of_rate("constant", step, 400) == 1 for step in range(400))
    lines = [share_of_rate("one-cycle", step, 400) for step in range(400)]
    assert lines == pytest.approx(np.interp(middles, [0, 0.25, 1], [0, 1, 0]))
    waves = [share_of_rate("cosine", step, 400) for step in range(400)]
    assert waves == pytest.approx(np.cos(middles * math.pi / 2) ** 2)


def test_a_run_takes_them_over_all_its_epochs(small: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []
    step = Adam.step

    def noted(self: Adam, rate: float) -> None:
        rates.append(rate)
        step(self, rate)

    monkeypatch.setattr(Adam, "step", noted)
    request = Train(train_size=256, epochs=3, channels=2, hidden=8, schedule="one-cycle", learning_rate=0.01)
    list(train(request, small, TrainingState.fresh(request, torch.device("cpu"))))
    assert rates == pytest.approx([0.01 * share_of_rate("one-cycle", each, 12) for each in range(12)])


def test_epsilon_waits_and_then_rises_along_a_line() -> None:
    shares = [share_of_epsilon(Train(warm_up=0.2, ramp=0.5), step, 100) for step in range(100)]
    assert shares[:20] == [0.0] * 20
    assert shares[20] == pytest.approx(0.01)
    assert shares[45] == pytest.approx(0.51)
    assert shares[70:] == [1.0] * 30
    assert all(a <= b for a, b in itertools.pairwise(shares))
    at_once = [share_of_epsilon(Train(warm_up=0.5, ramp=0.0), step, 10) for step in range(10)]
    assert at_once == [0.0] * 5 + [1.0] * 5
    assert share_of_epsilon(Train(ramp=0.0), 0, 10) == 1.0
