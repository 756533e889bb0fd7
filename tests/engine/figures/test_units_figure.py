"""The figures of units: the numbers drawn are those of the events, and nothing leaves the page."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from engine.figures.drawing.figure import figure_of, stem_of
from engine.inspection.requests import ShowUnit, VisualiseUnits
from engine.inspection.unit_events import UnitShown, UnitsVisualised
from engine.operations import perform
from tests.engine.figures.pages import caption, inside, title

pytestmark = pytest.mark.usefixtures("few_images")
CNN = "pretrained:cnn"


def units(**fields: Any) -> UnitsVisualised:
    *_, last = perform(VisualiseUnits(what=CNN, steps=2, **fields), Path("nowhere"))
    assert isinstance(last, UnitsVisualised)
    return last


def unit(**fields: Any) -> UnitShown:
    *_, last = perform(ShowUnit(what=CNN, steps=2, **fields), Path("nowhere"))
    assert isinstance(last, UnitShown)
    return last


def written(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.texts]


@pytest.mark.parametrize("count", [1, 5, 32, 70])
def test_all_pictures_of_a_layer(count: int) -> None:
    event = units(layer="hidden", units=tuple(range(count)), starts=1)
    figure = figure_of(event)
    inside(figure)
    (axes,) = figure.axes
    words = [str(each.unit) + ("" if math.isnan(each.ratio) else f": {each.ratio:.1f}×") for each in event.units]
    assert written(axes) == words
    pixels = np.asarray(axes.images[0].get_array())
    assert np.isin(np.unique(event.images[0]), pixels.astype(np.float32)).all()
    assert axes.images[0].get_clim() == (0.0, 1.0)
    assert "hidden" in title(figure)
    assert "2 steps" in caption(figure)
    assert stem_of(event) == "units-hidden"


@pytest.mark.parametrize("layer", ["conv1", "conv2", "hidden"])
def test_a_unit(layer: Any) -> None:
    event = unit(layer=layer, unit=5)
    figure = figure_of(event)
    inside(figure)
    bars: list[Any] = [axes for axes in figure.axes if axes.patches]
    heights = [[bar.get_height() for bar in axes.patches] for axes in bars]
    assert event.ablation is not None
    assert heights == [pytest.approx(event.responses), pytest.approx(event.ablation.logits)]
    accuracy = f"accuracy {100 * event.ablation.accuracy_without:.2f} %, not {100 * event.ablation.accuracy:.2f} %"
    assert accuracy in bars[1].get_title()
    every = [word for axes in figure.axes for word in written(axes)]
    words = [f"{digit.actual} ({digit.index})" for digit in event.digits]
    assert words == [word for word in every if word.endswith(")") and word[0].isdigit()]
    assert all(f"{value:.3f}" in every for value in event.activations)
    assert stem_of(event) == f"unit-{layer}-5"


def test_a_unit_of_which_little_is_known() -> None:
    whole = unit(unit=5)
    empty = replace(whole, digits=(), digit_images=whole.digit_images[:0], responses=(0.0,) * 10, ablation=None)
    figure = figure_of(empty)
    inside(figure)
    assert "no digit excites it" in [word for axes in figure.axes for word in written(axes)]
    few = replace(whole, digits=whole.digits[:1], digit_images=whole.digit_images[:1], starts=whole.starts[:1])
    inside(figure_of(replace(few, activations=whole.activations[:1])))
    many = np.concatenate([whole.starts] * 4)[:10]
    inside(figure_of(replace(whole, starts=many, activations=(0.123,) * 10)))
