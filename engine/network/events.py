"""What is reported of a network and of the device that it is on."""

from __future__ import annotations

from engine.event import Event


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


class WeightsOpened(Event, frozen=True):
    """A weights file was read and understood."""

    name: str
    variant: str
    """`cnn` or `cnn-bn`, as its keys say."""
    parameters: int
    damaged: int = 0
    """How many of these are no finite number."""


class WeightsRead(Event, frozen=True):
    """A weights file that does not say what network it holds was read, and somebody should know how."""

    name: str
    """Of the file."""
    notes: tuple[str, ...]
    """A line each."""


class NetworkEvent(Event, frozen=True):
    """The base of what was seen in a network."""

    name: str
    """Of its run or weights file; `pretrained:cnn` and `pretrained:cnn-bn`."""
    variant: str
    """`cnn` or `cnn-bn`."""
    epoch: int | None
    """Epochs trained; null where the file does not say."""
