"""Ridge lines on one axis, from histograms of several epochs."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from engine.runs.events import InsidesShown
from engine.runs.history import RunHistory
from engine.runs.insides import LAYERS, Axis, at_columns, layer_of, looked_into, ridges, shown
from engine.training.events import KINDS, EpochFinished, Histogram
from tests.insides import insides, lognormal
from tests.runs import EPOCH_EVENT, epoch_line, written


def history(epochs: int, without: int = 0) -> RunHistory:
    """A run of so many epochs, the first of which were not looked into."""
    events = [
        replace(EPOCH_EVENT, epoch=n, epochs=epochs, insides=insides(n) if n > without else None)
        for n in range(1, epochs + 1)
    ]
    return RunHistory.of("mine", events)


def event(epochs: int = 4, layer: str = "hidden") -> InsidesShown:
    found = shown(history(epochs), layer, 100)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("epochs", "most", "at", "expected"),
    [
        (3, 5, None, (1, 2, 3)),
        (11, 3, None, (1, 6, 11)),
        (11, 3, 5, (1, 5, 11)),
        (11, 3, 11, (1, 6, 11)),
        (11, 3, 99, (1, 6, 11)),
        (11, 2, 4, (4, 11)),
        (11, 1, None, (11,)),
        (11, 1, 4, (4,)),
        (1, 1, None, (1,)),
    ],
)
def test_of_many_epochs_some_are_shown(epochs: int, most: int, at: int | None, expected: tuple[int, ...]) -> None:
    found = shown(history(epochs), "conv1", most, at)
    assert found is not None
    assert (found.epochs, found.total) == (expected, epochs)
    assert found.insides == tuple(insides(epoch) for epoch in expected)


def test_epochs_without_them_are_left_out() -> None:
    run = history(5, without=3)
    assert [epoch.epoch for epoch in looked_into(run)] == [4, 5]
    found = shown(run, "conv1", 100)
    assert found is not None
    assert found.epochs == (4, 5)
    assert shown(history(3, without=3), "conv1", 100) is None
    assert shown(RunHistory(), "conv1", 100) is None


def test_the_area_under_a_ridge_is_the_share_of_the_values_on_the_axis() -> None:
    """By the trapezoidal rule, over logarithmic magnitudes; what is left out near zero is a hundredth."""
    for kind in KINDS:
        found = ridges(event(), kind)
        assert found is not None
        for points, zero in zip(found.points, found.zeros, strict=True):
            xs, ys = zip(*points, strict=True)
            assert list(xs) == sorted(xs)
            assert (xs[0], xs[-1]) == (0.0, found.axis.length)
            area = float(np.trapezoid(ys, xs))
            assert area == pytest.approx(1 - zero, abs=0.05)
            assert found.most >= max(ys)


@pytest.mark.parametrize("centre", [1e-6, 0.3, 40.0])
@pytest.mark.parametrize("signed", [True, False])
def test_the_peak_of_a_ridge_is_where_the_values_are(centre: float, signed: bool) -> None:
    layer = replace(insides(1).layers[0], weights=lognormal(10**6, centre, 1.0, signed=signed))
    here = InsidesShown(run="x", layer="conv1", epochs=(1,), total=1, insides=(replace(insides(1), layers=(layer,)),))
    found = ridges(here, "weights")
    assert found is not None
    assert found.axis.signed == signed
    heights = at_columns(found.points[0], found.axis.length, 400)
    peak = (int(np.argmax(heights[200:])) + 200 if signed else int(np.argmax(heights))) + 0.5
    assert peak / 400 * found.axis.length == pytest.approx(found.axis.place(centre), abs=0.8)
    if signed:
        assert heights == pytest.approx(heights[::-1], abs=1e-3)


def test_the_ticks_are_powers_of_ten_in_their_places() -> None:
    axis = Axis(-20, 6, signed=True)
    ticks = {tick.text: tick.place for tick in axis.ticks()}
    assert list(ticks) == ["-10", "-1", "-0.1", "-0.01", "-0.001", "0", "0.001", "0.01", "0.1", "1", "10"]
    assert list(ticks.values()) == sorted(ticks.values())
    octave = 2.0  # halves
    assert ticks["1"] - ticks["0.1"] == pytest.approx(octave * math.log2(10))
    assert ticks["0"] == pytest.approx(axis.length / 2)
    for text, place in ticks.items():
        assert axis.place(float(text)) == pytest.approx(place)
        assert axis.place(-float(text)) == pytest.approx(axis.length - place)
    assert [tick.text for tick in Axis(-40, -20, signed=False).ticks()] == ["1e-6", "1e-5", "1e-4", "0.001"]


def test_a_rare_outlier_does_not_widen_the_axis() -> None:
    common = Histogram(first=-10, negative=(), zero=0, positive=(1000,) * 8)
    rare = replace(common, positive=(*common.positive, *[0] * 20, 1))
    axes = []
    for histogram in (common, replace(rare, positive=(10**6, *rare.positive[1:])), rare):
        layer = replace(insides(1).layers[0], weights=histogram)
        every = (replace(insides(1), layers=(layer,)),)
        found = ridges(InsidesShown(run="x", layer="conv1", epochs=(1,), total=1, insides=every), "weights")
        assert found is not None
        axes.append(found.axis)
    assert [axis.high for axis in axes] == [-3, -3, 18]  # one in 8001 values is not so rare


def test_nothing_but_zeros() -> None:
    nothing = Histogram(first=-64, negative=(), zero=5, positive=())
    layer = replace(insides(1).layers[0], weights=nothing)
    every = (replace(insides(1), layers=(layer,)),)
    found = ridges(InsidesShown(run="x", layer="conv1", epochs=(1,), total=1, insides=every), "weights")
    assert found is not None
    assert (found.most, found.zeros) == (0.0, (1.0,))


def test_a_layer_that_was_not_measured() -> None:
    assert ridges(event(layer="fc9"), "weights") is None
    assert layer_of(insides(1), "fc9") is None
    assert [layer_of(insides(1), name) for name in LAYERS] == list(insides(1).layers)


def test_old_events_have_none_and_new_ones_are_read(tmp_path: Path) -> None:
    known = msgspec.to_builtins(insides(2))
    wrong = msgspec.to_builtins(insides(2)) | {"images": -1}
    run = written(
        tmp_path / "run",
        epoch_line(1),
        epoch_line(2, insides=known),
        epoch_line(3, insides=wrong),
        epoch_line(4, insides=known | {"of_a_later_version": 1}),
    )
    epochs = run.history().epochs
    assert [(each.epoch, each.insides is not None) for each in epochs] == [(1, False), (2, True), (4, True)]
    assert epochs[1].insides == insides(2)
    assert run.history().damaged_lines == 1
    assert isinstance(epochs[0], EpochFinished)
