"""The learning-rate range test, held against made-up curves and against a plain loop."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from engine.data.datasets import Dataset, epoch_permutation
from engine.event import Event, WorkAdvanced, to_json
from engine.network.model import seeded_cnn
from engine.operations import end, perform
from engine.request import RequestError
from engine.training import objective
from engine.training.events import LearningRateFound, LearningRatesTried
from engine.training.rate_curve import WIDTH, has_diverged, rates_between, read_curve, smooth
from engine.training.rate_finder import find_learning_rate
from engine.training.requests import FindLearningRate, ObjectiveName, Train
from tests.conftest import patch_load

pytestmark = pytest.mark.numeric
TINY: dict[str, Any] = {"train_size": 640, "channels": 4, "hidden": 16, "device": "cpu", "steps": 24}


@pytest.fixture(autouse=True)
def _small(small_runs: None) -> None:
    """Little data."""


def found(request: FindLearningRate, root: Path = Path("no-such-folder")) -> LearningRateFound:
    *_, event = perform(request, root)
    assert isinstance(event, LearningRateFound)
    return event


def valley(rates: list[float], *, falls_at: float, lowest_at: float) -> list[float]:
    """Losses that fall fastest per factor of the rate at `falls_at`, and are lowest at `lowest_at`."""
    logs = np.log10(rates)
    fall = 1 / (1 + np.exp(-8 * (logs - math.log10(falls_at))))
    rise = np.maximum(0.0, logs - math.log10(lowest_at)) ** 2
    still = 0.1 * (logs[0] - np.minimum(logs, math.log10(lowest_at)))
    losses: list[float] = (2.3 - 1.8 * fall + 3 * rise + still).tolist()
    return losses


def test_the_rates_are_equal_factors_apart() -> None:
    rates = rates_between(1e-6, 1.0, 200)
    assert rates == pytest.approx(np.geomspace(1e-6, 1.0, 200).tolist())
    assert all(low < high for low, high in pairwise(rates))


@pytest.mark.parametrize(("falls_at", "lowest_at"), [(1e-3, 3e-2), (1e-4, 1e-3), (3e-3, 1e-1)])
@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_a_made_up_valley_is_read_as_it_was_made(falls_at: float, lowest_at: float, noise: float) -> None:
    rates = rates_between(1e-6, 1.0, 200)
    losses = np.array(valley(rates, falls_at=falls_at, lowest_at=lowest_at))
    losses += np.random.default_rng(1).normal(0, noise, 200)
    curve = read_curve(rates, losses.tolist(), 200)
    assert curve.steepest is not None
    assert curve.rises_from is not None
    width = 6 * WIDTH  # in powers of ten
    assert abs(math.log10(curve.steepest / falls_at)) < width
    assert abs(math.log10(curve.rises_from / lowest_at)) < (4 if noise else 1) * width
    assert curve.suggested == pytest.approx(curve.rises_from / 10, rel=0.05)
    assert curve.suggested == float(f"{curve.suggested:.1e}")


def test_a_loss_that_does_not_fall_suggests_nothing() -> None:
    rates = rates_between(1e-6, 1.0, 100)
    for losses in ([2.3] * 100, np.linspace(2.3, 9.0, 100).tolist(), [2.3] * 95 + [2.2] * 5):
        assert read_curve(rates, losses, 100)[1:] == (None, None, None)
    for few in ([], [2.3]):
        assert read_curve(rates[: len(few)], few, 100)[1:] == (None, None, None)


def test_a_loss_that_still_falls_at_the_end_suggests_nothing_yet() -> None:
    rates = rates_between(1e-6, 1e-3, 100)
    curve = read_curve(rates, np.linspace(2.3, 0.5, 100).tolist(), 100)
    assert curve.steepest is not None
    assert (curve.rises_from, curve.suggested) == (None, None)


def test_smoothing_is_a_weighted_mean_of_neighbours() -> None:
    losses = np.random.default_rng(2).random(60).tolist()
    for at, value in enumerate(smooth(losses, 150)):
        weights = [math.exp(-0.5 * ((at - other) / 3.0) ** 2) if abs(at - other) <= 12 else 0.0 for other in range(60)]
        mean = sum(w * loss for w, loss in zip(weights, losses, strict=True)) / sum(weights)
        assert value == pytest.approx(mean)
    assert smooth([1.5], 200) == [1.5]


def test_divergence_is_four_times_the_lowest_mean() -> None:
    falling = np.linspace(2.0, 0.5, 40).tolist()
    assert not any(has_diverged(falling[:n]) for n in range(41))
    lowest = sum(falling[-10:]) / 10
    assert not has_diverged(falling + [3.9 * lowest] * 10)
    assert has_diverged(falling + [4.1 * lowest] * 10)
    assert not has_diverged([*falling, 10.0])  # one batch is not enough


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_losses_are_those_of_a_plain_loop(small: Dataset, batch_norm: bool) -> None:
    request = FindLearningRate(**TINY, batch_norm=batch_norm, lowest_rate=1e-5, highest_rate=1e-2, seed=3)
    event = found(request)
    assert event.rates == pytest.approx(np.geomspace(1e-5, 1e-2, 24).tolist())

    model = seeded_cnn(request, 3).train()
    optimizer = torch.optim.Adam(model.parameters())
    batches = [
        batch for epoch in (1, 2, 3) for batch in torch.split(epoch_permutation(3, epoch, 640), 64)
    ]  # ten an epoch
    losses = []
    for rate, batch in zip(np.geomspace(1e-5, 1e-2, 24), batches, strict=False):
        optimizer.param_groups[0]["lr"] = rate
        loss = cross_entropy(model(small.train.images[batch]), small.train.labels[batch])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert event.losses == pytest.approx(losses, rel=2e-2 if batch_norm else 1e-3)
    assert event.smoothed == pytest.approx(smooth(losses, 24), rel=2e-2 if batch_norm else 1e-3)
    assert not event.diverged


def test_it_begins_as_a_run_does(small: Dataset) -> None:
    """The loss of the first step is that of a run, also with augmentation and smoothed labels."""
    fields: dict[str, Any] = {**TINY, "shift": 2, "elastic": 1.0, "label_smoothing": 0.1, "average": 0.9, "seed": 7}
    event = found(FindLearningRate(**fields))
    from engine.training.loop import train
    from engine.training.state import TrainingState

    del fields["steps"]
    request = Train(**fields, batch_size=64, epochs=1, learning_rate=1e-6)
    state = TrainingState.fresh(request, torch.device("cpu"))
    first = next(iter(train(request, small, state)))
    assert getattr(first, "running_loss", ()) == pytest.approx(event.losses[:1], rel=1e-5)


@pytest.mark.parametrize("name", ["pgd", "ibp"])
def test_a_robust_objective_has_its_full_epsilon(name: ObjectiveName, monkeypatch: pytest.MonkeyPatch) -> None:
    ramps = []
    plain = objective.OBJECTIVES[name]

    class Watched:
        def __init__(self, inner: objective.Objective) -> None:
            self._inner = inner

        def loss(self, images: Any, labels: Any, logits: Any, ramp: Any, step: Any) -> torch.Tensor:
            ramps.append(ramp)
            return self._inner.loss(images, labels, logits, ramp, step)

    monkeypatch.setitem(objective.OBJECTIVES, name, lambda request, model: Watched(plain(request, model)))
    event = found(FindLearningRate(**TINY, objective=name, train_epsilon=0.1, attack_steps=1, warm_up=0.5, ramp=0.5))
    assert len(event.losses) == len(ramps)
    assert set(ramps) == {1.0}


def test_it_stops_where_the_loss_diverges() -> None:
    request = FindLearningRate(**TINY | {"steps": 120}, lowest_rate=1e-4, highest_rate=10.0)
    event = found(request)
    assert event.diverged
    assert 20 < len(event.rates) == len(event.losses) == len(event.smoothed) < 120
    assert event.ending == f"the loss diverged at {event.rates[-1]:.1e}"
    assert event.suggested is not None
    assert 1e-4 < event.suggested < 1.0
    assert f"suggested {event.suggested:g}, a tenth of that" in event.words


def test_a_loss_that_is_no_number_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(logits: torch.Tensor, labels: torch.Tensor, label_smoothing: float) -> torch.Tensor:
        return cross_entropy(logits, labels, label_smoothing=label_smoothing) * math.nan

    monkeypatch.setattr(objective, "cross_entropy", broken)
    event = found(FindLearningRate(**TINY))
    assert (event.diverged, event.losses, event.suggested) == (True, (), None)
    assert event.words == "no suggestion: the loss is not a finite number at the lowest rate"
    assert json.loads(to_json(event))["suggested"] is None


def test_progress_grows_and_nothing_is_written(tmp_path: Path) -> None:
    events = list(perform(FindLearningRate(**TINY), tmp_path))
    assert [event.done for event in events if isinstance(event, WorkAdvanced)] == list(range(1, 25))
    tried = [event for event in events if isinstance(event, LearningRatesTried)]
    assert [len(event.losses) for event in tried] == [1, 6, 11, 16, 21, 24]
    last = events[-1]
    assert isinstance(last, LearningRateFound)
    assert (tried[-1].rates, tried[-1].losses) == (last.rates, last.losses)
    assert list(tmp_path.iterdir()) == []


def test_what_is_stopped_says_what_it_has(tmp_path: Path) -> None:
    work = find_learning_rate(FindLearningRate(**TINY), tmp_path)
    events: list[Event] = [next(work)]
    while not (isinstance(events[-1], WorkAdvanced) and events[-1].done == 9):
        events.append(next(work))
    (last,) = end(work)
    assert isinstance(last, LearningRateFound)
    assert (last.stopped, last.diverged, len(last.losses)) == (True, False, 9)
    assert last.ending == f"stopped at {last.rates[-1]:.1e}"
    assert next(work, None) is None


def test_random_numbers_of_others_stay_as_they_are() -> None:
    torch.manual_seed(4)
    before = torch.get_rng_state()
    found(FindLearningRate(**TINY, elastic=1.0))
    assert torch.equal(torch.get_rng_state(), before)


def test_what_cannot_be_tried_is_refused_in_one_line() -> None:
    for low, high in ((1e-2, 1e-2), (1.0, 1e-6)):
        with pytest.raises(RequestError, match=r"the lowest rate .* is not below the highest rate .*: lower it"):
            FindLearningRate(lowest_rate=low, highest_rate=high)
    for fields, words in (
        ({"steps": 1}, "steps must be a whole number from 20 to 5000, not 1"),
        ({"lowest_rate": 0.0}, "lowest rate must be a number more than 0 and at most 10, not 0.0"),
        ({"highest_rate": 11.0}, "highest rate must be a number more than 0 and at most 10, not 11.0"),
        ({"batch_size": 64, "train_size": 63}, "batch size 64 is larger"),
        ({"objective": "ibp", "batch_norm": True}, "leave batch norm out"),
    ):
        with pytest.raises(RequestError, match=words):
            FindLearningRate(**fields)


def test_a_batch_larger_than_the_data_is_refused(small: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    few = Dataset("mnist", small.train.first(30), small.val, small.test)
    patch_load(monkeypatch, few)
    with pytest.raises(RequestError, match="batch size 64 is larger than the 30 training images"):
        list(find_learning_rate(FindLearningRate(device="cpu"), Path()))


def test_its_threads_are_not_those_of_other_work() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        found(FindLearningRate(**TINY, threads=1))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
