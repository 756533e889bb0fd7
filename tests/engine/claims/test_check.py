"""What claims are measured, beside plain computations of the same values."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import msgspec
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from engine.attacks.events import AttackFinished
from engine.attacks.requests import GALLERY, AttackNoise
from engine.claims.check import check
from engine.claims.events import ClaimChecked
from engine.claims.requests import (
    COMPARING,
    AnyCheck,
    CheckAccuracy,
    CheckBatchNorm,
    CheckChannels,
    CheckFgsm,
    CheckKernels,
    CheckLayers,
    CheckMistakes,
    CheckNoise,
    CheckOcclusion,
    CheckResemblance,
    CheckSimplicity,
    CheckTargeted,
    CheckTraining,
    ClaimName,
)
from engine.data.datasets import Dataset
from engine.event import Event, Progress
from engine.network.checkpoints import read_weights
from engine.network.model import CNN
from engine.network.requests import Reading
from engine.operations import OPERATIONS, perform
from engine.request import Request, RequestError, parameters
from engine.runs.finding import pretrained

NOWHERE = Path("/nowhere")
CNN_, BN, ROBUST = "pretrained:cnn", "pretrained:cnn-bn", "pretrained:cnn-robust"
pytestmark = [pytest.mark.usefixtures("few_images"), pytest.mark.numeric]


def network(what: str) -> CNN:
    return read_weights(pretrained(what.removeprefix("pretrained:")).model_file, Reading()).model.eval()


def measured(request: Request) -> ClaimChecked:
    *_, last = perform(request, NOWHERE)
    assert isinstance(last, ClaimChecked)
    return last


def values(request: Request) -> dict[str, float]:
    event = measured(request)
    assert event.values.keys() == request.says.keys()  # type: ignore[attr-defined]
    return event.values


@torch.no_grad()
def probabilities(what: str, images: Tensor) -> Tensor:
    return torch.softmax(network(what)(images).double(), dim=1)


def test_training_is_read_from_the_run() -> None:
    lines = [json.loads(line) for line in (pretrained("cnn").path / "events.jsonl").read_text().splitlines()]
    epochs = [line for line in lines if line["type"] == "EpochFinished"]
    best = min(epochs, key=lambda epoch: epoch["val_loss"])
    found = values(CheckTraining(what=CNN_))
    assert found["best"] == best["epoch"]
    assert found["value"] == len(epochs) - best["epoch"]
    assert (found["val_loss"], found["accuracy"]) == (best["val_loss"], best["test_accuracy"])
    assert (found["last_val_loss"], found["last_accuracy"]) == (epochs[-1]["val_loss"], epochs[-1]["test_accuracy"])


def test_a_weights_file_does_not_tell_of_its_training() -> None:
    found = values(CheckTraining(what=str(pretrained("cnn").model_file)))
    assert all(math.isnan(value) for value in found.values())


def test_accuracy_and_mistakes(small: Dataset) -> None:
    surest, predicted = probabilities(CNN_, small.test.images).max(dim=1)
    wrong = predicted != small.test.labels
    assert wrong.any()
    found = values(CheckAccuracy(what=CNN_))
    assert found["mistakes"] == int(wrong.sum())
    assert found["value"] == pytest.approx(1 - float(wrong.double().mean()))
    shares = [float((~wrong)[small.test.labels == digit].double().mean()) for digit in range(10)]
    assert found["worst_accuracy"] == pytest.approx(min(shares))
    assert shares[int(found["worst"])] == pytest.approx(min(shares))
    sure = values(CheckMistakes(what=CNN_, sure=0.8))
    assert sure["value"] == pytest.approx(float(surest[wrong].mean()), abs=1e-5)
    assert sure["right"] == pytest.approx(float(surest[~wrong].mean()), abs=1e-5)
    assert sure["confident"] == int((surest[wrong] > 0.8).sum())


def test_layers_are_the_notebooks() -> None:
    found = values(CheckLayers(what=CNN_))
    assert (found["conv"], found["fc"], found["parameters"], found["neurons"]) == (9568, 789_510, 799_078, 31_870)
    assert found["value"] == pytest.approx(789_510 / 799_078)
    conv, fc = 28 * 28 * 32 * 9 + 14 * 14 * 32 * 32 * 9, 1568 * 500 + 500 * 10
    assert found["work"] == pytest.approx(conv / (conv + fc))


@pytest.mark.parametrize("what", [CNN_, BN])
def test_batch_norm_is_compared_with_the_bundled_network_of_the_other_kind(what: str, small: Dataset) -> None:
    shares = {
        name: float((probabilities(name, small.test.images).argmax(dim=1) == small.test.labels).double().mean())
        for name in (CNN_, BN)
    }
    event = measured(CheckBatchNorm(what=what))
    assert event.other == (BN if what == CNN_ else CNN_)
    assert event.values["with"] == pytest.approx(shares[BN])
    assert event.values["without"] == pytest.approx(shares[CNN_])
    assert event.values["gain"] == pytest.approx(shares[BN] - shares[CNN_])
    assert event.values["value"] == abs(event.values["gain"])


def kernels(what: str, layer: str) -> np.ndarray[Any, np.dtype[Any]]:
    weights: Tensor = network(what).state_dict()[f"{layer}.0.weight"]
    found: np.ndarray[Any, np.dtype[Any]] = weights.reshape(-1, 9).double().numpy()
    return found


def test_simplicity_is_the_energy_of_the_best_plane() -> None:
    rows, columns = np.mgrid[-1:2, -1:2].reshape(2, 9)
    basis = np.stack([np.ones(9), rows, columns], axis=1)
    shares = []
    for layer in ("conv1", "conv2"):
        found = kernels(CNN_, layer)
        fitted = (basis @ np.linalg.lstsq(basis, found.T, rcond=None)[0]).T
        shares.append((fitted**2).sum() / (found**2).sum())
    assert list(values(CheckSimplicity(what=CNN_)).values()) == pytest.approx(shares, abs=1e-6)


@pytest.mark.parametrize("layer", ["conv1", "conv2"])
def test_kernels_near_zero(layer: Any) -> None:
    norms = np.linalg.norm(kernels(ROBUST, layer), axis=1)
    found = values(CheckKernels(what=ROBUST, layer=layer))
    assert found["kernels"] == len(norms)
    assert found["weak"] == (norms < norms.max() / 10).sum()
    assert found["value"] == pytest.approx(found["weak"] / len(norms))


@torch.no_grad()
def maps_of(what: str, images: Tensor) -> list[Tensor]:
    weights, found = network(what).state_dict(), images
    made = []
    for layer in ("conv1", "conv2"):
        found = functional.conv2d(found, weights[f"{layer}.0.weight"], weights[f"{layer}.0.bias"], padding=1)
        found = functional.max_pool2d(torch.relu(found), 2)
        made.append(found)
    return made


def test_resemblance_is_a_correlation_with_the_smaller_digit(small: Dataset) -> None:
    image = small.test.images[7:8]
    expected = []
    for maps, side in zip(maps_of(CNN_, image), (2, 4), strict=True):
        digit = functional.avg_pool2d(image, side).flatten().numpy()
        kept = [each.flatten().numpy() for each in maps[0] if each.std() > 0]
        expected.append(np.mean([abs(np.corrcoef(digit, each)[0, 1]) for each in kept]))
    found = values(CheckResemblance(what=CNN_, index=7))
    assert [found["value"], found["second"]] == pytest.approx(expected, abs=1e-4)
    assert found["actual"] == int(small.test.labels[7])


def test_dead_channels(small: Dataset) -> None:
    dead = [int((maps.amax(dim=(0, 2, 3)) == 0).sum()) for maps in maps_of(ROBUST, small.test.images)]
    assert sum(dead)
    found = values(CheckChannels(what=ROBUST))
    assert [found["first"], found["second"], found["value"], found["channels"]] == [*dead, sum(dead), 64]


@pytest.mark.parametrize("baseline", ["zero", "one"])
def test_occlusion_by_hand(baseline: str, small: Dataset) -> None:
    image, label = small.test.images[61], int(small.test.labels[61])
    places = [(row, column) for row in range(0, 21, 5) for column in range(0, 21, 5)]
    covered = image.repeat(len(places), 1, 1, 1)
    strokes = []
    for number, (row, column) in enumerate(places):
        strokes.append(bool((image[0, row : row + 8, column : column + 8] > 0.5).any()))
        covered[number, 0, row : row + 8, column : column + 8] = float(baseline == "one")
    found = values(CheckOcclusion(what=CNN_, index=61, patch_size=8, stride=5, baseline=baseline))
    before, after = probabilities(CNN_, image[None])[0, label], probabilities(CNN_, covered)
    drops, over = (before - after[:, label]).numpy(), np.array(strokes)
    assert found["positions"] == pytest.approx(over.mean())
    assert found["value"] == pytest.approx(drops[over].sum() / drops.sum(), abs=1e-4)
    assert found["elsewhere"] == pytest.approx(1 - found["value"])
    assert found["lowest"] == pytest.approx(float(after[:, label].min()), abs=1e-5)
    assert found["changed"] == pytest.approx(float((after.argmax(dim=1) != label).double().mean()))
    assert found["unoccluded"] == pytest.approx(float(before), abs=1e-5)


def test_occlusion_of_many_is_their_mean() -> None:
    one, many = (values(CheckOcclusion(what=CNN_, stride=5, average=count)) for count in (0, 4))
    assert one["lowest"] == many["lowest"]
    assert one["positions"] != many["positions"]


def test_noise() -> None:
    request = CheckNoise(what=CNN_, classes="38", steps=40, seed=1)
    found = measured(request)
    (event,) = (
        event
        for event in perform(AttackNoise(what=CNN_, classes="38", steps=40, seed=1), NOWHERE)
        if isinstance(event, AttackFinished)
    )
    images = torch.from_numpy(event.adversarial)[:, None]
    own = probabilities(CNN_, images)
    assert found.values["value"] == pytest.approx(min(float(own[0, 3]), float(own[1, 8])), abs=1e-4)
    assert found.values["reached"] == sum(own.argmax(dim=1) == torch.tensor([3, 8]))
    assert found.values["taken"] == sum(probabilities(BN, images).argmax(dim=1) == torch.tensor([3, 8]))
    rises = [later > before for row in event.history for before, later in pairwise(row)]
    assert found.values["rose"] == pytest.approx(np.mean(rises))
    assert found.other == BN


def test_targeted_as_the_notebook_does_it(small: Dataset) -> None:
    kept = [index for index in GALLERY if int(small.test.labels[index]) != 5]
    model = network(CNN_).double()
    digits = small.test.images[kept].double()
    sizes, fooled, largest = [], 0, 0.0
    for beta in (50.0, 0.0):
        result = []
        for digit in digits:
            image = digit[None].clone().requires_grad_()
            optimizer = torch.optim.Adam([image], lr=0.01)
            for _ in range(25):
                optimizer.zero_grad()
                loss = -model(image)[0, 5] + beta * functional.mse_loss(image, digit[None])
                loss.backward()
                optimizer.step()
                image.data.clamp_(0, 1)
            result.append(image.detach())
        change = torch.cat(result) - digits
        sizes.append(float(change.flatten(1).norm(dim=1).mean()))
        if beta:
            fooled = int((model(torch.cat(result)).argmax(dim=1) == 5).sum())
            largest = float(change.abs().max())
    found = values(CheckTargeted(what=CNN_, beta=50.0))
    assert (found["fooled"], found["images"]) == (fooled, len(kept))
    assert found["largest"] == pytest.approx(largest, abs=1e-4)
    assert found["closer"] == pytest.approx(1 - sizes[0] / sizes[1], abs=1e-3)


def test_fgsm_by_its_definition(small: Dataset) -> None:
    images, labels = small.test.images[:60].double(), small.test.labels[:60]
    shares = []
    for what in (CNN_, ROBUST):
        model = network(what).double()
        given = images.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(functional.cross_entropy(model(given), labels, reduction="sum"), given)
        moved = (images + 0.2 * gradient.sign()).clamp(0, 1)
        right = model(images).argmax(dim=1) == labels
        still = model(moved).argmax(dim=1) == labels
        shares.append(1 - int(still.sum()) / int(right.sum()))
    event = measured(CheckFgsm(what=CNN_, epsilon=0.2, count=60))
    assert event.other == ROBUST
    # A pixel whose gradient is as good as zero may go either way, and an image with it.
    assert [event.values["value"], event.values["beside"]] == pytest.approx(shares, abs=1.5 / 60)
    assert 0 <= event.values["by_chance"] < event.values["value"]


def test_a_robust_network_is_compared_with_a_plain_one() -> None:
    assert measured(CheckFgsm(what=ROBUST, count=5)).other == CNN_


# Requests


KINDS: tuple[type[AnyCheck], ...] = get_args(AnyCheck)
BAD: dict[str, Any] = {
    "split": "all", "dataset": "cifar", "index": -1, "sure": 1.0, "layer": "fc1", "average": -1, "classes": 38,
    "steps": 0, "seed": -1, "indices": (), "target": 10, "step_size": 0.0, "beta": -1.0, "epsilon": 0.0, "count": 0,
    "patch_size": 28, "stride": 0, "baseline": 1, "watch": "10", "what": 1, "device": "tpu", "mean": "half",
    "std": 0.0, "padding": -1,
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_each_field_is_checked_in_one_line(kind: type[AnyCheck]) -> None:
    for parameter in parameters(kind):
        assert parameter.help
        with pytest.raises(RequestError, match=f"^{parameter.label} must be ") as caught:
            kind(**{parameter.name: BAD[parameter.name]})
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        (CheckNoise, {"classes": "33"}, "classes must be different digits, for example 38, not '33'"),
        (CheckTargeted, {"indices": (3, -2)}, "indices must be at least 0, not -2"),
        (CheckOcclusion, {"baseline": "black"}, "baseline must be zero, mean, one, noise"),
    ],
)
def test_fields_together(kind: type[Any], fields: dict[str, object], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        kind(**fields)


def test_each_claim_has_one_request_and_an_operation() -> None:
    assert tuple(kind.claim for kind in KINDS) == get_args(ClaimName)
    assert set(COMPARING) <= set(get_args(ClaimName))
    assert all(OPERATIONS[kind].lane == "analysis" for kind in KINDS)
    assert all(next(iter(kind.says)) == "value" for kind in KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_measured_is_said_in_one_line(kind: type[Any]) -> None:
    with pytest.raises(RequestError, match=r"there is no file nothing\.pth"):
        list(perform(kind(what="nothing.pth"), NOWHERE))


def test_an_image_beyond_the_split() -> None:
    with pytest.raises(RequestError, match="index 400 is beyond the 400 images"):
        list(perform(CheckOcclusion(what=CNN_, index=400), NOWHERE))


def test_the_work_can_be_stopped_between_its_steps() -> None:
    """Each claim that takes time reports progress, and ends where it is told to."""
    for request in (CheckNoise(what=CNN_, steps=30), CheckFgsm(what=CNN_), CheckOcclusion(what=CNN_, average=3)):
        events = check(request, NOWHERE)
        some: list[Event] = [next(events) for _ in range(3)]
        assert all(isinstance(event, Progress) for event in some)
        events.close()


def test_the_event_is_one_line_of_json() -> None:
    event = measured(CheckLayers(what=CNN_))
    assert msgspec.json.decode(msgspec.json.encode(event))["values"]["fc"] == 789_510
