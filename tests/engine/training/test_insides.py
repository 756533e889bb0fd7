"""What is measured of the layers after an epoch, against NumPy, plain copies, and gradients of single images."""

from __future__ import annotations

import copy
import math
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from msgspec.structs import asdict, replace
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from engine.data.datasets import Dataset
from engine.training.adam import Adam
from engine.training.events import KINDS, EpochFinished, Histogram, Insides, LayerInsides, edge
from engine.training.insides import HIGHEST, LOWEST, MOST, _histogram, _keys, is_due, measured, probe
from engine.training.loop import train
from engine.training.requests import Train
from engine.training.state import TrainingState
from tests.conftest import returned

pytestmark = pytest.mark.numeric

CPU = torch.device("cpu")
TINY = Train(train_size=640, epochs=2, device="cpu", channels=3, hidden=12, threads=1)
REQUESTS = [
    TINY,
    replace(TINY, batch_norm=True, average=0.9, schedule="one-cycle", weight_decay=0.1, label_smoothing=0.1),
    replace(TINY, objective="fgsm", shift=1, batch_size=50),
]
requests = pytest.mark.parametrize("request_", REQUESTS, ids=["plain", "everything", "robust"])
WEIGHTS = {"conv1": "conv1.0", "conv2": "conv2.0", "hidden": "fc.1", "output": "fc.3"}


def run(request: Train, data: Dataset) -> tuple[TrainingState, list[EpochFinished]]:
    state = TrainingState.fresh(request, CPU)
    return state, [event for event in train(request, data, state) if isinstance(event, EpochFinished)]


def looked_into(request: Train, data: Dataset) -> tuple[TrainingState, Insides]:
    state, epochs = run(request, data)
    found = epochs[-1].insides
    assert found is not None
    return state, found


def histogram(values: Any) -> Histogram:
    return _histogram(_keys(torch.as_tensor(values, dtype=torch.float32)).tolist())


@requests
def test_a_run_with_it_is_bit_for_bit_the_run_without_it(small: Dataset, request_: Train) -> None:
    generator = torch.get_rng_state()
    state, epochs = run(request_, small)
    assert torch.equal(torch.get_rng_state(), generator)
    plain, others = run(replace(request_, insides=False), small)
    tensors, theirs = state.tensors(), plain.tensors()
    assert tensors.keys() == theirs.keys()
    assert all(torch.equal(tensors[key], theirs[key]) for key in tensors)
    for one, other in zip(epochs, others, strict=True):
        assert one.insides is not None
        assert other.insides is None
        numbers = {"insides": None, "train_seconds": 0, "eval_seconds": 0, "images_per_second": 0}
        assert replace(one, **numbers) == replace(other, **numbers)


@requests
def test_the_same_again(small: Dataset, request_: Train) -> None:
    assert looked_into(request_, small)[1] == looked_into(request_, small)[1]


@requests
def test_norms_gradients_and_outputs_are_those_of_a_plain_copy(small: Dataset, request_: Train) -> None:
    """A copy of the network in double precision, all images at once, its outputs by hooks."""
    state, found = looked_into(request_, small)
    network = copy.deepcopy(state.model).double().eval()
    outputs: dict[str, Tensor] = {}
    relus = [each for each in network.modules() if isinstance(each, nn.ReLU)]
    for name, module in zip(WEIGHTS, [*relus, network.fc], strict=True):
        module.register_forward_hook(lambda _, __, output, name=name: outputs.update({name: output.detach()}))
    count, size = probe(request_, 640)
    assert (found.images, found.batch) == (count * size, size)
    images, labels = small.train.images[: found.images].double(), small.train.labels[: found.images]
    torch.autograd.backward(cross_entropy(network(images), labels, label_smoothing=request_.label_smoothing))
    layers = dict(network.named_modules())
    last = max(name for name in layers if name.startswith("fc.") and isinstance(layers[name], nn.Linear))
    for layer, name in zip(found.layers, [*list(WEIGHTS.values())[:3], last], strict=True):
        weight = layers[name].weight
        assert isinstance(weight, Tensor)
        assert weight.grad is not None
        assert layer.weight_norm == pytest.approx(float(weight.detach().norm()), rel=1e-5)
        assert layer.gradient_norm == pytest.approx(float(weight.grad.norm()), rel=1e-3)
        assert layer.weights == histogram(weight.detach().float())
        output = outputs[layer.layer]
        assert layer.activations.total == output.numel()
        assert layer.gradients.total == weight.numel()
        for kind, values in (("gradients", weight.grad), ("activations", output)):  # up to rounding at the edges
            ours, theirs = layer.histogram(kind), histogram(values.float())  # type: ignore[arg-type]
            differ = sum(abs(counts(ours).get(low, 0) - counts(theirs).get(low, 0)) for low in counts(ours))
            assert differ <= max(4, 0.01 * ours.total)
        if layer.layer == "output":
            assert layer.dead is None
        else:
            units = output.amax(dim=(0, *range(2, output.dim())))
            assert layer.dead == pytest.approx(float((units == 0).double().mean()))


def counts(found: Histogram) -> dict[float, int]:
    """The number of values by the lower edge of their bin; what is near zero together."""
    return {low if low * high > 0 else 0.0: count for low, high, count in found.bins()}


def test_a_bin_is_half_an_octave() -> None:
    generator = np.random.default_rng(3)
    values = np.concatenate(
        [
            generator.normal(size=5000) * 10.0 ** generator.uniform(-8, 4, 5000),
            [0.0, -0.0, 1.0, 1.5, -1.5, 2.0, -2.0, 1.4999999, 2.0**-32, 2.0**-33, -(2.0**-40)],
        ]
    ).astype(np.float32)
    found = histogram(values)
    edges = [edge(number) for number in range(LOWEST, HIGHEST + 2)]
    assert edges[-LOWEST : -LOWEST + 5] == [1.0, 1.5, 2.0, 3.0, 4.0]
    assert np.all(np.diff(edges) > 0)
    for side, sign in ((found.positive, 1), (found.negative, -1)):
        expected, _ = np.histogram(sign * values, bins=np.array(edges))
        first = found.first - LOWEST
        assert list(side) == expected[first : first + len(side)].tolist()
        assert expected[:first].sum() == expected[first + len(side) :].sum() == 0
    assert found.zero == int((np.abs(values) < 2.0**-32).sum()) >= 4
    assert found.total == len(values)
    bins = found.bins()
    assert all(before[1] == after[0] for before, after in pairwise(bins))
    assert sum(count for _, _, count in bins) == found.total


def test_what_no_bin_holds_is_in_the_last_one() -> None:
    found = histogram([3e7, math.inf, -math.inf, 1.0])
    assert (found.first, found.zero) == (0, 0)
    assert (found.positive[-1], len(found.positive)) == (2, HIGHEST + 1)
    assert (found.negative[-1], sum(found.negative)) == (1, 1)
    nothing = histogram([0.0, 0.0])
    assert (nothing.negative, nothing.zero, nothing.positive) == ((), 2, ())
    assert nothing.bins() == [(-(2.0**-32), 2.0**-32, 2)]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_layout_does_not_matter(layout: torch.memory_format) -> None:
    values = torch.randn(4, 5, 6, 7, generator=torch.Generator().manual_seed(1))
    assert _histogram(_keys(values.contiguous(memory_format=layout)).tolist()) == histogram(values.numpy())


@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_the_last_update_is_what_a_step_has_added(decay: float) -> None:
    """Of PyTorch's own optimizer."""
    torch.manual_seed(0)
    theirs = nn.Parameter(torch.randn(7, 5, dtype=torch.float64))
    optimizer = torch.optim.AdamW([theirs], lr=0.01, weight_decay=decay)
    parameter = theirs.detach().clone().requires_grad_()
    ours = Adam([parameter], decay)
    assert ours.last_update(0, 0.01).count_nonzero() == 0 or decay
    for _ in range(3):
        gradient = torch.randn(7, 5, dtype=torch.float64)
        before = theirs.detach().clone()
        theirs.grad, parameter.grad = gradient.clone(), gradient.clone()
        optimizer.step()
        ours.step(0.01)
        assert torch.allclose(ours.last_update(0, 0.01), theirs.detach() - before, rtol=1e-6, atol=1e-9)


def test_the_update_is_of_the_last_learning_rate(small: Dataset) -> None:
    """A one-cycle schedule ends at a fraction of the rate: the last step is taken again from the step before it."""
    request = replace(TINY, epochs=1, schedule="one-cycle")
    steps: list[dict[str, Tensor]] = []
    state = TrainingState.fresh(request, CPU)
    found = None
    for event in train(request, small, state):
        steps.append({key: value.clone() for key, value in state.model.state_dict().items()})
        if isinstance(event, EpochFinished):
            found = event.insides
    assert found is not None
    last = next(number for number in reversed(range(len(steps))) if changed(steps[number], steps[-1]))
    for layer in found.layers:
        key = f"{WEIGHTS[layer.layer]}.weight"
        update = float((steps[-1][key] - steps[last][key]).norm())
        assert layer.update_norm == pytest.approx(update, rel=1e-3)
        assert layer.update_ratio == pytest.approx(update / layer.weight_norm, rel=1e-3)


def changed(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return any(not torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_noise_scale_is_that_of_the_gradients_of_single_images(small: Dataset, batch_norm: bool) -> None:
    """The same estimates from the gradients of all images of the probe, each on its own, in double precision."""
    request = replace(TINY, batch_norm=batch_norm, channels=2, hidden=5)
    state = TrainingState.fresh(request, CPU)
    list(train(replace(request, epochs=1), small, state))
    found = returned(measured(request, small.train.first(640), state))
    assert found is not None
    network = copy.deepcopy(state.model).double().eval()
    trained = [each for each in network.parameters() if each.requires_grad]
    each_image = []
    for image, label in zip(small.train.images[: found.images].double(), small.train.labels, strict=False):
        gradients = torch.autograd.grad(cross_entropy(network(image[None]), label[None]), trained)
        each_image.append(torch.cat([gradient.flatten() for gradient in gradients]))
    single = torch.stack(each_image)
    small_batches = single.view(-1, found.batch, single.shape[1]).mean(1)
    # tr(S) is that of single images, which batches of b have a b-th of; of K batches, the sample variance has K - 1.
    variance = found.batch * float(small_batches.var(0, unbiased=True).sum())
    square = float(single.mean(0).square().sum()) - variance / found.images
    assert found.gradient_variance == pytest.approx(variance, rel=1e-3)
    assert found.gradient_square == pytest.approx(square, rel=1e-3, abs=1e-4 * variance / found.images)
    # The sample variance over single images estimates the same from many more samples.
    assert found.gradient_variance == pytest.approx(float(single.var(0, unbiased=True).sum()), rel=0.9)
    if found.noise_scale is not None:
        assert found.noise_scale == pytest.approx(found.gradient_variance / found.gradient_square)


def test_over_many_probes_the_estimates_are_unbiased() -> None:
    """Of gradients that are drawn: |G|^2 = 4 and tr(S) = 30, as the formulas find them from batches of two sizes."""
    generator = np.random.default_rng(0)
    truth, size, count = np.array([2.0, 0.0, 0.0]), 8, 4
    squares, variances = [], []
    for _ in range(4000):
        batches = generator.normal(truth, math.sqrt(10), (count, size, 3)).mean(1)
        of_small, of_big = (batches**2).sum(1).mean(), (batches.mean(0) ** 2).sum()
        big = count * size
        squares.append((big * of_big - size * of_small) / (big - size))
        variances.append((of_small - of_big) / (1 / size - 1 / big))
    assert np.mean(squares) == pytest.approx(4, rel=0.05)
    assert np.mean(variances) == pytest.approx(30, rel=0.05)


@pytest.mark.parametrize(
    ("images", "batch", "expected"),
    [(50_000, 64, (7, 64)), (50_000, 128, (7, 64)), (50_000, 2, (7, 2)), (640, 64, (2, 64)), (2, 2, (2, 1))],
)
def test_the_probe_is_one_image_in_a_hundred(images: int, batch: int, expected: tuple[int, int]) -> None:
    count, size = probe(Train(train_size=images, batch_size=min(batch, images)), images)
    assert (count, size) == expected
    assert count <= MOST
    assert count * size <= images


@pytest.mark.parametrize("request_", [Train(train_size=2, batch_size=2, epochs=1, channels=1, hidden=1, threads=1)])
def test_the_smallest_run(small: Dataset, request_: Train) -> None:
    _, found = looked_into(request_, small)
    assert (found.images, found.batch, len(found.layers)) == (2, 1, 4)


def test_what_is_dead_is_counted(small: Dataset) -> None:
    state = TrainingState.fresh(TINY, CPU)
    with torch.no_grad():
        parameters = dict(state.model.named_parameters())
        parameters["conv1.0.bias"][1] = -1e3
        parameters["fc.1.bias"][:5] = -1e3
    found = returned(measured(TINY, small.train, state))
    assert found is not None
    shares = {layer.layer: layer.dead for layer in found.layers}
    assert shares["conv1"] is not None
    assert shares["conv1"] >= 1 / 3
    assert shares["hidden"] is not None
    assert shares["hidden"] >= 5 / 12
    assert found.layers[0].update_norm == 0.0  # no step has been taken


def test_it_can_be_stopped_within(small: Dataset) -> None:
    """After any small batch, with nothing changed."""
    state = TrainingState.fresh(TINY, CPU)
    before = state.tensors()
    work = measured(TINY, small.train, state)
    assert (next(work).split, all(each.grad is None for each in state.model.parameters())) == ("probe", True)
    work.close()
    assert all(torch.equal(before[key], value) for key, value in state.tensors().items())


@pytest.mark.parametrize("size", [1e15, 1e38])
def test_what_could_not_be_read_again_is_left_out(small: Dataset, size: float) -> None:
    """Gradients that overflow: the event of such an epoch still has its losses."""
    state = TrainingState.fresh(TINY, CPU)
    with torch.no_grad():
        for parameter in state.model.parameters():
            parameter.mul_(size)
    assert returned(measured(TINY, small.train, state)) is None


def test_of_a_long_run_not_every_epoch_is_looked_into() -> None:
    every = [epoch for epoch in range(1, 1001) if is_due(replace(TINY, epochs=1000), epoch)]
    assert every == list(range(1, 1001))
    some = [epoch for epoch in range(1, 2502) if is_due(replace(TINY, epochs=2501), epoch)]
    assert some == [*range(3, 2500, 3), 2501]
    assert not is_due(replace(TINY, insides=False), TINY.epochs)


def test_an_event_is_read_as_it_was_written(small: Dataset) -> None:
    _, (event,) = run(replace(TINY, epochs=1), small)
    data = msgspec.json.encode(event)
    assert msgspec.json.decode(data, type=EpochFinished) == event
    old = msgspec.json.encode({k: v for k, v in asdict(event).items() if k != "insides"} | {"type": "EpochFinished"})
    assert msgspec.json.decode(old, type=EpochFinished).insides is None


def test_a_histogram_has_a_kind(small: Dataset) -> None:
    layer = looked_into(TINY, small)[1].layers[0]
    assert [layer.histogram(kind) for kind in KINDS] == [layer.weights, layer.gradients, layer.activations]
    assert replace(layer, weight_norm=0.0).update_ratio is None
    assert isinstance(layer, LayerInsides)
