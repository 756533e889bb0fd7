"""What comes back from the laboratory, in the past tense.

Events carry plain values and NumPy arrays, never tensors: nothing that shows an event needs torch. An event is one line
of JSON with its plain values, on standard output and in `events.jsonl` alike; its arrays go into an `.npz`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta, Struct

from engine.words import shown

if TYPE_CHECKING:  # NumPy takes a tenth of a second to import, which the first frame does without
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


Name = Annotated[str, Meta(max_length=255)]
Words = Annotated[str, Meta(max_length=10_000)]
Count = Annotated[int, Meta(ge=0, le=10**12)]
Epoch = Annotated[int, Meta(ge=0, le=100_000)]
"""As many as a request can ask for."""
Amount = Annotated[float, Meta(ge=0, le=1e39)]
Share = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0, le=1e9)]
"""Bounds of what is read back from a disk: a number beyond them was not written by this program."""


class Event(Struct, frozen=True, kw_only=True, tag_field="type"):
    """The base of all events."""


class Progress(Event, frozen=True):
    """An event that the next one of its kind replaces: it is shown, never stored, and may be skipped."""

    at_once: ClassVar[bool] = False
    """Whether somebody waits for just this: a part of a result, rather than how far the work is."""


class WorkAdvanced(Progress, frozen=True):
    """A part of a piece of work was done."""

    words: str
    """What the work is, for people."""
    done: int
    total: int


class EngineLoaded(Event, frozen=True):
    """PyTorch is imported and a device was found."""

    device: str
    """As PyTorch names it: `cpu`, `cuda:0`."""
    device_name: str
    """The product: `NVIDIA H200`, or the number of CPU threads."""
    torch: str
    """PyTorch's version."""


class DeviceFellBack(Event, frozen=True):
    """There is a GPU, and `auto` took the CPU."""

    reason: str
    """One line: `cuda:0 is too old for this PyTorch: on the CPU`."""


class DownloadAdvanced(Progress, frozen=True):
    """A part of a data set arrived."""

    dataset: str
    file: str
    received: int
    """Bytes so far."""
    total: int
    """Bytes in all; 0 where the server did not say."""


class RunStarted(Event, frozen=True):
    """A training run began (or went on)."""

    run: Name
    """Name of the run folder."""
    device: Words
    device_name: Words
    threads: Count
    """CPU threads that PyTorch computes with."""
    versions: Annotated[dict[Words, Words], Meta(max_length=1000)]
    """Of Python, PyTorch and this program."""
    train_size: Count
    val_size: Count
    test_size: Count
    image_shape: tuple[Count, Count, Count]
    """(channels, rows, columns) of one image."""
    parameters: Count
    """Trainable parameters of the network."""
    started: Name
    """ISO 8601, with the time zone."""
    resumed_from: Epoch | None = None
    """Of a run that goes on: the epochs it had finished. Null where it begins."""
    differences: Annotated[tuple[Words, ...], Meta(max_length=1000)] = ()
    """Of a run that goes on: what is no longer as it was, so that the numbers may differ in their last digits."""
    cautions: Annotated[tuple[Words, ...], Meta(max_length=1000)] = ()
    """What the file system of its folder does not do, and what may come of that; each one line."""


class RunPaused(Event, frozen=True):
    """The run waits for somebody to let it go on; all that it needs to go on is on disk."""

    run: Name
    epoch: Epoch
    """Epochs finished."""


class RunContinued(Event, frozen=True):
    """The pause is over."""

    run: Name


class BatchTrained(Progress, frozen=True):
    """A training step was done."""

    epoch: int
    """From 1."""
    epochs: int
    step: int
    """From 1, within the epoch."""
    steps: int
    images_per_second: float
    """Over this epoch so far."""
    running_loss: tuple[float, ...]
    """Mean training loss over each stretch of the epoch done so far (RUNNING_POINTS stretches an epoch)."""


class BatchEvaluated(Progress, frozen=True):
    """A batch of an evaluation was done."""

    split: str
    done: int
    """Images so far."""
    total: int


class EpochFinished(Event, frozen=True):
    """An epoch was trained and evaluated: a line of the notebook's table (its sections 1.1 and 1.6)."""

    epoch: Annotated[int, Meta(ge=1, le=100_000)]
    """From 1."""
    epochs: Annotated[int, Meta(ge=1, le=100_000)]
    train_loss: Amount
    """Mean over the epoch's steps of the cross-entropy of their batch, in nats, as the notebook takes it."""
    val_loss: Amount
    """Mean cross-entropy over the validation images, in nats."""
    val_accuracy: Share
    """0 to 1."""
    test_accuracy: Share
    """0 to 1."""
    train_seconds: Seconds
    eval_seconds: Seconds
    images_per_second: Amount
    """Training images over `train_seconds`."""
    running_loss: Annotated[tuple[Amount, ...], Meta(max_length=1000)]
    """As in BatchTrained, for the whole epoch."""


class RunFinished(Event, frozen=True):
    """All epochs are done."""

    run: Name
    best_epoch: Epoch
    """The epoch of the lowest validation loss: the one in `best.safetensors`."""
    best_val_loss: Amount
    test_accuracy: Share
    """0 to 1, of the best epoch's weights."""
    last_test_accuracy: Share
    """0 to 1, after the last epoch."""


class RunCancelled(Event, frozen=True):
    """The run was stopped; the weights of its last finished epoch are in its folder."""

    run: Name
    epoch: Epoch
    """The last epoch that finished; 0 where none did."""


class RunFailed(Event, frozen=True):
    """The run could not go on; what it had is in its folder."""

    run: Name
    reason: Words
    """One line: what happened and what to do."""


class RunSummary(Struct, frozen=True, kw_only=True):
    """What a list says of a run."""

    name: str
    state: str
    """new, running, paused, finished, cancelled, failed, interrupted (its process died), imported, damaged."""
    variant: str = ""
    dataset: str = ""
    seed: int = 0
    epoch: int = 0
    """Epochs finished."""
    epochs: int = 0
    """Epochs asked for."""
    val_loss: float | None = None
    """The lowest, in nats."""
    test_accuracy: float | None = None
    """Of that epoch's weights, 0 to 1."""
    seconds: float = 0.0
    """Of all epochs together."""
    started: str = ""
    """ISO 8601, when it began or last went on."""
    began: float = 0.0
    """When it first began, in seconds since 1970."""
    note: str = ""
    """What somebody noted; of a damaged run, what is wrong with it."""
    damaged_lines: int = 0
    """Lines of its `events.jsonl` that hold no event, and are left out."""

    @property
    def tags(self) -> tuple[str, ...]:
        """The words of the note that begin with #."""
        return tuple(word for word in self.note.split() if word.startswith("#"))


class RunsListed(Event, frozen=True):
    """The runs of a folder, the newest first."""

    folder: str
    runs: tuple[RunSummary, ...]


class Spread(Struct, frozen=True, kw_only=True):
    """A number over several runs. Of one run all but the mean are NaN, null in JSON."""

    count: int
    mean: float
    deviation: float
    """The standard deviation."""
    low: float
    """The lower end of the mean's 95 % interval."""
    high: float


class RunGroup(Struct, frozen=True, kw_only=True):
    """Runs that differ by their seed alone."""

    label: str
    """What sets it apart, in words; the run's name where nothing does."""
    runs: tuple[str, ...]
    seeds: tuple[int, ...]
    settings: dict[str, Any]
    """The fields in which the groups differ."""
    epochs: tuple[int, ...]
    """Of which the curves tell: of thousands some at equal distances, the same in all groups, and the last."""
    seconds: tuple[float, ...]
    """Mean time at which each of these ends."""
    curves: dict[str, tuple[Spread, ...]]
    """train_loss, val_loss, val_accuracy and test_accuracy after each epoch, over the runs that got so far."""
    results: dict[str, Spread]
    """By the name of the measure."""
    values: dict[str, tuple[float, ...]]
    """The same of each run."""


class Contrast(Struct, frozen=True, kw_only=True):
    """A measure of two groups."""

    measure: str
    first: str
    second: str
    difference: float
    """Of the means, the second less the first."""
    low: float
    """The lower end of its 95 % interval; NaN, null in JSON, where a group is one run."""
    high: float


class RunsCompared(Event, frozen=True):
    """Runs beside one another."""

    groups: tuple[RunGroup, ...]
    differing: tuple[str, ...]
    """The fields in which the groups differ."""
    contrasts: tuple[Contrast, ...]
    """Of each other group with the first, each measure."""


class WeightsOpened(Event, frozen=True):
    """A weights file was read and understood."""

    name: str
    variant: str
    """`cnn` or `cnn-bn`, as its keys say."""
    parameters: int
    damaged: int = 0
    """How many of these are no finite number."""


class Exported(Event, frozen=True):
    """Weights or curves were written in another form, or into a run folder."""

    path: str
    what: str
    """In words."""


class WeightsRead(Event, frozen=True):
    """A weights file that does not say what network it holds was read, and somebody should know how."""

    name: str
    """Of the file."""
    notes: tuple[str, ...]
    """A line each."""


class ReportWritten(Event, frozen=True):
    """A report is on disk."""

    markdown: str
    html: str
    """One file with all figures in it."""
    figures: int
    claims: tuple[tuple[str, str], ...]
    """Of the notebook: the section, and whether the numbers support it, contradict it, or both in part."""
    seconds: float


class NetworkEvent(Event, frozen=True):
    """The base of what was seen in a network."""

    name: str
    """Of its run or weights file; `pretrained:cnn` and `pretrained:cnn-bn`."""
    variant: str
    """`cnn` or `cnn-bn`."""
    epoch: int | None
    """Epochs trained; null where the file does not say."""


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


class DigitEvent(ImagesEvent, frozen=True):
    """The base of what was asked about one image and one class."""

    index: int
    count: int
    """Images in the split."""
    actual: int
    predicted: int
    watched: int
    """The class that is asked about."""
    baseline_probability: float
    """Of the watched class, for the image as it is: 0 to 1."""
    image: Array
    """(28, 28) float32 in [0, 1]."""


class OcclusionMap(DigitEvent, frozen=True):
    """What a network says of an image with a patch at each position on it (the notebook's section 2.4).

    Row r and column c of a map belong to the patch whose left top pixel is (r * stride, c * stride).
    """

    patch_size: int
    """Pixels."""
    stride: int
    fill: str
    covers: Array
    """(28, 28) float32 in [0, 1]: what the patch shows of itself, wherever it is."""
    baseline: Array
    """(10,) float32: the probabilities of all classes for the image as it is."""
    probabilities: Array
    """(rows, columns) float32: of the watched class; NaN where it is not known yet. The notebook's `heat_map`."""
    winners: Array
    """(rows, columns) int64: the class of the highest probability; -1 where it is not known yet."""
    all_probabilities: Array
    """(rows, columns, 10) float32."""

    @property
    def other_answers(self) -> list[tuple[int, int]]:
        """The classes that win where the patch changes the prediction, and at how many positions, the most first."""
        others = self.winners[(self.winners != self.predicted) & (self.winners >= 0)]
        return Counter(others.tolist()).most_common()


class OcclusionMapAdvanced(OcclusionMap, Progress, frozen=True):
    """The map so far."""

    at_once: ClassVar[bool] = True


class StrokeShare(Struct, frozen=True, kw_only=True):
    """Whether the network looks at the strokes: what the patches over them do, against how many they are.

    A patch is over a stroke where it covers a pixel brighter than one half.
    """

    positions: float
    """Share of the positions of the patch that are over a stroke, 0 to 1."""
    drop: float
    """Share of the drop in probability, summed over the map, that is at these positions; NaN where nothing drops."""


class OcclusionMapReady(OcclusionMap, frozen=True):
    """The whole map, with its extremes."""

    minimum: float
    minimum_at: tuple[int, int]
    """(row, column) in the image of the left top pixel of the patch, the first of equals."""
    maximum: float
    maximum_at: tuple[int, int]
    strokes: StrokeShare
    computed: int
    """Positions for which the network was run; at the others the patch changes no pixel."""
    seconds: float
    """For the whole map, pauses for a training step left out."""


class ClassOcclusionReady(ImagesEvent, frozen=True):
    """The occlusion maps of several images of one class, averaged."""

    digit: int
    """Their class."""
    watch: str
    """The class watched, as asked for: it may differ from image to image."""
    averaged: int
    """Images."""
    matching: int
    """Images of this class in the split."""
    patch_size: int
    stride: int
    fill: str
    baseline_probability: float
    """Mean over the images."""
    strokes: StrokeShare
    """The mean of the shares of positions; of the drops of all images together, the share that is over strokes."""
    mean_image: Array
    """(28, 28) float32."""
    mean_probabilities: Array
    """(rows, columns) float32: mean over the images of the probability of the class watched."""
    deviation: Array
    """(rows, columns) float32: its standard deviation over the images; 0 for one image."""
    changed: Array
    """(rows, columns) float32: share of the images whose predicted class the patch changes there."""

    @property
    def minimum_at(self) -> tuple[int, int]:
        """(row, column) in the image of the left top pixel of the patch where the mean is lowest."""
        return self._pixel(int(self.mean_probabilities.argmin()))

    @property
    def most_changed_at(self) -> tuple[int, int]:
        """The same where the patch changes most predictions."""
        return self._pixel(int(self.changed.argmax()))

    def _pixel(self, position: int) -> tuple[int, int]:
        row, column = divmod(position, self.changed.shape[1])
        return row * self.stride, column * self.stride


class FaithfulnessCurve(Struct, frozen=True, kw_only=True):
    """The probability of the watched class as pixels go, or come, in the order of a map."""

    values: tuple[float, ...]
    """At each of the event's `shares`; where averaged, the mean over the images."""
    area: float
    """Under the curve, 0 to 1: its mean over the shares, by trapezoids."""
    spread: tuple[float, ...] = ()
    """Where averaged: the standard deviation over the images at each share."""
    area_spread: float = 0.0
    """Where averaged: the standard deviation over the images of the area."""

    def band(self) -> tuple[list[float], list[float]]:
        """One standard deviation below and above the values, within 0 and 1; empty where there is none."""
        pairs = list(zip(self.values, self.spread, strict=True)) if self.spread else []
        return [max(value - spread, 0.0) for value, spread in pairs], [
            min(value + spread, 1.0) for value, spread in pairs
        ]

    def summary(self, sign: str) -> str:
        """The area in words, with `sign` before its standard deviation where there is one."""
        return f"{self.area:.3f}" + (f" {sign} {self.area_spread:.2f}" if self.spread else "")


class Faithfulness(Struct, frozen=True, kw_only=True):
    """What is known of how far the maps of one method tell the truth."""

    method: str
    """Or `random`: pixels in random order, what each method should beat."""
    deletion: FaithfulnessCurve
    """Pixels become black, the highest of the map first: the lower the area, the better (Petsiuk et al. 2018)."""
    insertion: FaithfulnessCurve
    """On black, pixels appear, the highest of the map first: the higher the area, the better."""
    completeness: tuple[float, float] | None = None
    """Of integrated gradients: the sum of the map, and the difference of the class's logit between image and black.

    The two are equal but for the error of the integral (Sundararajan et al. 2017).
    """
    similarities: tuple[float, ...] = ()
    """Spearman rank correlation of the map with the map after each of the event's `stages` (Adebayo et al. 2018), mean
    over the images; NaN where all maps are flat. Near 0: the map depends on the weights."""
    change: float | None = None
    """1 minus the mean of `similarities`."""


def best_method(measured: Sequence[Faithfulness], curve: Literal["deletion", "insertion"]) -> str:
    """The method with the best area under `curve`, the first of equals; empty where there is none but random order."""
    found = {each.method: getattr(each, curve).area for each in measured if each.method != "random"}
    best = min if curve == "deletion" else max
    return best(found, key=lambda method: found[method], default="")


class AttributionsComputed(DigitEvent, frozen=True):
    """What each pixel did for a class, by one method or by all."""

    shares: tuple[float, ...]
    """Of the pixels, 0 to 1: where the curves are measured."""
    faithfulness: tuple[Faithfulness, ...]
    """Of each method in `methods`, then of random order."""
    methods: tuple[str, ...]
    maps: Array
    """(methods, 28, 28) float32: the higher, the more the pixel speaks for the class. Saliency, SmoothGrad and Grad-CAM
    are at least 0; of occlusion it is the mean drop in probability of the patches over the pixel."""


class FaithfulnessMeasured(ImagesEvent, frozen=True):
    """Deletion, insertion and randomisation over many images."""

    watch: str
    averaged: int
    """Images: the first of the split."""
    randomised: int
    """Of these, images whose maps were compared with those of random weights; 0 where that was not asked for."""
    stages: tuple[str, ...]
    """The layers that become random, one after the other."""
    shares: tuple[float, ...]
    faithfulness: tuple[Faithfulness, ...]


class FigureSaved(Event, frozen=True):
    """A figure was drawn and is on disk."""

    path: str


class JobFailed(Event, frozen=True):
    """A job ended in an error before it had a run."""

    reason: str
    """One line: what happened and what to do."""
    bad_request: bool
    """True where the input was wrong rather than the work."""


class Cancelled(Exception):
    """Thrown into the generator of a job by whoever wants it to stop: it says its last words and ends."""


class PauseAsked(Exception):
    """Thrown into the generator of a job that is about to be paused: what it then says comes before the pause."""


RunEvent = RunStarted | EpochFinished | RunPaused | RunContinued | RunFinished | RunCancelled | RunFailed
"""What `events.jsonl` holds."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(RunEvent)
_KNOWN = frozenset(kind.__name__ for kind in get_args(RunEvent))


class _Tag(Struct):
    type: str


_tag_decoder = msgspec.json.Decoder(_Tag)


class DamagedLine(Struct, frozen=True):
    """In the place of a line of an `events.jsonl` that holds no event: a crash or another program left it there."""


def arrays(event: Event) -> dict[str, Array]:
    """The arrays of an event by name: what its `.npz` holds."""
    values = ((name, getattr(event, name)) for name in event.__struct_fields__)
    return {name: value for name, value in values if hasattr(value, "dtype")}


def to_json(event: Event) -> bytes:
    """The event as one line of JSON, without its arrays and without the line's end. NaN and infinity become null.

    Names are bytes to the system and need not be text: those that are none are written as people are shown them.
    """
    left_out = arrays(event)
    plain: Any = event
    if left_out:
        plain = {name: getattr(event, name) for name in event.__struct_fields__ if name not in left_out}
        plain = {"type": type(event).__name__} | plain
    try:
        return _encoder.encode(plain)
    except UnicodeEncodeError:
        return _encoder.encode(_text(msgspec.to_builtins(plain)))


def _text(value: Any) -> Any:
    """`value`, of plain kinds, with all that is no text escaped."""
    match value:
        case str():
            return value if value.isascii() else "".join(shown(c) if "\ud800" <= c <= "\udfff" else c for c in value)
        case dict():
            return {_text(key): _text(each) for key, each in value.items()}
        case list() | tuple():
            return [_text(each) for each in value]
        case _:
            return value


def read_json_lines(data: bytes) -> Iterator[RunEvent | DamagedLine]:
    """The events of an `events.jsonl`, and a mark in the place of each line that holds none.

    A last line without its end is being written, or was cut off by a kill: it is left out. So is a line of a type that
    this version does not know: a later one may have written it.
    """
    for line in data[: data.rfind(b"\n") + 1].splitlines():
        try:
            yield _decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            if not _of_a_later_version(line):
                yield DamagedLine()


def _of_a_later_version(line: bytes) -> bool:
    try:
        return _tag_decoder.decode(line).type not in _KNOWN
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
