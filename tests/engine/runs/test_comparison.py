"""Runs beside one another: groups, intervals, and sentences that follow from the numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import scipy.stats
from msgspec.structs import replace

from engine.figures.drawing.figure import figure_of, stem_of
from engine.operations import perform
from engine.request import RequestError
from engine.runs.catalogue import summary
from engine.runs.comparison import (
    MOST,
    compare,
    differences,
    measures,
    sentence,
    spread,
    t_quantile,
    told_epochs,
    welch,
)
from engine.runs.events import Contrast, RunsCompared
from engine.runs.folder import RunFolder
from engine.runs.requests import CompareRuns
from engine.training.recipes import BEYOND, with_recipe
from engine.training.requests import ObjectiveName, Train
from tests.engine.figures.pages import caption, inside
from tests.runs import made


@pytest.fixture
def folders(tmp_path: Path) -> list[RunFolder]:
    """Three seeds without batch norm, three with, a little better and slower."""
    return [
        made(
            tmp_path,
            f"{'bn' if normed else 'plain'}-{seed}",
            Train(batch_norm=normed, seed=seed),
            [0.97, 0.98 + 0.001 * seed + 0.005 * normed, 0.995],
            2.0 + normed + 0.01 * seed,
        )
        for normed in (False, True)
        for seed in (0, 1, 2)
    ]


@pytest.mark.parametrize("freedom", [1.0, 2.0, 3.7, 8.0, 30.0, 500.0])
def test_students_t(freedom: float) -> None:
    assert t_quantile(freedom) == pytest.approx(scipy.stats.t.ppf(0.975, freedom), rel=1e-6)
    assert t_quantile(freedom, 0.5) == pytest.approx(scipy.stats.t.ppf(0.75, freedom), rel=1e-6)


def test_intervals_are_scipys() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.normal(3, 1, 5).tolist(), generator.normal(4, 2, 7).tolist()
    expected = scipy.stats.ttest_ind(second, first, equal_var=False).confidence_interval(0.95)
    found = welch(first, second)
    assert found["difference"] == pytest.approx(np.mean(second) - np.mean(first))
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high), rel=1e-6)
    one = spread(first)
    own = scipy.stats.ttest_1samp(first, 0).confidence_interval(0.95)
    assert (one.low, one.high) == pytest.approx((own.low, own.high), rel=1e-6)
    assert one.deviation == pytest.approx(np.std(first, ddof=1))


def test_one_run_has_no_interval() -> None:
    assert math.isnan(spread([1.0]).low)
    assert math.isnan(welch([1.0], [1.0, 2.0])["low"])
    same = welch([1.0, 1.0], [2.0, 2.0])
    assert same == {"difference": 1.0, "low": 1.0, "high": 1.0}


def test_runs_that_differ_by_their_seed_are_a_group(folders: list[RunFolder]) -> None:
    event = compare([*folders, folders[0]])  # named twice, counted once
    plain, normed = event.groups
    assert event.differing == ("batch_norm",)
    assert (plain.label, normed.label) == ("without batch norm", "with batch norm")
    assert differences(event) == [("batch norm", ("no", "yes"))]
    assert plain.runs == ("plain-0", "plain-1", "plain-2")
    assert plain.seeds == (0, 1, 2)
    assert plain.epochs == (1, 2, 3)
    assert plain.seconds == pytest.approx((2.01, 4.02, 6.03))
    # Of the epoch with the lowest validation loss, and not the highest.
    assert plain.values["test accuracy"] == pytest.approx((0.98, 0.981, 0.982))
    assert plain.values["highest test accuracy"] == pytest.approx((0.995, 0.995, 0.995))
    assert plain.values["seconds per epoch"] == pytest.approx((2.0, 2.01, 2.02))
    assert plain.curves["test_accuracy"][1].mean == pytest.approx(0.981)
    assert plain.curves["test_accuracy"][1].deviation == pytest.approx(0.001)
    accuracy = next(each for each in event.contrasts if each.measure == "test accuracy")
    assert accuracy.difference == pytest.approx(0.005)
    assert sentence(accuracy).startswith(
        "test accuracy: with batch norm 0.50 points higher than without batch norm (95 % interval +0.27 to +0.73)"
    )
    assert sentence(accuracy).endswith(": a significant difference")


def test_the_same_seed_again_is_no_other_sample(tmp_path: Path) -> None:
    first, longer = made(tmp_path, "a", Train(), [0.9]), made(tmp_path, "b", Train(), [0.9, 0.95])
    (group,) = compare([first, longer]).groups
    assert group.runs == ("b",)


def test_a_run_that_stopped_early_counts_as_far_as_it_came(tmp_path: Path) -> None:
    event = compare(
        [
            made(tmp_path, "long", Train(), [0.9, 0.92, 0.94]),
            made(tmp_path, "short", Train(seed=1), [0.8]),
        ]
    )
    (group,) = event.groups
    assert group.label == "long"  # nothing sets it apart from others
    assert [each.count for each in group.curves["test_accuracy"]] == [2, 1, 1]
    assert group.curves["test_accuracy"][0].mean == pytest.approx(0.85)
    assert event.contrasts == ()


def test_an_epoch_whose_line_is_lost_shifts_no_other(tmp_path: Path) -> None:
    whole = made(tmp_path, "whole", Train(), [0.9, 0.92, 0.94])
    lost = made(tmp_path, "lost", Train(seed=1), [0.8, 0.82, 0.84])
    lines = lost.events_file.read_bytes().splitlines(keepends=True)
    lost.events_file.write_bytes(lines[0] + b"\xff\n" + lines[2])
    (group,) = compare([whole, lost]).groups
    assert group.epochs == (1, 2, 3)
    assert [each.mean for each in group.curves["test_accuracy"]] == pytest.approx([0.85, 0.92, 0.89])
    other = made(tmp_path, "other", Train(channels=4), [0.9])
    assert [each.epochs for each in compare([lost, other]).groups] == [(1, 3), (1,)]
    line = summary(lost)
    assert line is not None
    assert line.epoch == 3


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (-0.1, 0.3, "no significant difference"),
        (0.1, 0.3, "a significant difference"),
        (math.nan, math.nan, "a single run gives no interval, so this is only an anecdote"),
    ],
)
def test_sentences(low: float, high: float, words: str) -> None:
    for measure in ("test accuracy", "validation loss", "seconds per epoch"):
        contrast = Contrast(measure=measure, first="A", second="B", difference=-0.2, low=low, high=high)
        assert sentence(contrast).endswith(words)
        assert "B" in sentence(contrast)
        assert "lower than A" in sentence(contrast)


def test_refusals(tmp_path: Path, folders: list[RunFolder]) -> None:
    with pytest.raises(RequestError, match="two or more runs"):
        CompareRuns(what=("a",))
    with pytest.raises(RequestError, match="no finished epoch"):
        compare([folders[0], made(tmp_path, "new", Train(), [])])
    with pytest.raises(RequestError, match="is not a run folder"):
        list(perform(CompareRuns(what=("plain-0", "nowhere")), tmp_path))


def test_by_name(folders: list[RunFolder], tmp_path: Path) -> None:
    (event,) = perform(CompareRuns(what=("plain-0", str(folders[3].path))), tmp_path)
    assert isinstance(event, RunsCompared)
    assert [len(group.runs) for group in event.groups] == [1, 1]
    assert all(math.isnan(each.low) for each in event.contrasts)


def test_the_figure(folders: list[RunFolder], tmp_path: Path) -> None:
    event = compare(folders)
    figure = figure_of(event)
    inside(figure)
    assert stem_of(event) == "comparison"
    assert "6 runs" in caption(figure)
    losses, accuracies, results = figure.axes
    assert np.asarray(losses.lines[0].get_ydata()) == pytest.approx(
        [each.mean for each in event.groups[0].curves["val_loss"]]
    )
    assert len(accuracies.collections) == 2  # the bands
    assert np.asarray(results.lines[0].get_ydata()) == pytest.approx([98.0, 98.1, 98.2])
    many = [made(tmp_path, f"r{n}", Train(channels=n + 1), [0.9, 0.91]) for n in range(10)]
    inside(figure := figure_of(compare(many)))
    assert "2 more groups are left out" in caption(figure)
    long = replace(event.groups[0], label="x" * 200)
    inside(figure_of(replace(event, groups=(long, event.groups[1]))))


def test_long_runs_are_compared_at_some_of_their_epochs(tmp_path: Path) -> None:
    assert told_epochs([3, 2]) == [1, 2, 3]
    told = told_epochs([100_000, 70_001])
    assert len(told) <= MOST + 3
    assert (told[0], told[-1]) == (1, 100_000)
    assert 70_001 in told
    runs = [made(tmp_path, name, Train(seed=seed), [0.9] * 5) for seed, name in ((0, "a"), (1, "b"))]
    for run, count in zip(runs, (2 * MOST + 1, 3 * MOST), strict=True):
        line = run.events_file.read_bytes().splitlines()[0]
        epoch = msgspec.json.decode(line)
        lines = [msgspec.json.encode(epoch | {"epoch": n, "epochs": count, "val_loss": n}) for n in range(1, count + 1)]
        run.events_file.write_bytes(b"\n".join(lines) + b"\n")
    (group,) = compare(runs).groups
    assert group.epochs[:3] == (1, 4, 8)
    assert group.epochs[-1] == 3 * MOST
    assert len(group.epochs) == len(group.seconds) == len(group.curves["val_loss"])
    assert [each.mean for each in group.curves["val_loss"]] == list(group.epochs)
    assert list(group.seconds) == pytest.approx([2.0 * n for n in group.epochs])
    at_the_end = dict(zip(group.epochs, group.curves["val_loss"], strict=True))
    assert (at_the_end[2 * MOST + 1].count, at_the_end[3 * MOST].count) == (2, 1)


def test_recipes_name_the_groups_with_what_differs_from_them(tmp_path: Path) -> None:
    fast = with_recipe(Train(), "fast")
    other = replace(fast, label_smoothing=0.3)  # of no recipe
    asked = [Train(), Train(seed=1), fast, replace(fast, seed=1), other]
    event = compare([made(tmp_path, f"run-{n}", each, [0.9, 0.95]) for n, each in enumerate(asked)])
    assert [len(group.runs) for group in event.groups] == [2, 2, 1]
    assert [group.label for group in event.groups] == [
        "recipe notebook, label smoothing 0",
        f"recipe fast, label smoothing {fast.label_smoothing:g}",
        "recipe fast, label smoothing 0.3",
    ]
    assert ("recipe", ("notebook", "fast", "fast, changed")) in differences(event)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("precision", "bf16"),
        ("schedule", "cosine"),
        ("weight_decay", 0.1),
        ("label_smoothing", 0.1),
        ("shift", 1),
        ("rotate", 5.0),
        ("scale", 0.1),
        ("elastic", 1.0),
        ("average", 0.9),
    ],
)
def test_no_run_with_another_field_is_in_the_same_group(tmp_path: Path, field: str, value: Any) -> None:
    other = replace(Train(seed=1), **{field: value})
    event = compare([made(tmp_path, "a", Train(), [0.9]), made(tmp_path, "b", other, [0.9])])
    assert event.differing == (field,)
    assert len({group.label for group in event.groups}) == 2


def test_a_request_from_before_recipes_is_the_notebooks(tmp_path: Path) -> None:
    old, new = made(tmp_path, "old", Train(), [0.9]), made(tmp_path, "new", Train(seed=1), [0.9])
    record = json.loads((old.path / "request.json").read_bytes())
    for name in BEYOND:
        del record["request"][name]
    (old.path / "request.json").write_text(json.dumps(record))
    assert old.read_record().request == Train()
    (group,) = compare([old, new]).groups
    assert group.runs == ("old", "new")


def test_lists_name_a_recipe_that_is_not_the_notebooks(tmp_path: Path) -> None:
    fast = with_recipe(Train(), "fast")
    asked = {"plain": Train(shift=1), "fast": fast, "other": replace(fast, shift=7)}
    found = {name: summary(made(tmp_path, name, each, [0.9])) for name, each in asked.items()}
    assert {name: run and run.recipe for name, run in found.items()} == {
        "plain": "", "fast": "fast", "other": "fast, changed",
    }  # fmt: skip


def test_a_figure_of_curves_names_the_recipe_and_what_the_loss_is_of(tmp_path: Path) -> None:
    asked = Train(recipe="accurate", shift=1, epochs=7)
    figure = figure_of(made(tmp_path, "a", asked, [0.9, 0.95]).history())
    assert figure.axes[0].get_title() == "loss vs epoch without batch_norm, accurate, changed"
    assert "training loss: augmented" in caption(figure)
    figure.draw_without_rendering()
    first, second = (axes.title.get_window_extent() for axes in figure.axes)
    assert 0 < first.x0 < first.x1 < second.x0 < second.x1 < figure.bbox.x1
    plain = figure_of(made(tmp_path, "b", Train(), [0.9, 0.95]).history())
    assert plain.axes[0].get_title() == "loss vs epoch without batch_norm"
    assert "training loss" not in caption(plain)


def test_robust_objectives_are_compared_by_what_they_withstand_at_the_same_epsilon(tmp_path: Path) -> None:
    kinds: list[tuple[ObjectiveName, float]] = [("pgd", 0.3), ("ibp", 0.3), ("fgsm", 0.1)]
    runs = [
        made(
            tmp_path, f"{name}-{seed}", Train(objective=name, seed=seed, train_epsilon=epsilon), [0.9, 0.91],
            robust=[0.5, 0.6 + 0.01 * seed], certified=[0.2, 0.3] if name == "ibp" else (),
        )
        for name, epsilon in kinds
        for seed in (0, 1)
    ]  # fmt: skip
    plain = made(tmp_path, "plain", Train(), [0.9, 0.91])
    event = compare([*runs, plain])
    pgd, ibp, fgsm, clean = event.groups
    assert pgd.values["robust accuracy at 0.3"] == ibp.values["robust accuracy at 0.3"] == pytest.approx((0.6, 0.61))
    assert fgsm.values["robust accuracy at 0.1"] == pytest.approx((0.6, 0.61))
    assert ibp.values["certified accuracy at 0.3"] == pytest.approx((0.3, 0.3))
    assert not any("robust" in name or "certified" in name for name in clean.values)
    assert [name for name in measures(event) if "at 0" in name] == [
        "robust accuracy at 0.3", "certified accuracy at 0.3", "robust accuracy at 0.1",
    ]  # fmt: skip
    told = [each for each in event.contrasts if each.measure.startswith("robust")]
    assert [(each.first, each.second) for each in told] == [(pgd.label, ibp.label)]
    assert "points" in sentence(told[0])
    assert "robust_accuracy" in ibp.curves
    assert "robust_accuracy" not in clean.curves
