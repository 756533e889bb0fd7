"""Training objectives: what is crafted, against torchattacks, what is minimised, and what is measured of it."""

from __future__ import annotations

import copy
import math
from typing import get_args

import numpy as np
import pytest
import torch
import torchattacks
from scipy.special import rel_entr, softmax
from scipy.stats import kstest
from torch import Tensor
from torch.nn.functional import cross_entropy

from engine.adversary.live import Frozen, LiveNetwork
from engine.adversary.objectives import ANY, Misclassification
from engine.adversary.starts import StepNumbers, mixed
from engine.adversary.training_pgd import Crafting, PGDTraining
from engine.adversary.training_trades import Divergence, TradesTraining
from engine.data.datasets import Dataset
from engine.network.checkpoints import load_weights
from engine.network.kernels import training_logits
from engine.network.model import CNN, seeded_cnn
from engine.network.requests import Architecture, PrecisionName
from engine.runs.finding import pretrained
from engine.training.events import BatchEvaluated, EpochFinished
from engine.training.loop import train
from engine.training.objective import objective_of
from engine.training.requests import ObjectiveName, Train
from engine.training.robustness import certified_accuracy, robust_accuracy
from engine.training.state import TrainingState
from tests.conftest import returned

pytestmark = pytest.mark.numeric

CPU = torch.device("cpu")
SMALL = Train(channels=8, hidden=32, train_size=320, batch_size=32, epochs=1, device="cpu")
ROBUST = [name for name in get_args(ObjectiveName) if name != "clean"]
both_variants = pytest.mark.parametrize("batch_norm", [False, True])


@pytest.fixture
def noise() -> tuple[Tensor, Tensor]:
    """Images without equal neighbours, so that pooling has no equal maxima, and labels; in double precision."""
    stream = torch.Generator().manual_seed(0)
    images = torch.rand((24, 1, 28, 28), generator=stream, dtype=torch.float64)
    return images, torch.randint(10, (24,), generator=stream)


def exact(batch_norm: bool = False) -> CNN:
    """A small network in double precision, with statistics of its own."""
    model = seeded_cnn(Architecture(batch_norm=batch_norm, channels=6, hidden=24), 3).double()
    if batch_norm:
        model.train()(torch.rand((50, 1, 28, 28), generator=torch.Generator().manual_seed(1), dtype=torch.float64))
    return model.to(memory_format=torch.channels_last)


def any_other(labels: Tensor) -> Misclassification:
    return Misclassification(labels, torch.full_like(labels, ANY))


# Random numbers


def test_the_numbers_are_uniform_and_those_of_other_steps_and_seeds_are_others() -> None:
    like = torch.empty((64, 1, 28, 28))
    drawn = {
        (seed, step): StepNumbers(seed).uniform(like, step).flatten().numpy() for seed in (0, 1) for step in (0, 1)
    }
    for numbers in drawn.values():
        assert numbers.dtype == np.float32
        assert -1 < numbers.min() < -0.999 < 0.999 < numbers.max() < 1
        assert kstest(numbers, "uniform", (-1, 2)).pvalue > 1e-4
    limit = 5 / math.sqrt(like.numel())  # of a correlation of independent numbers, five standard deviations
    together = [*drawn.values(), np.roll(drawn[0, 0], 1), np.roll(drawn[0, 0], 28), np.roll(drawn[0, 0], 784)]
    correlations = np.corrcoef(np.stack(together))
    assert np.abs(correlations - np.eye(len(together))).max() < limit
    assert np.array_equal(drawn[1, 1], StepNumbers(1).uniform(like, torch.tensor([1])).flatten().numpy())


def test_the_numbers_of_many_steps_are_uniform_for_each_pixel() -> None:
    numbers, like = StepNumbers(7), torch.empty((1, 1, 28, 28))
    sums = torch.stack([numbers.uniform(like, step) for step in range(2000)]).mean(dim=0).flatten()
    assert sums.abs().max() < 5 * math.sqrt(1 / 3 / 2000)
    normal = torch.stack([numbers.normal(like, step) for step in range(200)]).flatten()
    assert kstest(normal.numpy(), "norm").pvalue > 1e-4


def test_numbers_are_mixed_without_a_collision_and_as_in_plain_arithmetic() -> None:
    numbers = torch.arange(2**32 - 2**18, 2**32)
    found = mixed(numbers)
    assert len(set(found.tolist())) == len(numbers)
    assert 0 <= int(found.min()) <= int(found.max()) < 2**32
    for number in (1, 12345, 2**32 - 1):
        value = number
        for _ in range(2):
            value = ((value >> 16) ^ value) * 0x45D9F3B % 2**32
        assert int(mixed(torch.tensor(number))) == (value >> 16) ^ value


# What is crafted


@both_variants
def test_pgd_of_training_is_that_of_torchattacks(
    noise: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch, batch_norm: bool
) -> None:
    (images, labels), model = noise, exact(batch_norm)
    starts = images + 0.2 * (2 * torch.rand(images.shape, generator=torch.Generator().manual_seed(2)) - 1)
    monkeypatch.setattr(Tensor, "uniform_", lambda *_: starts - images)
    expected = torchattacks.PGD(copy.deepcopy(model).eval(), eps=0.2, alpha=0.05, steps=5)(images, labels)
    before = copy.deepcopy(model.state_dict())
    model.train()
    found = Crafting(model, 0.2, 5, 0.05, bf16=False)(images, starts, lambda _: any_other(labels), 1.0)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
    assert model.training
    assert all(each.training for each in model.modules())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


@both_variants
def test_trades_climbs_the_divergence_as_torchattacks_does(
    noise: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch, batch_norm: bool
) -> None:
    (images, _), model = noise, exact(batch_norm)
    apart = torch.randn(images.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    monkeypatch.setattr(torch, "randn_like", lambda *_: apart)
    expected = torchattacks.TPGD(copy.deepcopy(model).eval(), eps=0.2, alpha=0.05, steps=5)(images)
    crafted = Crafting(model, 0.2, 5, 0.05, bf16=False)
    found = crafted(images, images + 0.001 * apart, lambda logits: Divergence(torch.softmax(logits(images), 1)), 1.0)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


@both_variants
def test_gradients_are_those_of_autograd_however_they_are_computed(
    noise: tuple[Tensor, Tensor], batch_norm: bool
) -> None:
    (images, labels), model = noise, exact(batch_norm)
    live = LiveNetwork(model)
    with live.frozen() as fast:
        gradients, logits = [fast.gradient(images, any_other(labels))], [fast.logits(images)]
    live._kind = Frozen
    with live.frozen() as plain:
        gradients.append(plain.gradient(images, any_other(labels)))
        logits.append(plain.logits(images))
        assert not logits[1].requires_grad
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-10)
    torch.testing.assert_close(*logits, rtol=0, atol=1e-10)
    torch.testing.assert_close(logits[0], copy.deepcopy(model).eval()(images).detach(), rtol=0, atol=1e-10)


@pytest.mark.parametrize("ramp", [0.0, 0.4, torch.tensor(0.4), 1.0])
@pytest.mark.parametrize("name", ["fgsm", "pgd", "trades"])
def test_attacked_images_are_within_the_share_of_epsilon(
    mnist: Dataset, name: ObjectiveName, ramp: float | Tensor
) -> None:
    request = Train(objective=name, train_epsilon=0.3, attack_steps=3)
    model, images, labels = seeded_cnn(request, 0), mnist.train.images[:16], mnist.train.labels[:16]
    seen: list[Tensor] = []

    def logits(given: Tensor) -> Tensor:
        seen.append(given)
        return training_logits(model, given)

    objective_of(request, model).loss(images, labels, logits, ramp, 5)
    attacked = seen[-1]
    assert 0 <= attacked.min() <= attacked.max() <= 1
    changed = (attacked - images).abs().max()
    assert changed <= 0.3 * ramp + 1e-6
    assert changed >= 0.29 * ramp


# What is minimised


def test_pgds_loss_is_the_cross_entropy_of_what_it_crafted(noise: tuple[Tensor, Tensor]) -> None:
    (images, labels), model = noise, exact(True)
    objective = PGDTraining(model, 0.2, 3, 0.1, seed=4, smoothing=0.1, bf16=False)
    seen: list[Tensor] = []

    def logits(given: Tensor) -> Tensor:
        seen.append(given)
        return model(given)  # type: ignore[no-any-return]

    loss = objective.loss(images, labels, logits, 0.5, 9)
    starts = images + 0.2 * 0.5 * StepNumbers(4).uniform(images, 9)
    assert model.conv1[1].num_batches_tracked == 2, "the attack has updated the running statistics, or training did not"
    again = copy.deepcopy(model)
    expected = Crafting(exact(True), 0.2, 3, 0.1, bf16=False)(images, starts, lambda _: any_other(labels), 0.5)
    torch.testing.assert_close(seen[0], expected, rtol=0, atol=1e-9)
    wanted = cross_entropy(again(seen[0]), labels, label_smoothing=0.1)
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-9)
    torch.autograd.backward(loss)
    torch.autograd.backward(wanted)
    for ours, theirs in zip(model.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=0, atol=1e-9)


def test_trades_loss_is_its_definition(noise: tuple[Tensor, Tensor]) -> None:
    (images, labels), model = noise, exact()
    seen: list[Tensor] = []

    def logits(given: Tensor) -> Tensor:
        seen.append(model(given))
        return seen[-1]

    objective = TradesTraining(model, 0.2, 3, 0.1, 6.0, seed=4, smoothing=0.0, bf16=False)
    loss = objective.loss(images, labels, logits, 1.0, 0)
    clean, attacked = (softmax(each.detach().numpy(), axis=1) for each in seen)
    natural = -np.log(clean[np.arange(len(labels)), labels.numpy()]).mean()
    apart = rel_entr(clean, attacked).sum(axis=1).mean()
    assert apart > 1e-4
    assert loss.item() == pytest.approx(natural + 6.0 * apart, rel=1e-9)
    assert loss.requires_grad
    assert all(each.requires_grad for each in seen), "the divergence has to move the clean answers too"


@pytest.mark.parametrize(
    ("name", "precision"), [*((name, "fp32") for name in ROBUST), ("pgd", "bf16"), ("trades", "bf16")]
)
def test_a_run_of_each_objective_is_determined_and_learns(
    small: Dataset, monkeypatch: pytest.MonkeyPatch, name: ObjectiveName, precision: PrecisionName
) -> None:
    monkeypatch.setattr("engine.training.robustness.ROBUST_IMAGES", 100)
    request = Train(
        objective=name, precision=precision, channels=8, hidden=32, train_size=320, batch_size=32, epochs=4,
        learning_rate=3e-3, train_epsilon=0.01 if "ibp" in name else 0.05, attack_steps=2, device="cpu",
    )  # fmt: skip
    found: list[dict[str, Tensor]] = []
    for again in (False, True):
        state = TrainingState.fresh(request, CPU)
        events = (event for event in train(request, small, state) if isinstance(event, EpochFinished))
        first = next(events)
        found.append({key: value.clone() for key, value in state.tensors().items()})
        if again:
            break
        last = [first, *events][-1]
        assert last.robust_accuracy is not None
        assert last.robust_accuracy > 0.3
        assert (last.certified_accuracy is not None) == request.certifies
        assert (last.certified_accuracy or 0) <= last.robust_accuracy
    assert all(torch.equal(value, found[1][key]) for key, value in found[0].items())


# What is measured


def test_robust_accuracy_is_that_under_pgd(mnist: Dataset) -> None:
    model = load_weights(pretrained("cnn").model_file)
    images, labels = mnist.val.images[:100], mnist.val.labels[:100]
    request = Train(objective="pgd", train_epsilon=0.08)
    theirs = torchattacks.PGD(model.eval(), eps=0.08, alpha=2.5 * 0.08 / 10, steps=10)(images, labels)
    expected = (model(theirs).argmax(dim=1) == labels).double().mean().item()
    split = mnist.val.first(100)
    found = returned(robust_accuracy(model, split, request))
    assert 0.2 < found < 0.98
    assert abs(found - expected) < 0.05  # from other random starts
    split = mnist.val.first(40)
    found = returned(robust_accuracy(model, split, request))
    assert found == returned(robust_accuracy(model, split, request))
    events = [event for event in robust_accuracy(model, split, request) if isinstance(event, BatchEvaluated)]
    assert events[-1].done == events[-1].total == 40
    weak, strong = (
        returned(robust_accuracy(model, split, Train(objective="pgd", train_epsilon=e))) for e in (0.01, 0.4)
    )
    assert strong < found < weak


def test_what_is_certified_holds_against_the_attack(mnist: Dataset) -> None:
    model, split = load_weights(pretrained("cnn").model_file), mnist.val.first(60)
    request = Train(objective="ibp", train_epsilon=0.002)
    proved = returned(certified_accuracy(model, split, request))
    assert 0 < proved <= returned(robust_accuracy(model, split, request))
    assert returned(certified_accuracy(model, split, Train(objective="ibp", train_epsilon=0.3))) == 0
