"""What the driver of a sweep and its workers send each other."""

from __future__ import annotations

from msgspec import Struct

from engine.event import Event
from engine.telemetry.events import DevicesSampled
from engine.training.requests import Train


class Order(Struct, frozen=True, kw_only=True):
    """What a worker is to do: train a new run, or resume one."""

    number: int
    """Of the run within the sweep, from 0."""
    sweep: str
    """The name under which the driver asks the sweep's runs to stop."""
    request: Train
    threads: int
    """Number of CPU threads where the request names none."""
    root: str = ""
    """Folder of all runs, where the worker writes to it itself; empty where it sends its files to the driver."""
    resume: str = ""
    """Name of the run to resume; empty for a new one."""
    files: dict[str, bytes] = {}
    """The files of a run to resume that the worker has no other way to read, by their paths within its folder."""
    measure: bool = False
    """Whether to measure how much memory of the GPU the run takes."""
    watch: bool = False
    """Whether to tell how busy the devices of the worker's machine are."""


class Parcel(Struct, frozen=True, kw_only=True):
    """What a worker tells of its run since its last parcel."""

    machine: str = ""
    """In the first parcel: the name of the worker's machine."""
    process: int = 0
    """In the first parcel: the number of the worker's process."""
    events: tuple[Event, ...] = ()
    """In order; of progress only the latest."""
    files: dict[str, bytes] = {}
    """Files of the run folder that have changed, by their paths in it; they belong before the events."""
    refused: str = ""
    """Why the run could not start, or which error ended it, in one line."""
    bad_request: bool = False
    """Whether that is the fault of the request."""
    seconds: float | None = None
    """In the last parcel: the time that this worker spent on the run."""
    gpu_share: float | None = None
    """The measured share of a GPU's memory that the run takes."""
    sample: DevicesSampled | None = None
    """How busy the devices of the worker's machine are."""


class Lost(Struct, frozen=True):
    """Stands for a worker that died."""

    reason: str
