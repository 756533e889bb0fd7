"""AutoAttack: what it breaks, what it leaves, and its curve beside what is proved."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from engine.adversary.apgd import apgd
from engine.adversary.autoattack import STARTS, autoattack
from engine.adversary.names import NormName
from engine.adversary.network import AttackedNetwork
from engine.adversary.norm_ball import norms, random_starts
from engine.attacks import verdicts
from engine.attacks.events import RobustnessMeasured
from engine.attacks.requests import AttackApgd, AttackFab, AttackSquare, MeasureRobustness
from engine.attacks.robustness import beaten_by
from engine.bounds.certified import certified
from engine.data.datasets import Dataset
from engine.event import WorkAdvanced
from engine.operations import perform
from tests.engine.attacks.samples import EXACT, NORMS, NOWHERE, any_other, digits, last, measured, of, same
from tui.drawing.vocabulary import starts_answer

pytestmark = pytest.mark.numeric

EPSILONS: dict[NormName, float] = {"linf": 0.08, "l2": 1.0}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """AutoAttack of few steps."""
    monkeypatch.setattr(verdicts, "autoattack", partial(autoattack, steps=3, queries=20))


@pytest.mark.parametrize("norm", NORMS)
def test_it_breaks_at_least_what_its_first_attack_breaks(norm: NormName, mnist: Dataset) -> None:
    networks, (images, labels), epsilon = of("cnn"), digits(mnist, 8), EPSILONS[norm]
    objective = any_other(labels)
    found = last(autoattack(networks.attacked, images, objective, epsilon, norm, 0, range(8), steps=6, queries=40))
    starts = [random_starts(images, epsilon, norm, 0, range(8))]
    first = last(apgd(networks.attacked, images, objective, epsilon, norm, 6, starts, [objective], stop=True))
    with torch.no_grad():
        broken = networks.exact(found.images).argmax(dim=1) != labels
    assert 0 < int(broken.sum()) < 8
    assert (broken | ~objective.reached(first.logits)).all()
    sizes = norms(found.images - images, norm).flatten()
    assert sizes.max() <= epsilon + 1e-6
    assert found.images.min() >= 0
    assert found.images.max() <= 1
    assert torch.equal(found.images[~broken], images[~broken])
    torch.testing.assert_close(networks.exact(found.images).detach(), found.logits, rtol=0, atol=1e-9)


@pytest.mark.parametrize("norm", NORMS)
def test_an_image_has_its_own_random_numbers(norm: NormName, mnist: Dataset) -> None:
    networks, (images, labels), epsilon = of("cnn"), digits(mnist, 6), EPSILONS[norm]

    def broken(chosen: list[int]) -> dict[int, torch.Tensor]:
        work = autoattack(
            networks.attacked, images[chosen], any_other(labels[chosen]), epsilon, norm, 0, chosen, steps=3, queries=20
        )
        return dict(zip(chosen, last(work).images, strict=True))

    together, others = broken(list(range(6))), broken([4, 2, 0])
    for index, image in others.items():
        torch.testing.assert_close(image, together[index], rtol=0, atol=1e-6)
    again = broken(list(range(6)))
    assert all(torch.equal(again[index], together[index]) for index in range(6))


def test_what_is_mistaken_or_broken_costs_nothing_more(mnist: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = digits(mnist, 10)
    network = AttackedNetwork(of("cnn").model, EXACT)
    labels = torch.cat(((labels[:5] + 1) % 10, labels[5:]))  # the first five are misclassified as they are
    seen: list[int] = []
    ascent = network.ascent

    def noted(batch: torch.Tensor, objective: Any) -> tuple[torch.Tensor, torch.Tensor]:
        seen.append(len(batch))
        return ascent(batch, objective)

    monkeypatch.setattr(network, "ascent", noted)
    found = last(autoattack(network, images, any_other(labels), 0.4, "linf", 0, range(10), steps=40))
    assert any_other(labels).reached(found.logits).all()
    assert seen[0] == 5
    assert seen == sorted(seen, reverse=True)
    assert len(seen) < 41  # the first attack breaks the others
    assert torch.equal(found.images[:5], images[:5])


@pytest.mark.usefixtures("few_images", "unremembered", "quick")
def test_no_attack_goes_below_what_is_proved(attacked_images: list[tuple[str, float, int]], small: Dataset) -> None:
    attacks: tuple[Any, ...] = ("random", "fgsm", "square", "pgd", "apgd", "fab", "autoattack")
    robustness_few = {"count": 5, "epsilons": (0.0, 0.004, 0.03), "steps": 5}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.attacks.verdicts.AttackApgd", partial(AttackApgd, steps=5))
        patch.setattr("engine.attacks.verdicts.AttackFab", partial(AttackFab, steps=2))
        patch.setattr("engine.attacks.verdicts.AttackSquare", partial(AttackSquare, queries=20))
        found = measured(attack=attacks, certified=True, others=("pretrained:cnn-bn",), **robustness_few)
    assert found.curves == [(name, attack) for name in found.networks for attack in (*attacks, "certified")]
    for name in found.networks:
        proved = found.curve(name, "certified")
        assert proved[0].correct == found.curve(name, "fgsm")[0].correct  # within nothing
        for point in proved:
            assert point.low <= point.accuracy <= point.high
            assert point.beaten_by == ""
            model = of(name.removeprefix("pretrained:")).model
            images, labels = small.test.images[:5], small.test.labels[:5]
            assert point.correct == int(certified(model, images, labels, point.epsilon).sum())
            for attack in attacks:
                (upper,) = (p for p in found.curve(name, attack) if p.epsilon == point.epsilon)
                assert point.correct <= upper.correct
                assert all(a <= b for a, b in zip(point.class_correct, upper.class_correct, strict=True))
    assert found.curve("pretrained:cnn", "certified")[1].correct > 0
    assert found.fallen_by == "autoattack"
    assert not found.median_l2  # FAB minimised another norm
    # AutoAttack has left alone what is proved.
    unproved = [(p.epsilon, 5 - p.correct) for name in found.networks for p in found.curve(name, "certified")]
    assert [each[1:] for each in attacked_images if each[0] == "autoattack"] == [each for each in unproved if each[1]]
    assert any(count for _, count in unproved)


@pytest.mark.usefixtures("few_images", "unremembered", "quick")
def test_proofs_and_autoattack_are_kept_in_the_folder_of_a_run(
    run: Path, attacked_images: list[tuple[str, float, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    fields: dict[str, Any] = {"what": str(run), "attack": ("autoattack",), "epsilons": (0.002, 0.1), "count": 30}
    first = measured(certified=True, **fields)
    names = sorted(file.name.rsplit("-", 1)[0] for file in (run / "robustness").iterdir())
    assert names == ["autoattack-linf-0.002", "autoattack-linf-0.1", "certified-linf-0.002", "certified-linf-0.1"]
    verdicts.verdicts_of.cache_clear()
    attacked_images.clear()

    def refused(*_: object) -> Iterator[None]:
        raise AssertionError

    monkeypatch.setattr(verdicts, "certified", refused)
    assert same(measured(certified=True, **fields), first)
    assert not attacked_images
    plain = measured(**fields)  # what was not attacked because of a proof would have held
    assert [p.correct for p in plain.points] == [p.correct for p in first.points if p.attack == "autoattack"]


@pytest.mark.usefixtures("few_images", "unremembered")
def test_a_measurement_by_autoattack_can_be_stopped_at_any_step(monkeypatch: pytest.MonkeyPatch) -> None:
    request = MeasureRobustness(what="pretrained:cnn", attack=("autoattack",), epsilons=(0.05,), count=6)
    work = perform(request, NOWHERE)
    steps = [event for _, event in zip(range(40), work, strict=False) if isinstance(event, WorkAdvanced)]
    work.close()
    assert len(steps) >= 30
    monkeypatch.setattr(verdicts, "autoattack", partial(autoattack, steps=3, queries=20))
    *_, found = perform(request, NOWHERE)
    assert isinstance(found, RobustnessMeasured)
    assert found.points[0].count == 6


@pytest.mark.usefixtures("few_images", "unremembered", "quick")
def test_how_many_starts_there_were_is_said() -> None:
    fields: dict[str, Any] = {"epsilons": (0.05,), "count": 4, "steps": 2}
    found = measured(attack=("random", "fgsm", "pgd", "autoattack"), restarts=3, loss="dlr", **fields)
    assert [(p.attack, p.starts, p.loss) for p in found.points] == [
        ("random", 0, ""),
        ("fgsm", 0, ""),
        ("pgd", 3, "dlr"),
        ("autoattack", STARTS, ""),
    ]
    assert starts_answer(found) == "PGD (dlr) from 3 starts, AutoAttack from 10"
    assert starts_answer(measured(attack=("pgd",), **fields)) == "PGD from 1 start"
    assert starts_answer(measured(attack=("fgsm",), **fields)) == ""


@pytest.mark.usefixtures("few_images", "unremembered")
def test_more_starts_and_other_losses_are_other_measurements(attacked_images: list[tuple[str, float, int]]) -> None:
    fields: dict[str, Any] = {"attack": ("pgd",), "epsilons": (0.1,), "count": 25, "steps": 4}
    one = measured(**fields).points[0].correct
    more = measured(restarts=4, **fields).points[0].correct
    assert more <= one
    for loss in ("cw", "dlr"):
        assert measured(loss=loss, **fields).points[0].loss == loss
    assert len(attacked_images) == 4


@pytest.mark.usefixtures("few_images", "unremembered", "quick")
def test_where_a_weaker_attack_does_better_autoattack_is_flagged() -> None:
    found = measured(attack=("pgd", "autoattack"), certified=True, epsilons=(0.1,), count=10, steps=3)
    pgd, strong, proved = found.points
    worse = np.array([pgd.correct - 1, pgd.correct + 1])
    assert beaten_by(replace(strong, correct=int(worse[1])), [pgd, proved]) == "pgd"
    assert beaten_by(replace(strong, correct=int(worse[0])), [pgd, proved]) == ""
    assert beaten_by(pgd, [replace(strong, correct=0), proved]) == ""
