"""The figures of attacks: what is on them, and that nothing leaves the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from msgspec.structs import replace

from engine.attacks.events import AttackFinished, BetaSwept, RobustnessMeasured, TransferMeasured
from engine.attacks.requests import (
    AttackNoise,
    AttackPgd,
    AttackTargeted,
    MeasureRobustness,
    MeasureTransfer,
    SweepBeta,
)
from engine.data.datasets import Dataset
from engine.figures.drawing.figure import figure_of, stem_of
from engine.operations import perform
from engine.request import Request
from tests.conftest import patch_load
from tests.engine.figures.pages import caption, inside, title
from tests.robustness import ROBUST, curves

CNN, NORMED = "pretrained:cnn", "pretrained:cnn-bn"


@pytest.fixture(scope="module", autouse=True)
def few_images(small: Dataset) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch_load(patch, small, "engine.inspection.loaded")
        yield


def asked(request: Request) -> Any:
    *_, last = perform(request, Path("nowhere"))
    return last


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts] + [a.get_title() for a in figure.axes]


def test_noise_is_the_notebooks_figure() -> None:
    event = asked(AttackNoise(what=CNN, classes="038", steps=30))
    assert isinstance(event, AttackFinished)
    figure = figure_of(event)
    inside(figure)
    for number, wanted in enumerate((0, 3, 8)):
        image, chart = figure.axes[2 * number : 2 * number + 2]
        assert image.get_title() == f"Target: {wanted}\nFinal Prob: {event.probabilities[number, wanted]:.4f}"
        assert np.asarray(image.images[0].get_array()) == pytest.approx(event.adversarial[number])
        assert chart.get_title() == f"Cost History for Target {wanted}"
        assert np.asarray(chart.lines[0].get_ydata()) == pytest.approx(event.history[number])
    assert "steps 30, adam, step size 0.01" in caption(figure)
    assert stem_of(event) == "attack-noise"


def test_a_gallery_from_noise_says_so() -> None:
    request = AttackTargeted(what=CNN, indices=tuple(range(20)), start="noise", optimizer="plain", step_size=0.05)
    figure = figure_of(asked(request))
    inside(figure)
    assert "target 5, steps 25, plain, step size 0.05, beta 1e-05, from noise, seed 0" in caption(figure)


@pytest.mark.parametrize("indices", [(61,), (3, 2, 1, 18, 4, 8, 11, 0, 61, 7), tuple(range(20))])
def test_the_gallery(indices: tuple[int, ...]) -> None:
    event = asked(AttackTargeted(what=CNN, indices=indices))
    assert isinstance(event, AttackFinished)
    figure = figure_of(event)
    inside(figure)
    shown = texts(figure)
    for made in event.images[:10]:
        assert f"{made.index}: actual {made.actual}\npredicted {made.before}" in shown
        assert f"L∞ {made.linf:.3f}\nL2 {made.l2:.3f}" in shown
    assert f"{event.successes} of {len(event.images)} fooled" in caption(figure)
    assert ("fooled, 10 shown" in caption(figure)) == (len(event.images) > 10)
    assert title(figure).startswith("Targeted adversarial attack")
    assert title(figure_of(asked(AttackPgd(what=CNN, indices=(0,), steps=2)))) == "PGD"


def test_accuracy_under_attack() -> None:
    request = MeasureRobustness(
        what=CNN, others=(NORMED,), attack=("fgsm", "pgd"), count=30, epsilons=(0, 0.1), steps=5
    )
    event = asked(request)
    assert isinstance(event, RobustnessMeasured)
    figure = figure_of(event)
    inside(figure)
    lines = {str(line.get_label()): line for line in figure.axes[0].lines}
    for name, attack, words in ((CNN, "fgsm", "FGSM"), (NORMED, "pgd", "PGD")):
        accuracies = [100 * point.accuracy for point in event.curve(name, attack)]
        assert np.asarray(lines[f"{name}, {words}"].get_ydata()) == pytest.approx(accuracies)
    assert "hollow" not in caption(figure)
    # Where a weaker attack fools more, the point is hollow and the small print says why.
    flagged = replace(event, points=(*event.points[:-1], replace(event.points[-1], beaten_by="fgsm")), fallen=())
    figure = figure_of(flagged)
    inside(figure)
    assert "hollow: a weaker attack or a smaller epsilon fools more" in caption(figure)
    assert stem_of(event) == "robustness-linf-30"


def test_the_unknown_lies_between_what_attacks_leave_and_what_is_proved() -> None:
    event = curves()
    figure = figure_of(event)
    inside(figure)
    assert title(figure) == "Accuracy under attack and proved, in the L∞ norm"
    axes = figure.axes[0]
    lines = {str(line.get_label()): line for line in axes.lines}
    for name, attacks in ROBUST.items():
        strong, thin, proved = (lines[f"{name}, {words}"] for words in ("AutoAttack", "PGD", "certified"))
        assert np.asarray(strong.get_ydata()) == pytest.approx(attacks["autoattack"])
        assert np.asarray(proved.get_ydata()) == pytest.approx(attacks["certified"])
        assert thin.get_linewidth() < strong.get_linewidth()
        assert thin.get_color() == strong.get_color() == proved.get_color()
        (hatched,) = (each for each in axes.collections if each.get_label() == f"{name}, unknown")
        (path,) = hatched.get_paths()
        middle = (attacks["autoattack"][2] + attacks["certified"][2]) / 2
        assert path.contains_point((0.1, middle))
        assert not path.contains_point((0.1, attacks["autoattack"][2] + 1))
        assert not path.contains_point((0.1, attacks["certified"][2] - 1))


def test_median_norms_stand_beside_the_curve() -> None:
    request = MeasureRobustness(what=NORMED, attack=("cw",), norm="l2", count=3)
    event = asked(request)
    figure = figure_of(event)
    inside(figure)
    words = [text.get_text() for text in figure.texts]
    assert any(f"median L2, {NORMED} cw: {event.median_l2[f'{NORMED} cw']:.3f}" in text for text in words)


def test_beta_and_transfer() -> None:
    swept = asked(SweepBeta(what=CNN, count=4))
    assert isinstance(swept, BetaSwept)
    figure = figure_of(swept)
    inside(figure)
    assert [axes.get_title() for axes in figure.axes] == ["Success (%)", "L2", "L∞"]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()][:3] == ["0", "1e-5", "1e-4"]
    moved = asked(MeasureTransfer(what=CNN, count=5, steps=3))
    assert isinstance(moved, TransferMeasured)
    figure = figure_of(moved)
    inside(figure)
    assert {f"{100 * share:.1f} %" for row in moved.success for share in row} <= set(texts(figure))
    assert title(figure) == "Transfer of adversarial images: PGD, L∞ 0.2"
