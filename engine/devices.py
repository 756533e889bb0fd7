"""Which device computes, what it is called, and how this process uses it."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import torch

from engine.requests import DeviceName, RequestError


def choose_device(name: DeviceName) -> torch.device:
    """The device for `name`; `auto` takes the first GPU if there is one. Raises RequestError where there is none."""
    if name == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        # The same seed gives the same weights only if cuDNN takes the same algorithm every time.
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False
        return torch.device("cuda", torch.cuda.current_device())
    if name == "cuda":
        raise RequestError("there is no CUDA GPU that PyTorch can use: take --device cpu")
    return torch.device("cpu")


def device_name(device: torch.device) -> str:
    """The product, for people: `NVIDIA H200`, `2 threads of x86_64`."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{threads} thread{'s' if threads != 1 else ''} of {platform.machine()}"


def set_threads(threads: int) -> int:
    """Let PyTorch compute with `threads` CPU threads (0: its own choice); returns how many it is."""
    default = _default_threads()  # asked for before anybody changes it
    torch.set_num_threads(threads or default)
    return torch.get_num_threads()


@cache
def _default_threads() -> int:
    return torch.get_num_threads()


def versions() -> dict[str, str]:
    """What a run's numbers depend on, by name."""
    try:
        own = version("mnist-tui")
    except PackageNotFoundError:  # run from a checkout that is not installed
        own = "checkout"
    return {"mnist-tui": own, "python": platform.python_version(), "torch": str(torch.__version__)}
