"""The events of a training run: those stored in `events.jsonl`, and progress, which is not stored."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal, get_args

from msgspec import Meta, Struct

from engine.event import Amount, Count, Epoch, Event, Name, Progress, Seconds, Share, Words
from engine.telemetry.events import Usage
from engine.words import percent

DIVERGED = "the loss is no longer a finite number"
"""The beginning of the reason of a run that failed because it diverged."""


ROBUST_IMAGES = 1000
"""Number of validation images, the first, that are attacked, and certified, after each epoch of a robust objective."""
ROBUST_STEPS = 10
"""Steps of PGD, the attack."""


class Robustness(Struct, frozen=True, kw_only=True):
    """How robust the best epoch is; both are null for objective clean, and the second for one without bounds."""

    robust_accuracy: Share | None = None
    """As `EpochFinished.robust_accuracy`."""
    certified_accuracy: Share | None = None
    """As `EpochFinished.certified_accuracy`."""


class RunStarted(Event, frozen=True):
    """A training run was started or resumed."""

    run: Name
    """Name of the run folder."""
    device: Words
    device_name: Words
    threads: Count
    """Number of CPU threads that PyTorch uses."""
    versions: Annotated[dict[Words, Words], Meta(max_length=1000)]
    """Versions of Python, PyTorch and this program."""
    train_size: Count
    val_size: Count
    test_size: Count
    image_shape: tuple[Count, Count, Count]
    """(channels, rows, columns) of one image."""
    parameters: Count
    """Number of trainable parameters of the network."""
    started: Name
    """ISO 8601, with the time zone."""
    resumed_from: Epoch | None = None
    """For a resumed run: the number of epochs it had finished; null for a new run."""
    differences: Annotated[tuple[Words, ...], Meta(max_length=1000)] = ()
    """For a resumed run: what has changed since, so that the numbers may differ in their last digits."""
    cautions: Annotated[tuple[Words, ...], Meta(max_length=1000)] = ()
    """Operations that the file system of its folder does not support, and the possible consequences, a line each."""
    graph: bool | None = None
    """Whether a training step is one CUDA graph; false where a GPU could not capture it; null on a CPU."""


class RunPaused(Event, frozen=True):
    """The run is paused; everything needed to resume it is on disk."""

    run: Name
    epoch: Epoch
    """Number of finished epochs."""


class RunContinued(Event, frozen=True):
    """The pause ended."""

    run: Name


class BatchTrained(Progress, frozen=True):
    """A training step was done; on a GPU, all steps of a chunk (RUNNING_POINTS chunks an epoch)."""

    epoch: int
    """From 1."""
    epochs: int
    step: int
    """From 1, within the epoch."""
    steps: int
    images_per_second: float
    """Mean over this epoch so far."""
    running_loss: tuple[float, ...]
    """Mean training loss over each stretch of the epoch done so far (RUNNING_POINTS stretches an epoch)."""


class BatchEvaluated(Progress, frozen=True):
    """A batch of an evaluation was done."""

    split: str
    """The split, or `attacked` or `certified` for its first images in these trials, or `probe`."""
    done: int
    """Number of images so far."""
    total: int


Counts = Annotated[tuple[Count, ...], Meta(max_length=1000)]
Kind = Literal["weights", "gradients", "activations"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""What there are histograms of."""


class Histogram(Struct, frozen=True, kw_only=True):
    """How many values are of which sign and magnitude, in bins that are the same everywhere: two for each power of two.

    Bin 2e is from 2^e to 1.5 * 2^e, bin 2e + 1 from there to 2^(e+1). There are bins from -64 (2^-32) to 39 (up to
    2^20); the last one also has all that is larger.
    """

    first: Annotated[int, Meta(ge=-1000, le=1000)]
    """The number of the first bin of both tuples."""
    negative: Counts
    """The numbers of negative values, from the smallest magnitude to the largest; empty where there are none."""
    zero: Count
    """The number of values below 2^-32."""
    positive: Counts
    """The numbers of positive values, likewise."""

    @property
    def total(self) -> int:
        """The number of all values."""
        return sum(self.negative) + self.zero + sum(self.positive)

    def bins(self) -> list[tuple[float, float, int]]:
        """Lower edge, upper edge and number of values of each bin, ascending; those near zero are one bin."""
        below, above = (
            [(edge(self.first + place), edge(self.first + place + 1)) for place in range(len(side))]
            for side in (self.negative, self.positive)
        )
        near = edge(self.first)
        negative = [(-high, -low, count) for (low, high), count in zip(below, self.negative, strict=True)]
        positive = [(low, high, count) for (low, high), count in zip(above, self.positive, strict=True)]
        return [*reversed(negative), (-near, near, self.zero), *positive]


def edge(number: int) -> float:
    """The lower edge of a bin of `Histogram`, without its sign."""
    return math.ldexp(1.5 if number % 2 else 1.0, number // 2)


class LayerInsides(Struct, frozen=True, kw_only=True):
    """A layer after an epoch; norms are Euclidean, of all of its weights without the biases."""

    layer: Name
    """conv1, conv2, hidden or output."""
    weights: Histogram
    gradients: Histogram
    """Of the mean loss over the probe, by each weight."""
    activations: Histogram
    """Its outputs for the whole probe: after pooling and ReLU, for the output layer the logits."""
    weight_norm: Amount
    gradient_norm: Amount
    update_norm: Amount
    """Of what the last training step has added to the weights."""
    dead: Share | None = None
    """The share of its units whose output is zero for all of the probe, 0 to 1: of the channels of a convolution, at
    all places, or of the hidden units. Null for the output layer, which has no ReLU."""

    @property
    def update_ratio(self) -> float | None:
        """The norm of the last update, divided by that of the weights; None where all weights are zero."""
        return self.update_norm / self.weight_norm if self.weight_norm else None

    def histogram(self, kind: Kind) -> Histogram:
        """One of its histograms."""
        found: Histogram = getattr(self, kind)
        return found


class Insides(Struct, frozen=True, kw_only=True):
    """The layers after an epoch, on a probe of fixed training images."""

    images: Count
    """Number of images of the probe, the first of the training split."""
    batch: Count
    """Number of images of each of the small batches that it consists of."""
    layers: Annotated[tuple[LayerInsides, ...], Meta(max_length=100)]
    """From the first to the last."""
    gradient_square: Annotated[float, Meta(ge=-1e39, le=1e39)]
    """An unbiased estimate of |G|^2, the square of the true gradient's norm; below zero where noise outweighs it."""
    gradient_variance: Amount
    """An unbiased estimate of tr(S), the sum of the variances of the gradient of one image."""

    @property
    def noise_scale(self) -> float | None:
        """The simple gradient noise scale tr(S) / |G|^2 (McCandlish et al. 2018, equation 2.9), in images: up to about
        this batch size, larger batches save steps. None where the probe is too small to tell the gradient from noise.
        """
        return self.gradient_variance / self.gradient_square if self.gradient_square > 0 else None


class EpochFinished(Event, frozen=True):
    """An epoch was trained and evaluated: a line of the notebook's table (sections 1.1 and 1.6).

    Of a run, it comes when the weights and the state of the epoch are on disk, while the next epoch may be under way.
    """

    epoch: Annotated[int, Meta(ge=1, le=100_000)]
    """From 1."""
    epochs: Annotated[int, Meta(ge=1, le=100_000)]
    train_loss: Amount
    """Mean over the epoch's steps of the cross-entropy of each batch, in nats, as in the notebook."""
    val_loss: Amount
    """Mean cross-entropy over the validation images, in nats."""
    val_accuracy: Share
    """0 to 1."""
    test_accuracy: Share
    """0 to 1."""
    train_seconds: Seconds
    eval_seconds: Seconds
    images_per_second: Amount
    """Number of training images divided by `train_seconds`."""
    running_loss: Annotated[tuple[Amount, ...], Meta(max_length=1000)]
    """As in BatchTrained, for the whole epoch."""
    usage: Usage | None = None
    """What it used of the devices; null where nothing was measured, as in a benchmark."""
    robust_accuracy: Share | None = None
    """Accuracy under PGD of 10 steps from a random start, at the training epsilon (L-inf), on the first 1,000
    validation images, 0 to 1: an upper bound of the share that no attack changes. Null for objective clean."""
    certified_accuracy: Share | None = None
    """The share of the same images whose class interval bounds prove at the training epsilon, 0 to 1. Null for an
    objective without bounds."""
    insides: Insides | None = None
    """Weights, gradients and activations of each layer; null where the run does not measure them."""
    test_wrong: Annotated[bytes, Meta(max_length=10_000)] = b""
    """Which test images were not recognised, as `engine.training.answers.packed` has it, of the network that
    `test_accuracy` is of; in JSON in base 64. Empty in runs of older versions, which did not record it."""

    @property
    def merit(self) -> tuple[float, float]:
        """What the best epoch of a run has the highest of: certified accuracy where there is one, else robust accuracy
        where there is one, and then the lowest validation loss."""
        return merit(self.certified_accuracy, self.robust_accuracy, self.val_loss)

    @property
    def choice(self) -> str:
        """That figure as text: `certified accuracy 91.20 %`, `robust accuracy 92.40 %` or `validation loss 0.0391`."""
        return choice(self.certified_accuracy, self.robust_accuracy, self.val_loss)


class RobustnessCollapsed(Event, frozen=True):
    """Robust accuracy fell to nearly nothing within an epoch: catastrophic overfitting (Wong et al. 2020), in which the
    network learns to withstand only the steps that it is trained against. The best weights stay those of before."""

    run: Name
    epoch: Epoch
    """The epoch after which it was found."""
    before: Share
    """The highest robust accuracy of the epochs before, 0 to 1."""
    after: Share
    """Robust accuracy after this epoch, 0 to 1."""

    @property
    def words(self) -> str:
        """What happened, and what to do, in one sentence."""
        return (
            f"robust accuracy fell from {percent(self.before)} to {percent(self.after)} in epoch {self.epoch}: the "
            "network withstands only the steps that it is trained against; the best weights so far are kept; train "
            "with objective pgd, or with a smaller attack step size"
        )


class RunFinished(Event, Robustness, frozen=True):
    """All epochs are done."""

    run: Name
    best_epoch: Epoch
    """The epoch whose weights are in `best.safetensors`: that of the highest `EpochFinished.merit`."""
    best_val_loss: Amount
    """The validation loss of the best epoch."""
    test_accuracy: Share
    """Of the weights of the best epoch, 0 to 1."""
    last_test_accuracy: Share
    """After the last epoch, 0 to 1."""

    @property
    def choice(self) -> str:
        """The figure by which the best epoch is the best, as text, as `EpochFinished.choice`."""
        return choice(self.certified_accuracy, self.robust_accuracy, self.best_val_loss)


class RunCancelled(Event, frozen=True):
    """The run was stopped; the weights of its last finished epoch are in its folder."""

    run: Name
    epoch: Epoch
    """The last finished epoch; 0 if there is none."""


class RunFailed(Event, frozen=True):
    """The run failed; what it had done so far is in its folder."""

    run: Name
    reason: Words
    """One line: what happened and what to do."""


class LearningRatesTried(Progress, frozen=True):
    """The losses so far of a learning-rate range test."""

    at_once: ClassVar[bool] = True
    rates: tuple[float, ...]
    """The learning rates of the steps so far, ascending."""
    losses: tuple[float, ...]
    """The loss of the batch of each of these steps, before the step, in nats."""
    smoothed: tuple[float, ...]
    """The same, smoothed over neighbouring steps."""
    lowest: float
    """The first of all rates to try."""
    highest: float
    """The last of them."""


class LearningRateFound(Event, frozen=True):
    """A learning-rate range test (Smith 2017, arXiv:1506.01186) is over: a step at each of many rates that rise."""

    variant: str
    """`cnn` or `cnn-bn`."""
    dataset: str
    objective: str
    batch_size: int
    seed: int
    device: str
    device_name: str
    lowest: float
    """The lowest rate asked for."""
    highest: float
    """The highest rate asked for."""
    steps: int
    """The number of steps asked for."""
    rates: tuple[float, ...]
    """The learning rates of the steps that were taken and had a finite loss, ascending."""
    losses: tuple[float, ...]
    """The loss of the batch of each of these steps, before the step, in nats."""
    smoothed: tuple[float, ...]
    """The same, smoothed over neighbouring steps."""
    diverged: bool
    """Whether it ended before the highest rate because the loss diverged."""
    stopped: bool
    """Whether the user ended it before the highest rate."""
    steepest: float | None
    """The rate at which the smoothed loss falls fastest; null where it hardly falls."""
    rises_from: float | None
    """The rate with the lowest smoothed loss; null where it hardly falls, or is lowest at the last rate."""
    suggested: float | None
    """A tenth of `rises_from`, to two digits; null where that is."""

    @property
    def words(self) -> str:
        """What the losses say, and why, in one sentence."""
        if self.steepest is None:
            return f"no suggestion: {self._no_fall}"
        falls = f"steepest fall at {self.steepest:.1e}"
        if self.rises_from is None or self.suggested is None:
            last = f"{self.rates[-1]:.1e}"
            advice = "let it go on to higher rates" if self.stopped else "try a higher rate as the highest"
            return f"{falls}; the loss still falls at {last}, the last rate tried, so no suggestion: {advice}"
        return f"{falls}; the loss rises from {self.rises_from:.1e}; suggested {self.suggested:g}, a tenth of that"

    @property
    def _no_fall(self) -> str:
        if not self.losses:
            return "the loss is not a finite number at the lowest rate"
        where = f"from {self.rates[0]:.1e} to {self.rates[-1]:.1e}"
        advice = "a lower rate as the lowest" if self.diverged else "more steps, or a higher rate as the highest"
        return f"the loss does not fall by a tenth at the rates {where}: try {advice}"

    @property
    def ending(self) -> str:
        """How it ended, if before the highest rate: a few words; else empty."""
        if not (self.diverged or self.stopped):
            return ""
        at = f" at {self.rates[-1]:.1e}" if self.rates else ""
        return f"the loss diverged{at}" if self.diverged else f"stopped{at}"


def merit(certified: float | None, robust: float | None, loss: float) -> tuple[float, float]:
    """The order of epochs, or of runs with the same objective: the best has the highest."""
    return (certified if certified is not None else robust or 0.0), -loss


def choice(certified: float | None, robust: float | None, loss: float) -> str:
    """The figure that decides about the merit, as text."""
    if certified is not None:
        return f"certified accuracy {percent(certified)}"
    return f"validation loss {loss:.4f}" if robust is None else f"robust accuracy {percent(robust)}"
