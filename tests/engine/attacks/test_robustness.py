"""Accuracy under attack: what is counted, and what a weaker attack gives away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from torch import Tensor

from engine.adversary.network import AttackedNetwork, Iterate
from engine.attacks import robustness, verdicts
from engine.attacks.events import RobustnessPointMeasured
from engine.attacks.requests import AttackCarliniWagner, AttackDeepFool, CurveAttackName
from engine.attacks.robustness import beaten_by
from engine.attacks.verdicts import attack_many
from engine.data.datasets import Dataset
from engine.inspection.intervals import wilson
from tests.engine.attacks.samples import FEW, finished, last, measured, of

pytestmark = pytest.mark.numeric


@pytest.mark.usefixtures("few_images", "unremembered")
def test_within_nothing_accuracy_is_the_plain_one(small: Dataset) -> None:
    found = measured(
        others=("pretrained:cnn-bn",), attack=("random", "fgsm", "pgd"), epsilons=(0.0,), count=1000, steps=2
    )
    assert (found.asked, found.networks) == (400, ("pretrained:cnn", "pretrained:cnn-bn"))
    assert len(found.points) == 6
    for point in found.points:
        model = of(point.variant).model
        with torch.inference_mode():
            right = model(small.test.images).argmax(dim=1) == small.test.labels
        assert (point.count, point.correct) == (400, int(right.sum()))
        assert point.accuracy == pytest.approx(right.double().mean().item())
        assert point.class_count == tuple(torch.bincount(small.test.labels, minlength=10).tolist())
        assert point.class_correct == tuple(torch.bincount(small.test.labels[right], minlength=10).tolist())
        assert (point.low, point.high) == wilson(point.correct, point.count)
    assert not found.fallen  # those that are wrong anyway did not fall


@pytest.mark.usefixtures("few_images", "unremembered")
def test_a_point_does_not_depend_on_which_others_are_asked_for(attacked_images: list[tuple[str, float, int]]) -> None:
    fields: dict[str, Any] = {"attack": ("random", "fgsm", "pgd"), "steps": 5, "count": 40}
    alone = measured(epsilons=(0.2,), **fields)
    verdicts.verdicts_of.cache_clear()
    among = measured(epsilons=(0.3, 0.2, 0.05), others=("pretrained:cnn-bn",), **fields)
    assert [point.epsilon for point in among.curve("pretrained:cnn", "fgsm")] == [0.05, 0.2, 0.3]
    assert among.curves == [(name, attack) for name in among.networks for attack in ("random", "fgsm", "pgd")]
    for point in alone.points:
        (other,) = (one for one in among.curve(point.name, point.attack) if one.epsilon == 0.2)
        assert msgspec.structs.replace(other, beaten_by="") == msgspec.structs.replace(point, beaten_by="")
    asked = len(attacked_images)
    assert sum(count for *_, count in attacked_images) == (3 + 18) * 40
    # Now all is known.
    measured(epsilons=(0.3, 0.05), **fields)
    assert len(attacked_images) == asked


def test_what_may_change_more_fools_more(mnist: Dataset) -> None:
    """Random noise hardly does, PGD fools all."""
    images, labels = mnist.test.images[:60], mnist.test.labels[:60]
    network = AttackedNetwork(of("cnn-bn").model, torch.float32)
    right = {}
    attacks: tuple[CurveAttackName, ...] = ("random", "fgsm", "pgd")
    for attack in attacks:
        setting = verdicts.Setting(attack, "linf", 0.25, 10, 1, 0)
        found = last(attack_many(network, images, labels, range(60), setting)).images
        assert (found - images).abs().max() <= 0.25 + 1e-6
        with torch.inference_mode():
            right[attack] = int((of("cnn-bn").model(found).argmax(dim=1) == labels).sum())
    assert right["random"] > 50 > right["fgsm"] > right["pgd"]


@pytest.mark.usefixtures("few_images", "unremembered")
def test_the_first_to_fall_are_those_of_the_strongest_attack(small: Dataset) -> None:
    found = measured(attack=("pgd", "fgsm"), epsilons=(0.05, 0.1, 0.3), count=60, steps=8)
    assert found.fallen_by == "pgd"
    assert len(found.fallen) == robustness.SHOWN
    bounds = [image.epsilon for image in found.fallen]
    assert bounds == sorted(bounds)
    correct = {point.epsilon: point.correct for point in found.curve("pretrained:cnn", "pgd")}
    with torch.inference_mode():
        clean = of("cnn").model(small.test.images[:60]).argmax(dim=1) == small.test.labels[:60]
    assert bounds.count(0.05) == min(robustness.SHOWN, int(clean.sum()) - correct[0.05])
    for image, shown in zip(found.fallen, found.fallen_images, strict=True):
        assert clean[image.index]
        assert image.actual == int(small.test.labels[image.index]) != image.taken_for
        np.testing.assert_array_equal(shown, small.test.images[image.index, 0])


def test_an_attack_is_beaten_by_a_weaker_one() -> None:
    def point(attack: str, epsilon: float, correct: int) -> RobustnessPointMeasured:
        about: dict[str, Any] = {"name": "a", "variant": "cnn", "epoch": 1, "dataset": "mnist", "split": "test"}
        shares: dict[str, Any] = {"count": 100, "accuracy": correct / 100, "low": 0.0, "high": 1.0}
        classes: dict[str, Any] = {"class_count": (10,) * 10, "class_correct": (1,) * 10}
        return RobustnessPointMeasured(
            **about, **shares, **classes, attack=attack, norm="l2", epsilon=epsilon, correct=correct
        )

    masked = point("pgd", 0.2, 60)  # as where gradients are masked
    assert beaten_by(masked, [masked, point("fgsm", 0.2, 59)]) == "fgsm"
    assert beaten_by(masked, [masked, point("random", 0.2, 59)]) == "random"
    assert beaten_by(masked, [masked, point("fgsm", 0.2, 60)]) == ""
    assert beaten_by(masked, [masked, point("fgsm", 0.3, 10)]) == ""  # it had more room
    assert beaten_by(masked, [masked, point("cw", 0.2, 10)]) == ""  # it is no weaker
    assert beaten_by(masked, [masked, point("pgd", 0.1, 59)]) == "a smaller epsilon"
    assert beaten_by(masked, [masked, point("pgd", 0.3, 10), point("pgd", 0.1, 90)]) == ""
    assert beaten_by(point("fgsm", 0.2, 60), [masked, point("pgd", 0.2, 10)]) == ""
    assert beaten_by(point("cw", 0.2, 60), [point("deepfool", 0.2, 50)]) == "deepfool"
    noise_alone = point("random", 0.2, 90)  # it may be lucky with less
    assert beaten_by(noise_alone, [noise_alone, point("random", 0.1, 80), point("fgsm", 0.2, 10)]) == ""


@pytest.mark.usefixtures("few_images", "unremembered")
def test_masked_gradients_show_as_a_weaker_attack_that_does_better(monkeypatch: pytest.MonkeyPatch) -> None:
    def blind(*arguments: Any) -> Iterator[Iterate]:
        network, images, *_, setting = arguments
        if setting.attack == "pgd":
            return iter([Iterate(images, network.logits(images))])
        return attack_many(*arguments)

    monkeypatch.setattr(verdicts, "attack_many", blind)
    found = measured(what="pretrained:cnn-bn", **FEW)
    assert [point.beaten_by for point in found.curve("pretrained:cnn-bn", "pgd")] == ["fgsm", "fgsm"]
    assert not any(point.beaten_by for point in found.curve("pretrained:cnn-bn", "fgsm"))


@pytest.mark.usefixtures("few_images", "unremembered")
def test_attacks_that_minimise_run_once_and_are_held_against_each_bound(
    attacked_images: list[tuple[str, float, int]], small: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measured in double precision: in single the least norm is another one by a percent or so, by how it rounds."""
    noted = verdicts.attack_many

    def exactly(_: AttackedNetwork, images: Tensor, *rest: Any) -> Iterator[Iterate]:
        for iterate in noted(of("cnn-bn").attacked, images.double(), *rest):
            yield Iterate(iterate.images.float(), iterate.logits)

    monkeypatch.setattr(verdicts, "attack_many", exactly)
    epsilons = (0.0, 0.5, 1.0, 2.0, 28.0)
    found = measured(
        what="pretrained:cnn-bn", attack=("deepfool", "cw"), norm="l2", epsilons=epsilons, count=12, others=()
    )
    assert [(attack, count) for attack, _, count in attacked_images] == [("deepfool", 12), ("cw", 12)]
    with torch.inference_mode():
        clean = (of("cnn-bn").model(small.test.images[:12]).argmax(dim=1) == small.test.labels[:12]).numpy()
    for attack in (
        AttackDeepFool(what="pretrained:cnn-bn", indices=tuple(range(12))),
        AttackCarliniWagner(what="pretrained:cnn-bn", indices=tuple(range(12))),
    ):
        event = finished(attack)
        needed_ = np.array([image.l2 if image.success else np.inf for image in event.images])
        points = found.curve("pretrained:cnn-bn", attack.attack)
        assert [point.epsilon for point in points] == list(epsilons)
        for point in points:
            # Of an image on the very boundary, single precision may say one thing here and another there.
            torn = np.where(np.abs(event.history[:, -1]) < 1e-3, event.l2, needed_)
            assert (torn > point.epsilon).sum() <= point.correct <= (needed_ > point.epsilon).sum()
        assert points[0].correct == clean.sum()
        median = found.median_l2[f"pretrained:cnn-bn {attack.attack}"]
        assert median == pytest.approx(np.median(needed_[clean]), rel=1e-5)
    assert found.fallen_by == "cw"
    bounds = [image.epsilon for image in found.fallen]
    assert bounds == sorted(bounds)
    assert bounds[0] == pytest.approx(needed_[clean].min(), rel=1e-5)


@pytest.mark.parametrize(
    ("count", "soon", "rest"),
    [(1, [], [1]), (5, [], [5]), (26, [5, 10, 25], [26]), (300, [5, 10, 25, 50], [125, 250, 300])],
)
def test_first_results_of_a_slow_attack_come_soon(count: int, soon: list[int], rest: list[int]) -> None:
    assert robustness._parts(count, slow=True) == soon + rest
    assert robustness._parts(count, slow=False) == rest
