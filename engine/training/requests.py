"""The request for training."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from engine.data.requests import DatasetName
from engine.network.requests import Architecture, Device, PrecisionName
from engine.request import RequestError

RecipeName = Literal["notebook", "fast", "accurate"]
ScheduleName = Literal["constant", "one-cycle", "cosine"]


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
    threads: Annotated[int, Meta(ge=0, le=1024, description="number of CPU threads (0: all that are available)")] = 0

    def check_together(self) -> None:
        """Refuse layers that do not fit on the image, and a batch larger than the training set."""
        Architecture.check_together(self)
        if self.batch_size > self.train_size:
            raise RequestError(
                f"batch size {self.batch_size} is larger than the {self.train_size} training images: lower it"
            )

    @property
    def loss_note(self) -> str:
        """What sets the training loss apart from a loss on images and labels as they are, in a few words.

        Empty where nothing does, so that it can be compared with the validation loss.
        """
        augmented = self.shift or self.rotate or self.scale or self.elastic
        return ", ".join(["augmented"] * bool(augmented) + ["smoothed labels"] * bool(self.label_smoothing))
