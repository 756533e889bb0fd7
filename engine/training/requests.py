"""The request for training."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from engine.data.requests import DatasetName
from engine.network.requests import Architecture, Device, PrecisionName
from engine.request import RequestError

RecipeName = Literal["notebook", "fast", "accurate"]
ScheduleName = Literal["constant", "one-cycle", "cosine"]
ObjectiveName = Literal["clean", "fgsm", "pgd", "trades", "ibp", "crown-ibp"]
CERTIFYING: tuple[ObjectiveName, ...] = ("ibp", "crown-ibp")
"""The objectives that bound the loss of every image within epsilon, so that robustness can be proved."""


_USED: dict[str, tuple[ObjectiveName, ...]] = {
    "train_epsilon": ("fgsm", "pgd", "trades", "ibp", "crown-ibp"),
    "attack_steps": ("pgd", "trades"),
    "attack_step_size": ("fgsm", "pgd", "trades"),
    "warm_up": ("fgsm", "pgd", "trades", "ibp", "crown-ibp"),
    "ramp": ("fgsm", "pgd", "trades", "ibp", "crown-ibp"),
    "beta": ("trades",),
    "kappa": ("ibp", "crown-ibp"),
}
"""The objectives that use a field, where not all do."""
ROBUST = tuple(_USED)
"""The fields that only objectives other than clean use."""


def without_effect(objective: ObjectiveName) -> tuple[str, ...]:
    """The fields that `objective` does not use."""
    return tuple(name for name, users in _USED.items() if objective not in users)


class Train(Architecture, frozen=True, tag="train"):
    """Train the network and write a run folder."""

    recipe: Annotated[
        RecipeName, Meta(description="set of the fields below: the notebook's, the fastest, or the most accurate")
    ] = "notebook"
    epochs: Annotated[int, Meta(ge=1, le=100_000, description="number of training epochs")] = 15
    batch_size: Annotated[int, Meta(ge=2, le=60_000, description="batch size, in images")] = 64
    learning_rate: Annotated[float, Meta(gt=0, le=10, description="learning rate of Adam, or its maximum")] = 1e-3
    seed: Annotated[
        int, Meta(ge=0, le=2**31 - 1, description="random seed of the initial weights and of the order of the images")
    ] = 0
    dataset: Annotated[DatasetName, Meta(description="data set; mnist is included, the others are downloaded")] = (
        "mnist"
    )
    train_size: Annotated[
        int, Meta(ge=2, le=1_000_000, description="number of training images at most: the first n")
    ] = 50_000
    device: Device = "auto"
    precision: Annotated[
        PrecisionName,
        Meta(description="precision of products and convolutions: fp32, bf16, or tf32 on recent NVIDIA GPUs"),
    ] = "fp32"
    schedule: Annotated[
        ScheduleName, Meta(description="learning rate: constant, up and down once, or down along a cosine")
    ] = "constant"
    weight_decay: Annotated[
        float, Meta(ge=0, le=10, description="weight decay of AdamW, per unit of learning rate (0: plain Adam)")
    ] = 0.0
    label_smoothing: Annotated[
        float, Meta(ge=0, le=0.9, description="probability spread over all classes in the training labels")
    ] = 0.0
    shift: Annotated[int, Meta(ge=0, le=14, description="largest random shift of a training image, in pixels")] = 0
    rotate: Annotated[
        float, Meta(ge=0, le=180, description="largest random rotation of a training image, in degrees")
    ] = 0.0
    scale: Annotated[
        float, Meta(ge=0, le=0.9, description="largest random change of a training image's size, as a share")
    ] = 0.0
    elastic: Annotated[
        float, Meta(ge=0, le=14, description="standard deviation of a random elastic distortion, in pixels")
    ] = 0.0
    average: Annotated[
        float, Meta(ge=0, lt=1, description="decay of the moving average of the weights, per step (0: no average)")
    ] = 0.0
    objective: Annotated[
        ObjectiveName,
        Meta(description="loss: of clean images, of attacked ones (fgsm, pgd, trades), or its bound (ibp, crown-ibp)"),
    ] = "clean"
    train_epsilon: Annotated[
        float, Meta(ge=0, le=1, description="largest change of a pixel to become robust to (epsilon, L-inf, 0 to 1)")
    ] = 0.3
    attack_steps: Annotated[
        int, Meta(ge=1, le=1000, description="number of attack steps on each batch, of pgd and trades")
    ] = 7
    attack_step_size: Annotated[
        float,
        Meta(
            ge=0, le=1, description="attack step size (0: 2.5 epsilon / steps, of fgsm 1.25 epsilon), at full epsilon"
        ),
    ] = 0.0
    warm_up: Annotated[
        float, Meta(ge=0, le=1, description="share of all training steps at epsilon 0, before it rises")
    ] = 0.0
    ramp: Annotated[
        float, Meta(ge=0, le=1, description="share of all training steps in which epsilon then rises to its full value")
    ] = 0.33
    beta: Annotated[float, Meta(ge=0, le=1000, description="weight of the robust term of trades")] = 6.0
    kappa: Annotated[
        float, Meta(ge=0, le=1, description="final weight of the loss of clean images, of ibp and crown-ibp")
    ] = 0.5
    insides: Annotated[
        bool, Meta(description="after each epoch, measure weights, gradients and activations of all layers")
    ] = True
    threads: Annotated[int, Meta(ge=0, le=1024, description="number of CPU threads (0: all that are available)")] = 0

    def check_together(self) -> None:
        """Refuse layers that do not fit on the image, a batch larger than the training set, and an objective that
        cannot hold with the other fields."""
        Architecture.check_together(self)
        if self.batch_size > self.train_size:
            raise RequestError(
                f"batch size {self.batch_size} is larger than the {self.train_size} training images: lower it"
            )
        if self.objective != "clean":
            self._check_objective()

    def _check_objective(self) -> None:
        name = self.objective
        if not self.train_epsilon:
            raise RequestError(
                f"objective {name} trains against changes of epsilon 0: set one above 0, or objective clean"
            )
        if self.warm_up + self.ramp > 1:
            raise RequestError(
                f"a warm-up over {self.warm_up:g} and a ramp over {self.ramp:g} of all steps never end: lower one, "
                "so that their sum is at most 1"
            )
        if name not in CERTIFYING:
            return
        if self.norms:
            raise RequestError(
                f"objective {name} bounds each image alone, and batch norm in training depends on the whole batch, so "
                "the bounds would not be sound: leave batch norm out, or use fgsm, pgd or trades"
            )
        if self.precision != "fp32":
            raise RequestError(
                f"objective {name} needs precision fp32: bounds rounded to {self.precision} would not be sound"
            )
        if self.label_smoothing:
            raise RequestError(
                f"objective {name} bounds the margin to one class, which smoothed labels do not have: set label "
                "smoothing 0"
            )

    @property
    def certifies(self) -> bool:
        """Whether the objective is one with bounds, so that epochs have a certified accuracy."""
        return self.objective in CERTIFYING

    @property
    def loss_note(self) -> str:
        """What sets the training loss apart from a loss on images and labels as they are, in a few words.

        Empty where nothing does, so that it can be compared with the validation loss.
        """
        augmented = self.shift or self.rotate or self.scale or self.elastic
        notes = ["augmented"] * bool(augmented) + ["smoothed labels"] * bool(self.label_smoothing)
        return ", ".join(notes + [self.objective] * (self.objective != "clean"))


class FindLearningRate(Train, frozen=True, tag="find-learning-rate"):
    """Find a learning rate: train a few steps at rates from low to high, and see where the loss falls and rises.

    Nothing is written. The learning rate, its schedule, the epochs and the average of a run are not used.
    """

    lowest_rate: Annotated[float, Meta(gt=0, le=10, description="learning rate of the first step")] = 1e-6
    highest_rate: Annotated[float, Meta(gt=0, le=10, description="learning rate of the last step")] = 1.0
    steps: Annotated[
        int, Meta(ge=20, le=5000, description="number of steps, each at a rate by the same factor higher than the last")
    ] = 200

    def check_together(self) -> None:
        """As for training; and refuse rates that do not rise."""
        Train.check_together(self)
        if self.lowest_rate >= self.highest_rate:
            raise RequestError(
                f"the lowest rate {self.lowest_rate:g} is not below the highest rate {self.highest_rate:g}: lower it"
            )
