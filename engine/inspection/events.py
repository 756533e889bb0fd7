"""What is inside a network, and what it says of images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from engine.network.events import NetworkEvent

if TYPE_CHECKING:
    from engine.event import Array


def with_batch(shape: tuple[int, ...]) -> str:
    """A shape as the notebook writes it, for example `[BS,32,14,14]`."""
    return f"[BS,{','.join(map(str, shape))}]"


class LayerSummary(Struct, frozen=True, kw_only=True):
    """One layer: a line of the notebook's table in section 1.3. Shapes are without the batch."""

    name: str
    """conv1, batch_norm1, maxpool1, conv2, batch_norm2, maxpool2, fc1, batch_norm3, fc2."""
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    parameters: int
    """Trained ones."""
    running_statistics: int
    """Means and variances that batch norm keeps: no parameters, since no gradient changes them."""
    neurons: int
    """Outputs that have weights of their own (section 1.5)."""
    multiply_adds: int
    """For one image."""
    receptive_field: int
    """Side of the square of the image that one output sees, in pixels (at most the image's)."""


class NetworkSummarised(NetworkEvent, frozen=True):
    """The layers of a network and the notebook's totals (its sections 1.3 to 1.5)."""

    layers: tuple[LayerSummary, ...]
    conv_parameters: int
    """As the notebook counts them: batch norm's with the layers that it stands in."""
    fc_parameters: int
    total_parameters: int
    running_statistics: int
    conv_neurons: int
    fc_neurons: int
    total_neurons: int
    multiply_adds: int


class ImagesEvent(NetworkEvent, frozen=True):
    """The base of what a network made of images."""

    dataset: str
    split: str


class SplitEvaluated(ImagesEvent, frozen=True):
    """A network was run on a whole split."""

    count: int
    """Images."""
    loss: float
    """Mean cross-entropy, in nats."""
    accuracy: float
    """0 to 1."""
    class_accuracy: tuple[float, ...]
    """Of the images of each class, 0 to 1; NaN for a class without images."""
    confusion: tuple[tuple[int, ...], ...]
    """10x10 counts: a row is an actual class, a column a predicted one."""
    labels: Array
    """(N,) int64."""
    predictions: Array
    """(N,) int64."""
    probabilities: Array
    """(N, 10) float32."""

    @property
    def mistakes(self) -> int:
        """Images whose predicted class is not the actual one."""
        return self.count - sum(row[actual] for actual, row in enumerate(self.confusion))


class Digit(Struct, frozen=True, kw_only=True):
    """One image and what the network says of it."""

    index: int
    """In its split."""
    actual: int
    predicted: int
    probability: float
    """Of the predicted class, 0 to 1."""
    probabilities: tuple[float, ...]
    """Of the ten classes."""


class DigitsShown(ImagesEvent, frozen=True):
    """Images with their actual and predicted class (the notebook's section 1.2)."""

    order: str
    digit: int
    """The only class shown; -1 for all."""
    seed: int
    matching: int
    """How many images there are of which these are the first."""
    digits: tuple[Digit, ...]
    images: Array
    """(n, 28, 28) float32 in [0, 1]."""


class FiltersShown(NetworkEvent, frozen=True):
    """The kernels of a convolution (the notebook's sections 2.1 and 2.2)."""

    layer: str
    epochs: tuple[int, ...]
    """Those whose kernels are kept, ascending."""
    shape: tuple[int, int, int, int]
    """(output channels, input channels, rows, columns)."""
    minimum: float
    maximum: float
    norms: tuple[float, ...]
    """L2 norm of each output channel's kernels."""
    weights: Array
    """Of that shape, float32."""


class ActivationsComputed(ImagesEvent, frozen=True):
    """What both convolution blocks make of one image (the notebook's section 2.3): after pooling and ReLU."""

    index: int
    count: int
    """Images in the split."""
    actual: int
    predicted: int
    probability: float
    """Of the predicted class, 0 to 1."""
    conv1_strengths: tuple[float, ...]
    """Mean of each channel's map."""
    conv2_strengths: tuple[float, ...]
    image: Array
    """(28, 28) float32 in [0, 1]."""
    conv1: Array
    """(C, H, W) float32, at least 0."""
    conv2: Array
    conv1_mean: Array
    """(H, W) float32: the mean over channels."""
    conv2_mean: Array


class Excitation(Struct, frozen=True, kw_only=True):
    """An image that excites a channel, and the place of the map where it does so most."""

    index: int
    """Of the image in its split."""
    value: float
    row: int
    """In the channel's map."""
    column: int


class LayerSurvey(Struct, frozen=True, kw_only=True):
    """One convolution block on a whole split."""

    dead: tuple[int, ...]
    """Channels that are zero everywhere on every image."""
    strongest: tuple[tuple[Excitation, ...], ...]
    """Of each channel the nine images with the highest single activation, descending; fewer where it fires on fewer."""
    receptive_field: int
    """Side of what one place of a map sees of the image, in pixels."""
    step: int
    """Pixels from one place to the next."""
    start: int
    """The first pixel that place 0 sees; negative where that is padding."""


class ChannelsSurveyed(ImagesEvent, frozen=True):
    """Both convolution blocks on a whole split."""

    count: int
    """Images."""
    conv1: LayerSurvey
    conv2: LayerSurvey
    indices: Array
    """(M,) int64, ascending: the images that `strongest` names."""
    images: Array
    """(M, 28, 28) float32 in [0, 1]: these images."""
