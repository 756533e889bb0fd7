"""Part 4 of the report: what training against attacks changes, with verdicts that follow from numbers."""

from __future__ import annotations

import math
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from msgspec.structs import replace

import engine.report.notebook
import engine.report.robustness
import engine.report.units
from engine.attacks.events import RobustnessPointMeasured
from engine.attacks.requests import AttackNoise
from engine.attribution.events import ClassOcclusionReady, Faithfulness, FaithfulnessCurve, FaithfulnessMeasured
from engine.data.datasets import Dataset, Split
from engine.inspection.events import FiltersShown, SplitEvaluated
from engine.inspection.requests import VisualiseUnits
from engine.network.model import CNN
from engine.network.requests import Architecture
from engine.operations import perform
from engine.report.claims import CONTRADICTED, MIXED, SUPPORTED
from engine.report.draft import Draft
from engine.report.events import ReportWritten
from engine.report.likeness import Likeness, likeness
from engine.report.requests import Report
from engine.report.robustness_claims import (
    Sides,
    digits_claim,
    ensemble_claim,
    faithful_claim,
    price_claim,
    thresholds_claim,
    white_claim,
)

NOWHERE = Path("nowhere")
BOTH = Sides(robust=(1,), others=(0,))
TWO = Sides(robust=(1, 2), others=(0,))
NAMES = ["plain", "robust", "second"]


@pytest.fixture
def quick(few_images: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """On few images, with few steps."""
    monkeypatch.setattr(engine.report.notebook, "AVERAGED", 2)
    monkeypatch.setattr(engine.report.notebook, "AttackNoise", partial(AttackNoise, steps=5))
    monkeypatch.setattr(engine.report.units, "VisualiseUnits", partial(VisualiseUnits, steps=3))
    for name, value in (("STEPS", 5), ("EXPLAINED", 3), ("REAL", 50), ("ROBUST", 0.05)):
        monkeypatch.setattr(engine.report.robustness, name, value)


def constant(path: Path) -> Path:
    """A weights file of a network that predicts the same for every image, which no attack changes."""
    weights = {name: torch.zeros_like(value) for name, value in CNN(Architecture()).state_dict().items()}
    weights["fc.3.bias"][7] = 1.0
    torch.save(weights, path)
    return path


@pytest.mark.usefixtures("quick")
def test_a_network_that_nothing_changes_beside_a_plain_one(tmp_path: Path) -> None:
    what = ("pretrained:cnn", str(constant(tmp_path / "constant.pth")))
    request = Report(what=what, robustness=True, count=100, out=str(tmp_path / "out"))
    *progress, event = perform(request, NOWHERE)
    assert isinstance(event, ReportWritten)
    assert [section for section, _ in event.claims if section.startswith("4")] == ["4.1", "4.2", "4.3", "4.4", "4.5"]
    notebook, attacks = event.observations
    assert notebook == ("the notebook's observations", list(event.claims[:-5]))
    assert attacks == ("training against attacks", list(event.claims[-5:]))
    text = Path(event.markdown).read_text(encoding="utf-8")
    part = text[text.index("## 4 Training against attacks") :]
    assert re.findall(r"^### (4\.\d)", part, re.M) == ["4.1", "4.2", "4.3", "4.4", "4.5"]
    row = next(line for line in part.splitlines() if line.startswith("| constant.pth | not known"))
    shares = re.findall(r"([\d.]+) % \(", row)
    assert len(set(shares[1:])) == 1  # what is proved is what an attack leaves
    assert "called robust if PGD leaves at least 5 % correct: constant.pth, and not pretrained:cnn." in part
    assert "| constant.pth | 32 | 32 | 0 | - |" in part  # its kernels are all zero
    assert "nan" not in part
    names = re.findall(r"\(figures/(\d\d-[^)]*side-by-side)\.png\)", part)
    assert [name[3:] for name in names] == [
        f"{name}-side-by-side" for name in ("filters-conv1", "occlusion-white", "faithfulness", "noise")
    ]
    assert text.index("## The notebook's observations") < text.index("## Observations on training against attacks")
    assert [each.done for each in progress] == sorted(each.done for each in progress)  # type: ignore[attr-defined]
    assert progress[-1].done <= progress[-1].total  # type: ignore[attr-defined]


def test_part_four_only_where_it_is_asked_for() -> None:
    assert not Report().robustness
    made = Draft(Report(), NOWHERE)
    assert {network.objective for network in made.networks} == {"clean"}


def test_more_kernels_are_thresholds() -> None:
    def shown(near_zero: int, one_pixel: int) -> FiltersShown:
        made: dict[str, Any] = {"name": "a", "variant": "cnn", "epoch": None, "layer": "conv1", "epochs": ()}
        numbers: dict[str, Any] = {"minimum": 0.0, "maximum": 0.0, "norms": (), "mean_size": 0.0}
        kinds: dict[str, Any] = {"near_zero": near_zero, "one_pixel": one_pixel}
        return FiltersShown(**made, **numbers, **kinds, shape=(32, 1, 3, 3), weights=np.zeros((32, 1, 3, 3)))

    plain, threshold = shown(0, 2), shown(2, 23)
    assert thresholds_claim(NAMES[:2], BOTH, [plain, threshold]).verdict == SUPPORTED
    assert thresholds_claim(NAMES[:2], BOTH, [threshold, plain]).verdict == CONTRADICTED
    mixed = thresholds_claim(NAMES, TWO, [plain, threshold, shown(1, 1)])
    assert mixed.verdict == MIXED
    assert "robust: 2 of 32 near zero, 23 dominated by one pixel" in mixed.evidence


def evaluated(right: np.ndarray[Any, Any]) -> SplitEvaluated:
    """A network that is right about some of the images (n,) bool."""
    labels = np.zeros(len(right), np.int64)
    made: dict[str, Any] = {"name": "a", "variant": "cnn", "epoch": None, "dataset": "mnist", "split": "test"}
    numbers: dict[str, Any] = {"loss": 0.0, "accuracy": float(right.mean()), "class_accuracy": (), "confusion": ()}
    return SplitEvaluated(
        **made, **numbers, count=len(right), labels=labels, predictions=(~right).astype(int), probabilities=labels
    )


def test_the_price_of_robustness_is_counted_in_pairs() -> None:
    def right(*wrong: slice) -> SplitEvaluated:
        found = np.ones(1000, bool)
        for each in wrong:
            found[each] = False
        return evaluated(found)

    plain, far, near = right(slice(10)), right(slice(40)), right(slice(8), slice(20, 25))
    claim = price_claim(NAMES[:2], BOTH, [plain, far])
    assert claim.verdict == SUPPORTED
    assert "robust loses 30 that plain gets right, and wins 0 (significant)" in claim.evidence
    assert price_claim(NAMES[:2], BOTH, [plain, near]).verdict == CONTRADICTED  # 5 lost and 2 won are chance
    assert price_claim(NAMES[:2], BOTH, [far, plain]).verdict == CONTRADICTED
    assert price_claim(NAMES, TWO, [plain, far, near]).verdict == MIXED


def test_an_ensemble_finds_what_pgd_misses() -> None:
    def point(attack: str, correct: int) -> RobustnessPointMeasured:
        made: dict[str, Any] = {"name": "robust", "variant": "cnn", "epoch": 1, "dataset": "mnist", "split": "test"}
        numbers: dict[str, Any] = {"class_count": (), "class_correct": (), "low": 0.0, "high": 1.0}
        share = correct / 100
        return RobustnessPointMeasured(
            **made, **numbers, attack=attack, norm="linf", epsilon=0.3, count=100, correct=correct, accuracy=share
        )

    lower, same = ([point("pgd", 92), point("autoattack", correct)] for correct in (88, 92))
    assert ensemble_claim([lower]).verdict == SUPPORTED
    assert ensemble_claim([same]).verdict == CONTRADICTED
    assert ensemble_claim([same, lower]).verdict == MIXED
    assert "robust: 92 and 88 of 100" in ensemble_claim([lower]).evidence


@pytest.fixture(scope="module")
def class_occlusion() -> ClassOcclusionReady:
    from engine.attribution.requests import Occlude

    *_, event = perform(Occlude(what="pretrained:cnn", stride=9, average=1, baseline="one"), NOWHERE)
    assert isinstance(event, ClassOcclusionReady)
    return event


def test_less_of_the_drop_off_the_strokes(class_occlusion: ClassOcclusionReady) -> None:
    def event(drop: float) -> ClassOcclusionReady:
        return replace(class_occlusion, strokes=replace(class_occlusion.strokes, drop=drop))

    assert white_claim(NAMES[:2], BOTH, [event(0.2), event(0.6)]).verdict == SUPPORTED
    assert white_claim(NAMES[:2], BOTH, [event(0.6), event(0.2)]).verdict == CONTRADICTED
    assert white_claim(NAMES[:2], BOTH, [event(0.2), event(math.nan)]).verdict == CONTRADICTED  # no drop at all
    assert "plain: 80.00 %; robust: 40.00 %" in white_claim(NAMES[:2], BOTH, [event(0.2), event(0.6)]).evidence


def test_faithfulness_is_compared_with_intervals() -> None:
    def event(deletion: float, insertion: float, spread: float) -> FaithfulnessMeasured:
        made: dict[str, Any] = {"name": "a", "variant": "cnn", "epoch": None, "dataset": "mnist", "split": "test"}
        down, up = (FaithfulnessCurve(values=(), area=area, area_spread=spread) for area in (deletion, insertion))
        found = tuple(Faithfulness(method=method, deletion=down, insertion=up) for method in ("saliency", "random"))
        known: dict[str, Any] = {"watch": "true", "randomised": 0, "stages": (), "shares": ()}
        return FaithfulnessMeasured(**made, **known, averaged=100, faithfulness=found)

    plain, better = event(0.3, 0.7, 0.1), event(0.2, 0.8, 0.1)
    assert faithful_claim(BOTH, [plain, better]).verdict == SUPPORTED
    assert faithful_claim(BOTH, [better, plain]).verdict == CONTRADICTED
    assert faithful_claim(BOTH, [plain, event(0.2, 0.7, 0.1)]).verdict == MIXED
    wide = faithful_claim(BOTH, [plain, event(0.2, 0.8, 1.0)])  # 0.1 is less than 1.96 standard errors of 0.1
    assert wide.verdict == CONTRADICTED
    assert "Of 2 comparisons" in wide.evidence
    assert "0 are significantly in its favour, 0 against it, and 2 neither" in wide.evidence


def test_likeness_to_digits(small: Dataset) -> None:
    train = small.train.first(300)
    images, labels = train.images[:5, 0], train.labels[:5]
    found = likeness(images, labels, train)
    everything = train.images.flatten(1).double().numpy()
    for number in range(5):
        own = images[number].flatten().double().numpy()
        mean = everything[(train.labels == labels[number]).numpy()].mean(axis=0)
        assert found.mean[number] == pytest.approx(np.corrcoef(own, mean)[0, 1], abs=1e-5)
    assert found.nearest == pytest.approx(np.ones(5), abs=1e-5)  # each is one of them
    other = small.test.images[:3, 0]
    nearest = likeness(other, small.test.labels[:3], train).nearest
    wanted = [max(np.corrcoef(each.flatten(), digit)[0, 1] for digit in everything) for each in other.double().numpy()]
    assert nearest == pytest.approx(wanted, abs=1e-5)
    gray = likeness(torch.full((1, 28, 28), 0.5), torch.tensor([3]), Split(train.images, train.labels))
    assert math.isnan(gray.mean[0])
    assert gray.like_digits(found) == 0


def test_whether_images_look_like_digits() -> None:
    real = Likeness(np.full(100, 0.6), np.linspace(0.7, 0.9, 100))
    noisy, better, good = (Likeness(np.full(10, m), np.full(10, n)) for m, n in ((0.05, 0.2), (0.3, 0.5), (0.6, 0.9)))
    assert (noisy.like_digits(real), good.like_digits(real), real.like_digits(real)) == (0, 10, 95)
    for images, verdict in ((good, SUPPORTED), (better, MIXED), (noisy, CONTRADICTED)):
        claim = digits_claim(NAMES[:2], BOTH, [noisy, images], [real, real])
        assert claim.verdict == verdict
        assert f"robust: {images.like_digits(real)} of 10" in claim.evidence
    assert digits_claim(NAMES, TWO, [noisy, good, noisy], [real] * 3).verdict == MIXED
    # A difference that the spread over the classes does not bear out is none.
    scattered = noisy._replace(mean=0.06 + 0.2 * np.array([1, -1] * 5))
    assert digits_claim(NAMES[:2], BOTH, [noisy, scattered], [real, real]).verdict == CONTRADICTED
