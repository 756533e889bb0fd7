"""Certified accuracy, and the limits of one digit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from engine.bounds.certified import certified
from engine.certification import certify
from engine.certification.events import (
    CertificationAdvanced,
    CertificationMeasured,
    CertifiedPointMeasured,
    DigitCertificationAdvanced,
    DigitCertified,
)
from engine.certification.requests import Certify, CertifyDigit
from engine.data.datasets import Dataset
from engine.event import WorkAdvanced
from engine.inspection.intervals import wilson
from engine.operations import perform
from engine.request import Request, RequestError, parameters
from tests.engine.attacks.samples import NOWHERE, of, only

pytestmark = pytest.mark.numeric

CNN = "pretrained:cnn"


@pytest.mark.usefixtures("few_images")
def test_the_share_of_images_that_are_certified_by_epsilon(small: Dataset) -> None:
    events = list(perform(Certify(what=CNN, epsilons=(0.025, 0.0, 0.005), count=28), NOWHERE))
    *points, found = (each for each in events if not isinstance(each, CertificationAdvanced | WorkAdvanced))
    assert isinstance(found, CertificationMeasured)
    assert tuple(points) == found.points
    assert {type(point) for point in points} == {CertifiedPointMeasured}
    assert found.epsilons.tolist() == [0.0, 0.005, 0.025]
    images, labels = small.test.images[:28], small.test.labels[:28]
    for epsilon, point, proved, margin in zip(found.epsilons, found.points, found.certified, found.margin, strict=True):
        expected = certified(of("cnn").model, images, labels, epsilon)
        assert proved.tolist() == expected.tolist()
        assert (point.epsilon, point.count, point.certified) == (epsilon, 28, int(expected.sum()))
        assert (point.low, point.high) == wilson(point.certified, 28)
        assert ((margin > 0) == proved).all()
    with torch.inference_mode():
        logits = of("cnn").model(images).double()
    others = logits.scatter(1, labels[:, None], -torch.inf).amax(dim=1)
    assert found.margin[0] == pytest.approx((logits.gather(1, labels[:, None])[:, 0] - others).numpy())
    assert (np.diff(found.margin, axis=0) <= 0).all()
    assert 0 < found.points[2].certified < found.points[0].certified
    so_far = [each for each in events if isinstance(each, CertificationAdvanced)]
    assert [each.points[0].count for each in so_far] == [25]
    for each in so_far:
        assert (each.certified == found.certified[:, : each.points[0].count]).all()


@pytest.mark.usefixtures("few_images")
def test_the_better_bound_is_the_better_of_both() -> None:
    margins = [
        only(CertificationMeasured, Certify(what="pretrained:cnn-bn", bound=bound, epsilons=(0.003,), count=10)).margin
        for bound in ("ibp", "crown", "best")
    ]
    assert (margins[2] >= np.maximum(*margins[:2]) - 1e-9).all()
    assert (margins[0] != margins[1]).all()


@pytest.mark.usefixtures("few_images")
def test_a_digit_is_proved_to_one_epsilon_and_broken_from_another(
    small: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certify, "PROVED_TO", 5e-4)
    monkeypatch.setattr(certify, "BROKEN_TO", 1e-2)
    request = CertifyDigit(what=CNN, index=3, steps=10, restarts=2)
    *advanced, found = perform(request, NOWHERE)
    assert type(found) is DigitCertified
    image, label = small.test.images[3:4], small.test.labels[3:4]
    model = of("cnn").model
    assert certified(model, image, label, found.proved).item()
    assert not certified(model, image, label, found.proved + 5e-4).item()
    assert found.broken_from is not None
    assert found.proved < found.broken_from < 0.3
    assert np.abs(found.adversarial - found.image).max() == pytest.approx(found.broken_from)
    with torch.inference_mode():
        answer = model(torch.from_numpy(found.adversarial)[None, None]).argmax(dim=1).item()
    assert answer == found.taken_for != found.actual
    # Both limits only ever come nearer to one another.
    steps: list[Any] = [each for each in advanced if isinstance(each, DigitCertificationAdvanced)]
    assert sorted(each.proved for each in steps) == [each.proved for each in steps]
    norms = [each.broken_from for each in steps if each.broken_from is not None]
    assert sorted(norms, reverse=True) == norms
    assert len(norms) > 2
    # The command's option asks for the same.
    monkeypatch.setattr(certify, "BROKEN_TO", 0.5)
    again = only(DigitCertified, Certify(what=CNN, digit=3))
    assert again.proved == found.proved


@pytest.mark.usefixtures("few_images")
def test_nothing_is_proved_of_a_digit_that_is_misclassified(small: Dataset) -> None:
    with torch.inference_mode():
        wrong = (of("cnn").model(small.test.images).argmax(dim=1) != small.test.labels).nonzero()
    found = only(DigitCertified, CertifyDigit(what=CNN, index=int(wrong[0])))
    assert (found.proved, found.broken_from, found.taken_for) == (0.0, 0.0, found.predicted)
    assert found.predicted != found.actual


@pytest.mark.usefixtures("few_images")
@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Certify(what=CNN, digit=400), "index 400 is beyond the 400 images of the test split"),
        (CertifyDigit(what=CNN, index=400), "index 400 is beyond the 400 images of the test split"),
        (Certify(what="nothing.pth"), "there is no file nothing.pth"),
    ],
)
def test_questions_that_have_no_answer(request_: Request, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        list(perform(request_, NOWHERE))


BAD: list[tuple[type[Request], str, Any]] = [
    *((kind, name, value) for kind in (Certify, CertifyDigit) for name, value in (
        ("what", 3), ("device", "tpu"), ("split", "all"), ("dataset", "none"), ("bound", "lp"), ("mean", 101.0),
        ("std", 0.0), ("stride", 0), ("padding", 15),
    )),
    (Certify, "epsilons", ("small",)),
    (Certify, "count", 0),
    (Certify, "digit", -2),
    (CertifyDigit, "index", -1),
    (CertifyDigit, "steps", 0),
    (CertifyDigit, "restarts", 0),
    (CertifyDigit, "seed", -1),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name", "value"), BAD)
def test_bad_values_are_one_line(kind: type[Request], name: str, value: Any) -> None:
    with pytest.raises(RequestError) as caught:
        kind(**{name: value})
    assert str(caught.value).startswith(f"{name} must be ")
    assert "\n" not in str(caught.value)


def test_every_parameter_has_words_and_a_bad_value() -> None:
    for kind in (Certify, CertifyDigit):
        assert {name for each, name, _ in BAD if each is kind} == {one.label for one in parameters(kind)}
        assert all(one.help for one in parameters(kind))


def test_what_does_not_go_together_is_refused() -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"epsilons": (0.1, 1.01)}, "epsilons must be from 0 to 1"),
        ({"epsilons": (-0.1,)}, "epsilons must be from 0 to 1"),
        ({"epsilons": (0.1,), "digit": 3}, "leave epsilons out, or the digit"),
    ]
    for fields, words in cases:
        with pytest.raises(RequestError, match=words):
            Certify(**fields)
