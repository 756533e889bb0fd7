"""What a machine grants and what it is called, from files such as Linux writes."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from engine.network.cores import cores, quota
from engine.network.machine import description, processor


def told(tmp_path: Path, membership: str, files: dict[str, str]) -> int | None:
    for name, text in files.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "own").write_text(membership)
    return quota(tmp_path / "cgroup", tmp_path / "own")


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),  # rounded up
        ("0::/\n", {"cpu.max": "5000 100000\n"}, 1),
        ("0::/a/b\n", {"cpu.max": "max 100000\n", "a/cpu.max": "300000 100000\n", "a/b/cpu.max": "max 100000\n"}, 3),
        ("0::/a/b\n", {"a/cpu.max": "900000 100000\n", "a/b/cpu.max": "400000 100000\n"}, 4),
        ("0::/of/the/host\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/a:b\n", {"a:b/cpu.max": "700000 100000\n"}, 7),
        (
            "4:cpu,cpuacct:/a\n3:memory:/a\n",
            {"cpu,cpuacct/a/cpu.cfs_quota_us": "250000\n", "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n"},
            3,
        ),
        ("1:cpu:/host\n0::/\n", {"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "50000\n"}, 2),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ("2:cpuset:/\n0::/x\n", {"unified/x/cpu.max": "100000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "nonsense\n"}, None),
        ("0::/\n", {"cpu.max": "100000 0\n"}, None),
        ("0::/../..\n", {"cpu.max": "100000 100000\n"}, 1),
        ("nonsense\n\n", {}, None),
    ],
)
def test_a_control_groups_quota(tmp_path: Path, membership: str, files: dict[str, str], expected: int | None) -> None:
    assert told(tmp_path, membership, files) == expected


def test_without_control_groups_there_is_no_quota(tmp_path: Path) -> None:
    assert quota(tmp_path / "cgroup", tmp_path / "own") is None
    assert 1 <= cores() <= (os.cpu_count() or 1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_threads_are_no_more_than_the_affinity_allows() -> None:
    code = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
os.environ["OMP_NUM_THREADS"] = "7"
from engine.network.devices import set_threads
import torch
assert torch.get_num_threads() == 1
assert set_threads(3) == 3
assert set_threads(0) == 1
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_processors_name(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(
        "processor\t: 0\nmodel\t\t: 1\nmodel name\t: AMD EPYC 7763  64-Core Processor \nmodel name\t: other\n"
    )
    assert processor(file) == "AMD EPYC 7763 64-Core Processor"
    arm = tmp_path / "arm"
    arm.write_text("processor\t: 0\nCPU implementer\t: 0x41\n")
    assert processor(arm) == platform.machine()


def test_what_a_machine_is_described_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    monkeypatch.delenv("MKL_ENABLE_INSTRUCTIONS", raising=False)
    assert description(torch.device("cpu")) == {
        "processor": processor(),
        "instruction set": torch.backends.cpu.get_cpu_capability(),
        "limit of oneDNN": "AVX2",
        "limit of MKL": "none",
    }
    on_gpu = description(torch.device("cuda", 0), "tf32")
    assert {"cuDNN", "driver", "cuda products", "cudnn convolutions"} < on_gpu.keys()
    assert on_gpu["cuda products"] == "tf32"
