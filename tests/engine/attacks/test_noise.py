"""Images from noise: the notebook's loop, plain gradient ascent, and what keeps them smooth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.adversary import ascent
from engine.adversary.ascent import rolled, total_variation_gradient
from engine.attacks.events import AttackFinished
from engine.attacks.noise import from_noise, noise
from engine.attacks.requests import AttackNoise
from engine.benchmark import notebook
from tests.engine.attacks.samples import Networks, finished, last, of, plain_ascent

pytestmark = pytest.mark.numeric


def smoothness(images: Any) -> float:
    """The sum of squared differences between neighbours."""
    return float(sum(np.square(np.diff(images, axis=axis)).sum() for axis in (-1, -2)))


# In float64, since in float32 the notebook does not agree with itself: rounding differs with the size of the batch, and
# over 1,500 steps Adam amplifies it to percents (measured: mean pixel differences of 0.02 to 0.08). In float64 the two
# agree to 1e-14.


def assert_it_is_the_notebooks(networks: Networks, classes: list[int], steps: int) -> None:
    starts = noise(classes, 0).double()
    kept = starts.clone()
    histories = []
    for iterate in from_noise(networks.attacked, starts, classes, AttackNoise(steps=steps)):
        histories.append(iterate.logits.clone())
    assert torch.equal(starts, kept)
    assert len(histories) == steps + 1
    for number, digit in enumerate(classes):
        image, cost = notebook.non_targeted_attack(
            networks.theirs, starts[number : number + 1].clone().requires_grad_(), digit, steps
        )
        assert (iterate.images[number] - image.detach()[0]).abs().mean() < 1e-9
        found = [logits[number, digit].item() for logits in histories[:-1]]
        np.testing.assert_allclose(found, cost, rtol=1e-9)
        assert histories[-1][number].argmax() == networks.theirs(image)[0].argmax() == digit


@pytest.mark.parametrize(("variant", "digit"), [("cnn", 3), ("cnn-bn", 8)])
def test_noise_becomes_what_the_notebook_makes_of_it(variant: str, digit: int) -> None:
    assert_it_is_the_notebooks(of(variant), [digit], 300)


def test_noise_becomes_all_ten_classes_at_once(networks: Networks) -> None:
    assert_it_is_the_notebooks(networks, list(range(10)), 50)


@pytest.mark.parametrize(("steps", "step_size"), [(20, 0.003), (1, 40.0)])
def test_noise_by_plain_gradient_ascent(networks: Networks, steps: int, step_size: float) -> None:
    starts = noise([3, 8], 1).double()
    request = AttackNoise(steps=steps, optimizer="plain", step_size=step_size)
    found = last(from_noise(networks.attacked, starts, [3, 8], request)).images
    for number, digit in enumerate([3, 8]):
        start = starts[number : number + 1]
        expected = plain_ascent(networks.theirs, start, start, digit, steps, step_size, 0.0)
        torch.testing.assert_close(found[number], expected[0], rtol=0, atol=1e-9)
        assert (expected - start.clamp(0, 1)).abs().max() > 0.05


def test_the_total_variations_gradient_is_autograds() -> None:
    images = noise([1, 2, 3], 5).double().requires_grad_()
    variation = sum(images.diff(dim=axis).square().sum() for axis in (2, 3))
    assert isinstance(variation, Tensor)
    (expected,) = torch.autograd.grad(variation, images)
    torch.testing.assert_close(total_variation_gradient(images.detach()), expected)


@pytest.mark.usefixtures("few_images")
def test_penalties_make_images_smoother_and_darker() -> None:
    def made(**fields: float) -> AttackFinished:
        return finished(AttackNoise(what="pretrained:cnn-bn", classes="38", steps=120, **fields))  # type: ignore[arg-type]

    plain, smooth, dark = made(), made(total_variation=1.0), made(l2=0.5)
    for event in (plain, smooth, dark):
        assert event.successes == 2
    assert smoothness(smooth.adversarial) < 0.7 * smoothness(plain.adversarial)
    assert np.square(dark.adversarial).sum() < 0.9 * np.square(plain.adversarial).sum()
    assert smooth.settings["total_variation"] == 1.0


def test_rolled_is_torchs_roll_and_goes_back() -> None:
    images = noise([0, 1, 2, 3], 1)
    shifts = torch.tensor([[0, 0], [3, -2], [-14, 14], [1, 0]])
    found = rolled(images, shifts)
    for image, after, shift in zip(images, found, shifts.tolist(), strict=True):
        assert torch.equal(after, torch.roll(image, shift, (1, 2)))
    assert torch.equal(rolled(found, -shifts), images)
    assert torch.equal(rolled(images, torch.zeros_like(shifts)), images)


def test_jitter_is_each_classs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []

    def noted(images: Tensor, shift: Tensor) -> Tensor:
        seen.append(shift.clone())
        return rolled(images, shift)

    monkeypatch.setattr(ascent, "rolled", noted)

    def shifts(classes: list[int], **fields: int) -> Tensor:
        """(steps, n, 2), the steps of which nothing was shifted left out."""
        seen.clear()
        settings = AttackNoise(steps=30, **({"jitter": 2} | fields))  # type: ignore[arg-type]
        made = last(from_noise(of("cnn").attacked, noise(classes, 0).double(), classes, settings))
        assert made.images.min() >= 0
        assert made.images.max() <= 1
        if not seen:
            return torch.empty(0)
        forth, back = torch.stack(seen[::2]), torch.stack(seen[1::2])
        assert torch.equal(forth, -back)  # the gradient goes back to where its pixels are
        return forth

    together = shifts([0, 3, 8])
    assert sorted(set(together.flatten().tolist())) == [-2, -1, 0, 1, 2]
    assert not torch.equal(together[:, 0], together[:, 1])
    assert torch.equal(shifts([3]), together[:, 1:2])
    assert not torch.equal(shifts([3], seed=1), together[:, 1:2])
    assert not len(shifts([3], jitter=0))
