"""Figures of several networks: on one scale, each with its name, and nothing leaves the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from msgspec.structs import replace

from engine.attacks.events import AttackFinished
from engine.attacks.requests import AttackNoise
from engine.attribution.events import ClassOcclusionReady, FaithfulnessMeasured
from engine.attribution.requests import Attribute, Occlude
from engine.data.datasets import Dataset
from engine.figures.drawing.figure import figure_of, stem_of
from engine.inspection.events import FiltersShown
from engine.inspection.requests import Evaluate, ShowFilters
from engine.operations import perform
from engine.request import Request, RequestError
from tests.conftest import patch_load
from tests.engine.figures.pages import caption, inside, title

CNN, NORMED = "pretrained:cnn", "pretrained:cnn-bn"
LONG = "20261122-213000-a-run-of-a-long-name-that-does-not-fit-anywhere"


@pytest.fixture(scope="module", autouse=True)
def few_images(small: Dataset) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch_load(patch, small, "engine.inspection.loaded")
        yield


def asked(request: Request) -> Any:
    *_, last = perform(request, Path("nowhere"))
    return last


def several(event: Any, count: int) -> tuple[Any, ...]:
    """The event of `count` networks."""
    names = [CNN, "pretrained:cnn-certified", LONG, "robust.pt"]
    return tuple(replace(event, name=name) for name in names[:count])


def titles(figure: Figure) -> list[str]:
    return [axes.get_title().replace("\n", "") for axes in figure.axes if axes.get_title()]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_filters_have_one_range(count: int) -> None:
    event: FiltersShown = asked(ShowFilters(what=CNN))
    first, *others = several(event, count)
    events = (replace(first, weights=2 * first.weights), *others)
    figure = figure_of(events, colours="diverging")
    inside(figure)
    images = [axes.images[0] for axes in figure.axes if axes.images]
    most = 2 * float(np.abs(event.weights).max())
    assert len(images) == count
    assert all(image.get_clim() == pytest.approx((-most, most)) for image in images)
    drawn = np.asarray(images[-1].get_array())
    assert set(np.unique(drawn[np.isfinite(drawn)])) == set(np.unique(events[-1].weights))
    assert titles(figure)[0] == CNN
    told = {axes.get_xlabel() for axes in figure.axes if axes.images}
    kinds = f"{event.near_zero} near zero, {event.one_pixel} single-pixel"
    assert told == {f"{kinds}\nmean size {event.mean_size:.3f}"}
    assert stem_of(events).startswith("filters-conv1-")
    assert stem_of(events).endswith("-side-by-side")


@pytest.mark.parametrize("count", [1, 4])
def test_occlusion_maps_have_one_range(count: int) -> None:
    event: ClassOcclusionReady = asked(Occlude(what=CNN, stride=4, average=2, baseline="one"))
    first, *others = several(event, count)
    events = (replace(first, mean_probabilities=first.mean_probabilities / 2), *others)
    figure = figure_of(events, colours="viridis")
    inside(figure)
    image, *maps = [axes for axes in figure.axes if axes.images][: count + 1]
    assert np.asarray(image.images[0].get_array()) == pytest.approx(event.mean_image)
    every = np.concatenate([each.mean_probabilities for each in events])
    for axes, each in zip(maps, events, strict=True):
        assert np.asarray(axes.images[0].get_array()) == pytest.approx(each.mean_probabilities)
        assert axes.images[0].get_clim() == pytest.approx((every.min(), every.max()))
        assert f"drop over strokes: {100 * each.strokes.drop:.2f} %" in axes.get_xlabel()
    assert "patch 8x8 of 1, stride 4" in caption(figure)
    assert f"Mean probability of {event.digit}" in title(figure)


@pytest.mark.parametrize("count", [1, 4])
def test_deletion_and_insertion_of_each_network(count: int) -> None:
    event: FaithfulnessMeasured = asked(Attribute(what=CNN, method="saliency", digits=3))
    events = several(event, count)
    figure = figure_of(events)
    inside(figure)
    assert len(figure.axes) == 2 * count
    for row, curve in enumerate(("deletion", "insertion")):
        lines = figure.axes[row].get_lines()
        for line, each in zip(lines, event.faithfulness, strict=False):
            assert np.asarray(line.get_ydata()).tolist() == pytest.approx(list(getattr(each, curve).values))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["saliency", "random order"]
    assert "the first 3 images" in caption(figure)


@pytest.mark.parametrize("count", [1, 4])
def test_images_from_noise_in_rows(count: int) -> None:
    event: AttackFinished = asked(AttackNoise(what=CNN, classes="380", steps=3))
    figure = figure_of(several(event, count))
    inside(figure)
    assert len(figure.axes) == count
    assert [text.get_text() for text in figure.axes[0].texts] == ["3", "8", "0"]
    drawn = np.asarray(figure.axes[0].images[0].get_array())
    assert drawn[:28, :28] == pytest.approx(event.adversarial[0])
    names = [text.get_text().replace("\n", "") for text in figure.texts]
    assert CNN in names


def test_only_of_events_of_one_kind() -> None:
    with pytest.raises(RequestError, match="no figure of several SplitEvaluated: choose filters"):
        figure_of((asked(Evaluate(what=NORMED)),) * 2)
