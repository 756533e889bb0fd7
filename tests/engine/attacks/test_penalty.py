"""The sweep over beta: where the penalty begins to work, and where the attack fails."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest

from engine.attacks.events import BetaPoint, BetaSweepAdvanced, BetaSwept
from engine.attacks.requests import AttackTargeted, SweepBeta
from engine.data.datasets import Dataset, Split
from engine.event import WorkAdvanced
from engine.operations import perform
from engine.request import RequestError
from tests.conftest import patch_load
from tests.engine.attacks.samples import NOWHERE, finished

pytestmark = pytest.mark.numeric


def swept(points: Sequence[tuple[float, float, float, float, float]]) -> BetaSwept:
    """Of (beta, success, l2, closer, its margin)."""
    made = [
        BetaPoint(
            beta=beta,
            success=success,
            l2=l2,
            l2_spread=0.1,
            linf=0.2,
            linf_spread=0.1,
            closer=closer,
            closer_margin=margin,
        )
        for beta, success, l2, closer, margin in points
    ]
    about: dict[str, Any] = {"name": "a", "variant": "cnn", "epoch": 1, "dataset": "mnist", "split": "test"}
    return BetaSwept(**about, target=5, steps=25, step_size=0.01, averaged=9, points=tuple(made))


def test_where_the_penalty_begins_to_work_and_where_the_attack_fails() -> None:
    found = swept(
        [
            (0, 1.0, 2.0, 0.0, 0.0),
            (1e-5, 1.0, 1.9, 0.1, 0.05),  # chance: with the next one nothing is gained
            (1e-4, 1.0, 2.0, 0.0, 0.01),
            (1e-3, 1.0, 1.99, 0.019, 0.001),  # clear, but less than 1 % of L2
            (1e-2, 1.0, 1.95, 0.05, 0.06),  # enough, but within chance
            (1e-1, 0.9, 1.9, 0.1, 0.05),
            (1, 0.5, 1.0, 1.0, 0.1),  # half of the images is not less than half
            (10, 0.49, 0.5, 1.5, 0.1),
            (100, 0.1, 0.1, 1.9, 0.1),
        ]
    )
    assert (found.works_from, found.fails_from) == (0.1, 10)
    nothing = swept([(0, 0.8, 2.0, 0.0, 0.0), (1e-5, 0.8, 2.0, 0.0, 0.0)])
    assert (nothing.works_from, nothing.fails_from) == (None, None)
    assert swept([(0, 1.0, 2.0, 0.0, 0.0), (1e-5, 0.0, 2.0, 1.0, 2.0)]).works_from is None


@pytest.mark.usefixtures("few_images")
def test_beta_goes_up_by_decades_until_the_attack_fails(small: Dataset) -> None:
    fields: dict[str, Any] = {"what": "pretrained:cnn-bn", "steps": 15, "step_size": 0.02}
    events = list(perform(SweepBeta(count=30, **fields), NOWHERE))
    found = events[-1]
    assert isinstance(found, BetaSwept)
    betas = [point.beta for point in found.points]
    assert betas == [0.0, *(10.0**power for power in range(-5, len(betas) - 6))]
    assert 3 < len(betas) < 15
    parts = [event for event in events if isinstance(event, BetaSweepAdvanced)]
    assert [len(part.points) for part in parts] == list(range(1, len(betas) + 1))
    assert parts[-1].points == found.points
    work = [event for event in events if isinstance(event, WorkAdvanced)]
    assert [event.done for event in work] == list(range(1, len(work) + 1))
    assert work[-1].done <= work[-1].total

    indices = (small.test.labels != 5).nonzero()[:30, 0].tolist()
    assert found.averaged == 30
    sizes = []
    for point in (found.points[0], found.points[-2]):
        event = finished(AttackTargeted(indices=tuple(indices), beta=point.beta, **fields))
        assert point.success == pytest.approx(event.successes / 30)
        assert point.l2 == pytest.approx(event.l2.mean(), rel=1e-5)
        assert point.l2_spread == pytest.approx(event.l2.std(ddof=1), rel=1e-4)
        assert point.linf == pytest.approx(event.linf.mean(), rel=1e-5)
        sizes.append(event.l2)
    closer = sizes[0] - sizes[1]
    assert found.points[-2].closer == pytest.approx(closer.mean(), rel=1e-4, abs=1e-6)
    margin = 1.96 * closer.std(ddof=1) / math.sqrt(30)
    assert found.points[-2].closer_margin == pytest.approx(margin, rel=1e-3, abs=1e-6)

    first, final = found.points[0], found.points[-1]
    assert first.closer == first.closer_margin == 0
    assert first.success > 0.9
    anyway = sum(image.before == 5 for image in event.images) / 30
    assert final.success <= anyway + 0.01 < found.points[-2].success
    lengths = [point.l2 for point in found.points]
    assert lengths[-1] <= min(lengths) + 1e-9
    works, fails = found.works_from, found.fails_from
    assert works is not None
    assert fails is not None
    assert 1e-5 < works < fails  # with the notebook's own weight it does nothing


@pytest.mark.usefixtures("few_images")
def test_a_sweep_needs_digits_of_another_class(small: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    only_fives = small.test.labels.clone().fill_(5)
    data = Dataset("mnist", small.train, small.val, Split(small.test.images, only_fives))
    patch_load(monkeypatch, data, "engine.inspection.loaded")
    with pytest.raises(RequestError, match="too few images in the test split are not of class 5"):
        list(perform(SweepBeta(what="pretrained:cnn"), NOWHERE))
