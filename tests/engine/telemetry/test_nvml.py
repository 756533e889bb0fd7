from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.telemetry import nvml
from engine.telemetry.nvml import AGAIN, PROCESSES, Gpus, identity
from engine.telemetry.rapl import Processors
from tests.engine.telemetry.fake_nvml import FIRST, LOST, MB, SECOND, UNINITIALIZED, FakeNvml, NVMLError, installed


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    return installed(monkeypatch)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in seconds."""
    time = [1000.0]
    monkeypatch.setattr(nvml, "time", SimpleNamespace(monotonic=lambda: time[0]))
    return time


def test_two_gpus_one_of_which_tells_no_power(driver: FakeNvml) -> None:
    gpus = Gpus()
    first, second = gpus.look({identity(FIRST)}, detailed=True, processes=False)
    assert (gpus.driver, gpus.problem) == ("550.54.15", "")
    assert (first.uuid, first.number, first.used_here, second.used_here) == (FIRST, 0, True, False)
    assert (first.utilisation, first.memory_used, first.memory_total) == (0.97, 12_000, 140_000)
    assert (first.temperature, first.power, first.power_limit, first.energy) == (54, 412.345, 700, 1000)
    assert (first.clock, first.memory_clock, first.processes) == (1980, 1980, None)
    assert (second.power, second.power_limit, second.energy) == (None, None, None)
    assert second.utilisation == 0.97


def test_what_a_gpu_does_not_tell_is_not_asked_again(driver: FakeNvml) -> None:
    gpus = Gpus()
    for _ in range(3):
        gpus.look((), detailed=False, processes=False)
    assert driver.asked.count("PowerUsage 1") == 1
    assert driver.asked.count("PowerUsage 0") == 3
    assert not any(name.startswith(("Temperature", "ClockInfo", "Compute")) for name in driver.asked)


def test_processes_are_looked_at_seldom(driver: FakeNvml, now: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "_name", lambda number: f"name of {number}")
    gpus = Gpus()
    for _ in range(12):
        samples = gpus.look((), detailed=True, processes=True)
        now[0] += 1
    (process,) = samples[0].processes or ()
    assert (process.number, process.name, process.memory) == (4321, "name of 4321", 11_000)
    assert driver.asked.count("ComputeRunningProcesses 0") == 1 + 11 // int(PROCESSES)


def test_a_driver_that_disappears_and_comes_back(driver: FakeNvml, now: list[float]) -> None:
    gpus = Gpus()
    assert len(gpus.look((), detailed=False, processes=False)) == 2
    driver.errors = {0: UNINITIALIZED, 1: UNINITIALIZED}
    driver.absent = True
    assert gpus.look((), detailed=False, processes=False) == ()
    assert "does not answer" in gpus.problem
    asked = len(driver.asked)
    driver.errors, driver.absent = {}, False
    assert gpus.look((), detailed=False, processes=False) == ()
    assert len(driver.asked) == asked  # not tried again yet
    now[0] += AGAIN
    assert len(gpus.look((), detailed=False, processes=False)) == 2
    assert gpus.problem == ""


def test_a_lost_gpu_leaves_the_other(driver: FakeNvml) -> None:
    gpus = Gpus()
    driver.errors = {0: LOST}
    (left,) = gpus.look((), detailed=True, processes=True)
    assert left.uuid == SECOND
    assert gpus.problem == "GPU 0 is lost"


@pytest.mark.parametrize("absent", ["library", "driver"])
def test_without_a_driver_it_is_asked_once(absent: str, driver: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    driver.absent = True
    if absent == "library":
        monkeypatch.setitem(sys.modules, "pynvml", None)
    gpus = Gpus()
    assert gpus.look((), detailed=True, processes=True) == ()
    assert (gpus.driver, gpus.problem) == ("", "no NVIDIA driver")
    driver.absent = False
    monkeypatch.setitem(sys.modules, "pynvml", driver)
    assert gpus.look((), detailed=True, processes=True) == ()
    assert not driver.asked


def test_a_driver_that_cannot_start_says_why(driver: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    def mismatch() -> None:
        raise NVMLError(18)

    monkeypatch.setattr(driver, "nvmlInit", mismatch)
    gpus = Gpus()
    assert gpus.look((), detailed=True, processes=True) == ()
    assert gpus.problem == "the NVIDIA driver failed (code 18)"


def test_values_that_cannot_be_are_unknown(driver: FakeNvml) -> None:
    driver.values |= {
        "UtilizationRates": SimpleNamespace(gpu=4_294_967_295),
        "MemoryInfo": SimpleNamespace(used=2**63, total=140_000 * MB),
        "Temperature": 65_535,
        "PowerUsage": -1,
        "EnforcedPowerLimit": float("nan"),
        "ClockInfo": "fast",
        "ComputeRunningProcesses": [
            SimpleNamespace(pid=None, usedGpuMemory=5),
            SimpleNamespace(pid=2**31, usedGpuMemory=5),
            SimpleNamespace(pid=2**31 - 1, usedGpuMemory=None),
        ],
    }
    first, _ = Gpus().look((), detailed=True, processes=True)
    assert (first.utilisation, first.memory_used, first.temperature) == (None, None, None)
    assert (first.power, first.power_limit, first.clock) == (None, None, None)
    assert first.memory_total == 140_000
    (process,) = first.processes or ()
    assert (process.number, process.name, process.memory) == (2**31 - 1, "", None)


def test_pytorchs_uuids_match() -> None:
    assert identity("GPU-AB12-cd") == identity("ab12-CD")


def counter(root: Path, name: str, kind: str, microjoules: str, most: int = 1_000_000) -> Path:
    folder = root / name
    folder.mkdir()
    (folder / "name").write_text(kind)
    (folder / "max_energy_range_uj").write_text(str(most - 1))
    (folder / "energy_uj").write_text(microjoules)
    return folder / "energy_uj"


def test_the_energy_of_all_processors_across_a_counter_that_starts_over(tmp_path: Path) -> None:
    first = counter(tmp_path, "intel-rapl:0", "package-0\n", "900000\n")
    second = counter(tmp_path, "intel-rapl:1", "package-1\n", "0\n")
    part = counter(tmp_path, "intel-rapl:0:0", "core\n", "0\n")
    processors = Processors(tmp_path)
    first.write_text("100000")
    second.write_text("300000")
    part.write_text("999999")
    assert processors.joules() == pytest.approx(0.5)
    second.write_text("400000")
    assert processors.joules() == pytest.approx(0.6)


@pytest.mark.parametrize("damage", ["text", "gone", "one of two"])
def test_energy_that_cannot_be_read_is_unknown(tmp_path: Path, damage: str) -> None:
    file = counter(tmp_path, "intel-rapl:0", "package-0", "5")
    counter(tmp_path, "intel-rapl:1", "package-1", "many" if damage == "one of two" else "5")
    processors = Processors(tmp_path)
    if damage == "text":
        file.write_text("much")
    elif damage == "gone":
        file.unlink()
    assert processors.joules() is None
    assert processors.joules() is None


def test_no_counters_at_all(tmp_path: Path) -> None:
    assert Processors(tmp_path / "none").joules() is None
