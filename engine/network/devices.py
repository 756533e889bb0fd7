"""The choice of the device, its name, and the number of CPU threads."""

from __future__ import annotations

import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version

import torch

from engine.network import gpu
from engine.network.cores import cores
from engine.request import RequestError

_default_threads = [min(torch.get_num_threads(), cores())]
"""The number of CPU threads where none is asked for."""
torch.set_num_threads(_default_threads[0])  # for the whole process, before other threads start

_taken: list[torch.device] = []
"""The GPU that `auto` has chosen, if any. The choice stays, however little memory this process then leaves on it."""


def choose_device(name: str) -> torch.device:
    """The device for `name`: auto, cpu, cuda or cuda:N. `auto` takes the first usable GPU.

    Raises RequestError where the device does not exist or is not usable, and DeviceFailed where this process has lost
    its GPU. The first check of a GPU takes seconds.
    """
    if name == "cpu":
        return torch.device("cpu")
    gpu.check_not_lost()
    device = _automatic()[0] if name == "auto" else _asked(name)
    if device.type == "cuda":
        gpu.compute_exactly()
        torch.cuda.set_device(device)  # of this thread
    return device


def fallback() -> str:
    """Why `auto` takes the CPU although there is a GPU, in one line; else empty."""
    return _automatic()[1]


def _asked(name: str) -> torch.device:
    found, why = gpu.count()
    if not found:
        raise RequestError(f"{why or 'there is no CUDA GPU that PyTorch can use'}: use --device cpu")
    device = torch.device("cuda", torch.device(name).index or 0)
    if device.index >= found:
        raise RequestError(f"there is no {device}: the last GPU is cuda:{found - 1}")
    if why := gpu.probe(device):
        raise RequestError(f"{why}: use --device cpu")
    return device


def _automatic() -> tuple[torch.device, str]:
    """The device that `auto` takes, and why it is not a GPU if there is one."""
    if _taken:
        return _taken[0], ""
    found, why = gpu.count()
    reasons = [why] if why else []
    for device in (torch.device("cuda", number) for number in range(found)):
        reason = gpu.probe(device) or gpu.short_of_memory(device)
        if not reason:
            _taken.append(device)
            return device, ""
        reasons.append(reason)
    return torch.device("cpu"), f"{'; '.join(reasons)}: using the CPU" if reasons else ""


def device_name(device: torch.device) -> str:
    """The device's name as shown to the user: `NVIDIA H200`, `2 threads of x86_64`."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{threads} thread{'s' if threads != 1 else ''} of {platform.machine()}"


def device_uuid(device: torch.device) -> str:
    """What identifies a GPU among all of the machine, whatever its number here; empty for a CPU."""
    return str(getattr(torch.cuda.get_device_properties(device), "uuid", "")) if device.type == "cuda" else ""


def set_threads(threads: int) -> int:
    """Set the number of CPU threads of PyTorch to `threads` (0: the default); returns the number.

    The default is PyTorch's own choice, but at most as many as this process may use: with more, all threads wait for
    those without a CPU. Raises RequestError where the system does not allow this process so many.
    """
    if threads > max(_default_threads[0], torch.get_num_threads()):
        _check_startable(threads)
    torch.set_num_threads(threads or _default_threads[0])
    return torch.get_num_threads()


@contextmanager
def threads_set(threads: int) -> Iterator[None]:
    """`set_threads` within the context: the calling thread goes on to other work with as many as it had before.

    A single one suits work of a few milliseconds: to wake another takes as long, and a run that trains at the same time
    is not kept waiting at each of its barriers. A thread that uses PyTorch for the first time meanwhile keeps this
    number, unless it sets its own, as runs and benchmarks do.
    """
    before = torch.get_num_threads()
    set_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def share_cores(threads: int) -> None:
    """Make `threads` the default number from now on: this process has only a share of the machine's cores.

    Unlike an environment variable, it can differ between processes that were forked from one that has imported PyTorch.
    """
    _default_threads[0] = threads
    torch.set_num_threads(threads)


def _check_startable(threads: int) -> None:
    """Try to start as many threads: where OpenMP cannot start its threads, it would end the process."""
    over, started = threading.Event(), list[threading.Thread]()
    try:
        for _ in range(threads):
            thread = threading.Thread(target=over.wait, daemon=True)
            thread.start()
            started.append(thread)
    except RuntimeError:
        raise RequestError(
            f"the system allows this process only {len(started):,} more threads, not {threads:,}: lower threads"
        ) from None
    finally:
        over.set()
        for thread in started:
            thread.join()


def versions() -> dict[str, str]:
    """The versions that a run's numbers depend on, by name."""
    try:
        own = version("mnist-tui")
    except PackageNotFoundError:  # run from a checkout that is not installed
        own = "checkout"
    return {"mnist-tui": own, "python": platform.python_version(), "torch": str(torch.__version__)}
