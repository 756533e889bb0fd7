"""The events of a network, its weights file and its device."""

from __future__ import annotations

from engine.event import Event


class EngineLoaded(Event, frozen=True):
    """PyTorch was imported and a device chosen."""

    device: str
    """PyTorch's name of the device: `cpu`, `cuda:0`."""
    device_name: str
    """The name shown to the user: `NVIDIA H200`, or the number of CPU threads."""
    torch: str
    """The version of PyTorch."""


class DeviceFellBack(Event, frozen=True):
    """`auto` chose the CPU although there is a GPU."""

    reason: str
    """One line: `cuda:0 is too old for this PyTorch: using the CPU`."""


class WeightsOpened(Event, frozen=True):
    """A weights file was read."""

    name: str
    variant: str
    """`cnn` or `cnn-bn`, according to its keys."""
    parameters: int
    damaged: int = 0
    """The number of these that are not finite."""


class WeightsRead(Event, frozen=True):
    """A third-party weights file was read, under assumptions that the user should know."""

    name: str
    """Name of the file."""
    notes: tuple[str, ...]
    """The assumptions, a line each."""


class NetworkEvent(Event, frozen=True):
    """The base of events about a network."""

    name: str
    """Name of its run or weights file, or `pretrained:` and the name of a bundled network."""
    variant: str
    """`cnn` or `cnn-bn`."""
    epoch: int | None
    """Number of epochs trained; null where the file does not record it."""
