"""One perturbation for many digits: against the same ascent written out, and against its own promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from engine.adversary.network import AttackedNetwork
from engine.adversary.objectives import ANY
from engine.attacks.events import UniversalMade
from engine.attacks.requests import AttackUniversal
from engine.attacks.universal import CAP, CappedCrossEntropy, ascend
from engine.benchmark import notebook
from engine.data.datasets import Dataset
from engine.event import WorkAdvanced, to_json
from engine.figures.drawing.figure import figure_of
from engine.network.checkpoints import load_weights
from engine.network.events import WeightsRead
from engine.operations import perform
from engine.request import RequestError
from engine.runs.finding import pretrained
from tests.engine.figures.pages import caption, inside

NOWHERE = Path("nowhere")


def made(**fields: Any) -> UniversalMade:
    *_, event = perform(AttackUniversal(**({"what": "pretrained:cnn"} | fields)), NOWHERE)
    assert isinstance(event, UniversalMade)
    return event


def written_out(network: nn.Module, images: Tensor, labels: Tensor, settings: AttackUniversal) -> Tensor:
    """By autograd: clipping lets gradients through, as does the identity."""
    found = torch.zeros_like(images[0])
    for _ in range(settings.steps):
        found.requires_grad_()
        moved = images + found
        logits = network(moved + (moved.clamp(0, 1) - moved).detach())[0]
        if settings.target == ANY:
            gain = cross_entropy(logits, labels, reduction="none").clamp(max=CAP).mean()
        else:
            gain = -cross_entropy(logits, torch.full_like(labels, settings.target))
        (gradient,) = torch.autograd.grad(gain, found)
        found = (found.detach() + settings.step * gradient.sign()).clamp(-settings.epsilon, settings.epsilon)
    return found


def test_how_a_file_of_others_was_read_is_told(tmp_path: Path) -> None:
    state = dict(load_weights(pretrained("cnn").model_file).state_dict())
    torch.save({f"net.{key}": value for key, value in state.items()}, path := tmp_path / "theirs.pth")
    told = next(perform(AttackUniversal(what=str(path), made_of=10, count=10, steps=1), NOWHERE))
    assert isinstance(told, WeightsRead)


@pytest.mark.parametrize("target", [ANY, 3])
def test_the_ascent_is_the_one_written_out(target: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """On images of noise, in which no two pixels are equal: no maximum is a tie."""
    monkeypatch.setattr("engine.attacks.universal.AT_ONCE", 16)
    model = load_weights(pretrained("cnn").model_file).eval()
    theirs = notebook.network(False)
    theirs.load_state_dict(model.state_dict())
    draw = torch.Generator().manual_seed(5)
    images = torch.rand((40, 1, 28, 28), generator=draw, dtype=torch.float64) * 0.3
    labels = torch.randint(0, 10, (40,), generator=draw)
    settings = AttackUniversal(epsilon=0.08, steps=3, step_size=0.05, target=target)
    *_, found = ascend(AttackedNetwork(model, torch.float64), images, labels, settings)
    expected = written_out(theirs.double().eval(), images, labels, settings)
    torch.testing.assert_close(found.pixels, expected, rtol=0, atol=1e-12)
    assert ((images + found.pixels) < 0).any()  # clipping has something to do


@pytest.mark.parametrize("target", [ANY, 3])
def test_gradients_of_the_loss_are_autograds(target: int) -> None:
    logits = (
        8 * torch.randn((50, 10), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ).requires_grad_()
    labels = torch.arange(50) % 10
    if target == ANY:
        each = cross_entropy(logits, labels, reduction="none")
        assert (each > CAP).any()
        gain = each.clamp(max=CAP).sum()
    else:
        gain = -cross_entropy(logits, torch.full_like(labels, target), reduction="sum")
    (expected,) = torch.autograd.grad(gain, logits)
    torch.testing.assert_close(CappedCrossEntropy(labels, target).gradient(logits.detach()), expected)


@pytest.mark.usefixtures("few_images")
def test_it_is_tried_on_images_that_it_was_not_made_of(small: Dataset) -> None:
    event = made(made_of=250, steps=8, count=200)
    assert (event.dataset, event.split, event.made_of, event.averaged) == ("mnist", "test", 250, 200)
    assert np.abs(event.perturbation).max() == pytest.approx(0.3)
    model = load_weights(pretrained("cnn").model_file).eval()
    images, labels = small.test.images[:200], small.test.labels[:200]
    perturbed = (images + torch.from_numpy(event.perturbation)).clamp(0, 1)
    with torch.inference_mode():
        before, after = model(images).argmax(dim=1).numpy(), model(perturbed).argmax(dim=1).numpy()
    np.testing.assert_array_equal(event.before, before)
    np.testing.assert_array_equal(event.predicted, after)
    np.testing.assert_array_equal(event.fooled, after != before)
    np.testing.assert_array_equal(event.actual, labels)
    np.testing.assert_array_equal(event.originals, images[:10, 0])
    np.testing.assert_array_equal(event.adversarial, perturbed[:10, 0])
    assert event.fooling_rate == event.fooled.mean()
    assert event.low < event.fooling_rate < event.high
    assert event.accuracy_before == pytest.approx((before == labels.numpy()).mean())
    assert event.accuracy == pytest.approx((after == labels.numpy()).mean())
    assert event.taken_for == tuple(np.bincount(after, minlength=10).tolist())
    assert len(event.history) == 9
    assert event.history[0] < 0.02 < event.history[-1]
    assert event.fooling_rate > 3 * event.by_chance  # it has learned something that chance does not know


@pytest.mark.usefixtures("few_images")
def test_with_a_target_all_are_of_other_classes(small: Dataset) -> None:
    event = made(made_of=60, steps=4, count=10_000, target=8, epsilon=0.5)
    assert event.averaged == int((small.test.labels != 8).sum())
    assert (event.actual != 8).all()
    np.testing.assert_array_equal(event.fooled, event.predicted == 8)
    assert event.fooling_rate == event.taken_for[8] / event.averaged


@pytest.mark.usefixtures("few_images")
def test_within_nothing_nothing_changes() -> None:
    event = made(made_of=5, steps=2, count=50, epsilon=0.0)
    assert not event.perturbation.any()
    assert event.fooling_rate == event.by_chance == 0
    assert event.accuracy == event.accuracy_before


@pytest.mark.usefixtures("few_images")
def test_it_can_be_watched_kept_and_drawn() -> None:
    *progress, event = perform(AttackUniversal(what="pretrained:cnn", made_of=20, steps=3, count=30), NOWHERE)
    assert [p.done for p in progress if isinstance(p, WorkAdvanced)] == [0, 1, 2, 3]
    assert b'"fooling_rate":' in to_json(event)
    assert b"perturbation" not in to_json(event)
    figure = figure_of(event)
    assert "fitted to 20 training images" in caption(figure)
    assert "L∞ 0.3, 3 steps of 0.25" in caption(figure)
    inside(figure)


def test_training_images_are_not_what_it_is_tried_on() -> None:
    with pytest.raises(RequestError, match="fitted to training images, which the drawings do not have"):
        AttackUniversal(dataset="drawings").check_together()
    with pytest.raises(RequestError, match="must be tested on others: use split test or val"):
        AttackUniversal(split="train")
