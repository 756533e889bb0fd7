"""The figure of the user's own images: the bars are the probabilities, and nothing leaves the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from engine.figures.drawing.figure import figure_of, stem_of
from engine.figures.drawing.predictions import MOST
from engine.inspection.events import ImagesPredicted
from engine.inspection.requests import Predict
from engine.operations import perform
from tests.engine.figures.pages import caption, inside, title


@pytest.fixture(scope="module")
def event(tmp_path_factory: pytest.TempPathFactory) -> ImagesPredicted:
    folder = tmp_path_factory.mktemp("drawn")
    names = [folder / f"{name}.npy" for name in ("line", "a name as long as those that cameras give $x$")]
    np.save(names[0], np.eye(40))
    np.save(names[1], 1 - np.tri(30))
    *_, found = perform(Predict(what="pretrained:cnn", images=tuple(map(str, names))), Path("nowhere"))
    assert isinstance(found, ImagesPredicted)
    return found


def test_each_image_is_beside_its_probabilities(event: ImagesPredicted) -> None:
    figure = figure_of(event)
    inside(figure)
    images, charts = figure.axes[::2], figure.axes[1::2]
    for number, (image, chart) in enumerate(zip(images, charts, strict=True)):
        assert np.array_equal(np.asarray(image.images[0].get_array()), event.images[number])
        heights = [bar.get_height() for bar in chart.patches]  # type: ignore[attr-defined]
        assert heights == pytest.approx([100 * share for share in event.probabilities[number]])
        answer = event.predictions[number]
        assert chart.get_title() == f"{answer} ({100 * event.probabilities[number][answer]:.2f} %)"
    assert images[0].get_title() == "line.npy"
    assert title(figure) == "Predictions for 2 images"
    assert "centred by mass" in caption(figure)
    assert stem_of(event) == "predictions-2"


def test_many_images_and_one(event: ImagesPredicted) -> None:
    times = MOST // 2 + 1
    many = replace(
        event,
        centred=False,
        files=event.files * times,
        predictions=event.predictions * times,
        probabilities=event.probabilities * times,
        images=np.tile(event.images, (times, 1, 1)),
    )
    figure = figure_of(many)
    assert len(figure.axes) == 2 * MOST
    assert f"first {MOST} of {MOST + 2}" in caption(figure)
    assert "only resized to 28x28" in caption(figure)
    one = replace(event, files=event.files[1:], predictions=event.predictions[1:])
    one = replace(one, probabilities=event.probabilities[1:], images=event.images[1:])
    inside(figure_of(one))
    assert title(figure_of(one)) == "Prediction for an image"
