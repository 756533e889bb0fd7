"""The events of learning: when a run recognised each image, and when it forgot it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from engine.inspection.events import ImagesEvent

if TYPE_CHECKING:
    from engine.event import Array


class LearnedDigit(Struct, frozen=True, kw_only=True):
    """When a run recognised one image, by the epochs with a record."""

    index: int
    """Index of the image in the split."""
    label: int
    first: int | None
    """The first epoch after which it was recognised; null if there is none."""
    learned: int | None
    """The first epoch from which on it was always recognised; null if it was not after the last one."""
    forgotten: int
    """Number of forgetting events (Toneva et al. 2019, arXiv:1812.05159): it was recognised after an epoch, and not
    after the next."""
    right: int
    """Number of epochs after which it was recognised."""


class LearningShown(ImagesEvent, frozen=True):
    """When a run learned each image of the test split, which no weight is trained on, and how often it forgot it.

    All that is said of epochs is of those with a record, each compared with the one before it.
    """

    count: int
    """N, the number of images."""
    epochs: tuple[int, ...]
    """The E epochs with a record, ascending."""
    missing: int
    """Number of other finished epochs, of which there is no record."""
    right: tuple[int, ...]
    """Number of images recognised after each of the epochs."""
    learned: tuple[int, ...]
    """Number of images recognised after each of the epochs and not after the one before; of the first, of all."""
    forgotten: tuple[int, ...]
    """Number of images not recognised after each of the epochs, but after the one before."""
    by_forgetting: tuple[int, ...]
    """Number of images forgotten 0, 1, 2 ... times; those that were never recognised are in `never`, and not here."""
    never: int
    """Number of images that were not recognised after any of the epochs."""
    most_forgotten: tuple[LearnedDigit, ...]
    """The images forgotten most often, the most often forgotten first."""
    last_learned: tuple[LearnedDigit, ...]
    """Those learned for good after the first of the epochs, the latest first."""
    never_right: tuple[LearnedDigit, ...]
    """Those in `never`, by index."""
    first_epochs: Array
    """(N,) int64: the first epoch after which each image was recognised, 0 for none."""
    learned_epochs: Array
    """(N,) int64: the epoch from which on each image was always recognised, 0 where it was not after the last one."""
    forgettings: Array
    """(N,) int64: how often each image was forgotten."""
    right_bits: Array
    """(E, N / 8 rounded up) uint8: a bit for each image, set where it was recognised after the epoch; the first image
    is the highest bit of the first byte."""
    indices: Array
    """(M,) int64, ascending: indices of the images listed."""
    images: Array
    """(M, 28, 28) float32 in [0, 1]: these images."""
