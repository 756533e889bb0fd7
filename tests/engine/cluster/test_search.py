"""What a search is over, and what is kept of it. Does not need Ray."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.cluster.requests import SearchOnRay
from engine.cluster.space import Dimension, parse_dimension
from engine.cluster.trial import train_trial
from engine.request import RequestError
from engine.runs.comparison import compare, differences
from engine.runs.origin import FILE, Origin, read_origin, write_origin
from engine.training.events import EpochFinished
from engine.training.requests import Train
from tests.runs import SHORT, made

ORIGIN = Origin(
    method="random", space=("shift 0 to 2", "average 0.9 to 0.99"), trials=9, epochs=27, seconds=12.3, val_loss=0.5
)


@pytest.mark.parametrize(
    ("text", "wanted", "logarithmic"),
    [
        ("learning-rate=1e-4..1e-2", Dimension("learning_rate", 1e-4, 1e-2, False), True),
        ("learning-rate=1e-3..1e-2", Dimension("learning_rate", 1e-3, 1e-2, False), False),
        ("weight-decay=0..0.1", Dimension("weight_decay", 0.0, 0.1, False), False),
        ("batch_size=16..512", Dimension("batch_size", 16, 512, True), True),
        ("shift=0..3", Dimension("shift", 0, 3, True), False),
    ],
)
def test_a_field_and_its_bounds(text: str, wanted: Dimension, logarithmic: bool) -> None:
    found = parse_dimension(text)
    assert found == wanted
    assert found.logarithmic == logarithmic


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("learning-rate", "a field to search is FIELD=LOW..HIGH"),
        ("learning-rate=1e-3", "a field to search is FIELD=LOW..HIGH"),
        ("learning-rate=1e-2..1e-4", "give the lower bound first"),
        ("learning-rate=1e-2..100", "learning rate must be a number"),
        ("batch-size=2.5..4", "batch size must be a whole number"),
        ("dataset=a..b", "dataset cannot be searched: choose from attack_step_size, attack_steps"),
        ("seed=0..9", "seed cannot be searched"),
        ("train-epsilon=0.1..0.3", "train epsilon cannot be searched"),
        ("batch-norm=0..1", "batch norm cannot be searched"),
    ],
)
def test_wrong_bounds_are_refused(text: str, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        SearchOnRay(space=(text,))


def test_bounds_that_fit_nothing_are_refused() -> None:
    with pytest.raises(RequestError, match="batch size 512 is larger than the 320 training images"):
        SearchOnRay(experiment=Train(train_size=320), space=("batch-size=16..512",))
    with pytest.raises(RequestError, match="learning rate is searched twice"):
        SearchOnRay(space=("learning-rate=1e-4..1e-2", "learning_rate=1e-4..1e-3"))
    with pytest.raises(RequestError, match="not ray://"):
        SearchOnRay(address="ray://box:10001")


def test_values_have_three_digits_within_the_bounds() -> None:
    rate, size = parse_dimension("learning-rate=1.2345e-4..1e-2"), parse_dimension("batch-size=16..512")
    assert rate.typed(0.00123456) == 0.00123
    assert rate.typed(1.2345e-4) == 1.2345e-4
    assert isinstance(size.typed(31.7), int)
    assert size.typed(31.7) == 32


def test_the_choice_has_fresh_seeds() -> None:
    request = SearchOnRay(experiment=Train(seed=4), space=("batch-size=16..512",), seeds=2)
    assert request.runs({"batch_size": 48}) == (Train(seed=5, batch_size=48), Train(seed=6, batch_size=48))


@pytest.fixture(autouse=True)
def all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker's share of the cores would stay with this process."""
    monkeypatch.setattr("engine.network.devices.share_cores", lambda _: None)


def trial(request: Train, stop: bool = False) -> list[tuple[int, EpochFinished | None, float]]:
    told: list[tuple[int, EpochFinished | None, float]] = []
    train_trial(request, 1, lambda *now: told.append(now), lambda: stop)
    return told


def test_a_trial_tells_its_best_epoch_so_far() -> None:
    told = trial(replace(SHORT, epochs=2))
    assert [epoch for epoch, *_ in told] == [1, 2]
    first, second = (best for _, best, _ in told)
    assert first is not None
    assert second is not None
    assert second.val_loss <= first.val_loss
    assert told[1][2] > told[0][2] > 0


def test_a_trial_that_diverges_or_cannot_be_trained_ends_at_once() -> None:
    bad = replace(SHORT, learning_rate=10.0, weight_decay=10.0)  # each step multiplies the weights by -99
    assert trial(bad) == [(1, None, 0.0)]


def test_a_trial_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.cluster.trial.LOOK", 0.0)
    assert trial(replace(SHORT, epochs=1000), stop=True) == []


def test_a_comparison_tells_what_chose_the_settings(tmp_path: Path) -> None:
    runs = [made(tmp_path, f"run-{n}", Train(seed=n % 2, shift=n // 2), [0.9, 0.91]) for n in range(4)]
    assert [name for name, _ in differences(compare(runs))] == ["shift"]
    write_origin(runs[2], ORIGIN)
    assert read_origin(runs[2]) == ORIGIN
    event = compare(runs)
    words = "random search over shift 0 to 2, average 0.9 to 0.99: 9 trials, 27 epochs, 12 s, validation loss 0.5000"
    assert [group.search for group in event.groups] == ["", words]
    assert differences(event)[-1] == ("chosen by", ("hand", words))
    (runs[2].path / FILE).write_bytes(b"{")
    assert read_origin(runs[2]) is None
