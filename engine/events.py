"""What comes back from the laboratory, in the past tense.

Events carry plain values and NumPy arrays, never tensors: nothing that shows an event needs torch. An event of a run is
one line of JSON, on standard output and in `events.jsonl` alike.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct


class Event(Struct, frozen=True, kw_only=True, tag_field="type"):
    """The base of all events."""


class Progress(Event, frozen=True):
    """An event that the next one of its kind replaces: it is shown, never stored, and may be skipped."""


class EngineLoaded(Event, frozen=True):
    """PyTorch is imported and a device was found."""

    device: str
    """As PyTorch names it: `cpu`, `cuda:0`."""
    device_name: str
    """The product: `NVIDIA H200`, or the number of CPU threads."""
    torch: str
    """PyTorch's version."""


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

    run: str
    """Name of the run folder."""
    device: str
    device_name: str
    threads: int
    """CPU threads that PyTorch computes with."""
    versions: dict[str, str]
    """Of Python, PyTorch and this program."""
    train_size: int
    val_size: int
    test_size: int
    image_shape: tuple[int, int, int]
    """(channels, rows, columns) of one image."""
    parameters: int
    """Trainable parameters of the network."""
    started: str
    """ISO 8601, with the time zone."""


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

    epoch: int
    """From 1."""
    epochs: int
    train_loss: float
    """Mean over the epoch's steps of the cross-entropy of their batch, in nats, as the notebook takes it."""
    val_loss: float
    """Mean cross-entropy over the validation images, in nats."""
    val_accuracy: float
    """0 to 1."""
    test_accuracy: float
    """0 to 1."""
    train_seconds: float
    eval_seconds: float
    images_per_second: float
    """Training images over `train_seconds`."""
    running_loss: tuple[float, ...]
    """As in BatchTrained, for the whole epoch."""


class RunFinished(Event, frozen=True):
    """All epochs are done."""

    run: str
    best_epoch: int
    """The epoch of the lowest validation loss: the one in `best.safetensors`."""
    best_val_loss: float
    test_accuracy: float
    """0 to 1, of the best epoch's weights."""
    last_test_accuracy: float
    """0 to 1, after the last epoch."""


class RunCancelled(Event, frozen=True):
    """The run was stopped; the weights of its last finished epoch are in its folder."""

    run: str
    epoch: int
    """The last epoch that finished; 0 where none did."""


class RunFailed(Event, frozen=True):
    """The run could not go on; what it had is in its folder."""

    run: str
    reason: str
    """One line: what happened and what to do."""


class WeightsOpened(Event, frozen=True):
    """A weights file was read and understood."""

    name: str
    variant: str
    """`cnn` or `cnn-bn`, as its keys say."""
    parameters: int


class JobFailed(Event, frozen=True):
    """A job ended in an error before it had a run."""

    reason: str
    """One line: what happened and what to do."""
    bad_request: bool
    """True where the input was wrong rather than the work."""


class Cancelled(Exception):
    """Thrown into the generator of a job by whoever wants it to stop: it says its last words and ends."""


RunEvent = RunStarted | EpochFinished | RunFinished | RunCancelled | RunFailed
"""What `events.jsonl` holds."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(RunEvent)


def to_json(event: Event) -> bytes:
    """The event as one line of JSON, without the line's end. NaN and infinity become null."""
    return _encoder.encode(event)


def read_json_lines(data: bytes) -> Iterator[RunEvent]:
    """The events of an `events.jsonl`.

    A last line without its end is being written, or was cut off by a kill: it is left out. A line of a type that this
    version does not know is left out too. Raises msgspec.DecodeError for a line that is no JSON.
    """
    for line in data[: data.rfind(b"\n") + 1].splitlines():
        try:
            yield _decoder.decode(line)
        except msgspec.ValidationError:
            continue
