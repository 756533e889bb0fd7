"""The figures of proofs: what is on them, and that nothing leaves the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from engine.certification.events import CertificationMeasured, DigitCertified
from engine.certification.requests import Certify, CertifyDigit
from engine.figures.drawing.figure import figure_of, stem_of
from engine.operations import perform
from tests.engine.figures.pages import caption, inside, title

CNN = "pretrained:cnn"


@pytest.mark.usefixtures("few_images")
def test_certified_accuracy_by_epsilon() -> None:
    *_, event = perform(Certify(what=CNN, bound="ibp", epsilons=(0.0, 0.002, 0.01), count=30), Path("nowhere"))
    assert isinstance(event, CertificationMeasured)
    figure = figure_of(event)
    inside(figure)
    (line,) = figure.axes[0].lines
    assert np.asarray(line.get_xydata()) == pytest.approx(
        np.array([(point.epsilon, 100 * point.certified_accuracy) for point in event.points])
    )
    assert "proved by interval bounds" in caption(figure)
    assert stem_of(event) == "certified-ibp-30"


@pytest.mark.usefixtures("few_images")
def test_one_digit_and_what_breaks_it() -> None:
    *_, event = perform(CertifyDigit(what=CNN, index=3, bound="ibp", steps=5, restarts=1), Path("nowhere"))
    assert isinstance(event, DigitCertified)
    figure = figure_of(event)
    inside(figure)
    assert "proved to {}, broken from {}".format(*event.limits) in title(figure)
    assert stem_of(event) == "certified-ibp-test-3"
    unbroken = figure_of(replace(event, broken_from=None, taken_for=-1, adversarial=event.image))
    inside(unbroken)
    assert "not broken" in title(unbroken)
