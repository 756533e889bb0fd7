from __future__ import annotations

import threading
from pathlib import Path

import pytest

from engine.lab import Lab
from engine.operations import perform
from engine.telemetry import sampler as module
from engine.telemetry.events import DevicesSampled
from engine.telemetry.meter import Meter
from engine.telemetry.requests import WatchDevices
from engine.telemetry.sampler import Sampler, sample
from tests.engine.telemetry.fake_nvml import FIRST, UNINITIALIZED, FakeNvml, installed

LONG = 30.0
"""Seconds that a test waits for a thread at most."""


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    return installed(monkeypatch)


@pytest.fixture(autouse=True)
def shared(driver: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> Sampler:
    """A sampler of its own for each test."""
    fresh = Sampler()
    monkeypatch.setattr(module, "SHARED", fresh)
    return fresh


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INTERVAL", 0.001)
    monkeypatch.setattr(module, "SHORTEST", 0.0)


class Counting(Meter):
    """A meter that says when it has had some samples."""

    def __init__(self, gpu: str = "") -> None:
        super().__init__(gpu)
        self.got: list[DevicesSampled] = []
        self.first, self.enough = threading.Event(), threading.Event()

    def add(self, sample: DevicesSampled) -> None:
        super().add(sample)
        self.got.append(sample)
        self.first.set()
        if len(self.got) == 3:
            self.enough.set()


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "device-sampler"]


def test_a_sample_of_this_machine(tmp_path: Path) -> None:
    (event,) = perform(WatchDevices(processes=True), tmp_path / "not" / "made yet")
    assert isinstance(event, DevicesSampled)
    assert event.host
    assert event.cpus >= 1
    assert event.memory_used
    assert event.memory_total
    assert 0 < event.memory_used <= event.memory_total
    assert event.process_memory
    assert event.disk_total
    assert event.disk_free is not None
    assert [gpu.temperature for gpu in event.gpus] == [54, 54]
    assert all(gpu.processes for gpu in event.gpus)
    assert not threads()


def test_shares_are_of_the_time_since_the_sample_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHORTEST", 0.0)
    first = sample()
    assert (first.cpu, first.process_cpu) == (None, None)
    sum(range(300_000))
    second = sample()
    assert second.process_cpu is not None
    assert second.process_cpu > 0
    assert second.disk_total is None  # no folder was named


def test_a_thread_samples_while_a_run_is_metered(shared: Sampler, often: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "Meter", Counting)
    with shared.metered(FIRST) as one, shared.metered() as other:
        assert isinstance(one, Counting)
        assert isinstance(other, Counting)
        assert one.enough.wait(LONG)
        assert other.enough.wait(LONG)
        assert threads() == ["device-sampler"]
    assert not threads()
    assert [gpu.used_here for gpu in one.got[-1].gpus] == [True, False]
    assert all(gpu.temperature is None and gpu.processes is None for gpu in one.got[-1].gpus)
    usage = one.epoch()
    assert usage.gpu
    assert usage.gpu.peak == 0.97
    with shared.metered() as again:
        assert isinstance(again, Counting)
        assert again.enough.wait(LONG)
    assert not threads()


def test_a_driver_that_disappears_in_mid_run(
    shared: Sampler, driver: FakeNvml, often: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "Meter", Counting)
    with shared.metered(FIRST) as meter:
        assert isinstance(meter, Counting)
        assert meter.enough.wait(LONG)
        driver.errors, driver.absent = {0: UNINITIALIZED, 1: UNINITIALIZED}, True
        meter.enough.clear()
        meter.got.clear()
        assert meter.enough.wait(LONG)
    assert meter.got[-1].gpus == ()
    assert "does not answer" in meter.got[-1].problem
    assert meter.epoch().energy is None
    assert not threads()


def test_those_who_watch_get_what_was_just_sampled_while_a_run_trains(
    shared: Sampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "Meter", Counting)
    monkeypatch.setattr(module, "INTERVAL", LONG)
    with shared.metered() as meter:
        assert isinstance(meter, Counting)
        assert meter.first.wait(LONG)
        assert all(gpu.temperature is None for gpu in meter.got[0].gpus)
        first = shared.look()  # that of the thread has no details
        assert [gpu.temperature for gpu in first.gpus] == [54, 54]
        assert shared.look() is first
    assert shared.look() is not first


def test_what_the_system_refuses_is_unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import psutil

    def refuse(*_: object) -> object:
        raise PermissionError(13, "no")

    monkeypatch.setattr(psutil, "virtual_memory", refuse)
    monkeypatch.setattr(psutil, "cpu_times", refuse)
    monkeypatch.setattr("shutil.disk_usage", refuse)
    for _ in range(2):
        event = sample(tmp_path)
    assert (event.cpu, event.memory_used, event.memory_total, event.disk_free) == (None, None, None, None)


def test_samples_of_several_machines_do_not_replace_one_another(tmp_path: Path) -> None:
    from tests.tui.devices import sampled

    lab = Lab(tmp_path)
    job = lab.submit(WatchDevices())
    assert job.wait(LONG)
    lab.drain()
    for host, cpu in (("ada", 0.1), ("grace", 0.2), ("ada", 0.3)):
        lab._stream.put(job, sampled(host, cpu=cpu))
    found = [(event.host, event.cpu) for _, event in lab.drain() if isinstance(event, DevicesSampled)]
    assert found == [("grace", 0.2), ("ada", 0.3)]
    lab.close()
