"""Recipes: what they fill, and when they count as changed; and sweeps over them."""

from __future__ import annotations

import pytest
import torch
from msgspec.structs import replace
from torch.nn.functional import log_softmax

from engine.data.datasets import Dataset, epoch_permutation
from engine.network.model import seeded_cnn
from engine.request import RequestError
from engine.runs.sweeps import expand, sweep
from engine.training import recipes
from engine.training.events import EpochFinished
from engine.training.loop import train
from engine.training.recipes import FIELDS, NAMES, RECIPES, changed, recipe_words, with_recipe
from engine.training.requests import RecipeName, Train
from engine.training.state import TrainingState


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recipe that no tuning changes."""
    fast = {"batch_norm": True, "epochs": 2, "batch_size": 256, "schedule": "one-cycle", "shift": 1}
    monkeypatch.setitem(recipes.RECIPES, "fast", fast)


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_fills_its_fields_and_no_others(name: RecipeName) -> None:
    own = Train(epochs=7, seed=3, dataset="kmnist", device="cpu", threads=2, channels=16, shift=5, average=0.5)
    filled = with_recipe(own, name)
    assert (filled.recipe, filled.seed, filled.dataset, filled.threads, filled.channels) == (name, 3, "kmnist", 2, 16)
    plain = Train()
    assert all(getattr(filled, field) == RECIPES[name].get(field, getattr(plain, field)) for field in FIELDS)
    assert changed(filled) == ()
    assert recipe_words(filled) == name
    assert with_recipe(filled, "notebook") == replace(own, epochs=15, shift=0, average=0.0)


def test_a_changed_field_is_named() -> None:
    fast = with_recipe(Train(), "fast")
    other = replace(fast, epochs=3, label_smoothing=0.1)
    assert changed(other) == ("epochs", "label_smoothing")
    assert recipe_words(other) == "fast, changed"
    assert recipe_words(replace(other, epochs=2, label_smoothing=0.0)) == "fast"
    assert recipe_words(replace(fast, seed=9, threads=1, train_size=1000)) == "fast"


def test_a_recipe_that_does_not_fit_is_refused() -> None:
    with pytest.raises(RequestError, match="batch size 256 is larger than the 100 training images"):
        with_recipe(Train(train_size=100), "fast")


def test_a_sweep_over_recipes_fills_their_fields() -> None:
    plain, fast = sweep(Train(channels=8), "recipe=notebook,fast")
    assert plain == Train(channels=8)
    assert fast == with_recipe(Train(channels=8), "fast")


def test_other_axes_and_what_was_set_win_over_the_recipe() -> None:
    runs = sweep(Train(epochs=5), "recipe=notebook,fast batch-norm=no,yes seeds=2")
    assert [(run.recipe, run.batch_norm, run.seed) for run in runs] == [
        (name, normed, seed) for name in ("notebook", "fast") for normed in (False, True) for seed in (0, 1)
    ]
    assert {run.epochs for run in runs} == {5}
    assert [run.shift for run in runs] == [0] * 4 + [1] * 4
    # What was set to the notebook's own value is seen only where it was given.
    _, fast = expand(Train(), 1, {"recipe": ["notebook", "fast"]}, given=("epochs",))
    assert (fast.epochs, fast.batch_size) == (15, 256)


def test_a_recipe_that_does_not_exist_is_no_axis() -> None:
    with pytest.raises(RequestError, match="recipe must be one of notebook, fast, accurate, not 'best'"):
        sweep(Train(), "recipe=best")


def test_what_sets_the_training_loss_apart() -> None:
    assert Train(weight_decay=0.1, average=0.9, schedule="cosine", precision="bf16").loss_note == ""
    for field in ("shift", "rotate", "scale", "elastic"):
        assert replace(Train(), **{field: 0.5 if field == "scale" else 1}).loss_note == "augmented"
    assert Train(label_smoothing=0.1).loss_note == "smoothed labels"
    assert Train(label_smoothing=0.1, shift=1).loss_note == "augmented, smoothed labels"


def test_smoothed_labels_are_for_training_alone(small: Dataset) -> None:
    """The loss of the only step, by its definition (Szegedy et al. 2016)."""
    request = Train(train_size=100, batch_size=100, epochs=1, channels=4, hidden=16, label_smoothing=0.2)
    state = TrainingState.fresh(request, torch.device("cpu"))
    (epoch,) = (event for event in train(request, small, state) if isinstance(event, EpochFinished))
    order = epoch_permutation(0, 1, 100)
    with torch.no_grad():
        logs = log_softmax(seeded_cnn(request, 0)(small.train.images[order]).double(), dim=1)
        at_val = log_softmax(state.model.eval()(small.val.images).double(), dim=1)
    labels = small.train.labels[order]
    expected = -(0.8 * logs[range(100), labels] + 0.2 * logs.mean(dim=1)).mean().item()
    assert epoch.train_loss == pytest.approx(expected, rel=1e-4)
    plain = -at_val[range(len(small.val)), small.val.labels].mean().item()
    assert epoch.val_loss == pytest.approx(plain, rel=1e-4)
