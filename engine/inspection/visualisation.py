"""What the units of a network look for: images from noise that excite them, and what they do for the prediction.

Activation maximisation (Erhan et al. 2009), also known as feature visualisation (Olah, Mordvintsev and Schubert 2017,
"Feature Visualization", Distill).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Generator, Iterator, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from msgspec.structs import replace
from torch import Tensor
from torch.nn.functional import leaky_relu

from engine.adversary.ascent import ascend, noise_image
from engine.adversary.network import AT_ONCE
from engine.event import Event
from engine.inspection.loaded import LoadedNetwork, find_images, open_network
from engine.inspection.requests import FromNoise, ShowUnit, UnitLayerName, VisualiseUnits
from engine.inspection.spectrum import high_frequencies, likeness
from engine.inspection.unit_events import PicturesAdvanced, UnitAdvanced, UnitPicture, UnitShown, UnitsVisualised
from engine.inspection.units import ablate, check_units, parts, per_unit, unit_survey_of, unit_weights
from engine.network.model import inference_network
from engine.network.seeds import generator

if TYPE_CHECKING:
    from engine.event import Array

PAUSE = 0.1
"""Minimum time between two states of the images that are reported, in seconds."""
LEAK = 0.1
"""Slope of the leaky ReLU below zero. Without a ReLU (1), images also serve the places that stay below zero: they are
fainter, and some excite their units less than digits do. Behind the ReLU itself (0), many would stay noise."""
SETTINGS = ("starts", "steps", "step_size", "total_variation", "l2", "jitter", "seed")
"""The fields of a request that its events tell."""


class Excited:
    """A frozen copy of a network up to the ReLU of a layer, and the ascent of its units.

    What is climbed is the activation, which of a channel is the mean over its map after pooling, with batch norm in
    evaluation mode, and with a leaky ReLU: what does not excite a unit has no gradient behind its own. Pixels are
    MNIST's own, from 0 to 1. The gradient of each image is divided by its L2 norm, as in DeepDream (Mordvintsev et al.
    2015), so that the penalties weigh the same for a unit of small activations as for one of large ones.
    """

    def __init__(self, loaded: LoadedNetwork, layer: UnitLayerName) -> None:
        frozen = inference_network(copy.deepcopy(loaded.model)).requires_grad_(False)
        self._layers, _ = parts(frozen, layer)
        self.device, self.dtype = loaded.device, loaded.dtype

    def ascent(self, images: Tensor, units: Tensor) -> tuple[Tensor, Tensor]:
        """What is climbed of each of `units` (n,) by its image, (n,), and its gradient by the pixels.

        `images` are (n, 1, 28, 28); the gradient of each has L2 norm 1, or is zero where it vanishes.
        """
        with torch.inference_mode(False), torch.enable_grad():
            pixels = images.detach().clone().requires_grad_()
            leaky = leaky_relu(self._layers(pixels), LEAK)
            found = per_unit(leaky).gather(1, units[:, None])[:, 0]
            (gradient,) = torch.autograd.grad(found.sum(), pixels)
        size = gradient.flatten(1).norm(dim=1)
        return found.detach(), gradient / size.where(size > 0, 1.0)[:, None, None, None]

    def activations(self, images: Tensor, units: Tensor) -> Tensor:
        """The activation of each of `units` (n,) by its image, (n,), after ReLU; of a channel, the mean of its map."""
        with torch.inference_mode():
            outputs = per_unit(self._layers(images.to(self.dtype)).relu()).gather(1, units[:, None])
            return outputs[:, 0]


class _Pictures:
    """The images of some units from their starts, U units with S each, while they are made."""

    def __init__(self, loaded: LoadedNetwork, request: FromNoise, layer: UnitLayerName, units: Sequence[int]) -> None:
        self._excited, self._request = Excited(loaded, layer), request
        each = [(unit, start) for unit in units for start in range(request.starts)]
        self._each, device = each, loaded.device
        noise = torch.stack([noise_image(generator(request.seed, *pair)) for pair in each]).clamp(0, 1)
        self._images = noise.to(device, loaded.dtype)
        self._units = torch.tensor([unit for unit, _ in each], device=device)
        self._shape = (len(units), request.starts)
        self.done = 0
        self.total = -(-len(each) // AT_ONCE) * request.steps

    def make(self) -> Iterator[None]:
        """Climb, batch after batch; yields after each step."""
        request = self._request
        batches = zip(torch.split(self._images, AT_ONCE), torch.split(self._units, AT_ONCE), strict=True)
        for number, (images, units) in enumerate(batches):
            here = self._each[number * AT_ONCE : (number + 1) * AT_ONCE]
            streams = [generator(request.seed, *pair, 1) for pair in here]
            for _ in ascend(images, partial(self._excited.ascent, units=units), request, streams):
                yield
                self.done += 1

    @property
    def pixels(self) -> Array:
        """(U, S, 28, 28) float32."""
        found: Array = self._images[:, 0].float().cpu().numpy().reshape(*self._shape, *self._images.shape[2:]).copy()
        return found

    def activations(self) -> Array:
        """(U, S) float32, after ReLU."""
        batches = zip(torch.split(self._images, AT_ONCE), torch.split(self._units, AT_ONCE), strict=True)
        found = torch.cat([self._excited.activations(*batch) for batch in batches])
        values: Array = found.float().cpu().numpy().reshape(self._shape)
        return values


def _now_and_then(pictures: _Pictures) -> Iterator[None]:
    """Climb; yields after some of the steps, so that they can be shown."""
    told = -math.inf
    for _ in pictures.make():
        if (now := perf_counter()) - told >= PAUSE:
            yield
            told = now


def _about(request: VisualiseUnits | ShowUnit, loaded: LoadedNetwork, dataset: str) -> dict[str, Any]:
    """The fields that the events of both requests have."""
    return {
        "name": loaded.name,
        "variant": loaded.variant,
        "epoch": loaded.epoch,
        "dataset": dataset,
        "split": request.split,
        "layer": request.layer,
        "settings": {name: getattr(request, name) for name in SETTINGS},
    }


def visualise_units(request: VisualiseUnits, root: Path) -> Generator[Event, None, None]:
    """An image from noise that excites each unit most, of several starts, and the digit of the split that does.

    Each start has noise and shifts of its own, whichever units are visualised beside it. Raises RequestError where the
    network, the data set or a unit does not exist.
    """
    loaded = yield from open_network(request, root)
    count = check_units(loaded, request.layer, *request.units)
    dataset, split = yield from find_images(request, loaded, root)
    numbers = request.units or tuple(range(count))
    about = _about(request, loaded, dataset) | {"numbers": numbers}
    pictures = _Pictures(loaded, request, request.layer, numbers)
    for _ in _now_and_then(pictures):
        yield PicturesAdvanced(**about, done=pictures.done, total=pictures.total, starts=pictures.pixels)
    starts, activations = pictures.pixels, pictures.activations()
    yield PicturesAdvanced(**about, done=pictures.done, total=pictures.total, starts=starts)
    survey = unit_survey_of(loaded, split)
    yield from survey.finish(request.split)
    values, indices = (each[list(numbers), 0] for each in survey.strongest(request.layer))
    units = tuple(
        UnitPicture(
            unit=number,
            activation=max(own),
            activations=tuple(own),
            digit=index if value > 0 else -1,
            digit_activation=max(0.0, value),
        )
        for number, own, value, index in zip(
            numbers, activations.tolist(), values.tolist(), indices.tolist(), strict=True
        )
    )
    digits = (split.images[indices, 0] * (values > 0)[:, None, None]).float().cpu().numpy()
    excited, images = (values > 0).cpu().numpy(), starts[np.arange(len(starts)), activations.argmax(axis=1)]
    ratios = [each.ratio for each in units if each.digit >= 0]
    alike = [found for found in map(likeness, starts) if math.isfinite(found)]
    yield UnitsVisualised(
        **about,
        done=pictures.total,
        total=pictures.total,
        starts=starts,
        units=units,
        median_ratio=float(np.median(ratios)) if ratios else math.nan,
        high_frequency=_fineness(images[excited]),
        digits_high_frequency=_fineness(digits[excited]),
        likeness=float(np.mean(alike)) if alike else math.nan,
        images=images,
        digits=digits,
    )


def _fineness(images: Array) -> float:
    """The mean share of high spatial frequencies of `images` (n, 28, 28); NaN for none."""
    return float(high_frequencies(images).mean()) if len(images) else math.nan


def show_unit(request: ShowUnit, root: Path) -> Generator[Event, None, None]:
    """A unit: its weights and images first, then the digits and classes that excite it, then what is lost without it.

    Raises RequestError where the network, the data set or the unit does not exist.
    """
    loaded = yield from open_network(request, root)
    count = check_units(loaded, request.layer, request.unit)
    dataset, split = yield from find_images(request, loaded, root)
    pictures = _Pictures(loaded, request, request.layer, (request.unit,))
    shown = UnitAdvanced(
        **_about(request, loaded, dataset),
        unit=request.unit,
        of=count,
        count=len(split),
        done=0,
        activations=(),
        digits=(),
        responses=(),
        ablation=None,
        kernels=unit_weights(loaded, request.layer)[request.unit].float().cpu().numpy().copy(),
        starts=pictures.pixels[0],
        digit_images=np.zeros((0, *split.images.shape[2:]), np.float32),
    )
    for _ in _now_and_then(pictures):
        yield replace(shown, done=pictures.done, starts=pictures.pixels[0])
    made = tuple(pictures.activations()[0].tolist())
    shown = replace(shown, done=pictures.done, starts=pictures.pixels[0], activations=made)
    yield shown
    survey = unit_survey_of(loaded, split)
    yield from survey.finish(request.split)
    digits = survey.digits(request.layer, request.unit)
    indices = torch.tensor([digit.index for digit in digits], dtype=torch.int64, device=loaded.device)
    shown = replace(
        shown,
        digits=digits,
        responses=survey.responses(request.layer, request.unit),
        digit_images=split.images[indices, 0].float().cpu().numpy(),
    )
    yield shown
    ablation = yield from ablate(loaded, split, request.layer, request.unit, survey.logits)
    known = {name: getattr(shown, name) for name in shown.__struct_fields__}
    yield UnitShown(**known | {"ablation": ablation})
