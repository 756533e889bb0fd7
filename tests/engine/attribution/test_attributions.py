"""The gradient methods against their own formulas, and the measures of trust against plain ones."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engine.attribution import explain
from engine.attribution.events import AttributionsComputed, FaithfulnessMeasured
from engine.attribution.explain import RANDOM, Measurement
from engine.attribution.faithfulness import (
    SHARES,
    areas,
    curve_of,
    curves,
    random_curves,
    random_ranks,
    ranks,
)
from engine.attribution.gradients import METHODS, Explained, maps_of
from engine.attribution.patch_sweep import OcclusionNetwork
from engine.attribution.randomisation import STAGES, randomised, rank_correlation
from engine.attribution.requests import Attribute, MethodName
from engine.benchmark import notebook
from engine.data.datasets import Dataset
from engine.event import Event, WorkAdvanced, to_json
from engine.inspection.loaded import load_network
from engine.network.checkpoints import load_weights, save_weights
from engine.network.model import CNN, inference_network, seeded_cnn
from engine.network.requests import Architecture
from engine.network.seeds import generator
from engine.operations import perform
from engine.request import RequestError
from engine.runs.finding import pretrained
from tests.ties import rounded_otherwise, with_the_rule

pytestmark = pytest.mark.numeric

NOWHERE = Path("nowhere")
VARIANTS = ("cnn", "cnn-bn")
SETTINGS = Attribute()


@pytest.fixture(scope="module", params=VARIANTS)
def explained(request: pytest.FixtureRequest) -> Explained:
    """A bundled network in double precision, so that formulas agree to the last digits."""
    model = load_weights(pretrained(request.param).model_file).double()
    return Explained(model, OcclusionNetwork(model))


@pytest.fixture(scope="module")
def digits(mnist: Dataset) -> tuple[Tensor, Tensor]:
    """Three test images in double precision and the classes asked about, one of them a wrong one."""
    return mnist.test.images[[61, 3, 8]].double(), torch.tensor([8, 0, 2])


def gradients(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Of the target logits: (n, 28, 28)."""
    images = images.clone().requires_grad_()
    logits = model(images)
    (found,) = torch.autograd.grad(logits[torch.arange(len(images)), targets].sum(), images)
    return found[:, 0]


def maps(method: MethodName, explained: Explained, digits: tuple[Tensor, Tensor], **settings: Any) -> Tensor:
    found = maps_of(method, explained, *digits, msgspec.structs.replace(SETTINGS, **settings))
    assert found.shape == (len(digits[0]), 28, 28)
    assert not found.requires_grad
    return found


def done(request: Attribute) -> list[Event]:
    return [event for event in perform(request, NOWHERE) if not isinstance(event, WorkAdvanced)]


def computed(**fields: Any) -> AttributionsComputed:
    event = done(Attribute(**({"what": "pretrained:cnn"} | fields)))[0]
    assert isinstance(event, AttributionsComputed)
    return event


def measured(**fields: Any) -> FaithfulnessMeasured:
    event = done(Attribute(**({"what": "pretrained:cnn"} | fields)))[1]
    assert isinstance(event, FaithfulnessMeasured)
    return event


# The methods


def test_saliency_is_the_gradients_magnitude(explained: Explained, digits: tuple[Tensor, Tensor]) -> None:
    expected = gradients(explained.model, *digits).abs()
    torch.testing.assert_close(maps("saliency", explained, digits), expected)


def test_gradient_x_input(explained: Explained, digits: tuple[Tensor, Tensor]) -> None:
    expected = gradients(explained.model, *digits) * digits[0][:, 0]
    torch.testing.assert_close(maps("gradient-x-input", explained, digits), expected)


def test_integrated_gradients_are_an_integral_and_complete(explained: Explained, digits: tuple[Tensor, Tensor]) -> None:
    images, targets = digits
    steps = 400
    total = torch.zeros(3, 28, 28, dtype=torch.float64)
    for step in range(0, steps, 100):
        shares = (torch.arange(step, step + 100) + 0.5) / steps  # the midpoint rule, where Captum takes Gauss's
        path = (images[:, None] * shares[:, None, None, None]).flatten(0, 1)
        total += gradients(explained.model, path, targets.repeat_interleave(100)).view(3, 100, 28, 28).sum(dim=1)
    expected = images[:, 0] * total / steps
    found = maps("integrated-gradients", explained, digits, steps=200)
    torch.testing.assert_close(found, expected, rtol=0, atol=0.02 * expected.abs().max().item())
    with torch.no_grad():
        each = torch.arange(3)
        difference = explained.model(images)[each, targets] - explained.model(images * 0)[each, targets]
    torch.testing.assert_close(found.sum(dim=(1, 2)), difference, rtol=0, atol=5e-2)
    coarse = maps("integrated-gradients", explained, digits, steps=3).sum(dim=(1, 2))
    assert (coarse - difference).abs().max() > (found.sum(dim=(1, 2)) - difference).abs().max()


def test_smoothgrad_is_the_mean_over_noise(explained: Explained, digits: tuple[Tensor, Tensor]) -> None:
    images, targets = digits
    samples = 300
    noise = torch.randn((samples, *images.shape), generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    each = gradients(explained.model, (images + 0.15 * noise).flatten(0, 1), targets.repeat(samples))
    expected = each.view(samples, 3, 28, 28).mean(dim=0).abs()
    found = maps("smoothgrad", explained, digits, samples=samples)
    few = maps("smoothgrad", explained, digits, samples=20)
    for one, other in zip(found, expected, strict=True):  # two samples of the same mean
        assert np.corrcoef(one.flatten(), other.flatten())[0, 1] > 0.95
    torch.testing.assert_close(few, maps("smoothgrad", explained, digits, samples=20))
    assert not torch.equal(few, maps("smoothgrad", explained, digits, samples=20, seed=1))
    state = torch.random.get_rng_state()
    maps("smoothgrad", explained, digits, samples=2)
    assert torch.equal(state, torch.random.get_rng_state())
    # Hardly any noise is not none: on plain background the places that a pooling takes its maximum from are all equal.
    little, more = (maps("smoothgrad", explained, digits, samples=30, noise=noise) for noise in (0.05, 1.0))
    plain = maps("saliency", explained, digits)
    assert (little - plain).norm() < (more - plain).norm()


@pytest.mark.parametrize("block", ["conv1", "conv2"])
def test_grad_cam_weighs_channels_by_their_mean_gradient(
    explained: Explained, digits: tuple[Tensor, Tensor], block: str
) -> None:
    images, targets = digits
    model = explained.model
    first = model.conv1(images)
    features = (first if block == "conv1" else model.conv2(first)).detach().requires_grad_()
    logits = model.fc(model.conv2(features) if block == "conv1" else features)
    (slopes,) = torch.autograd.grad(logits[torch.arange(3), targets].sum(), features)
    cam = (slopes.mean(dim=(2, 3), keepdim=True) * features).sum(dim=1, keepdim=True).clamp(min=0)
    expected = torch.nn.functional.interpolate(cam, (28, 28), mode="bilinear", align_corners=False)[:, 0].detach()
    method: MethodName = "grad-cam-conv1" if block == "conv1" else "grad-cam-conv2"
    torch.testing.assert_close(maps(method, explained, digits), expected)


def test_guided_backprop_is_that_of_the_notebooks_network(explained: Explained, digits: tuple[Tensor, Tensor]) -> None:
    """There ReLU comes before the pooling; ours pools first, and nothing differs."""
    images, targets = digits
    model = with_the_rule(notebook.network(isinstance(explained.model.conv1[1], nn.BatchNorm2d))).eval()
    model.load_state_dict(explained.model.state_dict())

    def guided(_module: nn.Module, given: tuple[Tensor, ...], _out: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(each.clamp(min=0) for each in given)

    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.register_full_backward_hook(guided)
    pixels = images.clone().requires_grad_()
    logits, _ = model(pixels)
    logits[torch.arange(3), targets].sum().backward()
    assert pixels.grad is not None
    torch.testing.assert_close(maps("guided-backprop", explained, digits), pixels.grad[:, 0])
    assert not explained.model.conv1[-1]._backward_hooks  # the network is left as it was
    torch.testing.assert_close(maps("saliency", explained, digits), gradients(explained.model, images, targets).abs())


def test_occlusion_is_the_mean_drop_over_each_pixel(explained: Explained, digits: tuple[Tensor, Tensor]) -> None:
    images, targets = digits
    expected = torch.zeros(3, 28, 28, dtype=torch.float64)
    count = torch.zeros(28, 28)
    with torch.no_grad():
        unoccluded = explained.model.probabilities(images)[torch.arange(3), targets]
        for row in range(0, 21, 4):
            for column in range(0, 21, 4):
                patched = images.clone()
                patched[:, :, row : row + 8, column : column + 8] = 1
                found = explained.model.probabilities(patched)[torch.arange(3), targets]
                expected[:, row : row + 8, column : column + 8] += (unoccluded - found)[:, None, None]
                count[row : row + 8, column : column + 8] += 1
    assert count.min() > 0
    found = maps("occlusion", explained, digits, stride=4, baseline="one")
    torch.testing.assert_close(found, expected / count, rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_a_map_does_not_depend_on_how_rounding_falls(
    explained: Explained, digits: tuple[Tensor, Tensor], method: MethodName
) -> None:
    found = []
    for seed in (1, 2):
        with rounded_otherwise(seed):
            found.append(maps(method, explained, digits, stride=6, steps=10, samples=5))
    torch.testing.assert_close(*found, rtol=0, atol=1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_a_map_does_not_depend_on_its_batch_mates(
    explained: Explained, digits: tuple[Tensor, Tensor], method: MethodName
) -> None:
    alone = maps(method, explained, (digits[0][1:2], digits[1][1:2]), stride=3)
    torch.testing.assert_close(alone[0], maps(method, explained, digits, stride=3)[1])


# Deletion and insertion


def test_curves_are_those_of_the_plain_loop(explained: Explained, digits: tuple[Tensor, Tensor]) -> None:
    images, targets = digits
    found = maps("gradient-x-input", explained, digits)
    places = torch.stack([ranks(each, generator(0, i)) for i, each in enumerate(found)])
    deletion, insertion = curves(inference_network(explained.model), images, targets, places)
    assert deletion.shape == insertion.shape == (3, 29)
    for i in range(3):
        order = sorted(range(784), key=lambda pixel, i=i: places[i, pixel].item())  # type: ignore[misc]
        values = found[i].flatten()[order]
        assert (values[:-1] >= values[1:]).all()
        for step in (0, 1, 5, 17, 28):
            gone, come = images[i].clone(), torch.zeros_like(images[i])
            for pixel in order[: step * 28]:
                gone.view(-1)[pixel] = 0
                come.view(-1)[pixel] = images[i].view(-1)[pixel]
            with torch.no_grad():
                both = explained.model.probabilities(torch.stack((gone, come)))[:, targets[i]]
            assert deletion[i, step].item() == pytest.approx(both[0].item(), abs=1e-9)
            assert insertion[i, step].item() == pytest.approx(both[1].item(), abs=1e-9)
    torch.testing.assert_close(deletion[:, 0], insertion[:, -1])
    torch.testing.assert_close(deletion[:, -1], insertion[:, 0])


def test_equal_pixels_stand_in_random_order() -> None:
    values = torch.zeros(28, 28)
    values[5, 5], values[6, 6] = 2, -1
    one, other = ranks(values, generator(0, 1)), ranks(values, generator(0, 2))
    for found in (one, other):
        assert sorted(found.tolist()) == list(range(784))
        assert found[5 * 28 + 5] == 0
        assert found[6 * 28 + 6] == 783
        assert abs(found[:392].double().mean() - 392) < 60  # the upper half does not come first
    assert not torch.equal(one, other)
    assert torch.equal(one, ranks(values, generator(0, 1)))
    assert sorted(random_ranks(generator(3, 4)).tolist()) == list(range(784))


def test_areas_are_numpys_trapezoids() -> None:
    values = np.random.default_rng(0).random((6, 29))
    np.testing.assert_allclose(areas(values), np.trapezoid(values, SHARES, axis=1))
    mean = curve_of(values)
    assert mean.area == pytest.approx(areas(values).mean())
    assert mean.area_spread == pytest.approx(areas(values).std(ddof=1))
    np.testing.assert_allclose(mean.values, values.mean(axis=0))
    np.testing.assert_allclose(mean.spread, values.std(axis=0, ddof=1))
    alone = curve_of(values[:1])
    assert (alone.spread, alone.area_spread, alone.summary("+-")) == ((), 0, f"{areas(values[:1])[0]:.3f}")
    assert mean.summary("+-") == f"{mean.area:.3f} +- {mean.area_spread:.2f}"


def test_random_order_is_each_images_own(explained: Explained, digits: tuple[Tensor, Tensor]) -> None:
    network = inference_network(explained.model)
    images, targets = digits
    deletion, _ = random_curves(network, images, targets, 0, [61, 3, 8])
    alone, _ = random_curves(network, images[1:2], targets[1:2], 0, [3])
    torch.testing.assert_close(deletion[1], alone[0])
    other, _ = random_curves(network, images[1:2], targets[1:2], 1, [3])
    assert not torch.allclose(other, alone)


# Randomisation


def test_rank_correlation_is_spearmans() -> None:
    rng = np.random.default_rng(1)

    def slow(one: np.ndarray, other: np.ndarray) -> float:
        def mean_ranks(values: np.ndarray) -> np.ndarray:
            flat = values.ravel()
            return np.array([(flat < v).sum() + ((flat == v).sum() + 1) / 2 for v in flat])

        return float(np.corrcoef(mean_ranks(one), mean_ranks(other))[0, 1])

    for _ in range(5):
        one, other = rng.normal(size=(2, 12, 12)).round(1)  # with many equals
        assert rank_correlation(one, other) == pytest.approx(slow(one, other))
    assert rank_correlation(one, one**3) == pytest.approx(1)
    assert rank_correlation(one, -one) == pytest.approx(-1)
    assert math.isnan(rank_correlation(one, np.zeros((12, 12))))
    assert math.isnan(rank_correlation(np.where(one > 0, one, np.nan), other))


@pytest.mark.parametrize("variant", VARIANTS)
def test_layers_become_random_from_the_top_down(variant: str) -> None:
    model = load_weights(pretrained(variant).model_file)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    tops = ("fc.3" if variant == "cnn" else "fc.4", "fc.", "conv2.", "conv1.")
    state = torch.random.get_rng_state()
    for stage, network in enumerate(randomised(model, 0)):
        assert not network.training
        for key, value in network.state_dict().items():
            if key.endswith("num_batches_tracked"):
                continue
            touched = any(key.startswith(top) for top in tops[: stage + 1])
            assert touched != torch.equal(value, before[key]), key
    assert stage == len(STAGES) - 1
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    fresh = seeded_cnn(model.architecture, 0).state_dict()  # what the bundled networks began with
    assert not torch.equal(network.state_dict()["conv1.0.weight"], fresh["conv1.0.weight"])
    again = list(randomised(model, 0))[-1]
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in again.state_dict().items())


# The request


@pytest.mark.usefixtures("few_images")
def test_all_methods_of_a_digit(mnist: Dataset) -> None:
    event = computed()
    assert event.methods == METHODS
    assert event.maps.shape == (len(METHODS), 28, 28)
    assert event.maps.dtype == np.float32
    assert [each.method for each in event.faithfulness] == [*METHODS, RANDOM]
    assert (event.index, event.actual, event.predicted, event.watched) == (61, 8, 8, 8)
    np.testing.assert_array_equal(event.image, mnist.test.images[61, 0])
    for each in event.faithfulness:
        assert len(each.deletion.values) == len(event.shares) == 29
        assert each.deletion.values[0] == pytest.approx(event.unoccluded_probability, abs=1e-5)
        assert each.insertion.values[-1] == pytest.approx(event.unoccluded_probability, abs=1e-5)
        assert 0 <= each.deletion.area <= 1
        assert each.change is None
        assert (each.completeness is not None) == (each.method == "integrated-gradients")
    total, difference = next(each.completeness for each in event.faithfulness if each.completeness)
    assert total == pytest.approx(float(event.maps[METHODS.index("integrated-gradients")].sum()), abs=1e-3)
    assert total == pytest.approx(difference, abs=0.2)
    model = load_weights(pretrained("cnn").model_file)
    with torch.no_grad():
        logits = model(torch.stack((mnist.test.images[61], torch.zeros(1, 28, 28))))[:, 8]
    assert difference == pytest.approx((logits[0] - logits[1]).item(), abs=1e-4)
    assert b'"completeness":[' in to_json(event)


@pytest.mark.usefixtures("few_images")
def test_one_method_is_that_of_all() -> None:
    every = computed(watch="3")
    for method in ("smoothgrad", "grad-cam-conv2", "occlusion"):
        alone = computed(watch="3", method=method)
        assert alone.methods == (method,)
        np.testing.assert_allclose(alone.maps[0], every.maps[METHODS.index(method)], atol=1e-6)
        assert [each.method for each in alone.faithfulness] == [method, RANDOM]
        assert alone.faithfulness[-1] == every.faithfulness[-1]
        assert alone.faithfulness[0] == every.faithfulness[METHODS.index(method)]


@pytest.mark.usefixtures("few_images")
def test_over_many_digits_the_curves_are_the_means() -> None:
    fields = {"method": "gradient-x-input", "what": "pretrained:cnn-bn"}
    mean = measured(digits=6, **fields)
    assert (mean.averaged, mean.randomised) == (6, 0)
    each = [computed(index=index, **fields) for index in range(6)]
    for number in range(2):
        for name in ("deletion", "insertion"):
            alone = np.array([getattr(one.faithfulness[number], name).values for one in each])
            found = getattr(mean.faithfulness[number], name)
            np.testing.assert_allclose(found.values, alone.mean(axis=0), atol=1e-5)
            np.testing.assert_allclose(found.spread, alone.std(axis=0, ddof=1), atol=1e-5)
            assert found.area == pytest.approx(areas(alone).mean(), abs=1e-5)
            assert found.area_spread == pytest.approx(areas(alone).std(ddof=1), abs=1e-5)


@pytest.mark.usefixtures("few_images")
def test_randomisation_is_a_number_a_method(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explain, "RANDOMISED", 5)
    found = measured(what="pretrained:cnn-bn", digits=6, randomise=True, stride=7)
    assert (found.averaged, found.randomised) == (6, 5)
    by_name = {each.method: each for each in found.faithfulness}
    for method in METHODS:
        each = by_name[method]
        assert len(each.similarities) == len(STAGES)
        assert each.change == pytest.approx(1 - np.mean(each.similarities))
        assert -1 <= min(each.similarities) <= max(each.similarities) <= 1
    assert by_name[RANDOM].change is None
    # What Adebayo et al. found: guided backprop hardly notices, gradient x input does.
    guided, product = by_name["guided-backprop"].change, by_name["gradient-x-input"].change
    assert guided is not None
    assert product is not None
    assert guided < 0.6
    assert product > 0.8


@pytest.mark.usefixtures("few_images")
def test_a_measurement_goes_on_where_it_was_left() -> None:
    request = Attribute(what="pretrained:cnn", method="saliency", digits=12, seed=77)
    steps = list(perform(msgspec.structs.replace(request, seed=78), NOWHERE))
    total = next(event.total for event in reversed(steps) if isinstance(event, WorkAdvanced))
    work = perform(request, NOWHERE)
    for event in work:
        if isinstance(event, WorkAdvanced) and event.total == total and event.done == 3:
            break
    work.close()
    later = list(perform(msgspec.structs.replace(request, index=5), NOWHERE))
    assert [e.done for e in later if isinstance(e, WorkAdvanced) and e.total == total] == list(range(4, total + 1))
    assert isinstance(later[-1], FaithfulnessMeasured)


@pytest.mark.usefixtures("few_images")
def test_a_measurement_that_broke_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    request = Attribute(what="pretrained:cnn", method="saliency", digits=9, seed=79)

    def broken(*_: object) -> Tensor:
        raise MemoryError

    work = perform(request, NOWHERE)
    for event in work:
        if isinstance(event, WorkAdvanced) and event.words == "9 digits":
            break
    monkeypatch.setattr(explain, "maps_of", broken)
    with pytest.raises(MemoryError):
        list(work)
    monkeypatch.setattr(explain, "maps_of", maps_of)
    assert measured(method="saliency", digits=9, seed=79).averaged == 9


@pytest.mark.usefixtures("few_images")
def test_a_map_that_orders_nothing_is_worth_chance() -> None:
    """Grad-CAM of this network on this digit is zero everywhere."""
    event = computed()
    by_name = {each.method: each for each in event.faithfulness}
    assert not event.maps[METHODS.index("grad-cam-conv2")].any()
    assert by_name["grad-cam-conv2"].deletion == by_name[RANDOM].deletion
    assert by_name["grad-cam-conv2"].insertion == by_name[RANDOM].insertion
    assert by_name["saliency"].deletion != by_name[RANDOM].deletion


@pytest.mark.usefixtures("few_images")
def test_many_samples_are_fewer_images_at_once(small: Dataset) -> None:
    loaded = load_network(Attribute(what="pretrained:cnn"), NOWHERE)
    steps = {
        samples: Measurement(loaded, small.test, Attribute(method="saliency", digits=8, samples=samples)).total
        for samples in (50, 100, 1000)
    }
    assert steps == {50: 4, 100: 8, 1000: 16}


@pytest.mark.usefixtures("few_images")
def test_more_digits_than_there_are_is_all_of_them(small: Dataset) -> None:
    loaded = load_network(Attribute(what="pretrained:cnn"), NOWHERE)
    split = small.test.first(5)
    work = Measurement(loaded, split, Attribute(method="saliency", digits=10_000, randomise=True))
    assert (work.images, work.randomised) == (5, 5)
    assert list(work.finish()) == list(range(1, work.total + 1))
    assert len(work.faithfulness()) == 2


@pytest.mark.usefixtures("few_images")
def test_another_architecture_and_numbers_that_are_none(tmp_path: Path) -> None:
    model = seeded_cnn(Architecture(channels=3, kernel_size=5, padding=0, hidden=9, batch_norm=True), 1)
    path = tmp_path / "other.safetensors"
    save_weights(path, model)
    assert np.isfinite(computed(what=str(path), split="val").maps).all()
    model.state_dict()["fc.1.weight"][:] = torch.nan
    save_weights(path, model)
    event = computed(what=str(path))
    assert np.isnan(event.maps).any()
    assert b"null" in to_json(event)


@pytest.mark.usefixtures("few_images")
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"index": 400}, "index 400 is beyond the 400 images of the test split: the last is 399"),
        ({"what": "nothing.pth"}, "there is no file nothing.pth"),
    ],
)
def test_bad_questions(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        computed(**fields)


def test_the_network_asked_is_left_as_it_was(mnist: Dataset) -> None:
    model = load_weights(pretrained("cnn").model_file)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    network = Explained(model, OcclusionNetwork(model))
    for method in METHODS:
        maps_of(method, network, mnist.test.images[:2], torch.tensor([7, 2]), SETTINGS)
    assert isinstance(model, CNN)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks or module._backward_hooks for module in model.modules())
