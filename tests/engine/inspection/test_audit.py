"""The audit, held against naive counts and against the networks' own predictions."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.data.datasets import Dataset
from engine.event import Progress, WorkAdvanced, arrays, to_json
from engine.inspection.audit import class_scores
from engine.inspection.audit_events import NetworksAudited
from engine.inspection.label_errors import disputed_labels
from engine.inspection.loaded import load_network
from engine.inspection.requests import Audit
from engine.inspection.survey import survey_of
from engine.network.checkpoints import load_weights, save_weights
from engine.network.requests import Inspect
from engine.operations import perform
from engine.request import RequestError
from engine.runs.finding import pretrained
from tests.conftest import patch_load

pytestmark = pytest.mark.numeric
CNN, NORMED = "pretrained:cnn", "pretrained:cnn-bn"
NOWHERE = Path("no-such-folder")


@pytest.fixture(scope="module")
def few(mnist: Dataset) -> Dataset:
    """A thousand images of the test split, and of the validation split enough for a mistake of each network."""
    return Dataset("mnist", mnist.train.first(10), mnist.val.first(750), mnist.test.first(1000))


@pytest.fixture
def images(few: Dataset, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """The same, which audits are on."""
    patch_load(monkeypatch, few, "engine.inspection.loaded")
    return few


def audited(request: Audit) -> NetworksAudited:
    (event,) = (event for event in perform(request, NOWHERE) if not isinstance(event, Progress))
    assert isinstance(event, NetworksAudited)
    return event


def probabilities(what: str, images: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return load_network(Inspect(what=what, device="cpu"), NOWHERE).model.probabilities(images)


def test_scores_by_class_are_those_of_a_naive_count() -> None:
    random = np.random.default_rng(0)
    labels, predictions = random.integers(9, size=200), random.integers(1, 10, size=200)
    labels[0], predictions[0] = 9, 9
    found = class_scores(torch.from_numpy(labels), torch.from_numpy(predictions))
    pairs = list(zip(labels.tolist(), predictions.tolist(), strict=True))
    for number, scores in enumerate(found):
        hits = sum(label == number == predicted for label, predicted in pairs)
        wrongly = sum(label != number == predicted for label, predicted in pairs)
        missed = sum(label == number != predicted for label, predicted in pairs)
        assert (scores.count, scores.predicted) == (hits + missed, hits + wrongly)
        assert scores.recall == pytest.approx(hits / (hits + missed))
        if number:
            assert scores.precision == pytest.approx(hits / (hits + wrongly))
        assert scores.f1 == pytest.approx(2 * hits / (2 * hits + wrongly + missed))
    assert math.isnan(found[0].precision)  # nothing is predicted as 0
    nowhere = class_scores(torch.tensor([1]), torch.tensor([1]))[3]
    assert all(map(math.isnan, (nowhere.precision, nowhere.recall, nowhere.f1)))


def test_two_networks(images: Dataset) -> None:
    event = audited(Audit(what=CNN, others=(NORMED,), device="cpu", count=20))
    assert [each.name for each in event.audits] == [CNN, NORMED]
    labels = images.test.labels
    each_ones = [probabilities(what, images.test.images).double() for what in (CNN, NORMED)]
    for each, own in zip(event.audits, each_ones, strict=True):
        right = own.argmax(dim=1) == labels
        assert (each.count, each.split) == (1000, "test")
        assert each.accuracy == pytest.approx(right.double().mean().item())
        assert each.accuracy_without_doubtful == pytest.approx(right[torch.arange(1000) != 947].double().mean().item())
        assert each.ece_low <= each.ece <= each.ece_high
        assert each.loss_calibrated < each.loss  # its temperature is fitted on other images
        assert each.temperature > 1
        assert sum(scores.count for scores in each.classes) == 1000
        assert len(each.bins) == len(each.bins_calibrated) == 15
    # The least believed labels, by the geometric mean of both networks, which is normalised.
    pooled = (each_ones[0] * each_ones[1]).sqrt()
    believed = pooled[torch.arange(1000), labels] / pooled.sum(dim=1)
    assert event.self_confidence == pytest.approx(believed.numpy(), abs=1e-5)
    assert event.doubtful == tuple(np.argsort(event.self_confidence, kind="stable")[:20].tolist())
    assert torch.equal(torch.from_numpy(event.images), images.test.images[list(event.doubtful), 0])
    for digit, index in zip(event.digits, event.doubtful, strict=True):
        assert (digit.index, digit.actual) == (index, labels[index].item())
        assert digit.probabilities[digit.actual] == pytest.approx(event.self_confidence[index])
        assert digit.probability == max(digit.probabilities) == digit.probabilities[digit.predicted]
    # Of the published labels, only one is among a thousand images.
    assert [each.index for each in event.known] == [947]
    assert event.known_found == (947 in event.doubtful)


def test_the_temperature_knows_nothing_of_the_test_split(images: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    before = audited(Audit(what=CNN, device="cpu"))
    other = Dataset("mnist", images.train, images.val, images.test.first(100))
    patch_load(monkeypatch, other, "engine.inspection.loaded")
    after = audited(Audit(what=CNN, device="cpu"))
    assert after.temperature == before.temperature
    assert after.count == 100
    assert (after.known, after.known_found, after.accuracy_without_doubtful) == ((), None, None)


def test_it_is_the_same_each_time_and_another_seed_moves_only_the_intervals(images: Dataset) -> None:
    request = Audit(what=CNN, device="cpu", count=3)
    first, again = audited(request), audited(request)
    assert to_json(first) == to_json(again)
    other = audited(Audit(what=CNN, device="cpu", count=3, seed=1))
    assert (other.ece_low, other.ece_high) != (first.ece_low, first.ece_high)
    names = [name for name in first.__struct_fields__ if "_low" not in name and "_high" not in name and name != "seed"]
    for name in names:
        assert np.array_equal(getattr(other, name), getattr(first, name)), name


def test_progress_goes_over_both_splits_of_each_network(images: Dataset) -> None:
    survey_of.cache_clear()  # otherwise the test split is done already
    work = [e for e in perform(Audit(what=CNN, others=(NORMED,), device="cpu"), NOWHERE) if isinstance(e, WorkAdvanced)]
    assert [e.done for e in work] == list(range(250, 3501, 250))
    assert {e.total for e in work} == {3500}
    assert {e.words for e in work} == {f"audit of {CNN}", f"audit of {NORMED}"}


def test_json_has_the_fields_and_no_arrays(images: Dataset) -> None:
    event = audited(Audit(what=CNN, device="cpu", count=4))
    found = json.loads(to_json(event))
    assert len(found["doubtful"]) == 4
    assert len(found["classes"]) == 10
    assert {"precision", "recall", "f1"} <= found["classes"][0].keys()
    assert set(arrays(event)) == {"self_confidence", "images"}


def test_the_published_labels_are_those_of_the_test_split(mnist: Dataset) -> None:
    known = disputed_labels("mnist", 10_000)
    assert [each.index for each in known] == [
        *(947, 1621, 1901, 2130, 2462, 2597, 2654, 3520, 3558, 5937, 6651, 6783, 8527, 9679, 9729)
    ]
    for each in known:
        assert each.label == mnist.test.labels[each.index]
        assert each.for_label + each.for_other + each.for_neither == 5
        assert each.for_label < 3
    assert len(disputed_labels("mnist", 2000)) == 3
    assert disputed_labels("kmnist", 10_000) == ()


def test_a_damaged_list_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("engine.inspection.label_errors.asset", tmp_path.joinpath)
    with pytest.raises(RequestError, match=r"mnist-test\.json is missing or damaged .*: reinstall mnist-tui"):
        disputed_labels("mnist", 10_000)


def test_a_network_without_numbers(images: Dataset, tmp_path: Path) -> None:
    model = load_weights(pretrained("cnn").model_file)
    with torch.no_grad():
        model.get_parameter("fc.3.bias")[3] = math.nan
    save_weights(file := tmp_path / "damaged.safetensors", model)
    event = audited(Audit(what=str(file), device="cpu", count=2))
    assert math.isnan(event.ece)
    assert math.isnan(event.temperature)
    assert json.loads(to_json(event))["ece_calibrated"] is None


def test_the_same_network_twice_is_refused(images: Dataset) -> None:
    with pytest.raises(RequestError, match="validation images, which the drawings do not have: evaluate them"):
        Audit(dataset="drawings").check_together()
    with pytest.raises(RequestError, match="name each network once: audits with the same name"):
        audited(Audit(what=CNN, others=(CNN,), device="cpu"))
