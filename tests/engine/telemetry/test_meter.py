from __future__ import annotations

import pytest

from engine.telemetry.events import Level, Usage
from engine.telemetry.meter import Meter, energy_between
from engine.telemetry.usage import columns, together
from tests.tui.devices import gpu, sampled


class Clock:
    """A time that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_an_epoch_on_a_gpu(clock: Clock) -> None:
    meter = Meter("0000-A", clock, lambda: 0.5 * clock.now)
    for second, (share, used, watts) in enumerate([(0.2, 1000.0, 100.0), (0.8, 3000.0, 300.0), (0.5, 2000.0, 200.0)]):
        clock.now = 101.0 + second
        own = gpu(0, uuid="GPU-0000-a", utilisation=share, memory_used=used, power=watts, energy=200.0 * second)
        meter.add(sampled(gpus=(gpu(1), own), process_memory=500.0 + second, process_cpu=0.4))
    clock.now = 104.0
    usage = meter.epoch()
    assert (usage.seconds, usage.samples, usage.cpu) == (4.0, 3, Level(mean=0.5, peak=0.5))
    assert usage.memory == Level(mean=501.0, peak=502.0)
    assert usage.gpu == Level(mean=0.5, peak=0.8)
    assert usage.gpu_memory == Level(mean=2000.0, peak=3000.0)
    assert usage.power == Level(mean=200.0, peak=300.0)
    assert usage.energy == pytest.approx(800.0)
    assert usage.device_memory == 3000.0


def test_an_epoch_on_a_cpu_takes_the_processors_energy_and_no_gpus(clock: Clock) -> None:
    meter = Meter("", clock, lambda: 0.0)
    for second in range(3):
        clock.now = 100.0 + second
        meter.add(sampled(gpus=(gpu(0),), cpu_energy=50.0 * second, cpu_power=50.0))
    usage = meter.epoch()
    assert (usage.gpu, usage.gpu_memory) == (None, None)
    assert usage.energy == pytest.approx(100.0)
    assert usage.device_memory == 690.0


def test_short_epochs_share_a_sample_and_the_energy_adds_up(clock: Clock) -> None:
    meter = Meter("", clock, lambda: 0.0)
    usages = []
    for tenth in range(1, 41):
        clock.now = 100.0 + tenth / 10
        if tenth % 10 == 1:
            meter.add(sampled(cpu_energy=80.0 * (clock.now - 100.0), cpu_power=80.0))
        usages.append(meter.epoch())
    assert [usage.samples for usage in usages[:12]] == [1, *[0] * 9, 1, 0]
    assert all(usage.memory == Level(mean=690.0, peak=690.0) for usage in usages)
    assert sum(usage.energy or 0.0 for usage in usages) == pytest.approx(320.0)


def test_a_sample_of_long_ago_counts_no_more(clock: Clock) -> None:
    meter = Meter("", clock, lambda: 0.0)
    meter.add(sampled())
    clock.now += 1.0
    assert meter.epoch().memory
    clock.now += 60.0
    usage = meter.epoch()
    assert (usage.samples, usage.memory, usage.energy) == (0, None, None)
    assert usage.cpu == Level(mean=0.0, peak=0.0)


def test_a_pause_does_not_count(clock: Clock) -> None:
    meter = Meter("", clock, lambda: clock.now)
    meter.add(sampled(cpu_energy=0.0, process_memory=100.0))
    clock.now = 110.0
    meter.add(sampled(cpu_energy=1000.0, process_memory=100.0))
    with meter.paused():
        clock.now = 200.0
        meter.add(sampled(cpu_energy=1900.0, process_memory=9999.0))
    clock.now = 210.0
    meter.add(sampled(cpu_energy=2900.0, process_memory=100.0))
    usage = meter.epoch()
    assert (usage.seconds, usage.samples) == (20.0, 3)
    assert usage.energy == pytest.approx(2000.0)
    assert usage.memory == Level(mean=100.0, peak=100.0)


def test_a_driver_that_disappears_leaves_the_energy_unknown(clock: Clock) -> None:
    meter = Meter("GPU-00000000", clock, lambda: 0.0)
    for second in range(3):
        clock.now = 100.0 + second
        meter.add(sampled(gpus=(gpu(0, energy=100.0 * second),)))
    clock.now = 103.0
    meter.add(sampled(gpus=(), problem="the NVIDIA driver does not answer any more"))
    usage = meter.epoch()
    assert usage.energy is None
    assert usage.gpu
    assert usage.gpu.mean == pytest.approx(0.97)


@pytest.mark.parametrize(
    ("points", "power", "joules"),
    [
        ([], 100.0, None),
        ([(10.0, 5.0)], None, None),
        ([(10.0, 5.0)], 100.0, 200.0),
        ([(8.0, 0.0), (10.0, 100.0)], None, 100.0),
        ([(10.5, 0.0), (11.0, 50.0), (11.5, 150.0)], None, 50 + 50 + 100 + 100),
        ([(11.0, 100.0), (11.0, 100.0)], None, 0.0),
    ],
)
def test_energy_from_10_to_12_seconds(
    points: list[tuple[float, float]], power: float | None, joules: float | None
) -> None:
    assert energy_between(points, 10.0, 12.0, power) == (joules if joules is None else pytest.approx(joules))


def test_epochs_together() -> None:
    one = Usage(seconds=1.0, samples=1, memory=Level(mean=100.0, peak=200.0), energy=5.0)
    other = Usage(seconds=3.0, samples=3, memory=Level(mean=200.0, peak=300.0), energy=15.0)
    unknown = Usage(seconds=0.0, samples=0)
    both = together([one, other])
    assert both == Usage(seconds=4.0, samples=4, memory=Level(mean=175.0, peak=300.0), energy=20.0)
    assert together([]) is None
    three = together([one, other, unknown])
    assert three
    assert three.energy is None
    assert three.memory == Level(mean=175.0, peak=300.0)
    assert columns(one) == {"memory_mean": 100.0, "memory_peak": 200.0, "energy": 5.0}
    assert columns(unknown) == {}
