"""The events of the benchmark."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from engine.event import Event

SectionName = Literal["training", "machine", "occlusion", "attacks", "app"]
Unit = Literal["s", "ms", "GFLOP/s", "%", "kB/s"]
REACHED = "reached by a training step"
"""The name of the row of section `machine` that relates training to the machine's rates."""


def three_digits(amount: float) -> str:
    """An amount as people read it: `1,072`, `20.3`, `5.68`."""
    return f"{amount:,.0f}" if amount >= 100 else f"{amount:.{2 if amount < 10 else 1}f}"


class Measurement(Struct, frozen=True, kw_only=True):
    """A row of the benchmark: a figure of this program or of the machine, and that of a peer where there is one."""

    section: SectionName
    name: str
    """What was measured, such as `step of 64 images`. Unique together with `section`, `variant` and `peer`."""
    variant: str = ""
    """`cnn` or `cnn-bn`; empty where no network is involved."""
    precision: str = ""
    """The precision of products and convolutions; empty where the operation chooses it."""
    unit: Unit
    median: float
    low: float
    high: float
    """The median over all rounds, and their range."""
    rounds: int
    """How often it was measured."""
    peer: str = ""
    """What it is compared with, such as `notebook`; empty for a figure by itself."""
    peer_median: float | None = None
    """The same figure of the peer."""
    ratio: float | None = None
    """The peer's over this program's, both of one round: the median over all rounds. More than 1 is faster."""
    ratio_low: float | None = None
    ratio_high: float | None = None
    note: str = ""
    """How it was measured, where that is not the whole."""

    @classmethod
    def of(
        cls,
        section: SectionName,
        name: str,
        unit: Unit,
        ours: Sequence[float],
        theirs: Sequence[float] = (),
        *,
        scale: float = 1.0,
        variant: str = "",
        precision: str = "",
        peer: str = "",
        note: str = "",
    ) -> Measurement:
        """The row of what was measured, each value times `scale`: `ours` and, of a `peer`, `theirs`, by round."""
        found = [scale * value for value in ours]
        row = cls(
            section=section,
            name=name,
            variant=variant,
            precision=precision,
            unit=unit,
            median=statistics.median(found),
            low=min(found),
            high=max(found),
            rounds=len(found),
            note=note,
        )
        if not peer:
            return row
        ratios = [their / our for our, their in zip(ours, theirs, strict=True)]
        return replace(
            row,
            peer=peer,
            peer_median=scale * statistics.median(theirs),
            ratio=statistics.median(ratios),
            ratio_low=min(ratios),
            ratio_high=max(ratios),
        )


class BenchFinished(Event, frozen=True):
    """Everything was measured."""

    rows: tuple[Measurement, ...]
    quick: bool
    device: str
    """PyTorch's name of the device: `cpu`, `cuda:0`."""
    device_name: str
    """`NVIDIA H200`, or the number of CPU threads."""
    threads: int
    """Number of CPU threads that PyTorch used."""
    machine: dict[str, str]
    """Processor, instruction set, limits of the libraries and, for a GPU, its driver."""
    versions: dict[str, str]
    """Versions of Python, PyTorch, torchvision, Captum and this program."""
    seconds: float
    """How long the benchmark took."""
