"""The events of devices, and what an epoch used of them.

A value is None where the system, the driver or the device does not tell it, or told what cannot be.
"""

from __future__ import annotations

from msgspec import Struct

from engine.event import Amount, Count, Progress, Seconds


class GpuProcess(Struct, frozen=True, kw_only=True):
    """A process on a GPU, of any user."""

    number: int
    name: str
    """Empty where its number means nothing here, as in a container."""
    memory: float | None
    """Its memory on the GPU, in MB."""


class GpuSample(Struct, frozen=True, kw_only=True):
    """The state of a GPU."""

    uuid: str
    """Identifies it, since its number depends on CUDA_VISIBLE_DEVICES."""
    number: int
    """Its number in NVML, from 0."""
    name: str
    used_here: bool
    """Whether a run of the process that took the sample is trained on it."""
    utilisation: float | None = None
    """Share of the time in which a kernel ran, 0 to 1."""
    memory_used: float | None = None
    """Of all processes, in MB."""
    memory_total: float | None = None
    """In MB."""
    temperature: float | None = None
    """In degrees Celsius."""
    power: float | None = None
    """In watts."""
    power_limit: float | None = None
    """In watts."""
    energy: float | None = None
    """In joules, since the driver was loaded."""
    clock: float | None = None
    """Of its multiprocessors, in MHz."""
    memory_clock: float | None = None
    """In MHz."""
    processes: tuple[GpuProcess, ...] | None = None
    """None where they were not looked at."""


class DevicesSampled(Progress, frozen=True):
    """The devices of a machine were looked at. The next sample of the same machine replaces it."""

    host: str
    """The name of the machine."""
    at: float
    """In seconds since 1970."""
    cpus: int
    """Number of logical CPUs."""
    cpu: float | None
    """Share of the time in which they were busy since the sample before, 0 to 1; None for the first one."""
    memory_used: float | None
    """In MB, without what the system can free at once."""
    memory_total: float | None
    """In MB."""
    process_cpu: float | None
    """CPU time of the process that took the sample, as a share of one CPU's time: 2 where it keeps two CPUs busy."""
    process_memory: float | None
    """Its resident memory, in MB."""
    cpu_power: float | None
    """Of all processors, in watts."""
    cpu_energy: float | None
    """Of all processors, in joules since the first sample."""
    disk_free: float | None
    """Of the file system of the runs folder, in MB; None where it was not looked at."""
    disk_total: float | None
    """In MB."""
    driver: str
    """The version of the NVIDIA driver; empty where there is none."""
    gpus: tuple[GpuSample, ...]
    """All of the machine, whatever CUDA_VISIBLE_DEVICES says."""
    problem: str
    """Why there are no GPUs, or fewer than before, in a few words; empty where all are there."""

    @property
    def replaces(self) -> object:
        """Samples of other machines are kept apart."""
        return (type(self), self.host)


class Level(Struct, frozen=True, kw_only=True):
    """Mean and maximum of a value over the samples of an epoch."""

    mean: Amount
    peak: Amount


class Usage(Struct, frozen=True, kw_only=True):
    """What an epoch used.

    Values of a GPU or of the processors include what other processes do on them, those of the process all of its runs.
    """

    seconds: Seconds
    """Duration that this is about, without pauses."""
    samples: Count
    """Number of samples within it; in an epoch of less than a second there may be none, and the last one counts."""
    cpu: Level | None = None
    """CPU time of the process, as a share of one CPU's time."""
    memory: Level | None = None
    """Resident memory of the process, in MB."""
    gpu: Level | None = None
    """Utilisation of the run's GPU, 0 to 1; None for a run on a CPU, like the next one."""
    gpu_memory: Level | None = None
    """In MB."""
    power: Level | None = None
    """Of the device that the run is trained on, in watts: its GPU, or else all processors."""
    energy: Amount | None = None
    """Of the same device, in joules."""

    @property
    def device_memory(self) -> float | None:
        """The largest memory in MB: on the GPU for a run on a GPU, else that of the process."""
        level = self.gpu_memory or self.memory
        return level.peak if level else None
