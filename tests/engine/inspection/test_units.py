"""What units look for: the ascent, the survey and the ablation, each beside plain PyTorch or Captum."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import LayerActivation
from msgspec.structs import replace
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from engine.adversary.ascent import ascend
from engine.data.datasets import Dataset
from engine.event import Event, arrays, to_json
from engine.inspection.loaded import LoadedNetwork
from engine.inspection.requests import UNIT_LAYERS, ShowUnit, UnitLayerName, VisualiseUnits
from engine.inspection.spectrum import high_frequencies, likeness
from engine.inspection.unit_events import PicturesAdvanced, UnitAdvanced, UnitShown, UnitsVisualised
from engine.inspection.units import ablate, unit_survey_of, unit_weights
from engine.inspection.visualisation import LEAK, Excited
from engine.network.checkpoints import load_weights, save_weights
from engine.network.model import CNN
from engine.operations import perform
from engine.request import Request, RequestError
from engine.runs.finding import pretrained
from tests.conftest import returned

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("few_images")]
VARIANTS = ("cnn", "cnn-bn")
CNN_NAME = "pretrained:cnn"


@cache
def model_of(variant: str) -> CNN:
    return load_weights(pretrained(variant).model_file).eval()


@cache
def exact(variant: str) -> LoadedNetwork:
    """A bundled network in double precision."""
    model = load_weights(pretrained(variant).model_file).double().eval()
    return LoadedNetwork(model, f"pretrained:{variant}", variant, 15, "mnist", None)


def asked(request: Request) -> list[Event]:
    return list(perform(request, Path("nowhere")))


def visualised(**fields: Any) -> UnitsVisualised:
    *_, last = asked(VisualiseUnits(**({"what": CNN_NAME} | fields)))
    assert isinstance(last, UnitsVisualised)
    return last


def shown(**fields: Any) -> UnitShown:
    *_, last = asked(ShowUnit(**({"what": CNN_NAME} | fields)))
    assert isinstance(last, UnitShown)
    assert not isinstance(last, UnitAdvanced)
    return last


def hidden_relu(model: CNN) -> nn.Module:
    (found,) = (layer for layer in model.fc if isinstance(layer, nn.ReLU))
    return found


def layer_of(model: CNN, layer: UnitLayerName) -> nn.Module:
    """The ReLU of a layer."""
    return hidden_relu(model) if layer == "hidden" else getattr(model, layer)[-1]


def means(outputs: Tensor) -> Tensor:
    return outputs.mean(dim=(2, 3)) if outputs.dim() == 4 else outputs


def received(model: CNN, layer: UnitLayerName, images: Tensor) -> Tensor:
    """What the ReLU of a layer receives, by a hook."""
    kept: list[Tensor] = []
    handle = layer_of(model, layer).register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0]))
    model(images)
    handle.remove()
    return kept[0]


@contextmanager
def switched_off(model: CNN, layer: UnitLayerName, unit: int) -> Iterator[None]:
    def zero(_module: nn.Module, _inputs: Any, outputs: Tensor) -> Tensor:
        outputs = outputs.clone()
        outputs[:, unit] = 0
        return outputs

    handle = layer_of(model, layer).register_forward_hook(zero)
    yield
    handle.remove()


@pytest.mark.parametrize("layer", UNIT_LAYERS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_gradient_is_autograds_on_the_network_itself(variant: str, layer: UnitLayerName) -> None:
    loaded = exact(variant)
    images = torch.rand((6, 1, 28, 28), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    units = torch.tensor([0, 1, 5, 5, 9, 31])
    values, gradient = Excited(loaded, layer).ascent(images, units)
    for number, unit in enumerate(units.tolist()):
        pixels = images[number : number + 1].clone().requires_grad_()
        wanted = means(leaky_relu(received(loaded.model, layer, pixels), LEAK))[0, unit]
        (expected,) = torch.autograd.grad(wanted, pixels)
        assert values[number].item() == pytest.approx(wanted.item(), rel=1e-9)
        torch.testing.assert_close(gradient[number], expected[0] / expected.norm(), rtol=1e-8, atol=1e-10)


def test_images_are_those_of_torchs_adam_with_the_penalties_as_a_loss() -> None:
    steps, layer = 12, UNIT_LAYERS[1]
    loaded = exact("cnn-bn")
    settings = VisualiseUnits(what="x", steps=steps, jitter=0, total_variation=0.03, l2=0.02, step_size=0.05)
    excited, units = Excited(loaded, layer), torch.tensor([4, 20])
    starts = torch.rand((2, 1, 28, 28), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    images = starts.clone()
    for _ in ascend(images, lambda each: excited.ascent(each, units), settings, []):
        pass
    for number, unit in enumerate(units.tolist()):
        pixels = starts[number : number + 1].clone().requires_grad_()
        optimizer = torch.optim.Adam([pixels], lr=settings.step_size)
        for _ in range(steps):
            objective = means(leaky_relu(received(loaded.model, layer, pixels), LEAK))[0, unit]
            (climb,) = torch.autograd.grad(objective, pixels)
            rough: Any = sum(pixels.diff(dim=axis).square().sum() for axis in (2, 3))
            penalty = settings.total_variation * rough + settings.l2 * pixels.square().sum()
            (descend,) = torch.autograd.grad(penalty, pixels)
            pixels.grad = descend - climb / climb.norm()
            optimizer.step()
            pixels.data.clamp_(0, 1)
        torch.testing.assert_close(images[number], pixels.detach()[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("layer", UNIT_LAYERS)
def test_each_image_excites_its_unit_more_than_noise_and_its_activation_is_captums(layer: UnitLayerName) -> None:
    units = (0, 1, 2, 4, 5)
    event = visualised(layer=layer, units=units, steps=25, starts=2)
    noise = visualised(layer=layer, units=units, steps=1, starts=2)
    assert event.starts.shape == (5, 2, 28, 28)
    assert event.images.shape == event.digits.shape == (5, 28, 28)
    assert 0 <= event.starts.min() < event.starts.max() <= 1
    model = model_of("cnn")
    captum = LayerActivation(model, layer_of(model, layer))
    for place, (before, after) in enumerate(zip(noise.units, event.units, strict=True)):
        assert after.unit == units[place]
        assert min(after.activations) > max(before.activations)
        found = means(captum.attribute(torch.from_numpy(event.starts[place])[:, None]))[:, after.unit]
        assert after.activations == pytest.approx(found.tolist(), rel=1e-3, abs=1e-6)
        assert after.activation == max(after.activations)
        best = after.activations.index(after.activation)
        assert np.array_equal(event.images[place], event.starts[place, best])


@pytest.mark.parametrize("layer", UNIT_LAYERS)
def test_the_best_digits_and_the_responses_are_captums(layer: UnitLayerName, small: Dataset) -> None:
    model = model_of("cnn-bn")
    captum = LayerActivation(model, layer_of(model, layer))
    found = means(captum.attribute(small.test.images))  # (400, U)
    for unit in (0, 7, 31):
        event = shown(what="pretrained:cnn-bn", layer=layer, unit=unit, steps=1, starts=1)
        column = found[:, unit]
        best = column.sort(descending=True).values[:9]
        best = best[best > 0]
        assert [digit.activation for digit in event.digits] == pytest.approx(best.tolist(), rel=1e-4)
        for place, digit in enumerate(event.digits):
            assert column[digit.index].item() == pytest.approx(digit.activation, rel=1e-4)
            assert digit.actual == small.test.labels[digit.index]
            assert np.array_equal(event.digit_images[place], small.test.images[digit.index, 0].numpy())
        by_class = [column[small.test.labels == number].mean().item() for number in range(10)]
        assert event.responses == pytest.approx(by_class, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("layer", UNIT_LAYERS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_an_ablation_is_the_network_with_a_hook_that_zeroes_the_unit(
    variant: str, layer: UnitLayerName, small: Dataset
) -> None:
    model = model_of(variant)
    loaded = LoadedNetwork(model, variant, variant, None, "mnist", None)
    survey = unit_survey_of(loaded, small.test)
    for _ in survey.finish("test"):
        pass
    with torch.inference_mode():
        before = model(small.test.images)
        for unit in (2, 30):
            found = returned(ablate(loaded, small.test, layer, unit, survey.logits))
            with switched_off(model, layer, unit):
                after = model(small.test.images)
            change = (after.double() - before.double()).mean(dim=0)
            assert found.logits == pytest.approx(change.tolist(), abs=1e-4)
            assert found.accuracy_without == (after.argmax(dim=1) == small.test.labels).double().mean().item()
            assert found.accuracy == (before.argmax(dim=1) == small.test.labels).double().mean().item()
            assert found.changed == int((after.argmax(dim=1) != before.argmax(dim=1)).sum())
        torch.testing.assert_close(model(small.test.images), before)  # the network is as it was


def test_the_weights_of_a_neuron_are_by_map(small: Dataset) -> None:
    loaded = exact("cnn")
    weights = unit_weights(loaded, "hidden")
    assert weights.shape == (500, 32, 7, 7)
    maps = torch.rand((1, 32, 7, 7), dtype=torch.float64)
    linear = loaded.model.fc[1]
    assert isinstance(linear, nn.Linear)
    expected = linear(maps.flatten(1))[0, 17] - linear.bias[17]
    assert (weights[17] * maps[0]).sum().item() == pytest.approx(expected.item())
    assert torch.equal(unit_weights(loaded, "conv2"), loaded.model.get_parameter("conv2.0.weight"))


def test_a_unit_alone_has_the_images_that_it_has_among_others() -> None:
    among, alone = visualised(units=(3, 7, 1), steps=5), visualised(units=(7,), steps=5)
    np.testing.assert_allclose(alone.starts[0], among.starts[1], atol=1e-3)
    page = shown(unit=7, steps=5)
    np.testing.assert_allclose(page.starts, alone.starts[0], atol=1e-3)
    assert page.activations == pytest.approx(alone.units[0].activations, rel=1e-2)
    other = visualised(units=(7,), steps=5, seed=1)
    assert np.abs(other.starts - alone.starts).mean() > 0.05


def test_images_are_told_while_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.inspection.visualisation.PAUSE", 0.0)
    events = asked(VisualiseUnits(what=CNN_NAME, units=(0, 1), steps=6))
    told = [event for event in events if isinstance(event, PicturesAdvanced)]
    assert [event.done for event in told] == list(range(7))
    assert {event.total for event in told} == {6}
    assert not np.array_equal(told[0].starts, told[-1].starts)
    assert isinstance(events[-1], UnitsVisualised)
    of_one = [event for event in asked(ShowUnit(what=CNN_NAME, steps=3)) if isinstance(event, UnitAdvanced)]
    assert [event.done for event in of_one] == [0, 1, 2, 3, 3]
    assert [bool(event.responses) for event in of_one] == [False] * 4 + [True]
    assert all(event.ablation is None for event in of_one)


def test_more_units_than_a_batch_holds_are_made_in_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.inspection.visualisation.AT_ONCE", 4)
    several = visualised(units=(0, 1, 2), steps=4)
    assert several.total == 3 * 4  # nine images in batches of four
    monkeypatch.undo()
    np.testing.assert_allclose(several.starts[2], visualised(units=(2,), steps=4).starts[0], atol=1e-3)


def test_a_dead_unit_and_damaged_weights_are_told(tmp_path: Path) -> None:
    model = load_weights(pretrained("cnn").model_file)
    with torch.no_grad():
        model.get_parameter("conv1.0.bias")[2] = -100.0
    save_weights(file := tmp_path / "dead.safetensors", model)
    event = visualised(what=str(file), units=(1, 2), steps=2)
    live, dead = event.units
    assert live.digit >= 0
    assert (dead.digit, dead.digit_activation, dead.activation) == (-1, 0.0, 0.0)
    assert math.isnan(dead.ratio)
    assert event.median_ratio == live.ratio
    assert event.high_frequency == high_frequencies(event.images[:1])[0]
    assert event.digits_high_frequency == high_frequencies(event.digits[:1])[0]
    assert not event.digits[1].any()
    page = shown(what=str(file), unit=2, steps=2)
    assert page.digits == ()
    assert page.responses == (0.0,) * 10
    assert page.ablation is not None
    assert (page.ablation.changed, page.ablation.logits) == (0, (0.0,) * 10)
    with torch.no_grad():
        model.get_parameter("fc.3.bias")[3] = math.nan
        model.get_parameter("conv1.0.weight")[4] = math.nan
    save_weights(file, model)
    broken = visualised(what=str(file), units=(1, 4), steps=2)
    assert [each.digit for each in broken.units][1] == -1
    assert b"NaN" not in to_json(broken)
    assert b"NaN" not in to_json(shown(what=str(file), unit=4, steps=2))


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (VisualiseUnits(what=CNN_NAME, layer="conv2", units=(3, 32)), "conv2 of pretrained:cnn has no unit 32: its 32"),
        (ShowUnit(what=CNN_NAME, layer="hidden", unit=500), "hidden of pretrained:cnn has no unit 500: its 500 units"),
        (ShowUnit(what="nowhere"), "nowhere"),
    ],
)
def test_what_does_not_exist_is_told_in_one_line(request_: Request, words: str) -> None:
    with pytest.raises(RequestError, match=words) as caught:
        asked(request_)
    assert "\n" not in str(caught.value)


def test_units_are_named_once_and_from_0_on() -> None:
    with pytest.raises(RequestError, match="units must be at least 0, not -1"):
        VisualiseUnits(units=(3, -1))
    with pytest.raises(RequestError, match="name each unit once"):
        VisualiseUnits(units=(3, 3))


def test_an_event_is_plain_and_its_arrays_are_of_single_precision() -> None:
    event = shown(unit=3, steps=1)
    assert {name: each.dtype.name for name, each in arrays(event).items()} == dict.fromkeys(
        ("kernels", "starts", "digit_images"), "float32"
    )
    assert event.best == event.activations.index(max(event.activations))
    assert replace(event, activations=()).best == 0


# How fine the structure of images is


def waves(cycles: int) -> np.ndarray:
    """A wave of so many cycles across the image."""
    along: np.ndarray = np.arange(28) / 28
    return np.broadcast_to(np.cos(2 * np.pi * cycles * along), (28, 28))


def test_shares_of_high_frequencies() -> None:
    images = np.stack([waves(3), waves(11), waves(3) + waves(11), np.full((28, 28), 0.3), waves(3).T + 0.5])
    np.testing.assert_allclose(high_frequencies(images), [0, 1, 0.5, 0, 0], atol=1e-12)
    white = np.random.default_rng(0).random((200, 28, 28))
    rows, columns = np.meshgrid(np.fft.fftfreq(28), np.fft.fftfreq(28))
    area = (np.hypot(rows, columns) > 0.25).sum() / (28 * 28 - 1)
    assert high_frequencies(white).mean() == pytest.approx(area, abs=0.01)


def test_likeness_is_numpys_correlation() -> None:
    images = np.random.default_rng(1).random((3, 28, 28))
    matrix: np.ndarray = np.asarray(np.corrcoef(images.reshape(3, -1)))
    assert likeness(images) == pytest.approx((matrix[0, 1] + matrix[0, 2] + matrix[1, 2]) / 3)
    assert likeness(np.stack([images[0], images[0] * 2 + 1])) == pytest.approx(1)
    assert math.isnan(likeness(images[:1]))
    assert math.isnan(likeness(np.stack([images[0], np.zeros((28, 28))])))
