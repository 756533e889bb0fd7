"""The learning rate at each step, against formulas of its own."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
import torch

from engine.data.datasets import Dataset
from engine.training.adam import Adam
from engine.training.loop import train
from engine.training.requests import ScheduleName, Train
from engine.training.schedule import share_of_rate
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
