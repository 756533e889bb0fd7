"""Sampling of this machine's devices: once a second in a thread of its own while a run trains, or when asked.

Nothing is imported before the first sample. All runs of a process and those who watch share one sampler, so that each
interval is measured once.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from engine.event import Event
from engine.telemetry.events import DevicesSampled
from engine.telemetry.meter import Meter
from engine.telemetry.nvml import Gpus
from engine.telemetry.rapl import Processors
from engine.telemetry.readings import MB
from engine.telemetry.requests import WatchDevices

INTERVAL = 1.0
"""Seconds between two samples."""
FRESH = 1.5
"""Seconds for which the sample of a run's thread is good enough for those who watch."""
SHORTEST = 0.2
"""Seconds between two samples, below which the shares of the former still count."""
WATCHED = 3.0
"""Seconds after a look for which samples have all details."""
PATIENCE = 5.0
"""Seconds that the end of a run waits for a driver that hangs."""


class Sampler:
    """Takes samples of this machine's devices."""

    def __init__(self) -> None:
        self._change = threading.Lock()
        """Guards who is metered, and the thread."""
        self._taking = threading.Lock()
        """Guards all below: one sample at a time."""
        self._meters: list[Meter] = []
        self._ended: threading.Event | None = None
        """Ends the thread; None while there is none."""
        self._thread: threading.Thread | None = None
        self._gpus = Gpus()
        self._processors: Processors | None = None
        self._process: Any = None
        """This process, as psutil has it."""
        self._latest: DevicesSampled | None = None
        self._taken_at = self._watched = float("-inf")
        """When the latest sample was taken, and when somebody last looked."""
        self._listing = float("-inf")
        """When somebody last looked at processes."""
        self._folder: Path | None = None
        """The folder whose disk is looked at."""
        self._base: tuple[float, float, tuple[float, float] | None, float | None] | None = None
        """At the sample before: the time, CPU time of this process, busy and total time of all CPUs, and joules."""
        self.cpu_seconds = 0.0
        """CPU time of the thread so far."""

    @contextlib.contextmanager
    def metered(self, gpu: str = "") -> Iterator[Meter]:
        """A meter that gets a sample each INTERVAL within the context; `gpu` is the UUID of a run's GPU, if any."""
        meter = Meter(gpu)
        with self._change:
            self._meters.append(meter)
            if self._thread is None:
                self._ended = threading.Event()
                self._thread = threading.Thread(
                    target=self._work, args=(self._ended,), name="device-sampler", daemon=True
                )
                self._thread.start()
        try:
            yield meter
        finally:
            self._leave(meter)

    def _leave(self, meter: Meter) -> None:
        """Take no more samples for `meter`; without the last one, the thread ends."""
        with self._change:
            self._meters.remove(meter)
            if self._meters or self._ended is None or self._thread is None:
                return
            self._ended.set()
            thread, self._thread, self._ended = self._thread, None, None
        thread.join(PATIENCE)

    def look(self, folder: Path | None = None, *, processes: bool = False) -> DevicesSampled:
        """A sample with all details, and with the disk of `folder`, at most FRESH seconds old while a run trains."""
        now = time.monotonic()
        with self._taking:
            missing = folder != self._folder or (processes and now - self._listing > WATCHED)
            detailed = now - self._watched <= WATCHED and not missing
            self._watched, self._folder = now, folder
            if processes:
                self._listing = now
            fresh = self._thread is not None and now - self._taken_at < FRESH
            if self._latest and detailed and fresh:
                return self._latest
            return self._take()

    def _work(self, ended: threading.Event) -> None:
        """Take samples until `ended`."""
        while True:
            began = time.thread_time()
            with self._taking:
                sample = self._take()
            with self._change:
                meters = list(self._meters) if self._ended is ended else []
            for meter in meters:
                meter.add(sample)
            self.cpu_seconds += time.thread_time() - began
            if ended.wait(INTERVAL):
                return

    def _take(self) -> DevicesSampled:
        """Take a sample; only one thread at a time may."""
        import psutil

        now = time.monotonic()
        watched = now - self._watched <= WATCHED
        if self._processors is None:
            self._processors, self._process = Processors(), psutil.Process()
        used = {meter.gpu for meter in list(self._meters) if meter.gpu}
        gpus = self._gpus.look(used, detailed=watched, processes=watched and now - self._listing <= WATCHED)
        memory = _quietly(psutil.virtual_memory)
        resident = _quietly(lambda: self._process.memory_info().rss)
        disk = _quietly(lambda: shutil.disk_usage(self._existing())) if watched and self._folder else None
        cpu, process_cpu, power, joules = self._shares(now, _quietly(psutil.cpu_times))
        self._taken_at = now
        self._latest = DevicesSampled(
            host=socket.gethostname(),
            at=time.time(),
            cpus=os.cpu_count() or 1,
            cpu=cpu,
            memory_used=(memory.total - memory.available) / MB if memory else None,
            memory_total=memory.total / MB if memory else None,
            process_cpu=process_cpu,
            process_memory=resident / MB if resident is not None else None,
            cpu_power=power,
            cpu_energy=joules,
            disk_free=disk.free / MB if disk else None,
            disk_total=disk.total / MB if disk else None,
            driver=self._gpus.driver,
            gpus=gpus,
            problem=self._gpus.problem,
        )
        return self._latest

    def _shares(self, now: float, times: Any) -> tuple[float | None, float | None, float | None, float | None]:
        """Share of busy CPUs, CPUs that this process kept busy, watts of the processors, and their joules so far."""
        process, clock = time.process_time(), _busy_and_total(times) if times else None
        joules = self._processors.joules() if self._processors else None
        before, latest = self._base, self._latest
        if before and latest and now - before[0] < SHORTEST:
            return latest.cpu, latest.process_cpu, latest.cpu_power, joules
        self._base = (now, process, clock, joules)
        if before is None:
            return None, None, None, joules
        seconds = now - before[0]
        cpu = None
        if clock and before[2] and (total := clock[1] - before[2][1]) > 0:
            cpu = min(1.0, max(0.0, (clock[0] - before[2][0]) / total))
        power = (joules - before[3]) / seconds if joules is not None and before[3] is not None else None
        return cpu, max(0.0, process - before[1]) / seconds, power, joules

    def _existing(self) -> Path:
        """The folder of the disk, or its nearest parent that exists: the first run makes it."""
        folder = (self._folder or Path()).absolute()
        return next((each for each in (folder, *folder.parents) if each.is_dir()), folder)


def _busy_and_total(times: Any) -> tuple[float, float]:
    """Busy seconds and all seconds of all CPUs since the machine started; waiting for a disk is not busy."""
    # Linux counts the time of guests twice: as such, and as the user's.
    total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return total - times.idle - getattr(times, "iowait", 0.0), total


def _quietly(ask: Any) -> Any:
    """The answer of the system; None where it gives none."""
    import psutil

    try:
        return ask()
    except (psutil.Error, OSError, RuntimeError, ValueError):
        return None


SHARED = Sampler()
"""The sampler of this process."""


def metered(gpu: str = "") -> contextlib.AbstractContextManager[Meter]:
    """A meter of what a run uses, within the context; `gpu` is the UUID of its GPU, empty for a CPU."""
    return SHARED.metered(gpu)


def sample(folder: Path | None = None, *, processes: bool = False) -> DevicesSampled:
    """The state of this machine's devices and of the disk of `folder`: for a process that reports on its machine.

    It is to be called about once a second: shares and watts are those since the call before.
    """
    return SHARED.look(folder, processes=processes)


def watch_devices(request: WatchDevices, root: Path) -> Generator[Event, None, None]:
    """One sample of this machine's devices, with the disk of the runs folder `root`."""
    yield sample(root, processes=request.processes)
