from __future__ import annotations

import random

import pytest
import torch
from torch import nn

from engine.benchmark import notebook
from engine.data.datasets import Dataset
from engine.geometry import block_sizes
from engine.network.model import CNN, count_parameters, seeded_cnn
from engine.network.requests import Architecture
from engine.request import RequestError
from tests.ties import with_the_rule

pytestmark = pytest.mark.numeric

both_variants = pytest.mark.parametrize("batch_norm", [False, True])


def pair(batch_norm: bool, seed: int = 3) -> tuple[CNN, nn.Module]:
    ours, theirs = seeded_cnn(Architecture(batch_norm=batch_norm), seed), notebook.network(batch_norm)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@both_variants
def test_state_dict_has_the_notebooks_keys_and_shapes(batch_norm: bool) -> None:
    ours = CNN(Architecture(batch_norm=batch_norm)).state_dict()
    theirs = notebook.network(batch_norm).state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}
    assert list(ours) == list(theirs)


@both_variants
@pytest.mark.parametrize("training", [False, True])
def test_forward_and_gradients_are_the_notebooks(mnist: Dataset, batch_norm: bool, training: bool) -> None:
    images, labels = mnist.test.images[:64], mnist.test.labels[:64]
    ours, theirs = pair(batch_norm)
    if not training:  # then it is laid down which of equal maxima gets the gradient
        ours, theirs, images = ours.double(), with_the_rule(theirs), images.double()
    ours.train(training)
    theirs.train(training)
    logits, (their_logits, their_softmax) = ours(images), theirs(images)
    assert logits.shape == (64, 10)
    assert torch.equal(logits, their_logits)
    nn.functional.cross_entropy(logits, labels).backward()  # type: ignore[no-untyped-call]
    nn.CrossEntropyLoss()(their_logits, labels).backward()
    for (key, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert mine.grad is not None
        assert mine.grad.abs().sum() > 0 or "bias" in key
        torch.testing.assert_close(mine.grad, other.grad, rtol=1e-6, atol=1e-6)
    if not training:
        assert torch.equal(ours.probabilities(images), their_softmax)


def test_parameters_are_the_notebooks_count() -> None:
    model = CNN()
    assert count_parameters(model) == 799_078
    assert count_parameters(model.conv1) + count_parameters(model.conv2) == 9_568
    assert count_parameters(model.fc) == 789_510
    assert block_sizes(3, 1, 1) == [(28, 14), (14, 7)]


def torch_says(channels: int, kernel: int, stride: int, padding: int) -> int | None:
    """The inputs of the first linear layer, as PyTorch's own layers find them; None where they refuse."""
    block = [nn.Conv2d(channels, channels, kernel, stride, padding), nn.ReLU(), nn.MaxPool2d(2, 2)]
    try:
        with torch.no_grad():
            flat = nn.Sequential(*block, *block, nn.Flatten())(torch.zeros(1, channels, 28, 28))
    except RuntimeError:
        return None
    return int(flat.shape[1]) or None


def test_first_linear_layer_fits_every_architecture() -> None:
    chance = random.Random(0)
    possible = impossible = 0
    for _ in range(150):
        channels, kernel = chance.randint(1, 4), chance.randint(1, 14)
        stride, padding = chance.randint(1, 5), chance.randint(0, 6)
        flat = torch_says(channels, kernel, stride, padding)

        def make(
            channels: int = channels, kernel: int = kernel, stride: int = stride, padding: int = padding
        ) -> Architecture:
            return Architecture(channels=channels, kernel_size=kernel, stride=stride, padding=padding, hidden=7)

        if flat is None:
            impossible += 1
            with pytest.raises(RequestError, match=r"^conv[12]: "):
                make()
            continue
        possible += 1
        model = CNN(make())
        assert model.state_dict()["fc.1.weight"].shape == (7, flat)
        assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert min(possible, impossible) > 20


@both_variants
def test_seeded_weights_come_from_the_seed_alone(batch_norm: bool) -> None:
    architecture = Architecture(batch_norm=batch_norm)
    torch.manual_seed(11)
    before = torch.get_rng_state()
    first = seeded_cnn(architecture, 5).state_dict()
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(12)
    second = seeded_cnn(architecture, 5).state_dict()
    other = seeded_cnn(architecture, 6).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["conv1.0.weight"], other["conv1.0.weight"])
    torch.manual_seed(5)
    theirs = notebook.network(batch_norm).state_dict()
    assert all(torch.equal(first[key], theirs[key]) for key in first)
