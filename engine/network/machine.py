"""The machine: everything except versions that the last digits of a result depend on."""

from __future__ import annotations

import math
import os
import platform
import re
import subprocess
from functools import cache
from pathlib import Path

import torch

from engine.network import gpu
from engine.network.cgroups import MEMBERSHIP, MOUNTED, groups
from engine.network.requests import PrecisionName


@cache
def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's model name, `AMD EPYC 7763 64-Core Processor`, or its architecture if that is not available."""
    try:
        told = b"".join(re.findall(rb"^model name\s*:\s*(.+)$", cpuinfo.read_bytes(), re.MULTILINE)[:1])
    except OSError:
        told = _sysctl("machdep.cpu.brand_string") if platform.system() == "Darwin" else b""
    return " ".join(told.decode(errors="replace").split()) or platform.machine()


def _sysctl(name: str) -> bytes:
    try:
        return subprocess.run(["/usr/sbin/sysctl", "-n", name], capture_output=True, check=True, timeout=5).stdout
    except (OSError, subprocess.SubprocessError):
        return b""


def description(device: torch.device, precision: PrecisionName = "fp32") -> dict[str, str]:
    """The properties of the machine that a run's last digits depend on, by name."""
    limits = {"oneDNN": ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"), "MKL": ("MKL_ENABLE_INSTRUCTIONS",)}
    found = {"processor": processor(), "instruction set": torch.backends.cpu.get_cpu_capability()}
    for library, names in limits.items():
        found[f"limit of {library}"] = next((os.environ[name] for name in names if os.environ.get(name)), "none")
    if device.type == "cuda":
        found |= {"cuDNN": _cudnn(), "driver": _driver()} | gpu.precision_modes(precision)
    return found


def _cudnn() -> str:
    return str(torch.backends.cudnn.version())  # type: ignore[no-untyped-call]


@cache
def _driver(file: Path = Path("/proc/driver/nvidia/version")) -> str:
    """The version of NVIDIA's kernel module; empty if it cannot be read."""
    try:
        told = re.search(r"Kernel Module\D*([\d.]+)", file.read_text(errors="replace"))
    except OSError:
        return ""
    return told[1] if told else ""


def cores() -> int:
    """The number of CPUs that this process may use at once, by its affinity and the quota of its control group."""
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(mine, quota() or mine)


def quota(root: Path = MOUNTED, membership: Path = MEMBERSHIP) -> int | None:
    """The number of CPUs that the control groups of this process allow, rounded up; None where they set no limit.

    `root` and `membership` are as in `engine.network.cgroups`.
    """
    granted = [each for _, folder in groups("cpu", root, membership) for each in _granted(folder)]
    return max(1, math.ceil(min(granted))) if granted else None


def _granted(folder: Path) -> list[float]:
    """The number of CPUs that one control group allows, as a list of one or none."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            most, period = " ".join((folder / name).read_text() for name in names).split()
            if int(most) > 0 and int(period) > 0:
                return [int(most) / int(period)]
        except (OSError, ValueError):  # there is no such file, or it says `max`
            continue
    return []
