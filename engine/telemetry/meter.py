"""What a run uses, an epoch at a time: fed by the thread that samples, read by the one that trains."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from statistics import fmean

from engine.telemetry.events import DevicesSampled, GpuSample, Level, Usage
from engine.telemetry.nvml import identity

RECENT = 2.0
"""Seconds for which a sample stands for an epoch that has none of its own."""
Point = tuple[float, float]
"""A time in seconds, and joules."""


class Meter:
    """Collects the samples of an epoch. Times are of `clock`, in seconds; `cpu_clock` counts the process's CPU time."""

    def __init__(
        self,
        gpu: str = "",
        clock: Callable[[], float] = time.monotonic,
        cpu_clock: Callable[[], float] = time.process_time,
    ) -> None:
        """`gpu` is the UUID of the GPU that the run is trained on; empty for a CPU."""
        self.gpu = identity(gpu)
        self._clock, self._cpu_clock = clock, cpu_clock
        self._lock = threading.Lock()
        self._samples: list[DevicesSampled] = []
        self._latest: tuple[float, DevicesSampled] | None = None
        """The latest sample, and its time."""
        self._points: list[Point] = []
        """The energy counter of the run's device, beginning with the last one before this epoch."""
        self._power: float | None = None
        """In watts, at the latest sample."""
        self._seconds = self._cpu_seconds = 0.0
        """Of the parts of this epoch before the last pause."""
        self._joules: list[float | None] = []
        """Of each of these parts."""
        self._since: float | None = clock()
        """When this part began; None while paused."""
        self._cpu_since = cpu_clock()

    def begin(self) -> None:
        """Begin an epoch: what was before does not count."""
        with self._lock:
            self._forget()

    def add(self, sample: DevicesSampled) -> None:
        """Add a sample that was just taken."""
        now = self._clock()
        with self._lock:
            if self._since is not None:
                self._samples.append(sample)
            self._latest = (now, sample)
            gpu = self._own(sample)
            energy, self._power = (gpu.energy, gpu.power) if gpu else (None, None)
            if not self.gpu:
                energy, self._power = sample.cpu_energy, sample.cpu_power
            if energy is None or (self._points and energy < self._points[-1][1]):  # unknown, or it started over
                self._points = []
            if energy is not None:
                self._points.append((now, energy))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out what happens within the context."""
        with self._lock:
            self._close_part()
        yield
        with self._lock:
            self._open_part()

    def epoch(self) -> Usage:
        """What the epoch that ends now has used; the next one begins."""
        with self._lock:
            self._close_part()
            now = self._clock()
            samples = self._samples
            own = len(samples)
            if not samples and self._latest and now - self._latest[0] <= RECENT:
                samples = [self._latest[1]]
            gpus = [gpu for each in samples if (gpu := self._own(each))]
            powers = [gpu.power for gpu in gpus] if self.gpu else [each.cpu_power for each in samples]
            power = _level(powers)
            energy = sum(each or 0.0 for each in self._joules) if None not in self._joules else None
            if power and energy is not None and self._seconds > 0:
                mean = energy / self._seconds
                power = Level(mean=mean, peak=max(mean, power.peak))
            cpu = self._cpu_seconds / self._seconds if self._seconds > 0 else None
            usage = Usage(
                seconds=self._seconds,
                samples=own,
                cpu=_level([each.process_cpu for each in samples], cpu),
                memory=_level(each.process_memory for each in samples),
                gpu=_level(gpu.utilisation for gpu in gpus),
                gpu_memory=_level(gpu.memory_used for gpu in gpus),
                power=power,
                energy=energy,
            )
            self._forget()
        return usage

    def _own(self, sample: DevicesSampled) -> GpuSample | None:
        """The state of the run's GPU."""
        return next((gpu for gpu in sample.gpus if self.gpu and identity(gpu.uuid) == self.gpu), None)

    def _forget(self) -> None:
        self._samples, self._seconds, self._cpu_seconds, self._joules = [], 0.0, 0.0, []
        self._open_part()

    def _open_part(self) -> None:
        self._points = self._points[-2:]
        self._since, self._cpu_since = self._clock(), self._cpu_clock()

    def _close_part(self) -> None:
        if self._since is None:
            return
        now = self._clock()
        self._seconds += now - self._since
        self._cpu_seconds += self._cpu_clock() - self._cpu_since
        self._joules.append(energy_between(self._points, self._since, now, self._power))
        self._since = None


def energy_between(points: Sequence[Point], start: float, end: float, power: float | None) -> float | None:
    """Joules from `start` to `end`, by the `points` of a counter, in order of time; None where they do not tell.

    Between two points the power counts as constant, and beyond the ends as next to them; where there is only one point
    it is `power`, in watts.
    """
    if not points or end < start or (len(points) == 1 and power is None):
        return None

    def counter(at: float) -> float:
        if len(points) == 1:
            return points[0][1] + (power or 0.0) * (at - points[0][0])
        after = next((n for n, (time, _) in enumerate(points) if time >= at and n), len(points) - 1)
        (t0, e0), (t1, e1) = points[after - 1], points[after]
        return e0 + (e1 - e0) * (at - t0) / (t1 - t0) if t1 > t0 else e1

    return max(0.0, counter(end) - counter(start))


def _level(values: Iterable[float | None], mean: float | None = None) -> Level | None:
    """Mean, unless it is known better, and maximum of the known `values`; None where there are none."""
    known = [value for value in values if value is not None]
    if mean is not None:
        return Level(mean=mean, peak=max([mean, *known]))
    return Level(mean=fmean(known), peak=max(known)) if known else None
