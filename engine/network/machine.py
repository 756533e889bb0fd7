"""The machine: everything except versions that the last digits of a result depend on."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from functools import cache
from pathlib import Path

import torch

from engine.network import gpu
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
