"""Requests that are refused, and those that have no answer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from engine.attacks.requests import (
    AttackApgd,
    AttackCarliniWagner,
    AttackDeepFool,
    AttackFab,
    AttackFgsm,
    AttackNoise,
    AttackPgd,
    AttackSquare,
    AttackTargeted,
    AttackUniversal,
    MeasureRobustness,
    MeasureTransfer,
    SweepBeta,
)
from engine.operations import perform
from engine.request import Request, RequestError, parameters
from tests.engine.attacks.samples import NOWHERE


@pytest.mark.usefixtures("few_images")
@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (
            MeasureRobustness(what="pretrained:cnn", others=("pretrained:cnn-bn", "pretrained:cnn")),
            "name each network once: curves with the same name cannot be told apart",
        ),
        (
            MeasureTransfer(what="pretrained:cnn", others=("pretrained:cnn",)),
            "name each network once: transfer is measured between different networks",
        ),
        (MeasureRobustness(what="pretrained:cnn", others=("nothing.pth",)), "there is no file nothing.pth"),
        (AttackPgd(what="pretrained:cnn", indices=(3, 400)), "index 400 is beyond the 400 images of the test split"),
        (AttackFgsm(what="pretrained:cnn", indices=(0,), target=7), "all of these images are of class 7 already"),
        (AttackTargeted(what="pretrained:cnn", indices=(0, 17), target=7), "there is nothing to attack"),
        (AttackNoise(what="no-run"), "no-run is not a run folder"),
        (SweepBeta(what="nothing.pth"), "there is no file nothing.pth"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Request) else "",
)
def test_questions_that_have_no_answer(request_: Request, words: str) -> None:
    with pytest.raises(RequestError) as caught:
        list(perform(request_, NOWHERE))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


KINDS: list[type[Request]] = [
    AttackNoise,
    AttackTargeted,
    AttackFgsm,
    AttackPgd,
    AttackApgd,
    AttackDeepFool,
    AttackFab,
    AttackCarliniWagner,
    AttackSquare,
    AttackUniversal,
    SweepBeta,
    MeasureRobustness,
    MeasureTransfer,
]


def beyond(kind: type[Request]) -> Iterator[tuple[str, Any]]:
    """Of each number that `kind` asks for, the first value beyond each of its bounds."""
    for one in parameters(kind):
        if one.type not in (int, float):
            continue
        least, most = one.meta.ge, one.meta.le
        values: list[Any] = [one.meta.gt, one.meta.lt]
        if one.type is int:
            values += [least - 1 if least is not None else None, most + 1 if most is not None else None]
        else:
            values += [
                math.nextafter(least, -math.inf) if least is not None else None,
                math.nextafter(most, math.inf) if most is not None else None,
                math.nan,
                math.inf,
            ]
        yield from ((one.name, value) for value in values if value is not None)
        yield one.name, "1"


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_beyond_their_bounds_are_refused_in_one_line(kind: type[Request]) -> None:
    refused = set()
    for name, value in beyond(kind):
        with pytest.raises(RequestError) as caught:
            kind(**{name: value})
        assert str(caught.value).startswith(f"{name.replace('_', ' ')} must be ")
        assert "\n" not in str(caught.value)
        refused.add(name)
    numbers = {one.name for one in parameters(kind) if one.type in (int, float)}
    assert refused == numbers
    for one in parameters(kind):  # the bounds themselves are allowed
        for bound in (one.meta.ge, one.meta.le):
            if one.type in (int, float) and bound is not None:
                kind(**{one.name: bound})


NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        (AttackNoise, {"classes": ""}, "classes must be different digits, for example 38, not ''"),
        (AttackNoise, {"classes": "33"}, "classes must be different digits"),
        (AttackNoise, {"classes": "3a"}, "classes must be different digits"),
        (AttackNoise, {"classes": "3 8"}, "classes must be different digits"),
        (AttackNoise, {"classes": "٣"}, "classes must be different digits"),
        (AttackNoise, {"classes": 3}, "classes must be text"),
        (AttackPgd, {"indices": ()}, "indices must be whole numbers"),
        (AttackPgd, {"indices": (-1,)}, "indices must be at least 0, not -1"),
        (AttackPgd, {"indices": (3, -2)}, "indices must be at least 0, not -2"),
        (AttackFgsm, {"indices": (1.5,)}, "indices must be whole numbers"),
        (AttackFgsm, {"indices": tuple(range(101))}, "indices must be whole numbers"),
        (AttackFgsm, {"norm": "l1"}, "norm must be one of linf, l2"),
        (AttackPgd, {"restarts": 2, "random_start": False}, "restarts without a random start are all the same"),
        (AttackPgd, {"random_start": 1}, "random start must be one of False, True"),
        (MeasureRobustness, {"epsilons": (0.1, -1.0)}, "epsilons must be from 0 to 28"),
        (MeasureRobustness, {"epsilons": (0.1, NAN)}, "epsilons must be a finite number"),
        (MeasureRobustness, {"epsilons": (NAN,)}, "epsilons must be a finite number"),
        (MeasureRobustness, {"epsilons": (INF,)}, "epsilons must be a finite number"),
        (MeasureRobustness, {"epsilons": (29.0,)}, "epsilons must be from 0 to 28"),
        (MeasureRobustness, {"epsilons": ("0.1",)}, "epsilons must be numbers"),
        (MeasureRobustness, {"attack": ()}, "attack must be "),
        (MeasureRobustness, {"attack": ("pgd", "pgd")}, "name each attack once"),
        (MeasureRobustness, {"attack": ("cfg",)}, "attack must be "),
        (MeasureRobustness, {"attack": ("pgd", "deepfool")}, "deepfool minimises the L2 norm: set norm to l2"),
        (MeasureRobustness, {"attack": ("deepfool", "cw")}, "cw and deepfool minimise the L2 norm: set norm to l2"),
        (AttackApgd, {"loss": "cw"}, "loss must be one of ce, dlr"),
        (AttackPgd, {"loss": "mse"}, "loss must be one of ce, cw, dlr"),
        (MeasureRobustness, {"loss": "mse"}, "loss must be one of ce, cw, dlr"),
        (MeasureRobustness, {"certified": 1}, "certified must be one of False, True"),
        (MeasureRobustness, {"certified": True, "norm": "l2"}, "certified accuracy is proved in linf only: set norm"),
        (MeasureRobustness, {"others": ("a",) * 8}, "others must be "),
        (MeasureTransfer, {"attack": "random"}, "attack must be one of fgsm, pgd, deepfool, cw"),
        (SweepBeta, {"split": "all"}, "split must be one of train, val, test"),
    ],
)
def test_bad_requests_are_refused_in_one_line(kind: type[Request], fields: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError) as caught:
        kind(**fields)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_requests_survive_json(kind: type[Request]) -> None:
    request = kind(**{"what": "pretrained:cnn", "device": "cpu"})
    assert msgspec.json.decode(msgspec.json.encode(request), type=kind) == request


def test_bounds_are_ascending_and_each_once() -> None:
    assert MeasureRobustness(epsilons=(0.3, 0.0, 0.1, 0.3)).bounds == (0.0, 0.1, 0.3)
    assert MeasureRobustness().bounds == (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
    assert MeasureRobustness(norm="l2", attack=("deepfool",)).bounds[-1] == 3.0
    assert AttackPgd(epsilon=0.4, steps=10).step == pytest.approx(0.1)
    assert AttackPgd(epsilon=0.4, steps=10, step_size=0.3).step == 0.3
