"""The events of units: what excites them, and what the network loses without them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct

from engine.event import Progress
from engine.inspection.events import ImagesEvent

if TYPE_CHECKING:
    from engine.event import Array


class UnitPicture(Struct, frozen=True, kw_only=True):
    """What excites one unit. Its activation is after ReLU: of a channel, the mean over its map after pooling."""

    unit: int
    """Its number in its layer."""
    activation: float
    """By the image from noise that excites it most."""
    activations: tuple[float, ...]
    """By the image of each start."""
    digit: int
    """Index in the split of the digit that excites it most; -1 if none does."""
    digit_activation: float
    """By this digit; 0 if none excites it."""

    @property
    def ratio(self) -> float:
        """How many times the digit's activation the image reaches; NaN if no digit excites the unit."""
        return self.activation / self.digit_activation if self.digit_activation > 0 else math.nan


class PicturesMade(ImagesEvent, frozen=True):
    """Images from noise, in which Adam climbs the activation of units."""

    layer: str
    """conv1, conv2 or hidden."""
    settings: dict[str, int | float]
    """Those of the ascent, by the names of the request's fields."""
    numbers: tuple[int, ...]
    """The units, U of them."""
    done: int
    """Number of steps so far, over all batches of units."""
    total: int
    """Number of steps in all."""
    starts: Array
    """(U, S, 28, 28) float32 in [0, 1]: an image of each unit from each start; noise where there was no step so far."""


class PicturesAdvanced(PicturesMade, Progress, frozen=True):
    """The images so far."""


class UnitsVisualised(PicturesMade, frozen=True):
    """Images from noise that excite units, and the digits that do."""

    units: tuple[UnitPicture, ...]
    median_ratio: float
    """Median of how many times the activation of the digit that excites a unit most its image reaches; NaN without."""
    high_frequency: float
    """Mean share of the power of `images` at spatial frequencies above a quarter of a cycle a pixel, 0 to 1; without
    those of units that no digit excites, NaN if there is no other."""
    digits_high_frequency: float
    """The same of `digits`."""
    likeness: float
    """Mean correlation of the images of a unit from different starts, -1 to 1; NaN for one start."""
    images: Array
    """(U, 28, 28) float32 in [0, 1]: of each unit, the image that excites it most."""
    digits: Array
    """(U, 28, 28) float32 in [0, 1]: of each unit, the digit that excites it most; zero if none does."""


class UnitDigit(Struct, frozen=True, kw_only=True):
    """A digit that excites a unit."""

    index: int
    """In the split."""
    actual: int
    activation: float
    """After ReLU; of a channel, the mean over its map."""


class Ablation(Struct, frozen=True, kw_only=True):
    """What a network loses on a whole split if a unit is zero after its ReLU."""

    logits: tuple[float, ...]
    """Mean change of each of the ten logits: negative where the unit speaks for the class."""
    accuracy: float
    """With the unit, 0 to 1."""
    accuracy_without: float
    changed: int
    """Number of images whose predicted class changes."""


class UnitShown(ImagesEvent, frozen=True):
    """One unit: its weights, what excites it, and what it does for the prediction."""

    layer: str
    """conv1, conv2 or hidden."""
    unit: int
    of: int
    """Number of units of the layer."""
    count: int
    """Number of images in the split."""
    settings: dict[str, int | float]
    """Those of the ascent, by the names of the request's fields."""
    done: int
    """Number of steps of the ascent so far."""
    activations: tuple[float, ...]
    """By the image of each start, after ReLU; of a channel, the mean over its map. Empty before the last step."""
    digits: tuple[UnitDigit, ...]
    """The nine digits that excite it most, descending; fewer if fewer excite it at all, empty while not known."""
    responses: tuple[float, ...]
    """Mean activation over the images of each class, NaN for a class without; empty while not known."""
    ablation: Ablation | None
    """None while not known."""
    kernels: Array
    """(C, h, w) float32: its weights by input channel; of a neuron, those of each map of conv2."""
    starts: Array
    """(S, 28, 28) float32 in [0, 1]: the image from each start."""
    digit_images: Array
    """(n, 28, 28) float32 in [0, 1]: those of `digits`."""

    @property
    def best(self) -> int:
        """The start whose image excites it most; 0 while not known."""
        return max(range(len(self.activations)), key=self.activations.__getitem__, default=0)


class UnitAdvanced(UnitShown, Progress, frozen=True):
    """What is known of it so far."""

    at_once: ClassVar[bool] = True
