"""A stand-in for NVIDIA's library: two GPUs, one of which tells neither its power nor its energy."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

MB = 1 << 20


class NVMLError(Exception):
    """As the library's: `value` is the code."""

    def __init__(self, value: int) -> None:
        super().__init__(f"code {value}")
        self.value = value


UNINITIALIZED, NOT_SUPPORTED, NO_DRIVER, LOST = 1, 3, 9, 15
FIRST, SECOND = "GPU-11111111-aaaa", "GPU-22222222-bbbb"


class FakeNvml(ModuleType):
    """The module `pynvml`; its attributes are what the driver tells."""

    NVMLError = NVMLError
    NVML_TEMPERATURE_GPU, NVML_CLOCK_SM, NVML_CLOCK_MEM = 0, 1, 2

    def __init__(self) -> None:
        super().__init__("pynvml")
        self.absent = False
        """Whether there is no driver."""
        self.errors: dict[int, int] = {}
        """The code that everything asked of a GPU fails with, by its number."""
        self.joules = [1_000.0, 2_000.0]
        self.values: dict[str, Any] = {
            "UtilizationRates": SimpleNamespace(gpu=97, memory=40),
            "MemoryInfo": SimpleNamespace(used=12_000 * MB, total=140_000 * MB),
            "Temperature": 54,
            "PowerUsage": 412_345,
            "EnforcedPowerLimit": 700_000,
            "ClockInfo": 1980,
            "ComputeRunningProcesses": [SimpleNamespace(pid=4321, usedGpuMemory=11_000 * MB)],
            "GraphicsRunningProcesses": [],
        }
        self.asked: list[str] = []
        """What was asked of the GPUs."""

    def nvmlInit(self) -> None:
        if self.absent:
            raise NVMLError(NO_DRIVER)

    def nvmlSystemGetDriverVersion(self) -> bytes:
        return b"550.54.15"

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:
        return number

    def nvmlDeviceGetUUID(self, handle: int) -> str:
        return (FIRST, SECOND)[handle]

    def nvmlDeviceGetName(self, handle: int) -> str:
        return "NVIDIA H200"

    def __getattr__(self, name: str) -> Callable[..., Any]:
        what = name.removeprefix("nvmlDeviceGet")
        if name == what or (what not in self.__dict__["values"] and what != "TotalEnergyConsumption"):
            raise AttributeError(name)

        def ask(handle: int, *_: object) -> Any:
            self.asked.append(f"{what} {handle}")
            if handle in self.errors:
                raise NVMLError(self.errors[handle])
            if handle == 1 and what in ("PowerUsage", "EnforcedPowerLimit", "TotalEnergyConsumption"):
                raise NVMLError(NOT_SUPPORTED)
            return round(1000 * self.joules[handle]) if what == "TotalEnergyConsumption" else self.values[what]

        return ask


def installed(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    """The stand-in, in place of the library."""
    fake = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    return fake
