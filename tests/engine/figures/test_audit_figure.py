"""The figure of an audit: the numbers drawn are those of the event, and nothing leaves the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from engine.figures.drawing.figure import figure_of, stem_of
from engine.figures.drawing.page import VERMILLION
from engine.inspection.audit_events import NetworksAudited
from engine.inspection.requests import Audit
from engine.operations import perform
from tests.engine.figures.pages import caption, inside, title

pytestmark = pytest.mark.usefixtures("few_images")
CNN, NORMED = "pretrained:cnn", "pretrained:cnn-bn"


def asked(request: Audit) -> NetworksAudited:
    *_, last = perform(request, Path("nowhere"))
    assert isinstance(last, NetworksAudited)
    return last


def test_the_diagram_the_classes_and_the_digits() -> None:
    event = asked(Audit(what=CNN, others=(NORMED,), count=14))
    figure = figure_of(event)
    inside(figure)
    diagram, classes, gallery = figure.axes
    curves: list[Any] = [container[0] for container in diagram.containers]
    wanted = [bins for each in event.audits for bins in (each.bins, each.bins_calibrated)]
    assert len(curves) == len(wanted) == 4
    for curve, bins in zip(curves, wanted, strict=True):
        assert curve.get_xdata() == pytest.approx([100 * each.confidence for each in bins])
        assert curve.get_ydata() == pytest.approx([100 * each.accuracy for each in bins])
    drawn = np.array([line.get_xdata() for line in classes.lines])  # precision, recall and F1 of each network
    for each, rows in zip(event.audits, (drawn[:3], drawn[3:]), strict=True):
        expected = [[100 * getattr(of, name) for of in each.classes] for name in ("precision", "recall", "f1")]
        assert rows == pytest.approx(np.array(expected))
    words = [(text.get_text(), text.get_color()) for text in gallery.texts]
    wrong = sum(digit.predicted != digit.actual for digit in event.digits)
    assert sum(colour == VERMILLION for _, colour in words) == wrong > 0
    for digit in event.digits:
        assert f"{digit.index}: {digit.actual}" in [text for text, _ in words]
    assert title(figure) == "Audit on 400 mnist test images"
    assert "15 bins of equal mass" in caption(figure)
    assert stem_of(event) == "audit-mnist-test"


def test_many_networks_with_long_names_stay_on_the_page() -> None:
    event = asked(Audit(what=CNN, count=3))
    names = [f"{number}-a-network-with-a-name-of-many-words-and-letters" for number in range(8)]
    first, *others = (replace(event, name=name) for name in names)
    inside(figure_of(replace(first, others=tuple(others))))
