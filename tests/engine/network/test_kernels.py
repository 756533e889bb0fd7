"""The fast passes against the network's own modules, whose gradients are PyTorch's."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from engine.data.datasets import Dataset
from engine.network.kernels import training_logits
from engine.network.model import CNN, inference_network, seeded_cnn
from engine.network.requests import Architecture
from engine.training.adam import Adam

pytestmark = pytest.mark.numeric

architectures = pytest.mark.parametrize(
    "fields",
    [
        {},
        {"kernel_size": 5, "padding": 0, "channels": 6, "hidden": 33},  # pooled 24 -> 12, 8 -> 4
        {"kernel_size": 4, "stride": 2, "padding": 2, "channels": 5, "hidden": 8},  # odd maps: 15 -> 7
        {"kernel_size": 7, "padding": 3, "channels": 4, "hidden": 9},
    ],
    ids=["notebook", "unpadded", "strided", "large-kernel"],
)
both_variants = pytest.mark.parametrize("batch_norm", [False, True])


def twins(fields: dict[str, Any], batch_norm: bool) -> tuple[CNN, CNN]:
    """Two equal networks in float64, where rounding hides nothing."""
    ours = seeded_cnn(Architecture(batch_norm=batch_norm, **fields), 3).double().to(memory_format=torch.channels_last)
    with torch.no_grad():  # away from batch norm's initial ones and zeros
        for parameter in ours.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return ours, copy.deepcopy(ours)


def gradients(model: nn.Module, logits: Tensor, labels: Tensor) -> dict[str, Tensor | None]:
    model.zero_grad()
    torch.autograd.backward(cross_entropy(logits, labels))
    return {name: parameter.grad for name, parameter in model.named_parameters()}


@both_variants
@architectures
def test_training_pass_is_the_modules(mnist: Dataset, fields: dict[str, Any], batch_norm: bool) -> None:
    ours, theirs = twins(fields, batch_norm)
    for step in range(2):  # the second from running statistics that have moved
        images = mnist.train.images[step * 16 :][:16].double()
        labels = mnist.train.labels[step * 16 :][:16]
        logits, expected = training_logits(ours, images), theirs(images)
        torch.testing.assert_close(logits, expected, rtol=1e-10, atol=1e-12)
        mine, others = gradients(ours, logits, labels), gradients(theirs, expected, labels)
        for name, gradient in others.items():
            assert gradient is not None
            if mine[name] is None:
                assert batch_norm
                assert name in {"conv1.0.bias", "conv2.0.bias"}
                assert gradient.abs().max() < 1e-12
            else:
                torch.testing.assert_close(mine[name], gradient, rtol=1e-9, atol=1e-12)
    for (name, buffer), other in zip(ours.named_buffers(), theirs.buffers(), strict=True):
        torch.testing.assert_close(buffer, other, rtol=1e-10, atol=1e-12, msg=name)


@both_variants
def test_single_precision_loses_no_more_than_the_modules_do(mnist: Dataset, batch_norm: bool) -> None:
    exact, theirs = twins({}, batch_norm)
    ours, theirs = copy.deepcopy(exact).float(), theirs.float()
    images, labels = mnist.train.images[:64], mnist.train.labels[:64]
    results = [exact(images.double()), training_logits(ours, images), theirs(images)]
    truth, mine, others = (
        {"logits": logits.detach()} | gradients(model, logits, labels)
        for model, logits in zip((exact, ours, theirs), results, strict=True)
    )
    lost, usual = ((each["logits"] - truth["logits"]).norm() for each in (mine, others))
    assert lost <= 2 * usual
    for name, value in truth.items():
        if mine[name] is not None:  # rounding turns some ReLU on or off, in the modules too: a jump in its gradient
            assert (mine[name] - value).norm() <= 0.02 * value.norm() + 1e-6, name


@both_variants
def test_bf16_is_near_and_its_loss_is_in_single_precision(mnist: Dataset, batch_norm: bool) -> None:
    model = twins({}, batch_norm)[0].float()
    images, labels = mnist.train.images[:64], mnist.train.labels[:64]
    exact, rounded = training_logits(model, images), training_logits(model, images, "bf16")
    assert rounded.dtype == torch.float32
    assert (rounded - exact).norm() <= 0.05 * exact.norm()
    mine, true = gradients(model, rounded, labels), gradients(model, exact, labels)
    for name in ("conv1.0.weight", "conv2.0.weight", "fc.1.weight"):
        rough, fine = mine[name], true[name]
        assert rough is not None
        assert fine is not None
        assert (rough - fine).norm() <= 0.3 * fine.norm(), name


@both_variants
@architectures
def test_inference_network_is_the_model(mnist: Dataset, fields: dict[str, Any], batch_norm: bool) -> None:
    model, untouched = twins(fields, batch_norm)
    with torch.no_grad():
        model(mnist.train.images[:64].double())  # running statistics worth folding
        untouched.load_state_dict(model.state_dict())
        network = inference_network(model)
        images = mnist.test.images[:20].double()
        torch.testing.assert_close(network(images), untouched.eval()(images), rtol=1e-10, atol=1e-12)
    assert not any(isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) for layer in network)
    for key, value in model.state_dict().items():
        assert torch.equal(value, untouched.state_dict()[key])


@pytest.mark.parametrize("decay", [0.0, 0.1])
@both_variants
def test_adam_takes_the_optimizers_own_steps(mnist: Dataset, batch_norm: bool, decay: float) -> None:
    ours, theirs = (model.float() for model in twins({"hidden": 20}, batch_norm))
    for model in (ours, theirs):
        for bias in model.cancelled_biases():
            bias.requires_grad_(False)
    kind = torch.optim.AdamW if decay else torch.optim.Adam
    optimizer = kind([p for p in theirs.parameters() if p.requires_grad], lr=0.01, weight_decay=decay, fused=True)
    adam = Adam([p for p in ours.parameters() if p.requires_grad], decay)
    for batch in torch.split(torch.arange(96), 32):
        for model in (ours, theirs):
            torch.autograd.backward(
                cross_entropy(training_logits(model, mnist.val.images[batch]), mnist.val.labels[batch])
            )
        adam.step(0.01)
        optimizer.step()
        optimizer.zero_grad()
    assert all(parameter.grad is None for parameter in ours.parameters())
    for key, value in ours.state_dict().items():
        assert torch.equal(value, theirs.state_dict()[key]), key
    others = optimizer.state_dict()["state"]
    assert len(others) == len(adam.parameters)
    assert all(torch.equal(adam.moments(n)[name], others[n][name]) for n in others for name in others[n])
