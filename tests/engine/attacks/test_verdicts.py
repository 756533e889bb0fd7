"""What a measurement of robustness keeps, and takes up again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.adversary.network import Iterate
from engine.attacks import robustness, verdicts
from engine.attacks.events import RobustnessAdvanced, RobustnessMeasured
from engine.attacks.requests import MeasureRobustness
from engine.data.datasets import Dataset
from engine.event import WorkAdvanced
from engine.network.checkpoints import save_weights
from engine.network.model import seeded_cnn
from engine.network.requests import Architecture
from engine.operations import perform
from tests.engine.attacks.samples import FEW, NOWHERE, measured, same

pytestmark = pytest.mark.numeric


@pytest.mark.usefixtures("few_images", "unremembered")
def test_verdicts_are_kept_in_the_folder_of_a_run(
    run: Path, monkeypatch: pytest.MonkeyPatch, attacked_images: list[tuple[str, float, int]]
) -> None:
    what = str(run)
    first = measured(what=what, **FEW)
    assert len(list((run / "robustness").iterdir())) == 4
    assert sum(count for *_, count in attacked_images) == 4 * 50
    verdicts.verdicts_of.cache_clear()
    attacked_images.clear()
    assert same(measured(what=what, **FEW), first)
    assert not attacked_images

    def refused(*_: object) -> Iterator[Iterate]:
        raise AssertionError

    with monkeypatch.context() as patch:
        patch.setattr(verdicts, "attack_many", refused)
        verdicts.verdicts_of.cache_clear()
        assert same(measured(what=what, **FEW), first)
        with pytest.raises(AssertionError):
            measured(what=what, **(FEW | {"seed": 1}))  # other random starts
        with pytest.raises(AssertionError):
            measured(what=what, **(FEW | {"split": "val"}))
        with pytest.raises(AssertionError):
            measured(what=what, **(FEW | {"steps": 4}))


@pytest.mark.usefixtures("few_images", "unremembered")
@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"no archive",
        {"taken": np.full(50, 11, np.int8), "sizes": np.zeros(50, np.float32)},
        {"taken": np.zeros(50, np.int64), "sizes": np.zeros(50, np.float32)},
        {"taken": np.zeros(50, np.int8), "sizes": np.zeros(49, np.float32)},
        {"taken": np.zeros(401, np.int8), "sizes": np.zeros(401, np.float32)},
        {"taken": np.zeros(50, np.int8)},
        {"taken": np.array(None), "sizes": np.zeros(50, np.float32)},
    ],
    ids=["empty", "no archive", "no class", "no int8", "too few sizes", "too many", "a part", "objects"],
)
def test_a_damaged_file_of_verdicts_is_ignored(run: Path, damage: Any) -> None:
    fields = FEW | {"attack": ("fgsm",), "epsilons": (0.1,)}
    first = measured(what=str(run), **fields)
    (file,) = (run / "robustness").iterdir()
    if isinstance(damage, bytes):
        file.write_bytes(damage)
    else:
        np.savez(file, **damage)
    verdicts.verdicts_of.cache_clear()
    assert same(measured(what=str(run), **fields), first)
    with np.load(file) as kept:  # and replaced
        assert len(kept["taken"]) == 50


@pytest.mark.usefixtures("few_images", "unremembered")
def test_other_weights_have_verdicts_of_their_own(
    run: Path, attacked_images: list[tuple[str, float, int]], small: Dataset
) -> None:
    fields = FEW | {"attack": ("fgsm",), "epsilons": (0.0, 0.1)}
    before = measured(what=str(run), **fields)
    save_weights(run / "model.safetensors", seeded_cnn(Architecture(), 8))
    after = measured(what=str(run), **fields)
    assert sum(count for *_, count in attacked_images) == 4 * 50
    assert before.points[0].correct > 25 > after.points[0].correct
    assert len(list((run / "robustness").iterdir())) == 4


@pytest.mark.usefixtures("few_images", "unremembered")
def test_more_images_reuse_the_verdicts_on_fewer(run: Path, attacked_images: list[tuple[str, float, int]]) -> None:
    what, fields = str(run), FEW | {"attack": ("random", "fgsm")}
    measured(what=what, **fields)
    verdicts.verdicts_of.cache_clear()
    attacked_images.clear()
    more = measured(what=what, **(fields | {"count": 80}))
    assert {count for *_, count in attacked_images} == {30}
    assert len(attacked_images) == 4
    assert {point.count for point in more.points} == {80}
    again = measured(what=what, **fields)  # and those on fewer are not forgotten
    assert {point.count for point in again.points} == {50}
    assert len(attacked_images) == 4
    shutil.rmtree(Path(what) / "robustness")
    verdicts.verdicts_of.cache_clear()
    assert same(measured(what=what, **(fields | {"count": 80})), more)


@pytest.mark.usefixtures("few_images", "unremembered")
def test_a_measurement_goes_on_where_it_was_left(
    monkeypatch: pytest.MonkeyPatch, attacked_images: list[tuple[str, float, int]]
) -> None:
    monkeypatch.setattr(robustness, "AT_ONCE", 20)
    request = MeasureRobustness(what="pretrained:cnn-bn", **FEW)
    whole = list(perform(request, NOWHERE))
    parts = [event for event in whole if isinstance(event, RobustnessAdvanced)]
    assert [{point.count for point in part.points} for part in parts] == [{20}, {40}, {50}]
    work = [event for event in whole if isinstance(event, WorkAdvanced)]
    assert [event.done for event in work] == sorted(event.done for event in work)
    assert work[-1].done == work[-1].total == 200
    assert whole[-1 - len(parts[-1].points) : -1] == list(parts[-1].points)
    verdicts.verdicts_of.cache_clear()
    attacked_images.clear()
    events = perform(request, NOWHERE)
    for event in events:
        if isinstance(event, WorkAdvanced) and event.done > 80:
            break
    events.close()
    begun = len(attacked_images)
    later = list(perform(request, NOWHERE))
    assert isinstance(later[-1], RobustnessMeasured)
    assert same(later[-1], whole[-1])
    finished_before = [20] * 5
    assert begun == len(finished_before) + 1
    assert sum(count for *_, count in attacked_images[begun:]) == 200 - sum(finished_before)
