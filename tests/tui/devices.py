"""Samples of devices for tests: machines with and without GPUs, over minutes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from engine.telemetry.events import DevicesSampled, GpuProcess, GpuSample

NOON = 1_767_268_800.0
"""2026-01-01, 12:00 in Greenwich."""
SECONDS = 150
"""Number of samples that `minutes` has of each machine."""


def gpu(number: int, **changes: Any) -> GpuSample:
    """A GPU that is busy."""
    fields: dict[str, Any] = {
        "uuid": f"GPU-0000000{number}",
        "number": number,
        "name": "NVIDIA H200",
        "used_here": number == 0,
        "utilisation": 0.97,
        "memory_used": 12_595.0,
        "memory_total": 143_771.0,
        "temperature": 54.0,
        "power": 412.0,
        "power_limit": 700.0,
        "energy": 1e6,
        "clock": 1980.0,
        "memory_clock": 3201.0,
    }
    return GpuSample(**(fields | changes))


def sampled(host: str = "ada", at: float = NOON, **changes: Any) -> DevicesSampled:
    """A sample of a machine; by default one without a GPU."""
    fields: dict[str, Any] = {
        "host": host,
        "at": at,
        "cpus": 16,
        "cpu": 0.45,
        "memory_used": 12_345.0,
        "memory_total": 131_072.0,
        "process_cpu": 1.87,
        "process_memory": 690.0,
        "cpu_power": None,
        "cpu_energy": None,
        "disk_free": 12_000.0,
        "disk_total": 65_536.0,
        "driver": "",
        "gpus": (),
        "problem": "no NVIDIA driver",
    }
    return DevicesSampled(**(fields | changes))


def minutes() -> Iterator[DevicesSampled]:
    """Samples of a machine with two GPUs, one of which tells no power, and of one without a driver."""
    for second in range(SECONDS):
        wave = 0.5 + 0.5 * math.sin(second / 15)
        first = gpu(
            0,
            utilisation=wave,
            memory_used=2_000 + 100.0 * second,
            power=100 + 500 * wave,
            processes=(GpuProcess(number=4321, name="python", memory=12_000.0),),
        )
        second_gpu = gpu(1, utilisation=0.0, power=None, power_limit=None, temperature=31.0, memory_used=4.0)
        at = NOON + second
        yield sampled(at=at, cpu=wave / 2, driver="550.54.15", gpus=(first, second_gpu), problem="", cpu_power=120.0)
        yield sampled("grace", at=at, cpu=1 - wave / 2, cpus=2, memory_total=8_000.0, memory_used=4_000 + 20.0 * second)
