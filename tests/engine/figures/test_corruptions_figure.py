"""The figure of corruptions: the numbers drawn are those of the event, and nothing leaves the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from msgspec.structs import replace

from engine.corruptions.events import CorruptionsMeasured, DigitCorrupted
from engine.corruptions.requests import CORRUPTION_TITLES, MeasureCorruptions, ShowCorruptions
from engine.figures.drawing.figure import figure_of, stem_of
from engine.figures.drawing.page import VERMILLION
from engine.operations import perform
from engine.request import Request
from tests.engine.figures.pages import caption, inside, title

pytestmark = pytest.mark.usefixtures("few_images")
CNN, NORMED = "pretrained:cnn", "pretrained:cnn-bn"


def asked(request: Request) -> Any:
    *_, last = perform(request, Path("nowhere"))
    return last


def test_a_digit_under_all_corruptions() -> None:
    event = asked(ShowCorruptions(what=CNN, others=(NORMED,)))
    assert isinstance(event, DigitCorrupted)
    figure = figure_of(event)
    inside(figure)
    (axes,) = figure.axes
    words = [(text.get_text(), text.get_color()) for text in axes.texts]
    assert {CORRUPTION_TITLES[name] for name in event.corruptions} <= {text for text, _ in words}
    wrong = sum(answer != event.actual for answers in event.predicted for answer in answers)
    assert sum(colour == VERMILLION for _, colour in words) == wrong > 0
    assert f"{event.predicted[0][0]} ({100 * event.probabilities[0, 0].max():.1f} %)" in [text for text, _ in words]
    assert title(figure) == "The same image under 15 corruptions"
    assert "reimplemented after Mu and Gilmer (2019)" in caption(figure)
    assert stem_of(event) == "corruptions-test-61"


def bars(figure: Figure) -> list[np.ndarray]:
    """(low, high) of each interval, in per cent: a row for each network and corruption."""
    chart = figure.axes[1]
    return [np.array(bar)[:, 0] for container in chart.containers for bar in container[2][0].get_segments()]


@pytest.mark.parametrize("names", [(), ("fog", "stripe")])
def test_accuracies_with_their_intervals(names: tuple[Any, ...]) -> None:
    event = asked(MeasureCorruptions(what=CNN, others=(NORMED,), corruptions=names, count=30))
    assert isinstance(event, CorruptionsMeasured)
    figure = figure_of(event)
    inside(figure)
    expected = np.array([(100 * point.low, 100 * point.high) for point in event.points])
    accuracies = np.array([100 * point.accuracy for point in event.points])
    drawn = np.array(bars(figure))
    assert drawn[:, 0] == pytest.approx(np.minimum(expected[:, 0], accuracies))
    assert drawn[:, 1] == pytest.approx(np.maximum(expected[:, 1], accuracies))
    chart = figure.axes[1]
    labels = [label.get_text() for label in chart.get_yticklabels()]
    assert labels == [CORRUPTION_TITLES[name] for name in event.corruptions]
    assert title(figure) == "Accuracy on corrupted images"
    assert "30 images" in caption(figure)


def test_eight_networks_with_long_names_stay_on_the_page() -> None:
    event = asked(MeasureCorruptions(what=CNN, corruptions=("fog",), count=5))
    networks = tuple(f"{number}-a-network-with-a-name-of-many-words-and-letters" for number in range(8))
    many = replace(
        event,
        name=networks[0],
        networks=networks,
        points=tuple(replace(point, network=network) for network in networks for point in event.points),
        predicted=event.predicted * 8,
        probabilities=event.probabilities.repeat(8, axis=0),
    )
    inside(figure_of(many))
