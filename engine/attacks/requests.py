"""What one may ask of attacks."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from engine.geometry import CLASSES
from engine.inspection.requests import InspectImages
from engine.network.requests import Inspect
from engine.request import RequestError

NormName = Literal["linf", "l2"]
AttackName = Literal["noise", "targeted", "fgsm", "pgd", "deepfool", "cw"]
OptimizerName = Literal["adam", "plain"]
StartName = Literal["digit", "noise"]
CurveAttackName = Literal["random", "fgsm", "pgd", "deepfool", "cw"]
GALLERY = (3, 2, 1, 18, 4, 8, 11, 0, 61, 7)
"""The notebook's test digits, one of each class in order."""


class AttackNoise(Inspect, frozen=True, tag="attack-noise"):
    """Make noise that the network takes for a class (the notebook's section 3.1, "non-targeted")."""

    attack: ClassVar[AttackName] = "noise"
    classes: Annotated[str, Meta(description="which ones, for example 0123456789 or 38")] = "0123456789"
    steps: Annotated[int, Meta(ge=1, le=100_000, description="of the optimizer")] = 1500
    optimizer: Annotated[OptimizerName, Meta(description="adam, or plain gradient ascent")] = "adam"
    step_size: Annotated[
        float, Meta(gt=0, le=1e12, description="of Adam in pixel values, of plain ascent times the gradient")
    ] = 0.01
    total_variation: Annotated[float, Meta(ge=0, le=1000, description="weight of squared steps between pixels")] = 0.0
    l2: Annotated[float, Meta(ge=0, le=1000, description="weight of the sum of squared pixels")] = 0.0
    jitter: Annotated[int, Meta(ge=0, le=14, description="pixels by which each step shifts the image at most")] = 0
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="of the noise, and of the shifts")] = 0

    def check_together(self) -> None:
        """Refuse what is no set of classes."""
        digits = set(self.classes)
        if not digits or len(digits) < len(self.classes) or not digits <= set("0123456789"):
            raise RequestError(f"classes must be different digits, for example 38, not {self.classes!r}")


class AttackDigits(InspectImages, frozen=True, tag="attack-digits"):
    """Make a network mistake digits: the base of what begins with images of a split."""

    attack: ClassVar[AttackName]
    indices: Annotated[
        tuple[int, ...], Meta(min_length=1, max_length=100, description="of the images in their split (1 to 100)")
    ] = GALLERY

    def check_together(self) -> None:
        """Refuse indices from before the first image."""
        if min(self.indices) < 0:
            raise RequestError(f"indices must be at least 0, not {min(self.indices)}")


class AttackTargeted(AttackDigits, frozen=True, tag="attack-targeted"):
    """Climb the logit of another class, with a squared-error penalty (the notebook's section 3.2, "targeted").

    The penalty is on what differs from the digit, wherever the attack begins.
    """

    attack = "targeted"
    target: Annotated[int, Meta(ge=0, lt=CLASSES, description="the class wanted; its own images are left out")] = 5
    steps: Annotated[int, Meta(ge=1, le=100_000, description="of the optimizer")] = 25
    optimizer: Annotated[OptimizerName, Meta(description="adam, or plain gradient ascent")] = "adam"
    step_size: Annotated[
        float, Meta(gt=0, le=1e12, description="of Adam in pixel values, of plain ascent times the gradient")
    ] = 0.01
    beta: Annotated[float, Meta(ge=0, le=1e12, description="weight of the mean squared error")] = 1e-5
    start: Annotated[StartName, Meta(description="begin at the digit, or at noise")] = "digit"
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="of the noise")] = 0


class AttackFgsm(AttackDigits, frozen=True, tag="attack-fgsm"):
    """The fast gradient sign method: one step as long as the bound (Goodfellow et al. 2015)."""

    attack = "fgsm"
    epsilon: Annotated[float, Meta(ge=0, le=28, description="the bound, in pixel values")] = 0.2
    norm: Annotated[NormName, Meta(description="what the bound is on: the largest change, or the length of all")] = (
        "linf"
    )
    target: Annotated[int, Meta(ge=-1, lt=CLASSES, description="the class wanted (-1: any other)")] = -1


class AttackPgd(AttackDigits, frozen=True, tag="attack-pgd"):
    """Projected gradient descent: many short steps within the bound (Madry et al. 2018)."""

    attack = "pgd"
    epsilon: Annotated[float, Meta(ge=0, le=28, description="the bound, in pixel values")] = 0.2
    norm: Annotated[NormName, Meta(description="what the bound is on: the largest change, or the length of all")] = (
        "linf"
    )
    steps: Annotated[int, Meta(ge=1, le=10_000, description="from each start")] = 40
    step_size: Annotated[float, Meta(ge=0, le=28, description="in pixel values (0: 2.5 epsilon / steps)")] = 0.0
    random_start: Annotated[bool, Meta(description="begin somewhere within the bound, not at the image")] = True
    restarts: Annotated[int, Meta(ge=1, le=1000, description="random starts, of which the best counts")] = 1
    target: Annotated[int, Meta(ge=-1, lt=CLASSES, description="the class wanted (-1: any other)")] = -1
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="of the random starts")] = 0

    def check_together(self) -> None:
        """Refuse several starts from one place."""
        AttackDigits.check_together(self)
        if self.restarts > 1 and not self.random_start:
            raise RequestError("restarts differ by their random start: leave random start on, or take one restart")

    @property
    def step(self) -> float:
        """The step size that is meant."""
        return self.step_size or 2.5 * self.epsilon / self.steps


class AttackDeepFool(AttackDigits, frozen=True, tag="attack-deepfool"):
    """DeepFool: over the nearest boundary, as the linearised network sees it (Moosavi-Dezfooli et al. 2016)."""

    attack = "deepfool"
    steps: Annotated[int, Meta(ge=1, le=10_000, description="at most")] = 50
    overshoot: Annotated[float, Meta(ge=0, le=1, description="how much further than to the boundary, as a share")] = (
        0.02
    )


class AttackCarliniWagner(AttackDigits, frozen=True, tag="attack-cw"):
    """Carlini and Wagner's L2 attack: the smallest change that Adam finds (2017)."""

    attack = "cw"
    searches: Annotated[int, Meta(ge=1, le=20, description="of the constant, by bisection")] = 5
    steps: Annotated[int, Meta(ge=1, le=10_000, description="of Adam, for each of them")] = 50
    step_size: Annotated[float, Meta(gt=0, le=1, description="Adam's, in pixel values")] = 0.02
    confidence: Annotated[float, Meta(ge=0, le=100, description="by which the wrong logit is to lead")] = 0.0
    target: Annotated[int, Meta(ge=-1, lt=CLASSES, description="the class wanted (-1: any other)")] = -1


AnyAttack = AttackNoise | AttackTargeted | AttackFgsm | AttackPgd | AttackDeepFool | AttackCarliniWagner
"""The requests for one attack."""


class AttackUniversal(InspectImages, frozen=True, tag="attack-universal"):
    """One perturbation for many digits (Moosavi-Dezfooli et al. 2017), made of training digits, tried on others."""

    epsilon: Annotated[float, Meta(ge=0, le=1, description="the bound on each of its pixels, in pixel values")] = 0.3
    target: Annotated[int, Meta(ge=-1, lt=CLASSES, description="the class wanted (-1: any other)")] = -1
    made_of: Annotated[int, Meta(ge=1, le=60_000, description="the first n training digits")] = 500
    steps: Annotated[int, Meta(ge=1, le=10_000, description="over all of these digits")] = 30
    step_size: Annotated[float, Meta(ge=0, le=1, description="in pixel values (0: 2.5 epsilon / steps)")] = 0.0
    count: Annotated[int, Meta(ge=1, le=60_000, description="it is tried on the first n of the split")] = 1000
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="of the random one beside it")] = 0

    def check_together(self) -> None:
        """Refuse to try it on what it is made of."""
        if self.split == "train":
            raise RequestError("it is made of training digits and must be tried on others: split test or val")

    @property
    def step(self) -> float:
        """The step size that is meant."""
        return self.step_size or 2.5 * self.epsilon / self.steps


class SweepBeta(InspectImages, frozen=True, tag="sweep-beta"):
    """Whether the penalty of the notebook's targeted attack keeps the image close: beta from 0 on, decade by decade."""

    count: Annotated[int, Meta(ge=2, le=10_000, description="digits: the first that are not of the target")] = 100
    target: Annotated[int, Meta(ge=0, lt=CLASSES, description="the class wanted")] = 5
    steps: Annotated[int, Meta(ge=1, le=100_000, description="of Adam")] = 25
    step_size: Annotated[float, Meta(gt=0, le=1, description="Adam's, in pixel values")] = 0.01


class MeasureRobustness(InspectImages, frozen=True, tag="measure-robustness"):
    """Accuracy under attack, by how much the attack may change."""

    others: Annotated[tuple[str, ...], Meta(max_length=7, description="other networks, measured alike")] = ()
    attack: Annotated[
        tuple[CurveAttackName, ...], Meta(min_length=1, max_length=5, description="which attacks, one or more")
    ] = ("pgd",)
    norm: Annotated[NormName, Meta(description="what the bound is on: the largest change, or the length of all")] = (
        "linf"
    )
    epsilons: Annotated[
        tuple[float, ...], Meta(max_length=100, description="bounds (none: seven up to 0.3 in linf, up to 3 in l2)")
    ] = ()
    count: Annotated[int, Meta(ge=1, le=60_000, description="the first n images of the split")] = 1000
    steps: Annotated[int, Meta(ge=1, le=10_000, description="of PGD")] = 40
    restarts: Annotated[int, Meta(ge=1, le=1000, description="of PGD")] = 1
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="of all that is random")] = 0

    def check_together(self) -> None:
        """Refuse bounds that are none, and attacks that know no such norm."""
        if self.epsilons and not 0 <= min(self.epsilons) <= max(self.epsilons) <= 28:
            raise RequestError("epsilons must be from 0 to 28, in pixel values")
        if self.norm == "linf" and (only := {"deepfool", "cw"}.intersection(self.attack)):
            raise RequestError(f"{' and '.join(sorted(only))} minimise L2: ask for norm l2")
        if len(set(self.attack)) < len(self.attack):
            raise RequestError("name each attack once")

    @property
    def bounds(self) -> tuple[float, ...]:
        """The bounds that are meant, ascending, each once."""
        usual = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3) if self.norm == "linf" else (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
        return tuple(sorted(set(self.epsilons))) or usual


class MeasureTransfer(InspectImages, frozen=True, tag="measure-transfer"):
    """How many images made to fool one network fool another."""

    others: Annotated[
        tuple[str, ...], Meta(max_length=7, description="the other networks (none: the bundled one of the other kind)")
    ] = ()
    attack: Annotated[Literal["fgsm", "pgd", "deepfool", "cw"], Meta(description="which attack")] = "pgd"
    norm: Annotated[NormName, Meta(description="what the bound of fgsm and pgd is on")] = "linf"
    epsilon: Annotated[float, Meta(ge=0, le=28, description="the bound of fgsm and pgd, in pixel values")] = 0.2
    count: Annotated[int, Meta(ge=1, le=60_000, description="the first n images that all networks get right")] = 200
    steps: Annotated[int, Meta(ge=1, le=10_000, description="of PGD")] = 40
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="of the random starts")] = 0


ATTACK_TITLES = {
    "noise": "from noise",
    "targeted": "targeted",
    "random": "random noise",
    "fgsm": "FGSM",
    "pgd": "PGD",
    "deepfool": "DeepFool",
    "cw": "Carlini-Wagner",
}
"""How each attack, and random noise of the same size, is called on screens, in tables and in figures."""
