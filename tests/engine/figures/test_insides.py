"""The figure of a layer over the epochs: the numbers drawn are those of the event."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from msgspec.structs import replace

from engine.figures.drawing.figure import figure_of, stem_of
from engine.figures.events import FigureSaved
from engine.figures.requests import DrawFigure
from engine.operations import perform
from engine.request import RequestError
from engine.runs.events import InsidesShown
from engine.runs.insides import LAYERS, ridges
from engine.training.events import KINDS
from tests.engine.figures.pages import caption, inside
from tests.insides import insides

EVENT = InsidesShown(
    run="20260101-000000-cnn",
    layer="hidden",
    epochs=(1, 2, 5, 12),
    total=12,
    insides=tuple(map(insides, (1, 2, 5, 12))),
)


def panels(figure: Figure) -> dict[str, Axes]:
    return {axes.get_title(): axes for axes in figure.axes}


def test_the_ridges_are_those_of_the_event() -> None:
    figure = figure_of(EVENT)
    found = panels(figure)
    for kind in KINDS:
        expected = ridges(EVENT, kind)
        assert expected is not None
        for number, (epoch, points) in enumerate(zip(EVENT.epochs, expected.points, strict=True)):
            (line,) = (each for each in found[kind].get_lines() if each.get_gid() == f"{kind}-{epoch}")
            xs, ys = (np.asarray(each, dtype=float) for each in line.get_data())
            base = len(EVENT.epochs) - 1 - number
            assert np.allclose(xs, [x for x, _ in points])
            heights = np.array([y for _, y in points])
            assert np.allclose((ys - base) * expected.most, 2.5 * heights)
        assert [text.get_text() for text in found[kind].get_yticklabels()] == ["1", "2", "5", "12"]
        assert {"0"} <= {text.get_text() for text in found[kind].get_xticklabels()} or kind == "activations"
    assert "measured on 448 training images" in caption(figure)
    assert "20260101-000000-cnn" in caption(figure)


def test_the_curves_are_those_of_all_layers() -> None:
    found = panels(figure_of(EVENT))
    for title, name, factor in (("update ratio", "update_ratio", 1), ("dead units (%)", "dead", 100)):
        lines = {str(line.get_label()): line for line in found[title].get_lines()}
        for place, layer in enumerate(LAYERS):
            values = [getattr(each.layers[place], name) for each in EVENT.insides]
            if values[0] is None:
                assert layer not in lines
            else:
                assert np.allclose(lines[layer].get_ydata(), [factor * value for value in values])
    (noise,) = found["gradient noise scale (images)"].get_lines()
    expected = [math.nan if each.noise_scale is None else each.noise_scale for each in EVENT.insides]
    assert np.allclose(np.asarray(noise.get_ydata(), dtype=float), expected, equal_nan=True)
    assert math.isnan(expected[-1])  # the noise outweighs it there


@pytest.mark.parametrize("epochs", [1, 2, 60])
def test_any_number_of_epochs(epochs: int) -> None:
    every = tuple(insides(1 + epoch % 20) for epoch in range(epochs))
    event = replace(EVENT, epochs=tuple(range(1, epochs + 1)), insides=every)
    figure = figure_of(event)
    if epochs < 20:  # Matplotlib has labels of ticks beyond the axis, which it does not draw
        inside(figure)
    assert len(panels(figure)["weights"].get_yticklabels()) <= 16


def test_values_that_are_all_zero() -> None:
    still = replace(EVENT.insides[0].layers[0], update_norm=0.0, weight_norm=0.0, dead=0.0)
    one = replace(EVENT.insides[0], layers=(still,), gradient_square=-1.0)
    inside(figure_of(replace(EVENT, layer="conv1", epochs=(1,), insides=(one,))))


@pytest.mark.parametrize("event", [replace(EVENT, layer="fc9"), replace(EVENT, insides=(), epochs=())])
def test_what_was_not_measured_is_not_drawn(event: InsidesShown) -> None:
    with pytest.raises(RequestError, match="was not measured in run 20260101-000000-cnn: choose one of conv1"):
        figure_of(event)


def test_its_file_has_a_speaking_name(tmp_path: Path) -> None:
    assert stem_of(EVENT) == "insides-hidden-epoch-12"
    *_, saved = perform(DrawFigure(subject=EVENT, folder=str(tmp_path)), Path("nowhere"))
    assert isinstance(saved, FigureSaved)
    assert (tmp_path / "insides-hidden-epoch-12.png").is_file()
