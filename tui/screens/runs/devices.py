"""The page of the devices: CPUs, memory, disk and GPUs of this machine, and of others that report them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from textual.app import ComposeResult

from engine.figures.requests import DrawFigure
from engine.telemetry.events import DevicesSampled, GpuProcess, GpuSample
from engine.words import shown
from tui.drawing.terminal import glyphs
from tui.drawing.words import counted, duration, megabytes, whole_percent
from tui.machines import STRETCHES, Machine, trail_of
from tui.screens.pages import Page
from tui.screens.state import State
from tui.setting import Setting, of_state
from tui.widgets.gauges import Gauge, Gauges, Section

SILENT = 5.0
"""Seconds after which a machine is said to be silent."""
TOLD = 4
"""Maximum number of processes of a GPU that are named."""
HOTTEST = 100.0
"""Degrees Celsius that fill the height of a curve of temperatures."""


class DevicesPage(Page):
    """What the devices do."""

    page = "devices"
    title = "devices"
    stretch: State[int] = State(STRETCHES[0])
    """Seconds that a column of a curve stands for."""

    def compose(self) -> ComposeResult:
        yield Gauges(empty="looking at the devices", id="gauges")

    @property
    def rows(self) -> Gauges:
        """What the arrow keys scroll."""
        return self.query_one(Gauges)

    def settings(self) -> Sequence[Setting]:
        return (
            of_state(
                self,
                "stretch",
                "a column is",
                STRETCHES,
                show=lambda seconds: f"{seconds} s",
                help="seconds that a column of a curve stands for",
            ),
        )

    def draw(self) -> None:
        machines = list(self.workspace.machines)
        now = max((machine.latest.at for machine in machines), default=0.0)
        self.rows.show([section for machine in machines for section in sections(machine, now)], self.stretch)

    def sentence(self) -> str:
        """What the curves are."""
        return f"curves of the last minutes, {self.stretch} s a column: {self.key('settings')} changes it"

    def figure(self) -> DrawFigure | None:
        return None

    def unused(self) -> set[str]:
        return {"export"}


def sections(machine: Machine, now: float) -> Iterator[Section]:
    """A machine, and each of its GPUs; `now` is the time of the latest sample of all machines."""
    sample, dot = machine.latest, f" {glyphs().dot} "
    silent = [f"silent for {duration(now - sample.at)}"] if now - sample.at > SILENT else []
    driver = [f"NVIDIA driver {shown(sample.driver)}"] if sample.driver else []
    notes = []
    if sample.disk_free is not None and sample.disk_total is not None:
        notes.append(f"disk of the runs: {megabytes(sample.disk_free)} of {megabytes(sample.disk_total)} free")
    if sample.problem:
        notes.append(_missing(sample))
    facts = dot.join([*silent, counted(sample.cpus, "CPU"), *driver])
    yield Section(shown(sample.host), facts, sample.at, tuple(_of_machine(machine)), tuple(notes))
    for gpu in sample.gpus:
        title = f"GPU {gpu.number} {shown(gpu.name)}" + (", trains here" if gpu.used_here else "")
        gauges = tuple(_of_gpu(machine, gpu))
        yield Section(title, dot.join(_clocks(gpu)), sample.at, gauges, _processes(gpu.processes))


def _missing(sample: DevicesSampled) -> str:
    """Why there are no GPUs, or fewer than before."""
    return f"{shown(sample.problem)}: there is no GPU to show" if not sample.gpus else shown(sample.problem)


def _of_machine(machine: Machine) -> Iterator[Gauge]:
    """CPUs and memory, those of this program apart, and power where it is known."""
    sample, trails = machine.latest, machine.trails
    yield Gauge("CPU", whole_percent(sample.cpu), trails["cpu"], 1.0)
    used = _of(sample.memory_used, sample.memory_total)
    yield Gauge("memory", used, trails["memory_used"], sample.memory_total or 1.0)
    memory = "" if sample.process_memory is None else megabytes(sample.process_memory)
    mine = ", ".join(filter(None, (whole_percent(sample.process_cpu), memory)))
    yield Gauge("program", mine, trails["process_cpu"], float(sample.cpus))
    if sample.cpu_power is not None:
        yield Gauge("power", f"{sample.cpu_power:,.0f} W", trails["cpu_power"], max(100.0, sample.cpu_power))


def _of_gpu(machine: Machine, gpu: GpuSample) -> Iterator[Gauge]:
    def trail(name: str, label: str, value: str, most: float) -> Gauge:
        return Gauge(label, value, machine.trails[trail_of(gpu, name)], most)

    yield trail("utilisation", "busy", whole_percent(gpu.utilisation), 1.0)
    yield trail("memory_used", "memory", _of(gpu.memory_used, gpu.memory_total), gpu.memory_total or 1.0)
    limit = f" of {gpu.power_limit:,.0f}" if gpu.power_limit else ""
    power = "" if gpu.power is None else f"{gpu.power:,.0f}{limit} W"
    yield trail("power", "power", power, gpu.power_limit or max(100.0, gpu.power or 0.0))
    temperature = "" if gpu.temperature is None else f"{gpu.temperature:.0f} {glyphs().degrees}"
    yield trail("temperature", "temperature", temperature, HOTTEST)


def _clocks(gpu: GpuSample) -> list[str]:
    clocks = (("SM", gpu.clock), ("memory", gpu.memory_clock))
    return [f"{name} {value:,.0f} MHz" for name, value in clocks if value is not None]


def _processes(processes: tuple[GpuProcess, ...] | None) -> tuple[str, ...]:
    """A line about the processes on a GPU; none where they were not looked at."""
    if processes is None:
        return ()
    words = [
        " ".join(filter(None, (str(each.number), shown(each.name), megabytes(each.memory) if each.memory else "")))
        for each in processes[:TOLD]
    ]
    more = [f"{len(processes) - TOLD} more"] if len(processes) > TOLD else []
    return (f"processes: {', '.join([*words, *more]) or 'none'}",)


def _of(used: float | None, total: float | None) -> str:
    """A part of a memory in the unit of the whole, such as `12.3 of 139.8 GB`."""
    if used is None or total is None:
        return "" if used is None else megabytes(used)
    unit = 1024 if total >= 10_240 else 1
    digits, name = (1, "GB") if unit > 1 else (0, "MB")
    return f"{used / unit:,.{digits}f} of {total / unit:,.{digits}f} {name}"
