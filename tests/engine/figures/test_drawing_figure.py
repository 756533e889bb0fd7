"""The figure of a drawing: the numbers drawn are those of the event, and nothing leaves the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.attribution.events import DrawingExplained
from engine.attribution.requests import DrawingBaseline, ExplainDrawing
from engine.figures.drawing.figure import figure_of, stem_of
from engine.operations import perform
from tests.engine.figures.pages import caption, inside, title


def explained(baseline: DrawingBaseline, *, raw: bool) -> DrawingExplained:
    drawn = np.zeros((28, 28), np.uint8)
    drawn[4:22, 12:15] = 255
    request = ExplainDrawing(what="pretrained:cnn", device="cpu", pixels=drawn.tobytes(), raw=raw, baseline=baseline)
    (event,) = perform(request, Path("nowhere"))
    assert isinstance(event, DrawingExplained)
    return event


@pytest.mark.parametrize(("baseline", "raw"), [("zero", False), ("one", True)])
def test_a_drawing_is_beside_why_it_is_taken_for_that(baseline: DrawingBaseline, raw: bool) -> None:
    event = explained(baseline, raw=raw)
    figure = figure_of(event, colours="viridis", shared_range=True)
    inside(figure)
    received, drop, _, chart, conv1, conv2 = figure.axes
    assert np.array_equal(np.asarray(received.images[0].get_array()), event.images[0])
    assert np.array_equal(np.asarray(drop.images[0].get_array()), event.drop)
    heights = [bar.get_height() for bar in chart.patches]  # type: ignore[attr-defined]
    assert heights == pytest.approx([100 * share for share in event.probabilities[0]])
    answer = event.predictions[0]
    assert chart.get_title() == f"predicted {answer} ({100 * event.probabilities[0][answer]:.2f} %)"
    assert drop.get_title() == f"drop of p({answer}), {'black' if baseline == 'zero' else 'white'} patch"
    for axes, maps, channels, strengths in (
        (conv1, event.conv1, event.conv1_channels, event.conv1_strengths),
        (conv2, event.conv2, event.conv2_channels, event.conv2_strengths),
    ):
        _, *labels = [text.get_text() for text in axes.texts]
        assert labels == [f"{each}: {mean:.3f}" for each, mean in zip(channels, strengths, strict=True)]
        pixels: np.ndarray = np.ma.asarray(axes.images[0].get_array()).filled(np.nan)
        assert np.nanmax(pixels) == pytest.approx(maps.max(), rel=1e-5)
        assert np.isfinite(pixels).sum() == maps.size * (pixels.shape[0] // maps.shape[1]) ** 2
    assert title(figure) == "Prediction for a drawing"
    assert ("as drawn" if raw else "centred by mass") in caption(figure)
    assert "patch of 7x7, stride 3" in caption(figure)
    assert stem_of(event) == f"drawing-as-{answer}"
