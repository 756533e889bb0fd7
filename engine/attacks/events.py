"""The events of attacks.

Pixel values are from 0 to 1. `linf` is the largest absolute change of a pixel of an image, `l2` the Euclidean norm of
the change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct

from engine.event import Progress
from engine.inspection.events import ImagesEvent
from engine.network.events import NetworkEvent

if TYPE_CHECKING:
    from engine.event import Array


CERTIFIED = "certified"
"""In the place of an attack, for what is proved: no perturbation within epsilon changes the prediction."""


class AttackStepped(Progress, frozen=True):
    """An attack took a step; a later AttackAdvanced reports the images."""

    step: int


class Attack(NetworkEvent, frozen=True):
    """Images under attack. All images are (n, 28, 28) float32 in [0, 1], except for noise before its first step."""

    attack: str
    """noise, targeted, fgsm, pgd, apgd, deepfool, fab, cw or square."""
    settings: dict[str, int | float | str | bool]
    """The settings of the attack, by the names of the request's fields; and `precision`, double or single."""
    source: str
    """The source of the images: `noise`, or data set and split."""
    count: int
    """Images in the split; 0 for noise."""
    indices: tuple[int, ...]
    """Indices of the images in their split; for noise, the classes."""
    actual: tuple[int, ...]
    """Their actual classes; -1 for noise."""
    targets: tuple[int, ...]
    """The target classes; -1 for any class other than the actual one."""
    done: int
    """Number of steps so far."""
    steps: int
    """Maximum number of steps."""
    original: Array
    """The starting images; noise is as it was drawn, also outside of [0, 1]. For a targeted attack that starts from
    noise, the digits that its penalty refers to."""
    adversarial: Array
    """The perturbed images."""
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
    """(n, done + 1) float32: the objective before the first step and after each. For noise and targeted, the notebook's
    "cost": the logit of the target. For the others, the margin in logits: positive where the attack succeeds. For pgd
    with restarts, these follow one another; for deepfool and cw, the last value is that of the result."""

    @property
    def measure(self) -> str:
        """The quantity in `history`: `logit` or `margin`."""
        return "logit" if self.attack in ("noise", "targeted") else "margin"


class AttackAdvanced(Attack, Progress, frozen=True):
    """The current state of an attack, with the predictions of its last step."""


class AttackedImage(Struct, frozen=True, kw_only=True):
    """One image and the result of the attack on it."""

    index: int
    """Index in the split; for noise, the target class."""
    actual: int
    """-1 for noise."""
    target: int
    """-1 for any class other than the actual one."""
    before: int
    """Predicted class before the attack."""
    predicted: int
    """Predicted class of the result, computed afresh."""
    probability: float
    """Of the predicted class, 0 to 1."""
    linf: float
    l2: float
    success: bool
    """Whether the prediction meets the objective of the attack."""
    steps_to_success: int | None
    """The first step after which the network was fooled: 0 for a starting image that it misclassifies already, null if
    it never was. With jitter, this refers to the shifted image."""


class AttackFinished(Attack, frozen=True):
    """An attack ended. Predictions are computed afresh, by the network in its own precision."""

    stopped: bool
    """Whether it was stopped before its last step."""
    images: tuple[AttackedImage, ...]
    seconds: float
    """Duration of the steps, without pauses."""
    original_probabilities: Array
    """(n, 10) float32, of `original`."""
    frames: Array
    """(f, n, 28, 28) float32: the images at some of the steps, including the first and the last."""
    frame_steps: Array
    """(f,) int64: the step of each frame."""
    frame_probabilities: Array
    """(f, n, 10) float32."""

    @property
    def successes(self) -> int:
        """Number of images for which the attack met its objective."""
        return sum(image.success for image in self.images)


class UniversalMade(ImagesEvent, frozen=True):
    """A universal perturbation was computed: added to each image, and the sum clipped to [0, 1]. Shares are 0 to 1."""

    epsilon: float
    """The maximum perturbation of each pixel, in pixel values."""
    target: int
    """The target class; -1 for any other class."""
    steps: int
    step_size: float
    made_of: int
    """Number of training images that it was fitted to."""
    averaged: int
    """Number of images that it was tested on, none of which it was fitted to; with a target, all of other classes."""
    fooling_rate: float
    """Share of these whose prediction it changes (Moosavi-Dezfooli et al.); with a target, changes to the target."""
    low: float
    """Lower limit of the 95 % confidence interval (Wilson 1927)."""
    high: float
    by_chance: float
    """The same share for a random perturbation of -epsilon or epsilon in each pixel."""
    accuracy_before: float
    accuracy: float
    """With the perturbation."""
    taken_for: tuple[int, ...]
    """The number of images that are predicted as each class."""
    history: tuple[float, ...]
    """Share of the images it is fitted to that it fools, before the first step and after each: the predicted class is
    not the actual one, or is the target."""
    seconds: float
    """Duration of the steps."""
    perturbation: Array
    """(28, 28) float32, at most epsilon in absolute value."""
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
    """(m, 28, 28) float32 in [0, 1]: the same images with the perturbation."""


class BetaPoint(Struct, frozen=True, kw_only=True):
    """The notebook's targeted attack with one penalty weight, over all images."""

    beta: float
    success: float
    """Share of the images that are predicted as the target, 0 to 1."""
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
    """The effect of the squared-error penalty of the notebook's targeted attack, by its weight."""

    target: int
    steps: int
    step_size: float
    averaged: int
    """Images."""
    points: tuple[BetaPoint, ...]
    """By beta, ascending; the first is 0."""

    CLEAR: ClassVar[float] = 0.01
    """As a share of L2 without a penalty: a smaller difference would not be visible."""

    @property
    def works_from(self) -> float | None:
        """The smallest beta from which on the penalty keeps the images closer, significantly and by at least CLEAR."""
        free = self.points[0].l2
        clear = [p.closer - p.closer_margin > 0 and p.closer >= self.CLEAR * free for p in self.points]
        first = next((i for i in range(len(clear)) if clear[i] and all(clear[i:])), None)
        return None if first is None else self.points[first].beta

    @property
    def fails_from(self) -> float | None:
        """The smallest beta for which fewer than half as many images reach the target as without a penalty."""
        half = self.points[0].success / 2
        return next((p.beta for p in self.points if p.success < half), None)


class BetaSweepAdvanced(BetaSwept, Progress, frozen=True):
    """The sweep so far."""

    at_once: ClassVar[bool] = True


class RobustnessPointMeasured(ImagesEvent, frozen=True):
    """The accuracy of one network under one attack with one epsilon: a point of a curve."""

    attack: str
    """random, fgsm, square, pgd, apgd, autoattack, deepfool, fab or cw; certified where no attack can go lower."""
    norm: str
    """linf or l2."""
    epsilon: float
    """The maximum perturbation, in pixel values."""
    count: int
    """Images."""
    correct: int
    """Number of images that are still classified correctly; of `certified`, provably so."""
    accuracy: float
    """`correct` divided by `count`, 0 to 1."""
    low: float
    """Lower limit of the 95 % confidence interval (Wilson 1927)."""
    high: float
    class_count: tuple[int, ...]
    """Images of each class."""
    class_correct: tuple[int, ...]
    starts: int = 0
    """Random starting points of an image that withstands the attack; 0 for an attack without."""
    loss: str = ""
    """What PGD maximised: ce, cw or dlr."""
    beaten_by: str = ""
    """A weaker attack, or `a smaller epsilon`, that leaves fewer images correct: then this attack missed adversarial
    images, as happens with gradient masking. Empty where there is none."""


class FallenImage(Struct, frozen=True, kw_only=True):
    """An image that the first network classifies correctly, and the smallest epsilon that fooled it."""

    index: int
    actual: int
    epsilon: float
    """For an attack that minimises the norm: the norm that was needed."""
    taken_for: int


class RobustnessMeasured(ImagesEvent, frozen=True):
    """Robustness curves of each network under each attack."""

    networks: tuple[str, ...]
    norm: str
    asked: int
    """Images."""
    points: tuple[RobustnessPointMeasured, ...]
    """Ordered by network, attack and epsilon."""
    median_l2: dict[str, float]
    """By `network attack`, for attacks that minimise the norm: the median norm over the images that the network
    classifies correctly; NaN where too few were fooled."""
    fallen: tuple[FallenImage, ...]
    """The images that the strongest attack fooled with the smallest perturbations."""
    fallen_by: str
    """The strongest attack."""
    fallen_images: Array
    """(m, 28, 28) float32 in [0, 1]: these images as they are in the data set."""

    def curve(self, network: str, attack: str) -> list[RobustnessPointMeasured]:
        """The points of one curve, ordered by epsilon."""
        return [point for point in self.points if (point.name, point.attack) == (network, attack)]

    @property
    def curves(self) -> list[tuple[str, str]]:
        """The network and attack of each curve."""
        return list(dict.fromkeys((point.name, point.attack) for point in self.points))

    def unknown(self, network: str) -> list[tuple[RobustnessPointMeasured, RobustnessPointMeasured]]:
        """What the strongest attack leaves of a network and what is proved of it, by epsilon; empty without a proof.

        No attack broke the images between the two, and no bound proves that none could.
        """
        proved = {point.epsilon: point for point in self.curve(network, CERTIFIED)}
        attacked = self.curve(network, self.fallen_by)
        return [(point, proved[point.epsilon]) for point in attacked if point.epsilon in proved]

    @property
    def colours(self) -> dict[tuple[str, str], int]:
        """The number of the colour of each curve: one for all that tell of the same range of a network's accuracy.

        What is proved of it has that of the strongest attack; PGD has that of AutoAttack, beside which it is thin.
        """
        found: dict[tuple[str, str], int] = {}
        numbers: dict[tuple[str, str], int] = {}
        for network, attack in self.curves:
            like = self.fallen_by if attack == CERTIFIED or self.thin(attack) else attack
            found[network, attack] = numbers.setdefault((network, like), len(numbers))
        return found

    def thin(self, attack: str) -> bool:
        """Whether its curves are thin: those of PGD beside those of AutoAttack, which contains it."""
        return attack == "pgd" and self.fallen_by == "autoattack"


class RobustnessAdvanced(RobustnessMeasured, Progress, frozen=True):
    """The curves so far, over fewer images."""

    at_once: ClassVar[bool] = True


class TransferMeasured(ImagesEvent, frozen=True):
    """How often adversarial images made for one network also fool another."""

    attack: str
    norm: str
    epsilon: float | None
    """The maximum perturbation; null for an attack that minimises the norm."""
    averaged: int
    """Number of images, all of which all networks classify correctly."""
    networks: tuple[str, ...]
    success: tuple[tuple[float, ...], ...]
    """Shares, 0 to 1: a row is the network that the images were made for, a column the network that is fooled."""
    l2: tuple[float, ...]
    """Mean L2 norm of the perturbation, for each row."""
