"""The figure of a map: every point is drawn in the colour of its class, mistakes are crosses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from msgspec.structs import replace

from engine.figures.drawing.figure import figure_of, stem_of
from engine.figures.drawing.page import CLASS_COLOURS
from engine.inspection.map_events import ImagesEmbedded
from engine.inspection.requests import Embed
from engine.operations import perform
from engine.words import percent
from tests.engine.figures.pages import inside, title
from tui.drawing.theme import LIGHT

pytestmark = pytest.mark.usefixtures("few_images")


@pytest.fixture
def event() -> ImagesEmbedded:
    *_, last = perform(Embed(what="pretrained:cnn", device="cpu", count=400), Path())
    assert isinstance(last, ImagesEmbedded)
    predictions = last.predictions.copy()
    predictions[:3] = (last.labels[:3] + 1) % 10  # some mistakes
    return replace(last, predictions=predictions)


def test_all_points_are_drawn_by_class(event: ImagesEmbedded) -> None:
    figure = figure_of(event)
    (axes,) = figure.axes
    drawn = [each for each in axes.collections if isinstance(each, PathCollection)]
    right, wrong = drawn[:10], drawn[10:]
    mistake = event.predictions != event.labels
    for number, points in enumerate(right):
        own = event.points[(event.labels == number) & ~mistake]
        np.testing.assert_allclose(np.asarray(points.get_offsets()), own)
        assert tuple(np.asarray(points.get_facecolor())[0, :3]) == pytest.approx(to_rgb(CLASS_COLOURS[number]))
    crosses = np.concatenate([np.asarray(each.get_offsets()) for each in wrong[1::2]])
    np.testing.assert_allclose(np.sort(crosses, axis=0), np.sort(event.points[mistake], axis=0))
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [*map(str, range(10)), f"wrong ({event.mistakes})"]


def test_titles_axes_and_the_name_of_the_file(event: ImagesEmbedded) -> None:
    figure = figure_of(event)
    (axes,) = figure.axes
    assert event.explained is not None
    assert event.same_class is not None
    assert title(figure) == "PCA of the last hidden layer, 400 images of mnist test"
    assert axes.get_xlabel() == f"Component 1 ({percent(event.explained[0])} of the variance)"
    box = axes.get_window_extent()
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert (right - left) / box.width == pytest.approx((top - bottom) / box.height)
    assert left < event.points[:, 0].min() < event.points[:, 0].max() < right
    assert bottom < event.points[:, 1].min() < event.points[:, 1].max() < top
    assert any(percent(event.same_class) in text.get_text() for text in figure.texts)
    assert stem_of(event) == "map-pca-hidden-test"
    assert stem_of(replace(event, layer="block2", epochs=(0, 1), epoch=1)) == "map-pca-block2-test-epoch-1"
    inside(figure)


def test_settings_of_t_sne_are_in_the_small_print(event: ImagesEmbedded) -> None:
    event = replace(event, name="a run with a long name" * 2, method="tsne", explained=None, perplexity=30.0, seed=7)
    figure = figure_of(event)
    assert any("50 of 500 dimensions · perplexity 30 · seed 7" in text.get_text() for text in figure.texts)
    assert not figure.axes[0].get_xticks().size
    inside(figure)


def test_the_colours_are_those_of_the_screen() -> None:
    assert [LIGHT.variables[f"class-{number}"].upper() for number in range(10)] == list(CLASS_COLOURS)
