"""How much memory a run needs, and how much there is, against PyTorch, the kernel's count, and files of a kernel."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.network.model import CNN, count_parameters
from engine.network.requests import Architecture
from engine.request import RequestError
from engine.runs.recording import train_run
from engine.training import loading
from engine.training.memory import check_fits, free_memory, parameter_count, training_need
from engine.training.requests import Train

PEAK = """
import json, sys, torch
from engine.allocator import give_back_freed_memory
from engine.data.datasets import Dataset, Split
from engine.training.requests import Train
from engine.training.loop import train
from engine.training.state import TrainingState

def status(name):
    return next(1024 * int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))

def split(count):
    return Split(torch.rand(count, 1, 28, 28), torch.randint(0, 10, (count,)))

def run(request, data):
    for _ in train(request, data, TrainingState.fresh(request, torch.device("cpu"))):
        pass

batch_norm, channels, batch = sys.argv[1] == "True", int(sys.argv[2]), int(sys.argv[3])
few = Dataset("mnist", split(2), split(2), split(2))
run(Train(epochs=1, batch_size=2, train_size=2, channels=2, hidden=2, threads=1, batch_norm=batch_norm), few)
others = json.loads(sys.argv[4])
request = Train(
    epochs=1, batch_size=batch, train_size=3 * batch, channels=channels, threads=1, batch_norm=batch_norm, **others
)
data = Dataset("mnist", split(3 * batch), split(250), split(250))
taken = []
for _ in range(3):  # a busy system may take pages away in between, and the highest looks lower than it was
    give_back_freed_memory()
    before = status("VmRSS")
    open("/proc/self/clear_refs", "w").write("5")  # the highest so far is forgotten
    run(request, data)
    taken.append(status("VmHWM") - before)
print(max(taken))
"""


@pytest.mark.parametrize(
    "architecture",
    [
        Architecture(),
        Architecture(batch_norm=True),
        Architecture(channels=7, kernel_size=5, stride=2, padding=3, hidden=33, batch_norm=True),
    ],
)
def test_parameters_are_those_of_the_network(architecture: Architecture) -> None:
    assert parameter_count(architecture) == count_parameters(CNN(architecture))


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's count of the highest memory")
@pytest.mark.parametrize(
    ("batch_norm", "channels", "batch", "others"),
    [
        (True, 32, 300, {}),
        (False, 128, 8, {}),
        (False, 32, 20, {"hidden": 4000, "average": 0.9}),
        (False, 1, 2000, {"elastic": 1.0, "hidden": 10}),
        (False, 16, 300, {"objective": "pgd"}),
        (False, 8, 60, {"objective": "crown-ibp", "hidden": 50}),
    ],
    ids=["a large batch", "evaluation of wide maps", "many averaged weights", "distortions", "an attack", "bounds"],
)
def test_the_need_is_what_a_run_takes(batch_norm: bool, channels: int, batch: int, others: dict[str, Any]) -> None:
    """Of a run that is not saved. What the heap holds back differs by 15 % either way from one process to the next."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(batch_norm), str(channels), str(batch), json.dumps(others)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    size = 3 * batch
    need = training_need(Train(batch_norm=batch_norm, batch_size=batch, train_size=size, channels=channels, **others))
    assert 0.7 < (need.peak - need.saving - need.data) / int(done.stdout) < 1.4


def test_averages_are_saved_too() -> None:
    plain, averaged = training_need(Train(hidden=20_000)), training_need(Train(hidden=20_000, average=0.9))
    assert averaged.saving * 3 == plain.saving * 4
    assert averaged.weights * 4 == plain.weights * 6


def test_the_need_of_what_was_killed() -> None:
    """Of two values one cannot fit on any ordinary machine, and the other fits on all."""
    assert training_need(Train(batch_size=5000, channels=1024)).peak > 40e9
    assert training_need(Train(batch_size=5000, channels=4)).peak < 1e9
    assert training_need(Train()).peak < 1e9


GB = 10**9


def machine(folder: Path, groups: str, **files: str) -> tuple[Path, Path]:
    """The files of a kernel: those of /proc, and under cgroup/ others by their path with __ for /."""
    (folder / "self").mkdir()
    (folder / "meminfo").write_text(f"MemTotal:  64000000 kB\nMemFree:  1000 kB\nMemAvailable:  {32 * GB // 1024} kB\n")
    (folder / "self" / "cgroup").write_text(groups)
    for name, text in files.items():
        file = folder / "cgroup" / name.replace("__", "/").replace("_dot_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder, folder / "cgroup"


def test_free_memory_is_the_machines(tmp_path: Path) -> None:
    assert free_memory(*machine(tmp_path, "0::/\n")) == 32 * GB // 1024 * 1024


def test_free_memory_is_what_the_control_groups_leave(tmp_path: Path) -> None:
    """Version 2: each group around the process has a say; cached files are no use of memory."""
    found = machine(
        tmp_path,
        "0::/job/step\n",
        job__step__memory_dot_max="max\n",
        job__step__memory_dot_current=f"{3 * GB}\n",
        job__memory_dot_max=f"{8 * GB}\n",
        job__memory_dot_current=f"{6 * GB}\n",
        job__memory_dot_stat=f"anon {5 * GB}\ninactive_file {GB}\n",
        memory_dot_max=f"{16 * GB}\n",
        memory_dot_current=f"{6 * GB}\n",
    )
    assert free_memory(*found) == 3 * GB


def test_files_in_use_are_given_back_too(tmp_path: Path) -> None:
    """A data set that was just read: its cached files are active."""
    found = machine(
        tmp_path,
        "0::/\n",
        memory_dot_max=f"{4 * GB}\n",
        memory_dot_current=f"{39 * GB // 10}\n",
        memory_dot_stat=f"active_file {36 * GB // 10}\ninactive_file {GB // 10}\nslab_reclaimable {GB // 10}\n",
    )
    assert free_memory(*found) == 39 * GB // 10


def test_no_more_is_given_back_than_is_in_use(tmp_path: Path) -> None:
    found = machine(
        tmp_path,
        "4:memory:/\n",
        memory__memory_dot_limit_in_bytes=f"{4 * GB}\n",
        memory__memory_dot_usage_in_bytes=f"{GB}\n",
        memory__memory_dot_stat=f"total_active_file {GB}\ntotal_inactive_file {GB}\n",
    )
    assert free_memory(*found) == 4 * GB


def test_free_memory_in_a_container_of_version_1(tmp_path: Path) -> None:
    """Its path is that of the host, which leads nowhere here: the top is its own group."""
    found = machine(
        tmp_path,
        "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n",
        memory__memory_dot_limit_in_bytes=f"{4 * GB}\n",
        memory__memory_dot_usage_in_bytes=f"{3 * GB}\n",
        memory__memory_dot_stat=f"inactive_file 7\ntotal_inactive_file {GB // 2}\n",
    )
    assert free_memory(*found) == 3 * GB // 2


def test_where_the_system_does_not_say_nothing_is_refused(tmp_path: Path) -> None:
    assert free_memory(tmp_path / "proc", tmp_path / "cgroup") is None
    check_fits(10**15, None, Train())


@pytest.mark.usefixtures("small_runs")
def test_a_run_that_cannot_fit_is_refused_with_the_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "free_memory", lambda: 2 * GB)
    monkeypatch.setattr(loading, "is_loaded", lambda *_: False)  # other tests have it in memory
    request = Train(batch_size=2000, channels=1024, train_size=2000, device="cpu")
    with pytest.raises(RequestError) as caught:
        next(train_run(request, tmp_path))
    peak = training_need(request).peak / 1e9
    assert str(caught.value).startswith(
        f"this run needs about {peak:.1f} GB, but only 2.0 GB are free in memory: lower "
    )
    assert "--batch-size (2000), --channels (1024) or --hidden (500)" in str(caught.value)
    assert not list(tmp_path.iterdir())
