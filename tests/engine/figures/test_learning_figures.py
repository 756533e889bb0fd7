"""The figures of a learning-rate range test and of learning: what is drawn is the event's, and stays on the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from engine.event import Progress
from engine.figures.drawing.figure import figure_of, stem_of
from engine.inspection.learning_events import LearningShown
from engine.inspection.requests import ShowLearning
from engine.operations import perform
from engine.request import RequestError
from engine.training.events import LearningRateFound
from engine.training.requests import FindLearningRate
from tests.engine.figures.pages import caption, inside, title
from tests.learning import find_learning_rate, recognised, run_that_recognised


def of_rates() -> LearningRateFound:
    *_, last = find_learning_rate(FindLearningRate(batch_norm=True, objective="fgsm"), Path())
    assert isinstance(last, LearningRateFound)
    return last


def learned(root: Path, right: np.ndarray | None = None) -> LearningShown:
    run = run_that_recognised(root, "a-run", right)
    *_, last = (each for each in perform(ShowLearning(what=str(run.path)), root) if not isinstance(each, Progress))
    assert isinstance(last, LearningShown)
    return last


def test_the_losses_and_the_suggestion() -> None:
    event = of_rates()
    figure = figure_of(event)
    inside(figure)
    (axes,) = figure.axes
    curves: list[Any] = list(axes.lines)
    raw, smoothed, *marks = curves
    assert list(raw.get_xdata()) == list(smoothed.get_xdata()) == list(event.rates)
    assert list(raw.get_ydata()) == list(event.losses)
    assert list(smoothed.get_ydata()) == list(event.smoothed)
    assert [line.get_xdata()[0] for line in marks] == [event.steepest, event.rises_from, event.suggested]
    assert axes.get_xscale() == "log"
    assert axes.get_xlim() == pytest.approx((1e-6, 1.0))
    low, high = axes.get_ylim()
    assert low < min(event.smoothed) <= max(event.smoothed) < high
    assert event.words in [text.get_text() for text in figure.texts]
    assert title(figure) == "Loss by learning rate"
    assert "cnn-bn · mnist · objective fgsm · batch size 64 · seed 0" in caption(figure)
    assert stem_of(event) == "learning-rate-cnn-bn-fgsm"
    assert stem_of(replace(event, objective="clean")) == "learning-rate-cnn-bn"


def test_what_says_nothing_is_drawn_without_marks() -> None:
    event = replace(of_rates(), steepest=None, rises_from=None, suggested=None)
    figure = figure_of(event)
    inside(figure)
    assert len(figure.axes[0].lines) == 2
    with pytest.raises(RequestError, match="nothing to draw: no suggestion: the loss is not a finite number"):
        figure_of(replace(event, rates=(), losses=(), smoothed=()))


@pytest.mark.usefixtures("few_images")
def test_what_was_learned_and_forgotten(tmp_path: Path) -> None:
    event = learned(tmp_path)
    figure = figure_of(event)
    inside(figure)
    by_epoch, by_times, *galleries = figure.axes
    curves: list[Any] = list(by_epoch.lines)
    bars: list[Any] = list(by_times.patches)
    wrong, gained, lost = curves
    assert list(wrong.get_ydata()) == [400 - right for right in event.right]
    assert list(gained.get_ydata()) == list(event.learned[1:])
    assert list(lost.get_ydata()) == list(event.forgotten[1:])
    assert list(lost.get_xdata()) == list(event.epochs[1:])
    assert [bar.get_height() for bar in bars] == list(event.by_forgetting[1:])
    assert len(galleries) == 3
    for axes, digits in zip(galleries, (event.most_forgotten, event.last_learned, event.never_right), strict=True):
        words = [text.get_text() for text in axes.texts]
        assert words[::2] == [str(digit.index) for digit in digits[:16]]
    first = event.most_forgotten[0]
    assert f"{first.label}, {first.forgotten}x" in [text.get_text() for text in galleries[0].texts]
    assert title(figure) == "Learning of 400 mnist test digits"
    assert "epochs 1 to 7" in caption(figure)
    assert stem_of(event) == "learned-mnist-test"


@pytest.mark.usefixtures("few_images")
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_one_epoch_is_drawn_too(tmp_path: Path, share: float) -> None:
    """Nothing is forgotten after one epoch, whatever it recognised."""
    right = recognised(epochs=1)
    right[0] = np.arange(400) < 400 * share
    event = learned(tmp_path, right)
    inside(figure_of(event))
    assert event.by_forgetting == (400 * share,)
