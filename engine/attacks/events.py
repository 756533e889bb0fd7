"""What comes back from attacks, in the past tense: see `events.py`.

Differences are of pixel values, which go from 0 to 1: `linf` is the largest of an image, `l2` the root of the sum of
their squares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct

from engine.event import Progress
from engine.inspection.events import ImagesEvent
from engine.network.events import NetworkEvent

if TYPE_CHECKING:
    from engine.event import Array


class AttackStepped(Progress, frozen=True):
    """An attack went a step; what came of it is told a little later."""

    step: int


class Attack(NetworkEvent, frozen=True):
    """What has become of some images under attack. All images are (n, 28, 28) float32 in [0, 1], but for
    noise before its first step."""

    attack: str
    """noise, targeted, fgsm, pgd, deepfool or cw."""
    settings: dict[str, int | float | str | bool]
    """As asked for, by the names of the request's fields."""
    source: str
    """Where the images come from: `noise`, or data set and split."""
    count: int
    """Images in the split; 0 for noise."""
    indices: tuple[int, ...]
    """Of the images in their split; for noise the classes."""
    actual: tuple[int, ...]
    """Their classes; -1 for noise."""
    targets: tuple[int, ...]
    """The classes wanted; -1 for any but the actual one."""
    done: int
    """Steps so far."""
    steps: int
    """Steps at most."""
    original: Array
    """What the attack began with; of noise what is outside of [0, 1] is as it was drawn. Of a targeted attack that
    began with noise, the digits that its penalty holds it to."""
    adversarial: Array
    """What came of it."""
    prediction: Array
    """(n,) int64."""
    probability: Array
    """(n,) float32: of the predicted class."""
    probabilities: Array
    """(n, 10) float32."""
    linf: Array
    """(n,) float32."""
    l2: Array
    """(n,) float32."""
    history: Array
    """(n, done + 1) float32, before the first step and after each. Of noise and targeted, the notebook's "cost": the
    logit of the target. Of the others, the margin in logits: more than 0 where the attack has what it wants. Of pgd
    with restarts the starts stand one behind the other, of deepfool and cw the last is the result."""

    @property
    def measure(self) -> str:
        """What `history` holds: `logit` or `margin`."""
        return "logit" if self.attack in ("noise", "targeted") else "margin"


class AttackAdvanced(Attack, Progress, frozen=True):
    """Where an attack is; predictions are those of its own last step."""


class AttackedImage(Struct, frozen=True, kw_only=True):
    """One image and what an attack made of it."""

    index: int
    """In its split; of noise the class wanted."""
    actual: int
    """-1 for noise."""
    target: int
    """-1 for any class but the actual one."""
    before: int
    """Predicted without the attack."""
    predicted: int
    """By a fresh look at the result."""
    probability: float
    """Of the predicted class, 0 to 1."""
    linf: float
    l2: float
    success: bool
    """Whether the prediction is what the attack wanted."""
    steps_to_success: int | None
    """The first step after which the network was fooled, 0 for an image that it mistakes where the attack begins; null
    for never. With jitter, of the image as it was shifted."""


class AttackFinished(Attack, frozen=True):
    """An attack is over. Predictions are made afresh, by the network as it is."""

    stopped: bool
    """Whether somebody stopped it before its last step."""
    images: tuple[AttackedImage, ...]
    seconds: float
    """For the steps, pauses left out."""
    original_probabilities: Array
    """(n, 10) float32, of `original`."""
    frames: Array
    """(f, n, 28, 28) float32: the images on their way, the first and the last among them."""
    frame_steps: Array
    """(f,) int64: after which step each was taken."""
    frame_probabilities: Array
    """(f, n, 10) float32."""

    @property
    def successes(self) -> int:
        """Images with which the attack got what it wanted."""
        return sum(image.success for image in self.images)


class UniversalMade(ImagesEvent, frozen=True):
    """One perturbation, added to each of many images and the sum clipped to [0, 1]. Shares are from 0 to 1."""

    epsilon: float
    """The bound on each pixel."""
    target: int
    """The class wanted; -1 for any other."""
    steps: int
    step_size: float
    made_of: int
    """Training images."""
    averaged: int
    """Images that it was tried on, none of which it was made of; with a target, of other classes."""
    fooling_rate: float
    """Share of these whose prediction it changes (Moosavi-Dezfooli et al.); with a target, that it makes the target."""
    low: float
    """Of the 95 % confidence interval (Wilson 1927)."""
    high: float
    by_chance: float
    """The same share with a random perturbation, each of whose pixels is at the bound."""
    accuracy_before: float
    accuracy: float
    """With the perturbation."""
    taken_for: tuple[int, ...]
    """How many images are taken for each class."""
    history: tuple[float, ...]
    """Share of the images it is made of that it fools, before the first step and after each: of predictions that are
    not the actual class, or are the target."""
    seconds: float
    """For the steps."""
    perturbation: Array
    """(28, 28) float32 within the bound."""
    fooled: Array
    """(n,) bool: the images that `fooling_rate` counts."""
    actual: Array
    """(n,) int64: their classes."""
    before: Array
    """(n,) int64: predicted without the perturbation."""
    predicted: Array
    """(n,) int64: predicted with it."""
    originals: Array
    """(m, 28, 28) float32 in [0, 1]: the first of the images."""
    adversarial: Array
    """(m, 28, 28) float32 in [0, 1]: as they are shown with it."""


class BetaPoint(Struct, frozen=True, kw_only=True):
    """The notebook's targeted attack with one weight of its penalty, over all images."""

    beta: float
    success: float
    """Share of the images that the network takes for the target, 0 to 1."""
    l2: float
    """Mean."""
    l2_spread: float
    """Standard deviation."""
    linf: float
    linf_spread: float
    closer: float
    """Mean over the images of how much smaller L2 is than with beta 0."""
    closer_margin: float
    """Half of the width of its 95 % confidence interval."""


class BetaSwept(ImagesEvent, frozen=True):
    """What the squared-error penalty of the notebook's targeted attack does, by its weight."""

    target: int
    steps: int
    step_size: float
    averaged: int
    """Images."""
    points: tuple[BetaPoint, ...]
    """By beta, ascending; the first is 0."""

    CLEAR: ClassVar[float] = 0.01
    """As a share of L2 without a penalty: what is less is no difference that one could see."""

    @property
    def works_from(self) -> float | None:
        """The least beta from which on the penalty keeps the images closer, by CLEAR at least and beyond chance."""
        free = self.points[0].l2
        clear = [p.closer - p.closer_margin > 0 and p.closer >= self.CLEAR * free for p in self.points]
        first = next((i for i in range(len(clear)) if clear[i] and all(clear[i:])), None)
        return None if first is None else self.points[first].beta

    @property
    def fails_from(self) -> float | None:
        """The least beta from which on less than half as many images are mistaken as without a penalty."""
        half = self.points[0].success / 2
        return next((p.beta for p in self.points if p.success < half), None)


class BetaSweepAdvanced(BetaSwept, Progress, frozen=True):
    """The sweep so far."""

    at_once: ClassVar[bool] = True


class RobustnessPointMeasured(ImagesEvent, frozen=True):
    """The accuracy of one network under one attack within one bound: a point of a curve."""

    attack: str
    """random, fgsm, pgd, deepfool or cw."""
    norm: str
    """linf or l2."""
    epsilon: float
    """The bound, in pixel values."""
    count: int
    """Images."""
    correct: int
    """Images that the network still gets right."""
    accuracy: float
    """`correct` of `count`, 0 to 1."""
    low: float
    """Of the 95 % confidence interval (Wilson 1927)."""
    high: float
    class_count: tuple[int, ...]
    """Images of each class."""
    class_correct: tuple[int, ...]
    beaten_by: str = ""
    """A weaker attack, or `a smaller epsilon`, that leaves fewer images right: then this one did not find what there
    is, as where gradients are masked. Empty where none does."""


class FallenImage(Struct, frozen=True, kw_only=True):
    """An image that the first network gets right, and the least bound within which it was fooled."""

    index: int
    actual: int
    epsilon: float
    """Of an attack that minimises: the norm that it needed."""
    taken_for: int


class RobustnessMeasured(ImagesEvent, frozen=True):
    """Robustness curves: of each network, by each attack."""

    networks: tuple[str, ...]
    norm: str
    asked: int
    """Images."""
    points: tuple[RobustnessPointMeasured, ...]
    """By network, attack, epsilon."""
    median_l2: dict[str, float]
    """Of each `network attack` that minimises: the median over the images that the network gets right; NaN where too
    few fell."""
    fallen: tuple[FallenImage, ...]
    """Those that fell first to the strongest attack."""
    fallen_by: str
    """Which that is."""
    fallen_images: Array
    """(m, 28, 28) float32 in [0, 1]: as they are in the data set."""

    def curve(self, network: str, attack: str) -> list[RobustnessPointMeasured]:
        """The points of one curve, by epsilon."""
        return [point for point in self.points if (point.name, point.attack) == (network, attack)]

    @property
    def curves(self) -> list[tuple[str, str]]:
        """Network and attack of each curve."""
        return list(dict.fromkeys((point.name, point.attack) for point in self.points))


class RobustnessAdvanced(RobustnessMeasured, Progress, frozen=True):
    """The curves so far: over fewer images."""

    at_once: ClassVar[bool] = True


class TransferMeasured(ImagesEvent, frozen=True):
    """How many images made to fool one network fool another."""

    attack: str
    norm: str
    epsilon: float | None
    """The bound; null for an attack that minimises."""
    averaged: int
    """Images, all of which all networks get right."""
    networks: tuple[str, ...]
    success: tuple[tuple[float, ...], ...]
    """Shares, 0 to 1: a row is the network that the images were made on, a column the one that is fooled."""
    l2: tuple[float, ...]
    """Mean norm of the change, for each row."""
