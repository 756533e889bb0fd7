"""What one may ask of training."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from engine.data.requests import DatasetName
from engine.network.requests import Architecture, Device, PrecisionName
from engine.request import RequestError


class Train(Architecture, frozen=True, tag="train"):
    """Train the network and write a run folder."""

    epochs: Annotated[int, Meta(ge=1, le=100_000, description="passes over the training images")] = 15
    batch_size: Annotated[int, Meta(ge=2, le=60_000, description="images a training step")] = 64
    learning_rate: Annotated[float, Meta(gt=0, le=10, description="Adam's step size")] = 1e-3
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="of the weights and of the order of images")] = 0
    dataset: Annotated[DatasetName, Meta(description="mnist is included, the others are downloaded")] = "mnist"
    train_size: Annotated[int, Meta(ge=2, le=1_000_000, description="train on the first n images at most")] = 50_000
    device: Device = "auto"
    precision: Annotated[
        PrecisionName, Meta(description="of products: fp32, or tf32, quicker and coarser, on NVIDIA GPUs that can")
    ] = "fp32"
    threads: Annotated[int, Meta(ge=0, le=1024, description="CPU threads (0: as many as it may use)")] = 0

    def check_together(self) -> None:
        """Refuse layers that do not fit on the image, and a batch larger than what it is taken from."""
        Architecture.check_together(self)
        if self.batch_size > self.train_size:
            raise RequestError(f"batch size {self.batch_size} is more than the {self.train_size} training images")
