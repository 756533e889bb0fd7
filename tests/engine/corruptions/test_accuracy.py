"""Accuracy on corrupted images: what is counted, in which order it is told, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from engine.corruptions.events import CorruptionMeasured, CorruptionsAdvanced, CorruptionsMeasured, DigitCorrupted
from engine.corruptions.images import corrupted
from engine.corruptions.requests import CLEAN, CORRUPTIONS, MeasureCorruptions, ShowCorruptions
from engine.data.datasets import Dataset
from engine.event import Event, WorkAdvanced, to_json
from engine.inspection.intervals import wilson
from engine.network.checkpoints import load_weights
from engine.operations import OPERATIONS, end, perform
from engine.request import Request, RequestError
from engine.runs.finding import pretrained

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("few_images")]
CNN, NORMED = "pretrained:cnn", "pretrained:cnn-bn"
NOWHERE = Path("nowhere")


def events(request: Request) -> list[Event]:
    return list(perform(request, NOWHERE))


def test_what_is_counted(small: Dataset) -> None:
    names = ("translate", "stripe")
    request = MeasureCorruptions(what=CNN, others=(NORMED,), corruptions=("stripe", "translate"), count=1000, seed=2)
    *_, found = events(request)
    assert type(found) is CorruptionsMeasured
    assert (found.networks, found.corruptions, found.asked) == ((CNN, NORMED), (CLEAN, *names), 400)
    assert [(point.network, point.name) for point in found.points] == [
        (network, name) for network in (CNN, NORMED) for name in (CLEAN, *names)
    ]
    for variant in ("cnn", "cnn-bn"):
        model = load_weights(pretrained(variant).model_file).eval()
        for name in (CLEAN, *names):
            point = found.of(f"pretrained:{variant}")[name]
            with torch.inference_mode():
                answers = model(corrupted(name, small.test.images, range(400), 2)).argmax(dim=1)  # type: ignore[arg-type]
            assert (point.count, point.correct) == (400, int((answers == small.test.labels).sum()))
            assert point.accuracy == point.correct / 400
            assert (point.low, point.high) == wilson(point.correct, 400)
        both = [found.of(f"pretrained:{variant}")[name].accuracy for name in names]
        assert found.mean(f"pretrained:{variant}") == pytest.approx(sum(both) / 2)


def test_accuracies_grow_batch_by_batch_and_are_told_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.corruptions.accuracy.EVALUATION_BATCH", 20)
    told = events(MeasureCorruptions(what=CNN, corruptions=("stripe", "scale"), count=50))
    steps = [event for event in told if isinstance(event, WorkAdvanced)]
    assert [(step.done, step.total) for step in steps] == [(done, 9) for done in range(1, 10)]
    parts = [event for event in told if isinstance(event, CorruptionsAdvanced)]
    assert [{point.count for point in part.points} for part in parts] == [{20}, {40}]
    *points, whole = told[-4:]
    assert isinstance(whole, CorruptionsMeasured)
    assert [event.name for event in points if isinstance(event, CorruptionMeasured)] == ["clean", "scale", "stripe"]
    assert whole.points == tuple(points)
    plain = msgspec.json.decode(to_json(points[0]))
    assert plain["name"] == "clean"
    assert {"accuracy", "low", "high", "network"} <= plain.keys()


def test_it_can_be_stopped() -> None:
    work = perform(MeasureCorruptions(what=CNN, count=400), NOWHERE)
    assert isinstance(next(work), WorkAdvanced)
    assert list(end(work)) == []


def test_the_digit_is_what_the_networks_see(small: Dataset) -> None:
    (found,) = events(ShowCorruptions(what=CNN, others=(NORMED,), index=7, seed=1))
    assert type(found) is DigitCorrupted
    assert (found.count, found.actual, found.corruptions) == (400, int(small.test.labels[7]), (CLEAN, *CORRUPTIONS))
    assert (found.images.shape, found.probabilities.shape) == ((16, 28, 28), (2, 16, 10))
    assert np.array_equal(found.images[0], small.test.images[7, 0].numpy())
    fog = corrupted("fog", small.test.images[7:8], (7,), 1)
    assert found.images[1 + CORRUPTIONS.index("fog")] == pytest.approx(fog[0, 0].numpy(), abs=1e-6)
    model = load_weights(pretrained("cnn").model_file).eval()
    with torch.inference_mode():
        expected = torch.softmax(model(torch.from_numpy(found.images)[:, None]), dim=1).numpy()
    assert found.probabilities[0] == pytest.approx(expected, abs=1e-5)
    assert found.predicted == tuple(map(tuple, found.probabilities.argmax(axis=2).tolist()))
    assert found.wrong(0) == sum(answer != found.actual for answer in found.predicted[0][1:])
    # The measurement has the same digit.
    *_, whole = events(MeasureCorruptions(what=CNN, others=(NORMED,), index=7, seed=1, count=1))
    assert isinstance(whole, CorruptionsMeasured)
    assert np.array_equal(whole.images, found.images)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"what": "pretrained:x"}, "there is no pretrained:x"),
        ({"index": 400}, "index 400 is beyond the 400 images of the test split"),
        ({"others": (CNN,)}, "name each network once"),
        ({"others": ("nothing.pth",)}, "nothing.pth"),
    ],
)
@pytest.mark.parametrize("kind", [ShowCorruptions, MeasureCorruptions])
def test_what_does_not_exist_is_refused(kind: type[Request], fields: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        events(kind(**{"what": CNN, **fields}))


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("corruptions", ("snow",), "corruptions must be some of shot-noise, impulse-noise"),
        ("corruptions", ("fog", "fog"), "a corruption is listed twice: name each corruption once"),
        ("others", ("a",) * 8, "others must be"),
        ("count", 0, "count must be a whole number from 1 to 60000, not 0"),
        ("index", -1, "index must be"),
        ("seed", 2**31, "seed must be"),
        ("split", "all", "split must be one of train, val, test"),
    ],
)
def test_bad_values_are_refused_in_one_line(field: str, value: Any, words: str) -> None:
    with pytest.raises(RequestError) as caught:
        MeasureCorruptions(**{field: value})
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)


def test_requests_survive_json_and_have_a_function() -> None:
    for request in (MeasureCorruptions(what=CNN, corruptions=("fog",), others=(NORMED,)), ShowCorruptions(index=3)):
        assert msgspec.json.decode(msgspec.json.encode(request), type=type(request)) == request
        assert OPERATIONS[type(request)].lane == "analysis"
