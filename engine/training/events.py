"""What is reported of a training run: what `events.jsonl` holds, and the progress that it does not."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from engine.event import Amount, Count, Epoch, Event, Name, Progress, Seconds, Share, Words


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
