"""What is known of the devices of each machine, and how it has changed."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator

from engine.telemetry.events import DevicesSampled, GpuSample
from tui.drawing.words import whole_percent

STRETCHES = (1, 5, 30)
"""Seconds that a column of a curve may stand for."""
KEPT = 200
"""Number of stretches of each length that are kept: more than a line of most terminals has columns."""


class Trail:
    """The history of a value, as means over stretches of each length."""

    def __init__(self) -> None:
        self._sums = {length: deque[tuple[int, float, int]](maxlen=KEPT) for length in STRETCHES}
        """The number of each stretch since 1970, the sum of its values, and their number."""

    def add(self, at: float, value: float | None) -> None:
        """Add a value of the time `at`, in seconds since 1970; None where it was not known then."""
        if value is None:
            return
        for length, stretches in self._sums.items():
            number = int(at // length)
            total, count = 0.0, 0
            if stretches and stretches[-1][0] == number:
                _, total, count = stretches.pop()
            stretches.append((number, total + value, count + 1))

    def columns(self, length: int, count: int, at: float) -> list[float | None]:
        """The means of the last `count` stretches of `length` seconds up to the time `at`; None without a value.

        Samples come a little less than once a second: a single second without one has the next one's value, which tells
        of the time since the sample before.
        """
        known = {number: total / values for number, total, values in self._sums[length]}
        if length == 1:
            known |= {n - 1: mean for n, mean in known.items() if n - 1 not in known and n - 2 in known}
        last = int(at // length)
        return [known.get(number) for number in range(last - count + 1, last + 1)]


class Machine:
    """The latest sample of a machine, and the history of its values."""

    def __init__(self, sample: DevicesSampled) -> None:
        self.latest = sample
        self.trails: defaultdict[str, Trail] = defaultdict(Trail)
        """By the name of a value; those of a GPU as `trail_of` names them."""
        self.add(sample)

    def add(self, sample: DevicesSampled) -> None:
        """Add a sample."""
        self.latest = sample
        for name in ("cpu", "memory_used", "process_cpu", "cpu_power"):
            self.trails[name].add(sample.at, getattr(sample, name))
        for gpu in sample.gpus:
            for name in ("utilisation", "memory_used", "power", "temperature"):
                self.trails[trail_of(gpu, name)].add(sample.at, getattr(gpu, name))


def trail_of(gpu: GpuSample, name: str) -> str:
    """The name of the trail of a GPU's value."""
    return f"{gpu.uuid} {name}"


class Machines:
    """All machines that samples came from, by host name."""

    def __init__(self) -> None:
        self._machines: dict[str, Machine] = {}
        self.own = ""
        """The name of the machine that this process runs on; empty before its first sample."""
        self.shown = False
        """Whether they are in front."""

    def add(self, sample: DevicesSampled, *, own: bool = False) -> None:
        """Add a sample of any machine; `own` is whether it is the one that this process runs on."""
        if own:
            self.own = sample.host
        if machine := self._machines.get(sample.host):
            machine.add(sample)
        else:
            self._machines[sample.host] = Machine(sample)

    def __iter__(self) -> Iterator[Machine]:
        """The machine of this process first, then the others by name."""
        return iter(sorted(self._machines.values(), key=lambda each: (each.latest.host != self.own, each.latest.host)))

    def in_brief(self, *, training: bool) -> tuple[str, str]:
        """The state of this machine in a few words, and in fewer: of the GPU in use, or of the CPUs without one.

        While a run is `training` here on a CPU, idle GPUs do not count. Empty before the first sample.
        """
        machine = self._machines.get(self.own)
        if machine is None:
            return "", ""
        sample = machine.latest
        used = [gpu for gpu in sample.gpus if gpu.used_here]
        gpus = used or ([] if training else list(sample.gpus))
        if gpus:
            gpu = max(gpus, key=lambda each: each.utilisation or 0.0)
            power = "" if gpu.power is None else f"{gpu.power:.0f} W"
            parts = ["GPU", whole_percent(gpu.utilisation), _gigabytes(gpu.memory_used), power]
        else:
            parts = ["CPU", whole_percent(sample.cpu), _gigabytes(sample.memory_used)]
            if sample.cpu is None:  # the memory is not that of the CPU
                return "", ""
        known = [words for words in parts if words]
        return ("", "") if len(known) == 1 else (" ".join(known), " ".join(known[:2]))


def _gigabytes(memory: float | None) -> str:
    """A memory in MB as text that seldom changes; empty where it is not known."""
    return "" if memory is None else f"{memory / 1024:.1f} GB"
