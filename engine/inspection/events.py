"""The events of inspection: what is inside a network, and what it predicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from engine.data.requests import part_of, source_of
from engine.network.events import NetworkEvent

if TYPE_CHECKING:
    from engine.event import Array


def with_batch(shape: tuple[int, ...]) -> str:
    """A shape as the notebook writes it, for example `[BS,32,14,14]`."""
    return f"[BS,{','.join(map(str, shape))}]"


class LayerSummary(Struct, frozen=True, kw_only=True):
    """One layer: a line of the notebook's table in section 1.3. Shapes are without the batch dimension."""

    name: str
    """conv1, batch_norm1, maxpool1, conv2, batch_norm2, maxpool2, fc1, batch_norm3, fc2."""
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    parameters: int
    """Number of trainable parameters."""
    running_statistics: int
    """Number of running means and variances of batch norm: they are not parameters, as they have no gradient."""
    neurons: int
    """Number of outputs of layers with weights of their own (section 1.5)."""
    multiply_adds: int
    """Number of multiply-adds for one image."""
    receptive_field: int
    """Side of the square of the image that one output depends on, in pixels (at most the image's)."""


class NetworkSummarised(NetworkEvent, frozen=True):
    """The layers of a network and the notebook's totals (its sections 1.3 to 1.5)."""

    layers: tuple[LayerSummary, ...]
    conv_parameters: int
    """As the notebook counts them: including the batch norm in the convolution blocks."""
    fc_parameters: int
    total_parameters: int
    running_statistics: int
    conv_neurons: int
    fc_neurons: int
    total_neurons: int
    multiply_adds: int


class ImagesEvent(NetworkEvent, frozen=True):
    """The base of events about a network and images."""

    dataset: str
    split: str

    @property
    def part(self) -> str:
        """How the split is called, a PartName."""
        return part_of(self.dataset, self.split)

    @property
    def source(self) -> str:
        """The data set and the split in words: `mnist test`, or `drawings`."""
        return source_of(self.dataset, self.split)


class SplitEvaluated(ImagesEvent, frozen=True):
    """A network was run on a whole split."""

    count: int
    """Number of images."""
    loss: float
    """Mean cross-entropy, in nats."""
    accuracy: float
    """0 to 1."""
    class_accuracy: tuple[float, ...]
    """Accuracy on the images of each class, 0 to 1; NaN for a class without images."""
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
        """Number of images whose predicted class is not the actual one."""
        return self.count - sum(row[actual] for actual, row in enumerate(self.confusion))


class Digit(Struct, frozen=True, kw_only=True):
    """One image and its prediction."""

    index: int
    """Index of the image in the split."""
    actual: int
    predicted: int
    probability: float
    """Of the predicted class, 0 to 1."""
    probabilities: tuple[float, ...]
    """Of the ten classes."""


class DigitsShown(ImagesEvent, frozen=True):
    """Images with their actual and predicted classes (the notebook's section 1.2)."""

    order: str
    digit: int
    """The only class shown; -1 for all."""
    predicted: int
    """The only predicted class shown; -1 for all."""
    seed: int
    matching: int
    """Number of images that match the request, of which these are the first."""
    digits: tuple[Digit, ...]
    images: Array
    """(n, 28, 28) float32 in [0, 1]."""


class ImagesPredicted(NetworkEvent, frozen=True):
    """Predictions for images that are not of a data set: the user's files, or a drawing."""

    files: tuple[str, ...]
    """Names of the files, as the user gave them, or `drawing`; N of them."""
    centred: bool
    """Whether the images were prepared as MNIST was, or else only resized."""
    inverted: tuple[bool, ...]
    """For each image, whether it was dark on light, and so was inverted; never for images that were only resized."""
    predictions: tuple[int, ...]
    """The predicted classes."""
    probabilities: tuple[tuple[float, ...], ...]
    """For each image, those of the ten classes, 0 to 1."""
    images: Array
    """(N, 28, 28) float32 in [0, 1]: the images as the network received them."""


class FiltersShown(NetworkEvent, frozen=True):
    """The kernels of a convolution (the notebook's sections 2.1 and 2.2)."""

    layer: str
    epochs: tuple[int, ...]
    """Epochs whose kernels are stored, ascending."""
    shape: tuple[int, int, int, int]
    """(output channels, input channels, rows, columns)."""
    minimum: float
    maximum: float
    norms: tuple[float, ...]
    """L2 norm of each output channel's kernels."""
    mean_size: float
    """Mean absolute weight."""
    near_zero: int
    """Number of kernels whose L2 norm is less than a tenth of the largest."""
    one_pixel: int
    """Number of the others of whose energy, the sum of squares, one pixel has at least 80 %."""
    weights: Array
    """Float32, of shape `shape`."""


class ActivationsComputed(ImagesEvent, frozen=True):
    """Activations of both convolution blocks for one image, after pooling and ReLU (the notebook's section 2.3)."""

    index: int
    count: int
    """Number of images in the split."""
    actual: int
    predicted: int
    probability: float
    """Of the predicted class, 0 to 1."""
    conv1_strengths: tuple[float, ...]
    """Mean activation of each channel."""
    conv2_strengths: tuple[float, ...]
    image: Array
    """(28, 28) float32 in [0, 1]."""
    conv1: Array
    """(C, H, W) float32, at least 0."""
    conv2: Array
    conv1_mean: Array
    """(H, W) float32: mean over the channels."""
    conv2_mean: Array


class Excitation(Struct, frozen=True, kw_only=True):
    """An image that activates a channel, and the position on the map of its strongest activation."""

    index: int
    """Of the image in its split."""
    value: float
    row: int
    """In the channel's map."""
    column: int


class LayerSurvey(Struct, frozen=True, kw_only=True):
    """One convolution block on a whole split."""

    dead: tuple[int, ...]
    """Channels that are zero everywhere for every image."""
    strongest: tuple[tuple[Excitation, ...], ...]
    """For each channel, the nine images with the highest activations, descending; fewer if it is active on fewer."""
    receptive_field: int
    """Side of the receptive field of a map position, in pixels of the image."""
    step: int
    """Distance between the receptive fields of neighbouring positions, in pixels."""
    start: int
    """The first pixel of the receptive field of position 0; negative where that is padding."""


class ChannelsSurveyed(ImagesEvent, frozen=True):
    """Both convolution blocks were run on a whole split."""

    count: int
    """Number of images."""
    conv1: LayerSurvey
    conv2: LayerSurvey
    indices: Array
    """(M,) int64, ascending: indices of the images in `strongest`."""
    images: Array
    """(M, 28, 28) float32 in [0, 1]: these images."""
