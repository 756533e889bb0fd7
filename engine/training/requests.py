"""The request for training."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from engine.data.requests import DatasetName
from engine.network.requests import Architecture, Device, PrecisionName
from engine.request import RequestError


class Train(Architecture, frozen=True, tag="train"):
    """Train the network and write a run folder."""

    epochs: Annotated[int, Meta(ge=1, le=100_000, description="number of training epochs")] = 15
    batch_size: Annotated[int, Meta(ge=2, le=60_000, description="batch size, in images")] = 64
    learning_rate: Annotated[float, Meta(gt=0, le=10, description="learning rate of Adam")] = 1e-3
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
        Meta(description="precision of products and convolutions: fp32, or faster, coarser tf32 on recent NVIDIA GPUs"),
    ] = "fp32"
    threads: Annotated[int, Meta(ge=0, le=1024, description="number of CPU threads (0: all that are available)")] = 0

    def check_together(self) -> None:
        """Refuse layers that do not fit on the image, and a batch larger than the training set."""
        Architecture.check_together(self)
        if self.batch_size > self.train_size:
            raise RequestError(
                f"batch size {self.batch_size} is larger than the {self.train_size} training images: lower it"
            )
