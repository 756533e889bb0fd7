"""Attacks from request to events: what is told on the way, and what comes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from engine.adversary.norm_ball import random_starts
from engine.adversary.objectives import ANY
from engine.attacks.events import Attack, AttackAdvanced, AttackFinished, AttackStepped
from engine.attacks.noise import noise
from engine.attacks.record import FRAMES
from engine.attacks.requests import (
    AnyAttack,
    AttackApgd,
    AttackCarliniWagner,
    AttackDeepFool,
    AttackFab,
    AttackFgsm,
    AttackNoise,
    AttackPgd,
    AttackSquare,
    AttackTargeted,
)
from engine.data.datasets import Dataset
from engine.event import Event, to_json
from engine.network.checkpoints import save_weights
from engine.operations import end, perform
from engine.request import parameters
from tests.conftest import patch_load
from tests.engine.attacks.samples import ARCHITECTURES, NOWHERE, finished, odd_network, of

pytestmark = pytest.mark.numeric

ATTACKS: list[AnyAttack] = [
    AttackNoise(classes="073", steps=60),
    AttackNoise(classes="5", steps=300, jitter=1, l2=0.01),
    AttackTargeted(indices=(61, 3, 247), steps=30),
    AttackTargeted(indices=(61, 3, 247), steps=120, start="noise", optimizer="plain", step_size=0.05, beta=1e-4),
    AttackFgsm(indices=(61, 3, 247)),
    AttackFgsm(indices=(61, 3, 18), norm="l2", epsilon=6.0, target=8),
    AttackPgd(indices=(61, 3, 247), steps=10),
    AttackPgd(indices=(61, 3, 247), steps=10, random_start=False, epsilon=0.3),
    AttackPgd(indices=(61, 3, 247), steps=6, norm="l2", epsilon=2.0, restarts=3),
    AttackPgd(indices=(61, 3), steps=10, target=7, epsilon=0.3),
    AttackPgd(indices=(61, 3), steps=10, loss="dlr", restarts=2),
    AttackApgd(indices=(61, 3, 247), steps=10),
    AttackApgd(indices=(61, 3), steps=3, norm="l2", epsilon=2.0, loss="dlr"),
    AttackApgd(indices=(61, 3), steps=5, loss="dlr", target=7, restarts=2, epsilon=0.3),
    AttackFab(indices=(61, 3, 247), steps=4),
    AttackFab(indices=(61, 3), steps=10, norm="l2", target=7),
    AttackSquare(indices=(61, 3, 247), queries=40),
    AttackSquare(indices=(61, 3), queries=60, norm="l2", epsilon=6.0),
    AttackDeepFool(indices=(61, 3, 247)),
    AttackCarliniWagner(indices=(61, 3, 247), binary_search_steps=3, steps=20),
]


def named(request: AnyAttack) -> str:
    """What it is, and what of it is not as usual."""
    changed = [p.name for p in parameters(type(request)) if getattr(request, p.name) != p.default]
    return "-".join((request.attack, *changed))


@pytest.fixture(scope="module", params=ATTACKS, ids=named)
def told(request: pytest.FixtureRequest, small: Dataset) -> tuple[AnyAttack, list[Event], AttackFinished]:
    """An attack, what was told of it on the way, and what came of it."""
    asked: AnyAttack = msgspec.structs.replace(request.param, what="pretrained:cnn")
    with pytest.MonkeyPatch.context() as patch:
        patch_load(patch, small, "engine.inspection.loaded")
        patch.setattr("engine.attacks.attack.PAUSE", 0.002)
        *progress, event = perform(asked, NOWHERE)
    assert isinstance(event, AttackFinished)
    return asked, progress, event


Told = tuple[AnyAttack, list[Event], AttackFinished]


def start_of(request: AnyAttack, event: AttackFinished) -> Any:
    """What the first step began with."""
    if isinstance(request, AttackApgd) or (isinstance(request, AttackPgd) and request.random_start):
        originals = torch.from_numpy(event.original)[:, None].double()
        start = random_starts(originals, request.epsilon, request.norm, request.seed, event.indices)
        return start[:, 0].float().numpy()
    if isinstance(request, AttackTargeted) and request.start == "noise":
        return noise(event.indices, request.seed)[:, 0].numpy()
    return event.frames[0] if isinstance(request, AttackSquare) else event.original


def test_images_stay_within_their_range_and_the_bound(told: Told) -> None:
    request, progress, event = told
    for image in (event.adversarial, *event.frames[1:]):
        assert image.min() >= 0
        assert image.max() <= 1
    difference = (event.adversarial - event.original).reshape(len(event.indices), -1)
    np.testing.assert_allclose(event.linf, np.abs(difference).max(axis=1), atol=1e-6)
    np.testing.assert_allclose(event.l2, np.linalg.norm(difference, axis=1), rtol=1e-5)
    if isinstance(request, AttackFgsm | AttackPgd | AttackApgd | AttackSquare):
        assert getattr(event, request.norm).max() <= request.epsilon + 1e-6
        on_the_way = (event.frames - event.original).reshape(len(event.frames) * len(event.indices), -1)
        lengths = np.linalg.norm(on_the_way, ord=np.inf if request.norm == "linf" else 2, axis=1)
        assert lengths.max() <= request.epsilon + 1e-6
    for advanced in (each for each in progress if isinstance(each, AttackAdvanced) and each.done):
        assert advanced.adversarial.min() >= 0
        assert advanced.adversarial.max() <= 1


def test_success_is_what_the_network_as_it_is_says(told: Told, small: Dataset) -> None:
    request, _, event = told
    with torch.inference_mode():
        before, after = (
            of("cnn").model.probabilities(torch.from_numpy(images)[:, None]).numpy()
            for images in (event.original, event.adversarial)
        )
        logits = of("cnn").exact(torch.from_numpy(event.adversarial)[:, None].double())
    # A probability of one half changes by a quarter of what its logits do, and each comes of a thousand roundings.
    rounding = max(1e-5, 32 * torch.finfo(torch.float32).eps * float(logits.abs().max()) / 4)
    np.testing.assert_allclose(event.probabilities, logits.softmax(dim=1).numpy(), atol=rounding)
    np.testing.assert_allclose(event.original_probabilities, before, atol=1e-5)
    np.testing.assert_array_equal(event.prediction, after.argmax(axis=1))
    for i, image in enumerate(event.images):
        assert (image.index, image.actual, image.target) == (event.indices[i], event.actual[i], event.targets[i])
        assert (image.before, image.predicted) == (before[i].argmax(), after[i].argmax())
        assert image.probability == event.probabilities[i].max()
        assert (image.linf, image.l2) == (event.linf[i], event.l2[i])
        wanted = image.predicted == image.target if image.target != ANY else image.predicted != image.actual
        assert image.success == wanted
        if not isinstance(request, AttackNoise):
            assert image.actual == int(small.test.labels[image.index])
            np.testing.assert_array_equal(event.original[i], small.test.images[image.index, 0])
    assert event.successes == sum(image.success for image in event.images)
    assert event.successes > 0  # all of these attacks are strong enough for one


def test_steps_to_success_are_those_of_the_history(told: Told) -> None:
    request, _, event = told
    n = len(event.indices)
    assert event.history.shape == (n, event.done + 1)
    for i, image in enumerate(event.images):
        if event.measure == "margin":
            fooled = event.history[i] > 0
            assert image.steps_to_success == (int(fooled.argmax()) if fooled.any() else None)
        if len(event.frames) == event.done + 1:  # all of them
            answers = event.frame_probabilities[:, i].argmax(axis=1)
            fooled = answers != image.actual if image.target == ANY else answers == image.target
            assert image.steps_to_success == (int(fooled.argmax()) if fooled.any() else None)
        if image.success:
            assert image.steps_to_success is not None
    if event.measure == "logit":
        assert isinstance(request, AttackNoise | AttackTargeted)
        logits = of("cnn").attacked.logits(torch.from_numpy(event.adversarial)[:, None].double())
        np.testing.assert_allclose(event.history[:, -1], logits[range(n), list(event.targets)], rtol=1e-5, atol=1e-4)
        assert (event.history[:, -1] > event.history[:, 0]).all()


def test_frames_go_from_the_start_to_the_result(told: Told) -> None:
    request, _, event = told
    assert event.frames.shape == (len(event.frame_steps), len(event.indices), 28, 28)
    assert len(event.frames) <= FRAMES + 1
    np.testing.assert_allclose(event.frames[0], start_of(request, event), atol=1e-6)
    np.testing.assert_array_equal(event.frames[-1], event.adversarial)
    assert (np.diff(event.frame_steps) > 0).all()
    assert (event.frame_steps[0], event.frame_steps[-1]) == (0, event.done)
    assert event.done <= event.steps
    assert event.frame_probabilities.shape == (*event.frames.shape[:2], 10)
    np.testing.assert_allclose(event.frame_probabilities[-1], event.probabilities, atol=1e-4)
    with torch.inference_mode():
        answers = of("cnn").exact.probabilities(torch.from_numpy(event.frames).flatten(0, 1)[:, None].double())
    if not getattr(request, "jitter", 0):  # with jitter the network is asked of shifted images, but for the last
        np.testing.assert_allclose(event.frame_probabilities, answers.view(*event.frames.shape[:2], 10), atol=1e-4)


def test_what_is_told_on_the_way_leads_to_the_result(told: Told) -> None:
    request, progress, event = told
    steps = [
        each.done if isinstance(each, AttackAdvanced) else each.step
        for each in progress
        if isinstance(each, AttackAdvanced | AttackStepped)
    ]
    assert steps == list(range(event.done + 1))
    for each in (event, *(each for each in progress if isinstance(each, AttackAdvanced))):
        assert isinstance(each, Attack)
        assert (each.name, each.variant, each.attack) == ("pretrained:cnn", "cnn", request.attack)
        assert each.history.shape == (len(event.indices), each.done + 1)
        np.testing.assert_array_equal(each.history, event.history[:, : each.done + 1])
        np.testing.assert_array_equal(each.original, event.original)
        np.testing.assert_allclose(each.probabilities.sum(axis=1), 1, atol=1e-5)
        line = to_json(each)
        assert b"\n" not in line
        assert b"adversarial" not in line
    assert not event.stopped
    assert event.seconds > 0
    assert set(event.settings) == {p.name for p in parameters(type(request))} - {
        *("what", "device", "mean", "std", "stride", "padding"),  # of the network
        "split",
        "dataset",
        "indices",
        "classes",
        "exact",
    } | {"precision"}
    assert event.settings["precision"] == "double"  # on a CPU always
    if isinstance(request, AttackPgd):
        assert event.settings["step_size"] == pytest.approx(2.5 * request.epsilon / request.steps)
    if isinstance(request, AttackNoise):
        assert (event.source, event.count) == ("noise", 0)
        assert event.actual == (ANY,) * len(request.classes)
        assert event.indices == event.targets == tuple(map(int, request.classes))
    else:
        assert (event.source, event.count) == ("mnist test", 400)


@pytest.mark.usefixtures("few_images")
@pytest.mark.parametrize(
    "request_",
    [
        AttackNoise(classes="38", steps=100_000),
        AttackTargeted(steps=100_000),
        AttackPgd(steps=10_000),
        AttackApgd(loss="dlr"),
        AttackFab(indices=(61, 3)),
        AttackSquare(indices=(61, 3)),
        AttackCarliniWagner(steps=10_000, indices=(61, 3)),
    ],
    ids=lambda r: f"{r.attack}",
)
def test_who_stops_an_attack_gets_the_image_so_far(request_: AnyAttack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.attacks.attack.PAUSE", 0.0)
    work = perform(msgspec.structs.replace(request_, what="pretrained:cnn"), NOWHERE)
    for event in work:
        if isinstance(event, AttackAdvanced) and event.done == 7:
            break
    (found,) = end(work)
    assert isinstance(found, AttackFinished)
    assert isinstance(event, AttackAdvanced)
    assert found.stopped
    assert (found.done, found.steps) == (7, event.steps)
    np.testing.assert_array_equal(found.adversarial, event.adversarial)
    np.testing.assert_array_equal(found.adversarial, found.frames[-1])
    np.testing.assert_array_equal(found.history, event.history)
    with torch.inference_mode():
        answers = of("cnn").model(torch.from_numpy(found.adversarial)[:, None]).argmax(dim=1)
    assert found.prediction.tolist() == answers.tolist()
    assert list(end(perform(request_, NOWHERE))) == []  # before it began there is nothing to tell


@pytest.mark.usefixtures("few_images")
def test_another_architecture_on_another_split(small: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_weights(path, odd_network(ARCHITECTURES[2], small.train.images[:100]))
    event = finished(AttackPgd(what=str(path), split="val", indices=(399, 499), steps=3))
    assert (event.source, event.count) == ("mnist val", 500)
    assert event.actual == (int(small.val.labels[399]), int(small.val.labels[499]))
    np.testing.assert_array_equal(event.original, small.val.images[[399, 499], 0])


ALONE: list[tuple[AnyAttack, AnyAttack]] = [
    (AttackTargeted(indices=(61,)), AttackTargeted()),
    (AttackNoise(classes="3", steps=40), AttackNoise(steps=40)),
    (AttackPgd(indices=(61,), steps=8, restarts=2), AttackPgd(steps=8, restarts=2)),
    (AttackPgd(indices=(61,), steps=8, norm="l2", epsilon=1.5), AttackPgd(steps=8, norm="l2", epsilon=1.5)),
    (AttackApgd(indices=(61,), steps=25), AttackApgd(steps=25)),
    (AttackApgd(indices=(61,), steps=4, loss="dlr", norm="l2"), AttackApgd(steps=4, loss="dlr", norm="l2")),
    (AttackFab(indices=(61,), steps=4), AttackFab(steps=4)),
    (AttackSquare(indices=(61,), queries=120), AttackSquare(queries=120)),
    (AttackSquare(indices=(61,), queries=60, norm="l2"), AttackSquare(queries=60, norm="l2")),
    (AttackDeepFool(indices=(61,)), AttackDeepFool()),
    (
        AttackCarliniWagner(indices=(61,), binary_search_steps=3, steps=20),
        AttackCarliniWagner(binary_search_steps=3, steps=20),
    ),
]


@pytest.mark.usefixtures("few_images")
@pytest.mark.parametrize(("alone", "together"), ALONE, ids=lambda r: f"{r.attack}")
def test_what_becomes_of_an_image_does_not_depend_on_its_batch_mates(alone: AnyAttack, together: AnyAttack) -> None:
    """Without double precision it would."""
    one, all_of_them = (finished(msgspec.structs.replace(each, what="pretrained:cnn-bn")) for each in (alone, together))
    (index,) = one.indices
    place = all_of_them.indices.index(index)
    np.testing.assert_allclose(one.adversarial[0], all_of_them.adversarial[place], rtol=0, atol=1e-6)
    np.testing.assert_allclose(one.original[0], all_of_them.original[place], rtol=0, atol=0)
    assert one.images[0].steps_to_success == all_of_them.images[place].steps_to_success
    assert not np.array_equal(one.adversarial[0], one.original[0])


MISTAKEN = 247
"""A 4 among the test digits, which the network without batch norm takes for a 6."""


@pytest.mark.usefixtures("few_images")
@pytest.mark.parametrize(
    "request_",
    [
        AttackCarliniWagner(indices=(MISTAKEN,), target=6, binary_search_steps=2, steps=5),
        AttackPgd(indices=(MISTAKEN,), target=6, epsilon=0.0, steps=3),
        AttackFgsm(indices=(MISTAKEN,), epsilon=0.0),
        AttackFab(indices=(MISTAKEN,)),
        AttackDeepFool(indices=(MISTAKEN,)),
    ],
    ids=lambda request: request.attack,
)
def test_what_is_mistaken_already_stays_as_it_is(request_: AnyAttack) -> None:
    event = finished(msgspec.structs.replace(request_, what="pretrained:cnn"))
    (image,) = event.images
    assert (image.actual, image.before, image.predicted) == (4, 6, 6)
    assert (image.success, image.steps_to_success) == (True, 0)
    assert image.linf == image.l2 == 0
    np.testing.assert_array_equal(event.adversarial, event.original)
