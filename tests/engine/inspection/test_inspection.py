"""Looking inside, held against the notebook's networks, plain loops and PyTorch's own hooks."""

from __future__ import annotations

import itertools
import json
import math
import os
import random
import shutil
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from engine.benchmark import notebook
from engine.data.datasets import Dataset, Split
from engine.event import Event, arrays, to_json
from engine.inspection.events import (
    ActivationsComputed,
    ChannelsSurveyed,
    DigitsShown,
    FiltersShown,
    NetworkSummarised,
    SplitEvaluated,
)
from engine.inspection.layers import layer_summaries
from engine.inspection.loaded import load_network
from engine.inspection.requests import Evaluate, LayerName, ShowActivations, ShowDigits, ShowFilters, Summarise
from engine.inspection.survey import survey_of
from engine.network.checkpoints import save_weights
from engine.network.model import CNN, seeded_cnn
from engine.network.requests import Architecture, Inspect
from engine.operations import perform
from engine.request import Request, RequestError
from engine.runs.finding import find_network, pretrained
from engine.runs.folder import RunFolder
from engine.training.events import BatchEvaluated

pytestmark = pytest.mark.numeric

E = TypeVar("E", bound=Event)

VARIANTS = ("cnn", "cnn-bn")
LAYERS: tuple[LayerName, ...] = ("conv1", "conv2")
NOWHERE = Path("no-such-folder")
both_variants = pytest.mark.parametrize("variant", VARIANTS)


def ask(request: Request, root: Path = NOWHERE) -> list[Event]:
    return list(perform(request, root))


def result(request: Request, kind: type[E], root: Path = NOWHERE) -> E:
    (found,) = (event for event in ask(request, root) if isinstance(event, kind))
    return found


def theirs(variant: str) -> nn.Module:
    """The notebook's network with the pretrained weights."""
    network = notebook.network(variant == "cnn-bn").eval()
    network.load_state_dict(load_file(pretrained(variant).model_file))
    return network


@pytest.fixture(scope="module")
def outputs(mnist: Dataset) -> dict[str, Tensor]:
    """Logits (10000, 10) of the notebook's networks on the test set: its test loop, in batches of 1000."""
    found = {}
    with torch.inference_mode():
        for variant in VARIANTS:
            network = theirs(variant)
            found[variant] = torch.cat([network(batch)[0] for batch in torch.split(mnist.test.images, 1000)])
    return found


@pytest.fixture
def few(mnist: Dataset, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """Inspection sees but 1000 test images, as a new data set."""
    data = replace(mnist, test=mnist.test.first(1000))

    def load(*_: object) -> Generator[Any, None, Dataset]:
        yield from ()
        return data

    monkeypatch.setattr("engine.inspection.loaded.load", load)
    return data


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file of another architecture than the notebook's, with a dead channel in each block."""
    model = seeded_cnn(Architecture(channels=6, kernel_size=4, stride=2, padding=2, hidden=20), 5)
    for block in (model.conv1, model.conv2):
        layer = block[0]
        assert isinstance(layer, nn.Conv2d)
        assert layer.bias is not None
        with torch.no_grad():
            layer.weight[3], layer.bias[3] = 0, -1
    path = tmp_path_factory.mktemp("odd") / "odd.safetensors"
    save_weights(path, model)
    return path


def maps_of(model: nn.Module, images: Tensor) -> list[Tensor]:
    """What both blocks of a network make of images."""
    with torch.inference_mode():
        first = model.conv1(images)  # type: ignore[operator]
        return [first, model.conv2(first)]  # type: ignore[operator]


# Layers: sections 1.3 to 1.5.


def test_counts_are_the_notebooks() -> None:
    summary = result(Summarise(what="pretrained:cnn"), NetworkSummarised)
    assert (summary.conv_parameters, summary.fc_parameters, summary.total_parameters) == (9_568, 789_510, 799_078)
    assert (summary.conv_neurons, summary.fc_neurons, summary.total_neurons) == (31_360, 510, 31_870)
    assert [layer.neurons for layer in summary.layers] == [25_088, 0, 6_272, 0, 500, 10]
    assert summary.running_statistics == 0
    assert (summary.name, summary.variant, summary.epoch) == ("pretrained:cnn", "cnn", 15)
    assert [(layer.name, layer.input_shape, layer.output_shape) for layer in summary.layers] == [
        ("conv1", (1, 28, 28), (32, 28, 28)),
        ("maxpool1", (32, 28, 28), (32, 14, 14)),
        ("conv2", (32, 14, 14), (32, 14, 14)),
        ("maxpool2", (32, 14, 14), (32, 7, 7)),
        ("fc1", (1568,), (500,)),
        ("fc2", (500,), (10,)),
    ]
    assert [layer.receptive_field for layer in summary.layers] == [3, 4, 8, 10, 28, 28]


def test_batch_norm_adds_parameters_and_names_its_statistics_apart() -> None:
    summary = result(Summarise(what="pretrained:cnn-bn"), NetworkSummarised)
    assert summary.total_parameters == 800_206
    assert summary.running_statistics == 1_128
    assert (summary.conv_parameters, summary.fc_parameters) == (9_568 + 4 * 32, 789_510 + 1_000)
    assert (summary.conv_neurons, summary.fc_neurons, summary.total_neurons) == (31_360, 510, 31_870)
    assert {layer.name: layer.parameters for layer in summary.layers if "norm" in layer.name} == {
        "batch_norm1": 64,
        "batch_norm2": 64,
        "batch_norm3": 1000,
    }


def plain_layers(a: Architecture) -> list[nn.Module]:
    """The layers of `a`, written down once more; ReLU and flattening among them."""
    layers: list[nn.Module] = []
    for depth in (1, a.channels):
        layers.append(nn.Conv2d(depth, a.channels, a.kernel_size, a.stride, a.padding))
        layers += [nn.BatchNorm2d(a.channels)] * a.batch_norm
        layers += [nn.ReLU(), nn.MaxPool2d(2, 2)]
    layers += [nn.Flatten(), nn.LazyLinear(a.hidden)]
    layers += [nn.BatchNorm1d(a.hidden)] * a.batch_norm
    return [*layers, nn.ReLU(), nn.Linear(a.hidden, 10)]


def seen(layers: list[nn.Module]) -> int:
    """Side of what the central output of `layers` sees, by the gradient on an image so wide that nothing is clipped."""
    image = torch.zeros(1, 1, 401, 401, requires_grad=True)
    x = image
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            x = nn.functional.conv2d(x, torch.ones(1, 1, *layer.kernel_size), None, layer.stride, layer.padding)
        elif isinstance(layer, nn.MaxPool2d):
            x = nn.functional.avg_pool2d(x, 2, 2)  # the maximum passes its gradient to one place alone
    x[0, 0, x.shape[2] // 2, x.shape[3] // 2].backward()  # type: ignore[no-untyped-call]
    assert image.grad is not None
    touched = image.grad[0, 0].nonzero()
    return int((touched.max() - touched.min() + 1).item())


def possible_architectures(count: int) -> list[Architecture]:
    chance = random.Random(4)
    found: list[Architecture] = []
    while len(found) < count:
        try:
            found.append(
                Architecture(
                    batch_norm=chance.random() < 0.5,
                    channels=chance.randint(1, 9),
                    kernel_size=chance.randint(1, 9),
                    stride=chance.randint(1, 3),
                    padding=chance.randint(0, 4),
                    hidden=chance.randint(1, 40),
                )
            )
        except RequestError:
            continue
    return found


@pytest.mark.parametrize("architecture", possible_architectures(20))
def test_any_architecture_is_counted_as_pytorch_counts_it(architecture: Architecture, tmp_path: Path) -> None:
    layers, x, done = plain_layers(architecture), torch.zeros(2, 1, 28, 28), []
    expected, convolutional = [], True
    for layer in layers:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            after = layer(x)
        done.append(layer)
        if not isinstance(layer, nn.ReLU | nn.Flatten):
            flat = isinstance(layer, nn.Linear | nn.BatchNorm1d)
            convolutional = convolutional and not flat
            norm = "BatchNorm" in type(layer).__name__
            expected.append(
                (
                    tuple(x.shape[1:]),
                    tuple(after.shape[1:]),
                    sum(parameter.numel() for parameter in layer.parameters()),
                    2 * x.shape[1] if norm else 0,
                    after[0].numel() if norm else counter.get_total_flops() // 2 // len(x),
                    28 if flat else min(seen(done), 28),
                )
            )
        x = after
    summaries = layer_summaries(CNN(architecture).eval())
    assert [
        (s.input_shape, s.output_shape, s.parameters, s.running_statistics, s.multiply_adds, s.receptive_field)
        for s in summaries
    ] == expected
    save_weights(tmp_path / "any.safetensors", CNN(architecture))
    summary = result(Summarise(what=str(tmp_path / "any.safetensors")), NetworkSummarised)
    assert summary.total_parameters == sum(p.numel() for layer in layers for p in layer.parameters())
    assert summary.total_parameters == sum(layer.parameters for layer in summary.layers)
    assert summary.total_neurons == summary.conv_neurons + summary.fc_neurons
    assert summary.multiply_adds == sum(layer.multiply_adds for layer in summary.layers)


# What it says of images: section 1.2 and the test loop.


@both_variants
def test_evaluation_is_a_plain_loop(mnist: Dataset, outputs: dict[str, Tensor], variant: str) -> None:
    events = ask(Evaluate(what=f"pretrained:{variant}", device="cpu"))
    evaluated = events.pop()
    assert isinstance(evaluated, SplitEvaluated)
    assert all(isinstance(event, BatchEvaluated) for event in events)
    labels, predictions = mnist.test.labels.tolist(), outputs[variant].argmax(dim=1).tolist()
    confusion = [[0] * 10 for _ in range(10)]
    for label, prediction in zip(labels, predictions, strict=True):
        confusion[label][prediction] += 1
    right = sum(confusion[digit][digit] for digit in range(10))
    assert evaluated.accuracy == right / 10_000
    assert evaluated.accuracy == pretrained(variant).history().epochs[-1].test_accuracy
    assert [list(row) for row in evaluated.confusion] == confusion
    assert evaluated.class_accuracy == pytest.approx([confusion[d][d] / sum(confusion[d]) for d in range(10)])
    assert evaluated.loss == pytest.approx(nn.CrossEntropyLoss()(outputs[variant], mnist.test.labels).item(), abs=1e-5)
    assert evaluated.labels.tolist() == labels
    assert evaluated.predictions.tolist() == predictions
    np.testing.assert_allclose(evaluated.probabilities.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(evaluated.probabilities, outputs[variant].softmax(dim=1), atol=1e-5)
    assert evaluated.count == 10_000


def test_a_class_without_images_has_no_accuracy(mnist: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    some = (mnist.test.labels != 4).nonzero()[:300, 0]
    data = replace(mnist, test=Split(mnist.test.images[some], mnist.test.labels[some]))

    def load(*_: object) -> Generator[Any, None, Dataset]:
        yield from ()
        return data

    monkeypatch.setattr("engine.inspection.loaded.load", load)
    evaluated = result(Evaluate(what="pretrained:cnn", device="cpu"), SplitEvaluated)
    assert math.isnan(evaluated.class_accuracy[4])
    assert json.loads(to_json(evaluated))["class_accuracy"][4] is None
    assert sum(evaluated.confusion[4]) == 0


@pytest.mark.parametrize("split", ["train", "val"])
def test_the_other_splits_are_theirs(mnist: Dataset, split: Any) -> None:
    shown = result(ShowDigits(what="pretrained:cnn", split=split, device="cpu"), DigitsShown)
    own: Split = getattr(mnist, split)
    assert [digit.actual for digit in shown.digits] == [int(own.labels[digit.index]) for digit in shown.digits]
    assert np.array_equal(shown.images, own.images[[digit.index for digit in shown.digits], 0])
    assert shown.matching == len(own)


@both_variants
def test_random_digits_come_from_the_seed(mnist: Dataset, outputs: dict[str, Tensor], variant: str) -> None:
    def shown(seed: int) -> DigitsShown:
        return result(ShowDigits(what=f"pretrained:{variant}", count=20, seed=seed, device="cpu"), DigitsShown)

    first, again, other = shown(1), shown(1), shown(2)
    indices = [digit.index for digit in first.digits]
    assert indices == [digit.index for digit in again.digits] != [digit.index for digit in other.digits]
    assert len(set(indices)) == 20
    assert np.array_equal(first.images, mnist.test.images[indices, 0])
    assert [digit.actual for digit in first.digits] == mnist.test.labels[indices].tolist()
    assert [digit.predicted for digit in first.digits] == outputs[variant][indices].argmax(dim=1).tolist()
    probabilities = outputs[variant][indices].softmax(dim=1)
    np.testing.assert_allclose([digit.probabilities for digit in first.digits], probabilities, atol=1e-5)
    assert [digit.probability for digit in first.digits] == [max(digit.probabilities) for digit in first.digits]
    assert first.matching == 10_000


def test_random_order_needs_no_survey() -> None:
    assert [type(event) for event in ask(ShowDigits(what="pretrained:cnn"))] == [DigitsShown]


def test_one_class_alone(mnist: Dataset) -> None:
    shown = result(ShowDigits(what="pretrained:cnn", digit=7, count=50, device="cpu"), DigitsShown)
    assert {digit.actual for digit in shown.digits} == {7}
    assert shown.matching == int((mnist.test.labels == 7).sum())


def test_one_predicted_class_alone() -> None:
    request = ShowDigits(what="pretrained:cnn", predicted=7, count=10_000, device="cpu")
    evaluated = result(Evaluate(what=request.what, device="cpu"), SplitEvaluated)
    shown = result(request, DigitsShown)
    assert {digit.predicted for digit in shown.digits} == {7}
    assert shown.matching == len(shown.digits) == sum(row[7] for row in evaluated.confusion)
    assert shown.digits != result(replace_in(request, seed=1), DigitsShown).digits  # in random order
    twos = result(replace_in(request, digit=2, order="mistakes"), DigitsShown)
    assert {(digit.actual, digit.predicted) for digit in twos.digits} == {(2, 7)}
    assert twos.matching == evaluated.confusion[2][7]


@both_variants
def test_mistakes_are_all_the_errors_the_surest_first(mnist: Dataset, outputs: dict[str, Tensor], variant: str) -> None:
    request = ShowDigits(what=f"pretrained:{variant}", order="mistakes", count=10_000, device="cpu")
    shown = result(request, DigitsShown)
    wrong = (outputs[variant].argmax(dim=1) != mnist.test.labels).nonzero()[:, 0]
    assert shown.matching == len(shown.digits) == len(wrong)
    assert sorted(digit.index for digit in shown.digits) == wrong.tolist()
    assert all(digit.actual != digit.predicted for digit in shown.digits)
    sure = np.array([digit.probability for digit in shown.digits])
    assert (np.diff(sure) <= 1e-5).all()
    evaluated = result(Evaluate(what=request.what, device="cpu"), SplitEvaluated)
    assert len(wrong) == 10_000 - round(10_000 * evaluated.accuracy)
    fives = result(replace_in(request, digit=5), DigitsShown)
    assert fives.matching == sum(evaluated.confusion[5]) - evaluated.confusion[5][5]
    assert [d.index for d in fives.digits] == [d.index for d in shown.digits if d.actual == 5]


def replace_in(request: ShowDigits, **changes: Any) -> ShowDigits:
    return ShowDigits(**{name: getattr(request, name) for name in request.__struct_fields__} | changes)


def test_order_by_certainty(outputs: dict[str, Tensor]) -> None:
    surest = outputs["cnn"].double().softmax(dim=1).amax(dim=1)
    for order, descending in (("least-certain", False), ("most-certain", True)):
        request = ShowDigits(what="pretrained:cnn", order=order, count=30, device="cpu")  # type: ignore[arg-type]
        shown = result(request, DigitsShown)
        np.testing.assert_allclose(
            [digit.probability for digit in shown.digits], surest.sort(descending=descending).values[:30], atol=1e-5
        )
        assert shown.matching == 10_000


def test_no_digit_matches(few: Dataset, tmp_path: Path) -> None:
    """A network that is always right about sevens shows none of them among its mistakes."""
    model = seeded_cnn(Architecture(channels=2, hidden=4), 0)
    with torch.no_grad():
        model.fc[-1].bias[7] = 1e6  # type: ignore[operator]
    save_weights(tmp_path / "seven.safetensors", model)
    request = ShowDigits(what=str(tmp_path / "seven.safetensors"), order="mistakes", digit=7, device="cpu")
    shown = result(request, DigitsShown)
    assert (shown.digits, shown.matching, shown.images.shape) == ((), 0, (0, 28, 28))


# Activations: section 2.3.


@both_variants
def test_activations_are_the_notebooks(mnist: Dataset, outputs: dict[str, Tensor], variant: str) -> None:
    network = theirs(variant)
    for index in random.Random(2).sample(range(10_000), 50):
        computed = result(ShowActivations(what=f"pretrained:{variant}", index=index, device="cpu"), ActivationsComputed)
        image = mnist.test.images[index].unsqueeze(0)
        for layer, block in zip(LAYERS, (network.conv1, lambda x: network.conv2(network.conv1(x))), strict=True):  # type: ignore[operator]
            arr = block(image).detach().numpy().squeeze()  # type: ignore[operator]
            res_arr = np.zeros(arr.shape[1:])
            for i in range(arr.shape[0]):
                res_arr += arr[i]
            res_arr = res_arr / arr.shape[0]
            found = arrays(computed)
            np.testing.assert_allclose(found[layer], arr, rtol=0, atol=1e-6)
            np.testing.assert_allclose(found[f"{layer}_mean"], res_arr, rtol=0, atol=1e-6)
            strengths = [channel.mean() for channel in arr.astype(np.float64)]
            np.testing.assert_allclose(getattr(computed, f"{layer}_strengths"), strengths, rtol=0, atol=1e-6)
        assert np.array_equal(computed.image, image[0, 0])
        assert computed.actual == int(mnist.test.labels[index])
        assert computed.predicted == int(outputs[variant][index].argmax())
        assert computed.probability == pytest.approx(outputs[variant][index].softmax(0).max().item(), abs=1e-5)


def test_the_default_image_is_the_notebooks_eight() -> None:
    computed = result(ShowActivations(what="pretrained:cnn"), ActivationsComputed)
    assert (computed.index, computed.split, computed.dataset, computed.actual) == (61, "test", "mnist", 8)
    assert computed.count == 10_000
    assert (computed.conv1.shape, computed.conv2.shape) == ((32, 14, 14), (32, 7, 7))


def test_what_an_event_holds_is_its_own(mnist: Dataset) -> None:
    """Whoever writes into an array of an event changes neither the data set nor the network."""
    events = [
        *ask(ShowActivations(what="pretrained:cnn", device="cpu", survey=True)),
        *ask(Evaluate(what="pretrained:cnn", device="cpu")),
        *ask(ShowDigits(what="pretrained:cnn", device="cpu")),
        *ask(ShowFilters(what="pretrained:cnn", device="cpu")),
    ]
    loaded = load_network(Inspect(what="pretrained:cnn", device="cpu"), NOWHERE)
    kept = [
        mnist.test.images.numpy(),
        mnist.test.labels.numpy(),
        *(p.detach().numpy() for p in loaded.model.parameters()),
    ]
    for event in events:
        for array in arrays(event).values():
            assert not any(np.shares_memory(array, one) for one in kept)


# The survey of a split.


def check_survey(surveyed: ChannelsSurveyed, maps: list[Tensor], images: Tensor) -> None:
    for layer, found in zip((surveyed.conv1, surveyed.conv2), maps, strict=True):
        highest = found.flatten(2).amax(dim=2).T  # (C, N)
        assert layer.dead == tuple((highest.amax(dim=1) == 0).nonzero()[:, 0].tolist())
        for channel, strongest in enumerate(layer.strongest):
            best = highest[channel].sort(descending=True).values[:9]
            np.testing.assert_allclose([one.value for one in strongest], best[best > 0], rtol=1e-5, atol=1e-6)
            assert len({one.index for one in strongest}) == len(strongest)
            for one in strongest:
                place = found[one.index, channel, one.row, one.column].item()
                assert place == pytest.approx(one.value, rel=1e-5, abs=1e-6)
    named = {one.index for layer in (surveyed.conv1, surveyed.conv2) for row in layer.strongest for one in row}
    assert surveyed.indices.tolist() == sorted(named)
    assert np.array_equal(surveyed.images, images[surveyed.indices, 0])
    assert surveyed.count == len(images)


@both_variants
def test_survey_is_a_full_computation(few: Dataset, variant: str) -> None:
    surveyed = result(ShowActivations(what=f"pretrained:{variant}", survey=True, device="cpu"), ChannelsSurveyed)
    check_survey(surveyed, maps_of(theirs(variant), few.test.images), few.test.images)
    assert [(s.receptive_field, s.step, s.start) for s in (surveyed.conv1, surveyed.conv2)] == [(4, 2, -1), (10, 4, -3)]


def test_survey_of_another_architecture_and_of_dead_channels(few: Dataset, odd: Path) -> None:
    surveyed = result(ShowActivations(what=str(odd), survey=True, device="cpu"), ChannelsSurveyed)
    model = load_network(Inspect(what=str(odd), device="cpu"), NOWHERE).model
    check_survey(surveyed, maps_of(model, few.test.images), few.test.images)
    for layer in (surveyed.conv1, surveyed.conv2):
        assert 3 in layer.dead
        assert layer.strongest[3] == ()


@pytest.mark.parametrize("what", ["pretrained:cnn", "pretrained:cnn-bn", "odd"])
def test_nothing_outside_its_window_changes_an_activation(few: Dataset, odd: Path, what: str) -> None:
    what = str(odd) if what == "odd" else what
    surveyed = result(ShowActivations(what=what, survey=True, device="cpu"), ChannelsSurveyed)
    model = load_network(Inspect(what=what, device="cpu"), NOWHERE).model
    noise = torch.rand(28, 28, generator=torch.Generator().manual_seed(0))
    moved = 0
    for block, layer in enumerate((surveyed.conv1, surveyed.conv2)):
        for channel, strongest in enumerate(layer.strongest):
            for one in strongest[:2]:
                rows, columns = (
                    slice(max(0, start), max(0, start + layer.receptive_field))
                    for start in (layer.start + one.row * layer.step, layer.start + one.column * layer.step)
                )
                original = few.test.images[one.index, 0]
                outside, inside = noise.clone(), original.clone()
                outside[rows, columns] = original[rows, columns]
                inside[rows, columns] = noise[rows, columns]
                values = maps_of(model, torch.stack((outside, inside)).unsqueeze(1))[block]
                values = values[:, channel, one.row, one.column]
                assert values[0].item() == pytest.approx(one.value, rel=1e-5, abs=1e-6)
                moved += values[1].item() != pytest.approx(one.value, rel=1e-3)
    assert moved > 5


@pytest.mark.parametrize("batches", [1, 3, 4])
def test_an_abandoned_survey_goes_on_where_it_was(few: Dataset, batches: int) -> None:
    request = ShowActivations(what="pretrained:cnn", survey=True, device="cpu")
    survey_of.cache_clear()
    whole, whole_evaluated = ask(request)[-1], result(Evaluate(what=request.what, device="cpu"), SplitEvaluated)
    survey_of.cache_clear()
    begun = perform(Evaluate(what=request.what, device="cpu"), NOWHERE)
    done = list(itertools.islice(begun, batches))
    begun.close()
    assert [event.done for event in done if isinstance(event, BatchEvaluated)] == [
        250 * n for n in range(1, batches + 1)
    ]
    rest = ask(request)
    assert [event.done for event in rest if isinstance(event, BatchEvaluated)] == [
        250 * n for n in range(batches + 1, 5)
    ]
    assert to_json(rest[-1]) == to_json(whole)
    evaluated = result(Evaluate(what=request.what, device="cpu"), SplitEvaluated)
    assert to_json(evaluated) == to_json(whole_evaluated)
    assert np.array_equal(evaluated.probabilities, whole_evaluated.probabilities)


def test_a_finished_survey_is_kept(few: Dataset) -> None:
    request = Evaluate(what="pretrained:cnn-bn", device="cpu")
    ask(request)
    assert [type(event) for event in ask(request)] == [SplitEvaluated]


# Filters: sections 2.1 and 2.2.


@both_variants
@pytest.mark.parametrize("layer", LAYERS)
def test_filters_are_the_weights(variant: str, layer: LayerName) -> None:
    shown = result(ShowFilters(what=f"pretrained:{variant}", layer=layer), FiltersShown)
    weights = load_file(pretrained(variant).model_file)[f"{layer}.0.weight"].numpy()
    assert np.array_equal(shown.weights, weights)
    assert shown.shape == weights.shape == ((32, 1, 3, 3) if layer == "conv1" else (32, 32, 3, 3))
    assert (shown.minimum, shown.maximum) == (float(weights.min()), float(weights.max()))
    assert shown.norms == pytest.approx([math.sqrt(sum(float(w) ** 2 for w in kernel.flat)) for kernel in weights])
    assert shown.epochs == tuple(range(16))
    assert shown.epoch == 15


@pytest.mark.parametrize("layer", LAYERS)
def test_filters_of_each_epoch_of_a_run(trained: RunFolder, layer: LayerName) -> None:
    def weights(epoch: int) -> np.ndarray:
        shown = result(ShowFilters(what=str(trained.path), layer=layer, epoch=epoch), FiltersShown)
        assert shown.epoch == (2 if epoch < 0 else epoch)
        assert shown.epochs == (0, 1, 2)
        return shown.weights

    torch.manual_seed(0)
    fresh = notebook.network(False).state_dict()[f"{layer}.0.weight"]
    latest = load_file(trained.model_file)[f"{layer}.0.weight"]
    assert np.array_equal(weights(0), fresh)
    assert np.array_equal(weights(2), latest)
    assert np.array_equal(weights(-1), latest)
    assert not np.array_equal(weights(1), weights(0))
    assert not np.array_equal(weights(1), weights(2))


def test_the_last_epoch_has_its_filters_in_the_weights(trained: RunFolder, tmp_path: Path) -> None:
    run = RunFolder(Path(shutil.copytree(trained.path, tmp_path / "run")))
    run.convolutions_file(2).unlink()  # as of a run that keeps some of its epochs alone
    for epoch in (-1, 2):
        shown = result(ShowFilters(what=str(run.path), epoch=epoch), FiltersShown)
        assert (shown.epoch, shown.epochs) == (2, (0, 1, 2))
        assert np.array_equal(shown.weights, load_file(run.model_file)["conv1.0.weight"])


# The network that a request names.


def test_the_same_file_is_the_same_network_until_it_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    request = Summarise(what=str(path), device="cpu")
    save_weights(path, seeded_cnn(Architecture(channels=2, hidden=4), 0))
    first = load_network(request, tmp_path)
    assert load_network(request, tmp_path).model is first.model
    assert load_network(Evaluate(what=str(path), device="cpu"), tmp_path) is first
    save_weights(path, seeded_cnn(Architecture(channels=2, hidden=4), 1))
    second = load_network(request, tmp_path)
    assert second.model is not first.model
    assert not torch.equal(second.model.state_dict()["fc.1.weight"], first.model.state_dict()["fc.1.weight"])
    assert not second.model.training


def test_the_epoch_is_read_anew_when_the_run_tells_of_another(trained: RunFolder, tmp_path: Path) -> None:
    """Between the weights of an epoch and the line that says so there is a moment in which somebody may look."""
    run = RunFolder(tmp_path / "run")
    shutil.copytree(trained.path, run.path)
    lines = run.events_file.read_bytes().splitlines(keepends=True)
    run.events_file.write_bytes(b"".join(lines[:2]))
    assert load_network(Summarise(what=str(run.path), device="cpu"), tmp_path).epoch == 1
    run.events_file.write_bytes(b"".join(lines[:3]))
    assert load_network(Summarise(what=str(run.path), device="cpu"), tmp_path).epoch == 2


def test_nothing_named_is_the_newest_run_or_the_one_that_ships(trained: RunFolder, tmp_path: Path) -> None:
    found = find_network("", tmp_path)
    assert isinstance(found, RunFolder)
    assert found.what == "pretrained:cnn-bn"
    newest = find_network("", trained.path.parent)
    assert isinstance(newest, RunFolder)
    assert newest.path == trained.path
    summary = result(Summarise(), NetworkSummarised, trained.path.parent)
    assert (summary.name, summary.variant, summary.epoch) == (trained.name, "cnn", 2)
    assert result(Summarise(), NetworkSummarised, tmp_path).name == "pretrained:cnn-bn"


def test_a_run_is_named_by_its_folder_or_by_its_name(trained: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    by_path = result(Summarise(what=str(trained.path)), NetworkSummarised)
    by_name = result(Summarise(what=trained.name), NetworkSummarised, trained.path.parent)
    monkeypatch.chdir(trained.path)
    assert by_path == by_name == result(Summarise(what="."), NetworkSummarised)


def test_the_notebooks_pth_is_opened(tmp_path: Path) -> None:
    torch.save(theirs("cnn-bn").state_dict(), tmp_path / "CNN_assign_model_withbn.pth")
    summary = result(Summarise(what=str(tmp_path / "CNN_assign_model_withbn.pth")), NetworkSummarised)
    assert (summary.name, summary.variant, summary.epoch) == ("CNN_assign_model_withbn.pth", "cnn-bn", None)


@pytest.fixture
def bad_files(tmp_path: Path, trained: RunFolder, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of what cannot be opened."""
    monkeypatch.chdir(tmp_path)
    whole = trained.model_file.read_bytes()
    Path("cut.safetensors").write_bytes(whole[: len(whole) // 2])
    Path("empty.safetensors").write_bytes(b"")
    Path("text.safetensors").write_text("no weights\nat all\n")
    Path("text.pth").write_text("no weights\nat all\n")
    save_file({"a.weight": torch.zeros(2, 2)}, "other.safetensors")
    Path("folder.pth").mkdir()
    shutil.copytree(trained.path, "no-model")
    Path("no-model", "model.safetensors").unlink()
    shutil.copytree(trained.path, "no-filters")
    Path("no-filters", "epochs", "0001.safetensors").write_bytes(whole[:100])
    save_file({"fc.1.weight": torch.zeros(2)}, "no-filters/epochs/0000.safetensors")
    shutil.copytree(trained.path, "other-filters")
    save_file({"conv1.0.weight": torch.zeros(32, 1, 3, 3, 1)}, "other-filters/epochs/0000.safetensors")
    save_file({"conv1.0.weight": torch.zeros(32, 1, 3, 3, dtype=torch.int32)}, "other-filters/epochs/0001.safetensors")
    shutil.copytree(trained.path, "bad-events")
    Path("bad-events", "events.jsonl").unlink()
    os.mkfifo(Path("bad-events", "events.jsonl"))
    shutil.copytree(trained.path, "bad-record")
    Path("bad-record", "request.json").write_bytes(b"[]")
    return tmp_path


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Summarise(what="nowhere"), "nowhere is not a run folder"),
        (Summarise(what="pretrained:vgg"), "there is no pretrained:vgg"),
        (Summarise(what="missing.safetensors"), "there is no file missing.safetensors"),
        (Summarise(what="x" * 5000), "cannot open"),
        (Summarise(what="cut.safetensors"), "cut.safetensors is not a complete safetensors file"),
        (Summarise(what="empty.safetensors"), "empty.safetensors is empty"),
        (Summarise(what="text.safetensors"), "text.safetensors is a text file"),
        (Summarise(what="text.pth"), "text.pth is a text file"),
        (Summarise(what="folder.pth"), "there is no file folder.pth"),
        (Summarise(what="other.safetensors"), "holds a different network"),
        (Summarise(what="no-model"), "model.safetensors"),
        (Summarise(what="bad-events"), "events.jsonl cannot be read (it is not a regular file)"),
        (Summarise(what="bad-record"), "request.json cannot be read"),
        (ShowActivations(index=10_000, device="cpu"), "index 10000 is beyond the 10,000 images of the test split"),
        (ShowActivations(index=10**30, device="cpu"), "is beyond"),
        (ShowActivations(index=50_000, split="train", device="cpu"), "the last is 49999"),
        (ShowFilters(epoch=16), "pretrained:cnn-bn has no filters of epoch 16: it has 0 to 15"),
        (ShowFilters(what="no-filters", epoch=1), "0001.safetensors is not a complete safetensors file"),
        (ShowFilters(what="no-filters", epoch=0), "0000.safetensors is damaged: it has no conv1.0.weight"),
        (ShowFilters(what="other-filters", epoch=0), "damaged: its conv1.0.weight is (32, 1, 3, 3, 1) of float32, and"),
        (ShowFilters(what="other-filters", epoch=1), "damaged: its conv1.0.weight is (32, 1, 3, 3) of int32, and"),
        (ShowFilters(what="no-filters/model.safetensors", epoch=1), "model.safetensors has no filters of epoch 1"),
    ],
)
def test_bad_input_is_one_line(bad_files: Path, request_: Request, words: str) -> None:
    with pytest.raises(RequestError) as caught:
        ask(request_)
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.skipif(os.name != "posix", reason="file names of bytes")
def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"net\xff.pth")
    save_weights(path, seeded_cnn(Architecture(channels=2, hidden=4), 0))
    assert b"net" in to_json(result(Summarise(what=str(path)), NetworkSummarised))


# Events on their way out.


def test_json_is_one_line_without_arrays_and_arrays_come_by_name(few: Dataset) -> None:
    named: dict[str, set[str]] = {
        "NetworkSummarised": set(),
        "SplitEvaluated": {"labels", "predictions", "probabilities"},
        "DigitsShown": {"images"},
        "FiltersShown": {"weights"},
        "ActivationsComputed": {"image", "conv1", "conv2", "conv1_mean", "conv2_mean"},
        "ChannelsSurveyed": {"indices", "images"},
        "BatchEvaluated": set(),
    }
    survey_of.cache_clear()
    requests = [Summarise(), Evaluate(), ShowDigits(), ShowFilters(), ShowActivations(survey=True)]
    events = {type(event).__name__: event for request in requests for event in ask(request)}
    assert events.keys() == named.keys()
    for name, event in events.items():
        line = to_json(event)
        plain = json.loads(line)
        assert b"\n" not in line
        assert plain["type"] == name
        assert set(arrays(event)) == named[name]
        assert set(plain) == {"type", *event.__struct_fields__} - named[name]
        assert all(isinstance(array, np.ndarray) for array in arrays(event).values())
