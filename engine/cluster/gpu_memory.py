"""How much of a GPU's memory a run takes, measured while it trains."""

from __future__ import annotations

import importlib
from typing import Any

from engine.telemetry.nvml import identity

ALLOWANCE = 1.1
"""Factor for what a later epoch may take beyond the first one."""


class GpuMemory:
    """Measures the memory that this process takes on its GPU; to be made before it first uses it.

    The driver's count includes what PyTorch does not know of: the context, kernels, and the libraries' workspaces.
    """

    def __init__(self) -> None:
        self._before = used_memory()

    def share(self) -> float | None:
        """The share of the memory that was free before which the run takes at most; None without a GPU."""
        import torch

        if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            return None
        uuid = identity(str(torch.cuda.get_device_properties(torch.cuda.current_device()).uuid))
        now = used_memory()
        if uuid not in now or uuid not in self._before:
            return None
        spare = torch.cuda.max_memory_reserved() - torch.cuda.memory_reserved()
        return share(self._before[uuid][0], now[uuid][0] + spare, now[uuid][1])


def share(before: int, peak: int, total: int) -> float:
    """The share of the memory free before, with an allowance: `before`, `peak` and `total` in bytes; at most 1."""
    return min(1.0, max(0, peak - before) * ALLOWANCE / max(1, total - before))


def used_memory() -> dict[str, tuple[int, int]]:
    """Bytes used and in all of each GPU of this machine by its identity, by NVML; empty without a driver."""
    try:
        nvml: Any = importlib.import_module("pynvml")
    except ImportError:
        return {}
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return {}
    try:
        found = {}
        for number in range(nvml.nvmlDeviceGetCount()):
            device = nvml.nvmlDeviceGetHandleByIndex(number)
            memory = nvml.nvmlDeviceGetMemoryInfo(device)
            found[identity(str(nvml.nvmlDeviceGetUUID(device)))] = (int(memory.used), int(memory.total))
        return found
    except nvml.NVMLError:
        return {}
    finally:
        nvml.nvmlShutdown()
