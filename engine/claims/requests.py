"""The requests that check claims: each measures a few values of a network, in seconds rather than minutes.

They are what a lesson can ask. `says` names the values and their units, the first of which, `value`, decides a claim.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from engine.attacks.requests import GALLERY
from engine.attribution.requests import Explain
from engine.geometry import CLASSES
from engine.inspection.requests import InspectImages, LayerName
from engine.network.requests import Inspect
from engine.request import RequestError

ClaimName = Literal[
    "training",
    "accuracy",
    "mistakes",
    "layers",
    "batch_norm",
    "simplicity",
    "kernels",
    "resemblance",
    "channels",
    "occlusion",
    "noise",
    "targeted",
    "fgsm",
]
Unit = Literal["share", "points", "count", "number", "class"]
"""How a value is written: a share from 0 to 1 as per cent, the difference of two shares as percentage points, a count,
any other number, or one of the ten classes."""
Says = dict[str, Unit]


class CheckTraining(Inspect, frozen=True, tag="check-training"):
    """For how long training went on after the lowest validation loss (the notebook's section 1.1)."""

    claim: ClassVar[ClaimName] = "training"
    says: ClassVar[Says] = {
        "value": "count", "best": "count", "epochs": "count", "accuracy": "share", "last_accuracy": "share",
        "val_loss": "number", "last_val_loss": "number", "train_loss": "number",
    }  # fmt: skip
    """Epochs after the one with the lowest validation loss, which is `best` of `epochs`; the test accuracy after both,
    and the losses (in nats; of training, after the last). NaN for a weights file without a run."""


class CheckAccuracy(InspectImages, frozen=True, tag="check-accuracy"):
    """The accuracy on a whole split, of all classes and of the worst (the notebook's section 1.2)."""

    claim: ClassVar[ClaimName] = "accuracy"
    says: ClassVar[Says] = {
        "value": "share", "mistakes": "count", "images": "count", "loss": "number", "worst": "class",
        "worst_accuracy": "share",
    }  # fmt: skip
    """Accuracy, mistakes of so many images, mean cross-entropy in nats; the class with the lowest accuracy."""


class CheckMistakes(InspectImages, frozen=True, tag="check-mistakes"):
    """How sure the network is of its mistakes on a whole split (the notebook's section 1.2)."""

    claim: ClassVar[ClaimName] = "mistakes"
    says: ClassVar[Says] = {"value": "share", "right": "share", "mistakes": "count", "confident": "count"}
    """Mean probability of the predicted class where that is wrong, and where it is right; mistakes, and how many of
    them have a probability of more than `sure`."""
    sure: Annotated[float, Meta(gt=0, lt=1, description="probability above which a mistake counts as confident")] = 0.9


class CheckLayers(Inspect, frozen=True, tag="check-layers"):
    """Where the parameters are, and where the work is done (the notebook's sections 1.3 to 1.5)."""

    claim: ClassVar[ClaimName] = "layers"
    says: ClassVar[Says] = {
        "value": "share", "parameters": "count", "conv": "count", "fc": "count", "neurons": "count", "work": "share",
    }  # fmt: skip
    """Share of the parameters in the fully connected layers; numbers of parameters and neurons; share of the
    multiply-adds that the convolutions take."""


class CheckBatchNorm(InspectImages, frozen=True, tag="check-batch-norm"):
    """The difference in accuracy between networks with and without batch norm (the notebook's section 1.6).

    One is the network, the other the bundled network of the other kind.
    """

    claim: ClassVar[ClaimName] = "batch_norm"
    says: ClassVar[Says] = {"value": "points", "gain": "points", "with": "share", "without": "share", "images": "count"}
    """The size of the difference; how much higher the accuracy is with batch norm; both accuracies."""


class CheckSimplicity(Inspect, frozen=True, tag="check-simplicity"):
    """Whether the kernels of the first convolution are the simpler ones (the notebook's section 2.2)."""

    claim: ClassVar[ClaimName] = "simplicity"
    says: ClassVar[Says] = {"value": "share", "second": "share"}
    """Share of the energy of the kernels of conv1, and of conv2, that a constant and two linear gradients explain."""


class CheckKernels(Inspect, frozen=True, tag="check-kernels"):
    """How many kernels of a convolution do next to nothing (the notebook's sections 2.1 and 2.2)."""

    claim: ClassVar[ClaimName] = "kernels"
    says: ClassVar[Says] = {"value": "share", "weak": "count", "one_pixel": "count", "kernels": "count"}
    """Share and number of kernels whose norm is less than a tenth of the largest; of the others, how many are dominated
    by one pixel; the number of all."""
    layer: Annotated[LayerName, Meta(description="convolution")] = "conv1"


class CheckResemblance(InspectImages, frozen=True, tag="check-resemblance"):
    """Whether deeper maps look less like the digit (the notebook's section 2.3)."""

    claim: ClassVar[ClaimName] = "resemblance"
    says: ClassVar[Says] = {"value": "number", "second": "number", "actual": "class", "predicted": "class"}
    """Mean absolute correlation with the digit of the maps of conv1, and of conv2; the digit's classes."""
    index: Annotated[int, Meta(ge=0, description="index of the image in the split")] = 61


class CheckChannels(InspectImages, frozen=True, tag="check-channels"):
    """How many channels are zero for every image of the split (the notebook's section 2.3)."""

    claim: ClassVar[ClaimName] = "channels"
    says: ClassVar[Says] = {"value": "count", "first": "count", "second": "count", "channels": "count"}
    """Dead channels of both convolutions, of conv1, and of conv2; the number of all."""


class CheckOcclusion(Explain, frozen=True, tag="check-occlusion"):
    """Whether the probability drops where the patch covers strokes (the notebook's section 2.4)."""

    claim: ClassVar[ClaimName] = "occlusion"
    says: ClassVar[Says] = {
        "value": "share", "positions": "share", "elsewhere": "share", "lowest": "share", "changed": "share",
        "unoccluded": "share",
    }  # fmt: skip
    """Share of the drop, summed over the map, where the patch is over a stroke; share of such positions; share of the
    drop elsewhere. Lowest probability of the watched class, the share of the positions where another class is
    predicted, and the probability without a patch: of the image itself."""
    average: Annotated[
        int, Meta(ge=0, le=1000, description="number of images of the class for the drops (0: the image itself)")
    ] = 0


class CheckNoise(Inspect, frozen=True, tag="check-noise"):
    """Whether noise can be turned into images that the network is sure of (the notebook's section 3.1)."""

    claim: ClassVar[ClaimName] = "noise"
    says: ClassVar[Says] = {
        "value": "share", "reached": "count", "images": "count", "rose": "share", "taken": "count",
    }  # fmt: skip
    """Lowest probability of the target class; how many images of how many are predicted as it; share of the steps in
    which the logit rose; how many images the other network, the bundled one of the other kind, takes for it too."""
    classes: Annotated[str, Meta(description="target classes, for example 0123456789 or 38")] = "0123456789"
    steps: Annotated[int, Meta(ge=1, le=1500, description="number of optimizer steps")] = 1500
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="random seed of the noise")] = 0

    def check_together(self) -> None:
        """Refuse classes that are not distinct digits."""
        digits = set(self.classes)
        if not digits or len(digits) < len(self.classes) or not digits <= set("0123456789"):
            raise RequestError(f"classes must be different digits, for example 38, not {self.classes!r}")


class CheckTargeted(InspectImages, frozen=True, tag="check-targeted"):
    """Whether the targeted attack works, and its penalty keeps images close (the notebook's section 3.2)."""

    claim: ClassVar[ClaimName] = "targeted"
    says: ClassVar[Says] = {
        "value": "share", "fooled": "count", "images": "count", "largest": "number", "closer": "share",
    }  # fmt: skip
    """Share and number of the images that are predicted as the target; the largest change of a pixel; how much smaller
    the perturbations are, in L2, than those without the penalty."""
    indices: Annotated[
        tuple[int, ...],
        Meta(min_length=1, max_length=100, description="indices of the images in the split (1 to 100 of them)"),
    ] = GALLERY
    target: Annotated[int, Meta(ge=0, lt=CLASSES, description="target class; images of this class are left out")] = 5
    steps: Annotated[int, Meta(ge=1, le=1500, description="number of optimizer steps")] = 25
    step_size: Annotated[float, Meta(gt=0, le=1, description="Adam step size, in pixel values")] = 0.01
    beta: Annotated[float, Meta(ge=0, le=1e12, description="weight of the penalty, the mean squared error")] = 1e-5

    def check_together(self) -> None:
        """Refuse negative indices."""
        if min(self.indices) < 0:
            raise RequestError(f"indices must be at least 0, not {min(self.indices)}")


class CheckFgsm(InspectImages, frozen=True, tag="check-fgsm"):
    """How many digits one step along the gradient's sign fools, and how many random noise of that size does."""

    claim: ClassVar[ClaimName] = "fgsm"
    says: ClassVar[Says] = {
        "value": "share", "by_chance": "share", "beside": "share", "accuracy": "share", "images": "count",
    }  # fmt: skip
    """Of the images that the network classifies correctly, the share that FGSM fools (Goodfellow et al. 2015), and that
    random noise fools; what FGSM fools of the other network, a bundled one that was trained against attacks (or a plain
    one, if this one was); the accuracy without an attack."""
    epsilon: Annotated[float, Meta(gt=0, le=1, description="maximum perturbation of a pixel")] = 0.1
    count: Annotated[int, Meta(ge=1, le=1000, description="number of images: the first n of the split")] = 100
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="random seed of the noise")] = 0


AnyCheck = (
    CheckTraining
    | CheckAccuracy
    | CheckMistakes
    | CheckLayers
    | CheckBatchNorm
    | CheckSimplicity
    | CheckKernels
    | CheckResemblance
    | CheckChannels
    | CheckOcclusion
    | CheckNoise
    | CheckTargeted
    | CheckFgsm
)
"""Any request that checks a claim."""
COMPARING: tuple[ClaimName, ...] = ("batch_norm", "noise", "fgsm")
"""The claims for which another network is measured too."""
