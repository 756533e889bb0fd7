"""Every operation of the program that computes on a device, at a small size, and a comparison of results."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

import engine.attacks.attack
import engine.data.datasets
import engine.report.draft
import engine.report.notebook
import engine.report.report
import engine.report.robustness
import engine.report.units
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
from engine.attribution.requests import Attribute, ExplainDrawing, Occlude
from engine.certification.requests import Certify, CertifyDigit
from engine.claims.requests import (
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
)
from engine.corruptions.requests import MeasureCorruptions, ShowCorruptions
from engine.event import Event, Progress
from engine.inspection.requests import (
    Audit,
    Embed,
    Evaluate,
    Predict,
    ShowActivations,
    ShowDigits,
    ShowFilters,
    ShowUnit,
    Summarise,
    VisualiseUnits,
)
from engine.network.requests import WarmUp
from engine.operations import perform
from engine.paths import asset
from engine.report.requests import Report
from engine.request import Request
from engine.training.events import Histogram
from engine.training.requests import FindLearningRate, ObjectiveName, Train

TRAINED: tuple[ObjectiveName, ...] = ("pgd", "ibp")
"""Objectives of whole runs; the others differ from these in the steps, which are a check of their own."""
TRAINING, VALIDATION, TEST = 700, 300, 500
"""Number of images of each split."""
CNN, BN = "pretrained:cnn", "pretrained:cnn-bn"

OF_THE_MACHINE = {
    *("device", "device_name", "threads", "versions", "started", "run", "html", "markdown", "graph"),
    *("seconds", "train_seconds", "eval_seconds", "images_per_second", "usage"),
}
"""Fields that may differ between devices."""
MOVED = 0.01
"""Largest share of values that rounding may put into another bin of a histogram."""
OF_ROUNDING = {"index", "row", "column", "indices", "images", "best_epoch", "test_wrong"}
"""Fields that depend on which of several nearly equal values is the largest."""


class Operation(NamedTuple):
    """A request with a unique name."""

    name: str
    request: Request
    tolerance: float = 1e-5
    """Permitted difference of a number x between devices, divided by max(1, |x|)."""


def operations(device: str) -> Iterator[Operation]:
    """All operations, on `device`."""
    for batch_norm, tolerance in ((False, 1e-4), (True, 2e-2)):  # with batch norm, Adam amplifies rounding errors
        # Histograms and dead units show such differences many times as large.
        small = Train(
            batch_norm=batch_norm, channels=8, hidden=32, train_size=256, epochs=2, device=device,
            insides=not batch_norm,
        )  # fmt: skip
        yield Operation(f"train {small.variant}", small, tolerance)
    for objective in TRAINED:
        robust = replace(small, batch_norm=False, objective=objective, train_epsilon=0.1, attack_steps=2)
        yield Operation(f"train {objective}", robust, 2e-2)  # small gradients have signs that rounding decides
    lowest = FindLearningRate(channels=8, hidden=32, train_size=256, steps=20, highest_rate=1e-2, device=device)
    yield Operation("learning rates", lowest, 1e-3)
    yield Operation("warm up", WarmUp(device=device))
    for what in (CNN, BN):
        yield Operation(f"summary {what}", Summarise(what=what, device=device))
        yield Operation(f"evaluate {what}", Evaluate(what=what, device=device))
        yield Operation(f"activations {what}", ShowActivations(what=what, device=device, survey=True))
        yield Operation(f"filters {what}", ShowFilters(what=what, device=device))
        yield Operation(f"digits {what}", ShowDigits(what=what, device=device, order="least-certain", count=5))
    yield Operation("visualise", VisualiseUnits(what=BN, device=device, layer="conv2", units=(3, 8), steps=4), 1e-3)
    yield Operation("unit", ShowUnit(what=CNN, device=device, layer="hidden", unit=5, steps=4), 1e-3)
    yield Operation("digits at random", ShowDigits(what=CNN, device=device, digit=3))
    picture = str(asset("report", "figures", "09-digits-cnn.png"))
    yield Operation("predict", Predict(what=BN, device=device, images=(picture, picture)))
    drawn = np.zeros((28, 28), np.uint8)
    drawn[5:20, 9:12] = 255
    for what in (CNN, BN):
        explain = ExplainDrawing(what=what, device=device, pixels=drawn.tobytes(), baseline="one", raw=what == BN)
        yield Operation(f"explain a drawing {what}", explain)
    yield Operation("audit", Audit(what=CNN, others=(BN,), device=device, count=5), 1e-4)
    yield Operation("map", Embed(what=CNN, device=device, count=300), 1e-3)
    yield Operation("map of a block", Embed(what=BN, device=device, layer="block2", count=300), 1e-3)
    for what, baseline in ((CNN, "zero"), (BN, "mean"), (CNN, "one"), (BN, "noise")):
        occlude = Occlude(what=what, device=device, baseline=baseline, stride=2, average=2 if baseline == "zero" else 0)
        yield Operation(f"occlude {baseline}", occlude)
    for what in (CNN, BN):
        yield Operation(f"attribute {what}", Attribute(what=what, device=device, stride=9, steps=2, samples=2), 1e-4)
    many = Attribute(what=BN, device=device, method="grad-cam-conv1", stride=9, digits=2, randomise=True)
    yield Operation("attribute many", many, 1e-4)
    yield from _attacks(device)
    universal = AttackUniversal(what=CNN, device=device, made_of=20, steps=3, count=30)
    yield Operation("attack universal", universal)
    yield Operation("beta", SweepBeta(what=CNN, device=device, count=6, steps=3, exact=True))
    bounded = MeasureRobustness(
        what=CNN, device=device, attack=("random", "fgsm", "pgd"), epsilons=(0.1, 0.2), count=10, steps=8
    )
    yield Operation("robustness linf", bounded)
    strong = MeasureRobustness(
        what=CNN, device=device, attack=("autoattack",), epsilons=(0.002, 0.3), count=4, certified=True
    )
    yield Operation("robustness autoattack", strong)
    least = MeasureRobustness(
        what=BN, device=device, attack=("deepfool", "pgd"), norm="l2", epsilons=(1.0,), count=8, steps=12, restarts=2
    )
    yield Operation("robustness l2", least, 1e-4)
    yield Operation("transfer", MeasureTransfer(what=CNN, device=device, count=10, steps=4), 1e-4)
    yield Operation("one digit's corruptions", ShowCorruptions(what=BN, device=device))
    yield Operation("corruptions", MeasureCorruptions(what=CNN, others=(BN,), device=device, count=4))
    yield Operation("certify", Certify(what=CNN, device=device, epsilons=(0.0, 0.005, 0.02), count=12), 1e-4)
    yield Operation("certify digit", CertifyDigit(what=BN, device=device, steps=2, restarts=2), 1e-2)
    yield from _claims(device)
    yield Operation("report", Report(what=(BN,), device=device, robustness=True, count=8), 1e-4)


def _claims(device: str) -> Iterator[Operation]:
    plain = (CheckTraining, CheckAccuracy, CheckMistakes, CheckLayers, CheckBatchNorm, CheckSimplicity, CheckKernels)
    for kind in (*plain, CheckResemblance, CheckChannels):
        yield Operation(f"claim {kind.claim}", kind(what=CNN, device=device), 1e-4)
    yield Operation("claim occlusion", CheckOcclusion(what=CNN, device=device, stride=9, average=2), 1e-4)
    yield Operation("claim noise", CheckNoise(what=CNN, device=device, classes="3", steps=3), 1e-2)
    yield Operation("claim targeted", CheckTargeted(what=CNN, device=device, indices=(3, 2), steps=3), 1e-2)
    yield Operation("claim fgsm", CheckFgsm(what=CNN, device=device, count=10), 1e-4)


def _attacks(device: str) -> Iterator[Operation]:
    digits = (3, 2, 1, 18, 61)
    yield Operation("attack noise", AttackNoise(what=CNN, device=device, exact=True, steps=12))
    regular = AttackNoise(
        what=BN, device=device, exact=True, steps=8, jitter=2, l2=0.01, total_variation=0.01, classes="38"
    )
    yield Operation("attack noise, regularised", regular)
    yield Operation("attack targeted", AttackTargeted(what=CNN, device=device, exact=True, indices=digits, steps=12))
    yield Operation("attack fgsm", AttackFgsm(what=CNN, device=device, exact=True, indices=digits))
    yield Operation(
        "attack fgsm l2", AttackFgsm(what=CNN, device=device, exact=True, indices=digits, norm="l2", epsilon=1.5)
    )
    yield Operation("attack pgd", AttackPgd(what=CNN, device=device, exact=True, indices=digits, steps=8, restarts=2))
    aimed = AttackPgd(what=BN, device=device, exact=True, indices=digits, norm="l2", epsilon=2.0, target=4, steps=8)
    yield Operation("attack pgd l2", aimed)
    yield Operation("attack apgd", AttackApgd(what=CNN, device=device, exact=True, indices=digits, steps=8, loss="dlr"))
    yield Operation("attack fab", AttackFab(what=BN, device=device, exact=True, indices=digits, norm="l2", steps=3))
    yield Operation("attack square", AttackSquare(what=CNN, device=device, exact=True, indices=digits, queries=60))
    yield Operation("attack deepfool", AttackDeepFool(what=CNN, device=device, exact=True, indices=digits))
    yield Operation(
        "attack cw",
        AttackCarliniWagner(what=CNN, device=device, exact=True, indices=digits, steps=8, binary_search_steps=2),
    )


def make_small(out: Path) -> None:
    """Make this process use few images, and write short reports without figures to `out`. This is permanent."""
    images, labels, test_images, test_labels = engine.data.datasets.load_mnist()
    train = TRAINING + VALIDATION
    raw = images[:train], labels[:train], test_images[:TEST], test_labels[:TEST]
    engine.data.datasets.load_mnist = lambda: raw
    engine.data.datasets.VALIDATION_SIZE = VALIDATION
    notebook: Any = engine.report.notebook
    notebook.AVERAGED, notebook.AttackNoise = 1, partial(AttackNoise, steps=5)
    notebook.Occlude, notebook.AttackTargeted = partial(Occlude, stride=4), partial(AttackTargeted, steps=5)
    units: Any = engine.report.units
    units.VisualiseUnits = partial(VisualiseUnits, steps=3)
    robustness: Any = engine.report.robustness
    robustness.STEPS, robustness.EXPLAINED = 5, 1
    draft: Any = engine.report.draft
    draft.figure_of, draft.png_of = (lambda *_, **__: None), (lambda _: b"")
    report: Any = engine.report.report
    report.Path = lambda name: out / name
    # Attacks report progress at time intervals, which would vary, so turn this off.
    engine.attacks.attack.PAUSE = float("inf")


def results(request: Request, root: Path) -> list[Event]:
    """The events of `request`, without progress."""
    return [event for event in perform(request, root) if not isinstance(event, Progress)]


def deviation(one: Any, other: Any, place: str = "") -> float:  # noqa: PLR0911 (a case for each kind of value)
    """The largest difference of corresponding numbers x in two results, divided by max(1, |x|).

    Raises AssertionError with the position if anything other than numbers differs.
    """
    if isinstance(one, Histogram):
        share = _moved(one, other)
        assert share <= MOVED, f"{place}: {share:.1%} of the values are in another bin"
        return 0.0
    if isinstance(one, Struct):
        assert type(one) is type(other), f"{place}: {type(one).__name__} and {type(other).__name__}"
        names = [name for name in one.__struct_fields__ if name not in OF_THE_MACHINE | OF_ROUNDING]
        return max((deviation(getattr(one, n), getattr(other, n), f"{place}.{n}") for n in names), default=0.0)
    if isinstance(one, dict):
        assert one.keys() == other.keys(), f"{place}: other keys"
        return max((deviation(one[k], other[k], f"{place}[{k}]") for k in one), default=0.0)
    if isinstance(one, list | tuple):
        assert len(one) == len(other), f"{place}: {len(one)} and {len(other)} of them"
        pairs = enumerate(zip(one, other, strict=True))
        return max((deviation(a, b, f"{place}[{i}]") for i, (a, b) in pairs), default=0.0)
    if isinstance(one, np.ndarray | float):
        first, second = np.asarray(one), np.asarray(other)
        assert first.shape == second.shape, f"{place}: {first.shape} and {second.shape}"
        if first.dtype.kind != "f":
            assert (first == second).all(), f"{place}: other values"
            return 0.0
        known = np.isfinite(first)
        assert (known == np.isfinite(second)).all(), f"{place}: numbers and no numbers"
        first, second = first[known], second[known]
        return float((np.abs(first - second) / np.maximum(1, np.abs(second))).max(initial=0.0))
    assert one == other, f"{place}: {one!r} and {other!r}"
    return 0.0


def _moved(one: Histogram, other: Histogram) -> float:
    """The share of values that are in another bin, 0 to 1. Raises AssertionError where the numbers of values differ."""
    ours, theirs = ({(low, high): count for low, high, count in each.bins() if count} for each in (one, other))
    assert one.total == other.total, f"{one.total} and {other.total} values"
    apart = (abs(ours.get(place, 0) - theirs.get(place, 0)) for place in ours.keys() | theirs.keys())
    return sum(apart) / 2 / max(1, one.total)
