"""The GPUs of a machine, from NVIDIA's management library.

It knows all GPUs, whatever CUDA_VISIBLE_DEVICES says, and needs no CUDA context. It is loaded at the first look; where
there is no driver, nothing is ever looked at again.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.telemetry.events import GpuProcess, GpuSample
from engine.telemetry.readings import MB, plausible, scaled

AGAIN = 30.0
"""Seconds after which a driver that stopped answering is tried again."""
PROCESSES = 5.0
"""Seconds between two looks at the processes, each of which takes milliseconds."""
NO_DRIVER = "no NVIDIA driver"
_FIRST_NAMESPACE = "pid:[4026531836]"
"""The namespace of processes outside of all containers, whose numbers the driver tells: a constant of Linux."""
_REFUSED = (2, 3, 4, 6)
"""NVML's codes for a value that a GPU does not have or a user may not read: invalid argument, not supported, no
permission, not found."""
_ABSENT = (9, 12)
"""NVML's codes for a kernel module that is not loaded and for a library that is not installed."""
_LOST = 15
"""NVML's code for a GPU that has fallen off the bus; the others go on."""


@dataclass
class _Gpu:
    """A GPU and what does not change."""

    handle: Any
    uuid: str
    number: int
    name: str
    refused: set[str] = field(default_factory=set)
    """What it does not tell: that is not asked again."""
    processes: tuple[GpuProcess, ...] | None = None


class _Silent(Exception):
    """The driver does not answer any more."""


class Gpus:
    """All GPUs of this machine."""

    def __init__(self) -> None:
        self.driver = ""
        """The version of the driver; empty where there is none."""
        self.problem = ""
        """Why GPUs are missing, in a few words."""
        self._nvml: Any = None
        self._found: list[_Gpu] = []
        self._next_try = 0.0
        self._listed = -PROCESSES
        """When the processes were looked at."""

    def look(self, used: Collection[str], *, detailed: bool, processes: bool) -> tuple[GpuSample, ...]:
        """The state of each GPU; `used` are the identities, as `identity` has them, of those that this process uses.

        Temperatures, clocks and limits only if `detailed`; `processes` are looked at every PROCESSES seconds.
        """
        if self._nvml is None and not self._begin():
            return ()
        now = time.monotonic()
        listing = processes and now - self._listed >= PROCESSES
        if listing:
            self._listed = now
        samples = []
        try:
            for gpu in list(self._found):
                if listing:
                    gpu.processes = self._processes(gpu)
                sample = self._sample(gpu, identity(gpu.uuid) in used, detailed=detailed, processes=processes)
                if sample is None:
                    self._found.remove(gpu)
                    self.problem = f"GPU {gpu.number} is lost"
                else:
                    samples.append(sample)
        except _Silent as error:
            self._nvml, self._found, self._next_try = None, [], now + AGAIN
            self.problem = f"the NVIDIA driver does not answer any more ({error})"
            return ()
        return tuple(samples)

    def _begin(self) -> bool:
        """Load the library and find the GPUs; returns whether that was possible."""
        if time.monotonic() < self._next_try:
            return False
        self._next_try = float("inf") if not self.driver else time.monotonic() + AGAIN
        try:
            import pynvml
        except ImportError:
            self.problem = self.problem or NO_DRIVER
            return False
        try:
            pynvml.nvmlInit()
            self.driver = _text(pynvml.nvmlSystemGetDriverVersion())
            handles = [pynvml.nvmlDeviceGetHandleByIndex(n) for n in range(pynvml.nvmlDeviceGetCount())]
            self._found = [
                _Gpu(handle, _text(pynvml.nvmlDeviceGetUUID(handle)), n, _text(pynvml.nvmlDeviceGetName(handle)))
                for n, handle in enumerate(handles)
            ]
        except (pynvml.NVMLError, OSError, AttributeError) as error:
            absent = not self.driver and getattr(error, "value", None) in _ABSENT
            self.problem = self.problem or (NO_DRIVER if absent else f"the NVIDIA driver failed ({error})")
            return False
        self._nvml, self.problem = pynvml, "" if self._found else "the NVIDIA driver sees no GPU"
        return True

    def _sample(self, gpu: _Gpu, used: bool, *, detailed: bool, processes: bool) -> GpuSample | None:
        """The state of one GPU; None where it is lost. Raises _Silent."""
        nvml = self._nvml

        def ask(name: str, *arguments: object) -> Any:
            return self._ask(gpu, name, *arguments)

        rates = ask("nvmlDeviceGetUtilizationRates")
        if "lost" in gpu.refused:
            return None
        memory = ask("nvmlDeviceGetMemoryInfo")
        share = scaled(getattr(rates, "gpu", None), 100, 1)
        total = scaled(getattr(memory, "total", None), MB, 1e8)
        sample = GpuSample(
            uuid=gpu.uuid,
            number=gpu.number,
            name=gpu.name,
            used_here=used,
            utilisation=share,
            memory_used=scaled(getattr(memory, "used", None), MB, total if total else 1e8),
            memory_total=total,
            power=scaled(ask("nvmlDeviceGetPowerUsage"), 1000, 1e5),
            energy=scaled(ask("nvmlDeviceGetTotalEnergyConsumption"), 1000, 1e15),
            temperature=plausible(ask("nvmlDeviceGetTemperature", nvml.NVML_TEMPERATURE_GPU), 200, -100)
            if detailed
            else None,
            power_limit=scaled(ask("nvmlDeviceGetEnforcedPowerLimit"), 1000, 1e5) if detailed else None,
            clock=plausible(ask("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_SM), 1e5) if detailed else None,
            memory_clock=plausible(ask("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_MEM), 1e5) if detailed else None,
            processes=gpu.processes if processes else None,
        )
        return None if "lost" in gpu.refused else sample

    def _ask(self, gpu: _Gpu, name: str, *arguments: object) -> Any:
        """What a function of the library tells of a GPU; None where it does not. Raises _Silent."""
        key = f"{name}{arguments}"
        if key in gpu.refused or "lost" in gpu.refused:
            return None
        function: Callable[..., Any] | None = getattr(self._nvml, name, None)
        try:
            return function(gpu.handle, *arguments) if function else None
        except self._nvml.NVMLError as error:
            code = getattr(error, "value", None)
            if code == _LOST:
                gpu.refused.add("lost")
            elif code in _REFUSED or type(error).__name__ == "NVMLError_FunctionNotFound":
                gpu.refused.add(key)
            else:
                raise _Silent(str(error)) from None
            return None

    def _processes(self, gpu: _Gpu) -> tuple[GpuProcess, ...]:
        """The processes on a GPU, those with the most memory first."""
        found = {}
        for kind in ("Compute", "Graphics"):
            for each in self._ask(gpu, f"nvmlDeviceGet{kind}RunningProcesses") or ():
                used = scaled(getattr(each, "usedGpuMemory", None), MB, 1e8)
                if isinstance(number := getattr(each, "pid", None), int) and 0 < number < 1 << 31:
                    found[number] = GpuProcess(number=number, name=_name(number), memory=used)
        return tuple(sorted(found.values(), key=lambda each: (-(each.memory or 0.0), each.number)))


def identity(uuid: str) -> str:
    """The identity of a GPU, from NVML's UUID or from PyTorch's, which has no prefix."""
    return uuid.strip().lower().removeprefix("gpu-")


def _text(value: str | bytes) -> str:
    """Text that older versions of the library return as bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _name(number: int) -> str:
    """The name of a process; empty where its number is not one of here, or it has ended."""
    import psutil

    try:
        if sys.platform.startswith("linux") and str(Path("/proc/self/ns/pid").readlink()) != _FIRST_NAMESPACE:
            return ""
        return str(psutil.Process(number).name())
    except (psutil.Error, OSError, ValueError):
        return ""
