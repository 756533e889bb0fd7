"""Logits, gradients and Jacobians of the passes, against autograd, and however rounding falls."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from engine.adversary.network import AttackedNetwork
from engine.adversary.objectives import LogitObjective
from engine.attacks.requests import GALLERY
from engine.data.datasets import Dataset
from engine.network import pooling
from tests.engine.attacks.samples import ARCHITECTURES, BLACK, EXACT, VARIANTS, odd_network, of
from tests.ties import rounded_otherwise, with_the_rule

pytestmark = pytest.mark.numeric


def with_plain_areas(mnist: Dataset) -> Tensor:
    """Digits, and images with many windows that are all alike: there pooling has maxima to choose from."""
    square, half = torch.zeros(1, 28, 28), torch.full((1, 28, 28), 0.5)
    square[:, 5:20, 7:23], half[:, :, 14:] = 1, 0.25
    plain = torch.stack((BLACK, BLACK + 1, BLACK + 0.3, square, half))
    return torch.cat((mnist.test.images[list(GALLERY)], plain)).double()


def test_logits_and_gradients_are_autograds(mnist: Dataset) -> None:
    images = with_plain_areas(mnist)
    models = [of(variant).model for variant in VARIANTS]
    models += [odd_network(each, mnist.train.images[:100]) for each in ARCHITECTURES]
    classes = torch.arange(len(images)) % 10
    for model in models:
        exact, pixels = with_the_rule(model), images.clone().requires_grad_()
        logits = exact(pixels)
        (expected,) = torch.autograd.grad(logits.gather(1, classes[:, None]).sum(), pixels, retain_graph=True)
        found, gradient = AttackedNetwork(model, EXACT).ascent(images, LogitObjective(classes))
        torch.testing.assert_close(found, logits.detach(), rtol=0, atol=1e-10)
        torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-10)
        _, jacobian = AttackedNetwork(model, EXACT).jacobian(images)
        for digit in range(10):
            (row,) = torch.autograd.grad(logits[:, digit].sum(), pixels, retain_graph=True)
            torch.testing.assert_close(jacobian[:, digit], row, rtol=0, atol=1e-10)
        found, gradient = AttackedNetwork(model, torch.float32).ascent(images.float(), LogitObjective(classes))
        assert found.dtype == gradient.dtype == torch.float32
        torch.testing.assert_close(found.double(), logits.detach(), rtol=1e-4, atol=1e-3)
        # Of maxima that are nearly equal, single precision may take another one.
        assert (gradient - expected).norm() < 0.05 * expected.norm()


@pytest.mark.parametrize("value", [3.0, -3.0])
def test_of_equal_maxima_the_first_gets_the_gradient(value: float) -> None:
    maps = value + torch.linspace(0, 1e-15, 16, dtype=EXACT).view(1, 1, 4, 4)  # later ones are higher, by rounding
    assert pooling.first_maxima(maps)[1].tolist() == [[[[0, 2], [8, 10]]]]


@pytest.mark.parametrize("dtype", [EXACT, torch.float32])
def test_gradients_do_not_depend_on_how_rounding_falls(
    mnist: Dataset, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = with_plain_areas(mnist).to(dtype)
    classes = torch.arange(len(images)) % 10

    def gradients(seed: int) -> list[Tensor]:
        """Of the passes and of the model itself, in both variants."""
        found = []
        with rounded_otherwise(seed):
            for model in (of(variant).model for variant in VARIANTS):
                found.append(AttackedNetwork(model, dtype).ascent(images, LogitObjective(classes))[1])
                pixels = images.clone().requires_grad_()
                logits = copy.deepcopy(model).to(dtype)(pixels).gather(1, classes[:, None])
                found += torch.autograd.grad(logits.sum(), pixels)
        return found

    for one, other in zip(gradients(1), gradients(2), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10 if dtype == EXACT else 1e-5)
    monkeypatch.setattr(pooling, "tolerance", lambda _: 0.0)
    for one, other in zip(gradients(1), gradients(2), strict=True):
        assert (one - other).abs().max() > 0.1
