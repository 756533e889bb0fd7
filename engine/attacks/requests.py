"""The requests for adversarial attacks."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from engine.adversary.names import Jitter, L2Penalty, LossName, NormName, OptimizerName, TotalVariation
from engine.geometry import CLASSES
from engine.inspection.requests import InspectImages
from engine.network.requests import Inspect
from engine.request import RequestError

AttackName = Literal["noise", "targeted", "fgsm", "pgd", "apgd", "deepfool", "fab", "cw", "square"]
StartName = Literal["digit", "noise"]
CurveAttackName = Literal["random", "fgsm", "square", "pgd", "apgd", "autoattack", "deepfool", "fab", "cw"]
ApgdLossName = Literal["ce", "dlr"]
"""What APGD maximises: the cross-entropy, or the difference-of-logits ratio towards each other class in turn."""
GALLERY = (3, 2, 1, 18, 4, 8, 11, 0, 61, 7)
"""Indices of the notebook's test digits, one of each class in order."""
EXACT = Meta(description="double precision on a GPU too, for the images that a CPU makes; far slower on most GPUs")
"""The choice of precision, which a CPU does not have: there these attacks are always computed in double precision."""
LOSS = Meta(
    description="what PGD maximises: ce (cross-entropy), cw (margin in logits) or dlr (difference-of-logits ratio)"
)


class AttackNoise(Inspect, frozen=True, tag="attack-noise"):
    """Optimise noise until the network classifies it as a given class (the notebook's section 3.1, "non-targeted")."""

    attack: ClassVar[AttackName] = "noise"
    classes: Annotated[str, Meta(description="target classes, for example 0123456789 or 38")] = "0123456789"
    steps: Annotated[int, Meta(ge=1, le=100_000, description="number of optimizer steps")] = 1500
    optimizer: Annotated[OptimizerName, Meta(description="optimizer: adam, or plain gradient ascent")] = "adam"
    step_size: Annotated[
        float,
        Meta(gt=0, le=1e12, description="step size: of adam in pixel values, of plain a multiple of the gradient"),
    ] = 0.01
    total_variation: TotalVariation = 0.0
    l2: L2Penalty = 0.0
    jitter: Jitter = 0
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="random seed of the noise and of the shifts")] = 0
    exact: Annotated[bool, EXACT] = False

    def check_together(self) -> None:
        """Refuse classes that are not distinct digits."""
        digits = set(self.classes)
        if not digits or len(digits) < len(self.classes) or not digits <= set("0123456789"):
            raise RequestError(f"classes must be different digits, for example 38, not {self.classes!r}")


class AttackDigits(InspectImages, frozen=True, tag="attack-digits"):
    """Perturb digits so that a network misclassifies them: the base of attacks on images of a split."""

    attack: ClassVar[AttackName]
    indices: Annotated[
        tuple[int, ...],
        Meta(min_length=1, max_length=100, description="indices of the images in the split (1 to 100 of them)"),
    ] = GALLERY
    exact: Annotated[bool, EXACT] = False

    def check_together(self) -> None:
        """Refuse negative indices."""
        if min(self.indices) < 0:
            raise RequestError(f"indices must be at least 0, not {min(self.indices)}")


class AttackTargeted(AttackDigits, frozen=True, tag="attack-targeted"):
    """Raise the logit of a target class, with a squared-error penalty (the notebook's section 3.2, "targeted").

    The penalty is on the difference from the digit, whatever the starting point.
    """

    attack = "targeted"
    target: Annotated[int, Meta(ge=0, lt=CLASSES, description="target class; images of this class are left out")] = 5
    steps: Annotated[int, Meta(ge=1, le=100_000, description="number of optimizer steps")] = 25
    optimizer: Annotated[OptimizerName, Meta(description="optimizer: adam, or plain gradient ascent")] = "adam"
    step_size: Annotated[
        float,
        Meta(gt=0, le=1e12, description="step size: of adam in pixel values, of plain a multiple of the gradient"),
    ] = 0.01
    beta: Annotated[
        float, Meta(ge=0, le=1e12, description="weight of the penalty, the mean squared error between image and digit")
    ] = 1e-5
    start: Annotated[StartName, Meta(description="starting point: the digit, or noise")] = "digit"
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="random seed of the noise")] = 0


class AttackFgsm(AttackDigits, frozen=True, tag="attack-fgsm"):
    """The fast gradient sign method: a single step of size epsilon (Goodfellow et al. 2015)."""

    attack = "fgsm"
    epsilon: Annotated[float, Meta(ge=0, le=28, description="maximum perturbation, in pixel values")] = 0.2
    norm: Annotated[
        NormName, Meta(description="perturbation norm: linf (the largest change of a pixel) or l2 (Euclidean)")
    ] = "linf"
    target: Annotated[int, Meta(ge=-1, lt=CLASSES, description="target class (-1: any other class)")] = -1


def _default_step(epsilon: float, steps: int) -> float:
    """In pixel values: enough to reach the bound `epsilon` from any starting point within it (Madry et al. 2018)."""
    return 2.5 * epsilon / steps


class AttackPgd(AttackDigits, frozen=True, tag="attack-pgd"):
    """Projected gradient descent: many small steps, kept within epsilon of the image (Madry et al. 2018)."""

    attack = "pgd"
    epsilon: Annotated[float, Meta(ge=0, le=28, description="maximum perturbation, in pixel values")] = 0.2
    norm: Annotated[
        NormName, Meta(description="perturbation norm: linf (the largest change of a pixel) or l2 (Euclidean)")
    ] = "linf"
    steps: Annotated[int, Meta(ge=1, le=10_000, description="number of steps of each restart")] = 40
    step_size: Annotated[
        float, Meta(ge=0, le=28, description="step size, in pixel values (0: 2.5 epsilon / steps)")
    ] = 0.0
    random_start: Annotated[
        bool, Meta(description="random starting point within epsilon of the image, instead of the image itself")
    ] = True
    restarts: Annotated[
        int, Meta(ge=1, le=1000, description="number of random restarts, of which the best result counts")
    ] = 1
    loss: Annotated[LossName, LOSS] = "ce"
    target: Annotated[int, Meta(ge=-1, lt=CLASSES, description="target class (-1: any other class)")] = -1
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="random seed of the starting points")] = 0

    def check_together(self) -> None:
        """Refuse several restarts from the same starting point."""
        AttackDigits.check_together(self)
        if self.restarts > 1 and not self.random_start:
            raise RequestError(
                "restarts without a random start are all the same: leave random start on, or set restarts to 1"
            )

    @property
    def step(self) -> float:
        """The step size, in pixel values, with the default resolved."""
        return self.step_size or _default_step(self.epsilon, self.steps)


class AttackApgd(AttackDigits, frozen=True, tag="attack-apgd"):
    """Auto-PGD: projected gradient descent that finds its own step size (Croce and Hein 2020)."""

    attack = "apgd"
    epsilon: Annotated[float, Meta(ge=0, le=28, description="maximum perturbation, in pixel values")] = 0.2
    norm: Annotated[
        NormName, Meta(description="perturbation norm: linf (the largest change of a pixel) or l2 (Euclidean)")
    ] = "linf"
    loss: Annotated[
        ApgdLossName,
        Meta(
            description="loss: ce (cross-entropy), or dlr (logit ratio) towards the target or each other class in turn"
        ),
    ] = "ce"
    steps: Annotated[int, Meta(ge=1, le=10_000, description="number of steps from each starting point")] = 100
    restarts: Annotated[
        int, Meta(ge=1, le=1000, description="number of random starting points (of dlr, for each class)")
    ] = 1
    target: Annotated[int, Meta(ge=-1, lt=CLASSES, description="target class (-1: any other class)")] = -1
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="random seed of the starting points")] = 0

    @property
    def starts(self) -> int:
        """The number of random starting points of each image."""
        return self.restarts * (CLASSES - 1 if self.loss == "dlr" and self.target == -1 else 1)


class AttackDeepFool(AttackDigits, frozen=True, tag="attack-deepfool"):
    """DeepFool: cross the nearest decision boundary of the linearised network (Moosavi-Dezfooli et al. 2016)."""

    attack = "deepfool"
    steps: Annotated[int, Meta(ge=1, le=10_000, description="maximum number of steps")] = 50
    overshoot: Annotated[
        float, Meta(ge=0, le=1, description="overshoot beyond the decision boundary, as a fraction of the perturbation")
    ] = 0.02


class AttackFab(AttackDigits, frozen=True, tag="attack-fab"):
    """FAB: the smallest perturbation, along the linearised boundary to each other class (Croce and Hein 2020)."""

    attack = "fab"
    norm: Annotated[
        NormName, Meta(description="norm to minimise: linf (the largest change of a pixel) or l2 (Euclidean)")
    ] = "linf"
    steps: Annotated[int, Meta(ge=1, le=10_000, description="number of steps towards each class")] = 100
    target: Annotated[int, Meta(ge=-1, lt=CLASSES, description="target class (-1: each other class in turn)")] = -1


class AttackCarliniWagner(AttackDigits, frozen=True, tag="attack-cw"):
    """Carlini and Wagner's L2 attack: the smallest perturbation that Adam finds (2017)."""

    attack = "cw"
    binary_search_steps: Annotated[
        int, Meta(ge=1, le=20, description="number of binary-search steps for the constant")
    ] = 5
    steps: Annotated[int, Meta(ge=1, le=10_000, description="number of Adam steps per binary-search step")] = 50
    step_size: Annotated[float, Meta(gt=0, le=1, description="Adam step size, in pixel values")] = 0.02
    confidence: Annotated[
        float, Meta(ge=0, le=100, description="confidence margin of the incorrect class, in logits")
    ] = 0.0
    target: Annotated[int, Meta(ge=-1, lt=CLASSES, description="target class (-1: any other class)")] = -1


class AttackSquare(AttackDigits, frozen=True, tag="attack-square"):
    """The Square attack: random squares, kept where they help, without gradients (Andriushchenko et al. 2020)."""

    attack = "square"
    epsilon: Annotated[float, Meta(ge=0, le=28, description="maximum perturbation, in pixel values")] = 0.2
    norm: Annotated[
        NormName, Meta(description="perturbation norm: linf (the largest change of a pixel) or l2 (Euclidean)")
    ] = "linf"
    queries: Annotated[int, Meta(ge=1, le=100_000, description="number of squares to try")] = 5000
    target: Annotated[int, Meta(ge=-1, lt=CLASSES, description="target class (-1: any other class)")] = -1
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="random seed of the squares")] = 0


AnyAttack = (
    AttackNoise
    | AttackTargeted
    | AttackFgsm
    | AttackPgd
    | AttackApgd
    | AttackDeepFool
    | AttackFab
    | AttackCarliniWagner
    | AttackSquare
)
"""Any request for a single attack."""


class AttackUniversal(InspectImages, frozen=True, tag="attack-universal"):
    """One perturbation for all digits (Moosavi-Dezfooli et al. 2017), fitted to training digits, tested on others."""

    epsilon: Annotated[float, Meta(ge=0, le=1, description="maximum perturbation of each pixel, in pixel values")] = 0.3
    target: Annotated[int, Meta(ge=-1, lt=CLASSES, description="target class (-1: any other class)")] = -1
    made_of: Annotated[
        int, Meta(ge=1, le=60_000, description="number of training images to fit it to: the first n")
    ] = 500
    steps: Annotated[int, Meta(ge=1, le=10_000, description="number of steps, each over all of these images")] = 30
    step_size: Annotated[float, Meta(ge=0, le=1, description="step size, in pixel values (0: 2.5 epsilon / steps)")] = (
        0.0
    )
    count: Annotated[
        int, Meta(ge=1, le=60_000, description="number of images to test it on: the first n of the split")
    ] = 1000
    seed: Annotated[
        int, Meta(ge=0, le=2**31 - 1, description="random seed of the random perturbation that it is compared with")
    ] = 0

    def check_together(self) -> None:
        """Refuse to test it on the images it was fitted to, and drawings, none of which are training images."""
        if self.dataset == "drawings":
            raise RequestError("the perturbation is fitted to training images, which the drawings do not have")
        if self.split == "train":
            raise RequestError(
                "the perturbation is fitted to training images and must be tested on others: use split test or val"
            )

    @property
    def step(self) -> float:
        """The step size, in pixel values, with the default resolved."""
        return self.step_size or _default_step(self.epsilon, self.steps)


class SweepBeta(InspectImages, frozen=True, tag="sweep-beta"):
    """Whether the penalty of the notebook's targeted attack keeps the image close, for beta from 0 up in decades."""

    count: Annotated[
        int, Meta(ge=2, le=10_000, description="number of images: the first n that are not of the target class")
    ] = 100
    target: Annotated[int, Meta(ge=0, lt=CLASSES, description="target class")] = 5
    steps: Annotated[int, Meta(ge=1, le=100_000, description="number of Adam steps")] = 25
    step_size: Annotated[float, Meta(gt=0, le=1, description="Adam step size, in pixel values")] = 0.01
    exact: Annotated[bool, EXACT] = False


class MeasureRobustness(InspectImages, frozen=True, tag="measure-robustness"):
    """Accuracy under attack against the maximum perturbation."""

    others: Annotated[tuple[str, ...], Meta(max_length=7, description="other networks to measure in the same way")] = ()
    attack: Annotated[
        tuple[CurveAttackName, ...], Meta(min_length=1, max_length=9, description="attacks to measure, one or more")
    ] = ("pgd",)
    norm: Annotated[
        NormName, Meta(description="perturbation norm: linf (the largest change of a pixel) or l2 (Euclidean)")
    ] = "linf"
    epsilons: Annotated[
        tuple[float, ...],
        Meta(
            max_length=100,
            description="maximum perturbations, in pixel values (none: seven, up to 0.3 in linf or 3 in l2)",
        ),
    ] = ()
    count: Annotated[int, Meta(ge=1, le=60_000, description="number of images: the first n of the split")] = 1000
    steps: Annotated[int, Meta(ge=1, le=10_000, description="number of PGD steps")] = 40
    restarts: Annotated[int, Meta(ge=1, le=1000, description="number of random starting points of PGD")] = 1
    loss: Annotated[LossName, LOSS] = "ce"
    certified: Annotated[
        bool, Meta(description="also the accuracy that is proved: no perturbation within epsilon lowers it (linf)")
    ] = False
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="random seed")] = 0

    def check_together(self) -> None:
        """Refuse epsilons out of range, attacks or proofs that do not support the norm, and duplicate attacks."""
        if self.epsilons and not 0 <= min(self.epsilons) <= max(self.epsilons) <= 28:
            raise RequestError("epsilons must be from 0 to 28, in pixel values")
        if self.norm == "linf" and (only := {"deepfool", "cw"}.intersection(self.attack)):
            verb = "minimises" if len(only) == 1 else "minimise"
            raise RequestError(f"{' and '.join(sorted(only))} {verb} the L2 norm: set norm to l2")
        if len(set(self.attack)) < len(self.attack):
            raise RequestError("an attack is listed twice: name each attack once")
        if self.certified and self.norm != "linf":
            raise RequestError("certified accuracy is proved in linf only: set norm to linf, or leave certified off")

    @property
    def bounds(self) -> tuple[float, ...]:
        """The epsilons to measure, sorted, without duplicates, with the defaults resolved."""
        usual = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3) if self.norm == "linf" else (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
        return tuple(sorted(set(self.epsilons))) or usual


class MeasureTransfer(InspectImages, frozen=True, tag="measure-transfer"):
    """How often adversarial images made for one network also fool another."""

    others: Annotated[
        tuple[str, ...], Meta(max_length=7, description="other networks (none: a bundled network of another kind)")
    ] = ()
    attack: Annotated[Literal["fgsm", "pgd", "deepfool", "cw"], Meta(description="attack to use")] = "pgd"
    norm: Annotated[NormName, Meta(description="perturbation norm of fgsm and pgd")] = "linf"
    epsilon: Annotated[
        float, Meta(ge=0, le=28, description="maximum perturbation of fgsm and pgd, in pixel values")
    ] = 0.2
    count: Annotated[
        int, Meta(ge=1, le=60_000, description="number of images: the first n that all networks classify correctly")
    ] = 200
    steps: Annotated[int, Meta(ge=1, le=10_000, description="number of PGD steps")] = 40
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="random seed of the starting points")] = 0


ATTACK_TITLES = {
    "noise": "from noise",
    "targeted": "targeted",
    "random": "random noise",
    "fgsm": "FGSM",
    "square": "Square",
    "pgd": "PGD",
    "apgd": "APGD",
    "autoattack": "AutoAttack",
    "deepfool": "DeepFool",
    "fab": "FAB",
    "cw": "Carlini-Wagner",
    "certified": "certified",
}
"""How each attack, random noise of the same size and what no attack can lower is called on screens, in tables and in
figures."""
