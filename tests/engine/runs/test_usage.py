"""What runs used of the devices: measured while they train, kept with their epochs, told where it is known."""

from __future__ import annotations

import contextlib
import csv
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import engine.runs.recording
from engine.event import Cancelled, PauseAsked
from engine.operations import perform
from engine.runs.catalogue import summaries
from engine.runs.comparison import compare, measures, sentence
from engine.runs.details import read_run
from engine.runs.events import RunRead
from engine.runs.folder import RunFolder
from engine.runs.recording import train_run
from engine.runs.requests import Export, ReadRun
from engine.telemetry import sampler
from engine.telemetry.events import Level, Usage
from engine.telemetry.meter import Meter
from engine.telemetry.sampler import Sampler
from engine.training.events import EpochFinished, RunContinued, RunPaused
from engine.training.requests import Train
from tests.engine.telemetry.fake_nvml import installed
from tests.runs import EPOCH, SHORT, STARTED, advance, epoch_line, made, only, written
from tests.tui.devices import sampled

USAGE = Usage(
    seconds=2.0,
    samples=2,
    cpu=Level(mean=1.9, peak=2.0),
    memory=Level(mean=600.0, peak=690.0),
    gpu=Level(mean=0.5, peak=0.9),
    gpu_memory=Level(mean=1_000.0, peak=1_234.0),
    power=Level(mean=200.0, peak=400.0),
    energy=400.0,
)


def used(root: Path, name: str, request: Train, *usages: Usage | None) -> RunFolder:
    """A run whose epochs used this."""
    run = made(root, name, request, [0.9] * len(usages))
    lines = [
        msgspec.json.encode(msgspec.json.decode(line) | {"usage": msgspec.to_builtins(usage)}) + b"\n"
        for line, usage in zip(run.events_file.read_bytes().splitlines(), usages, strict=True)
    ]
    run.events_file.write_bytes(b"".join(lines))
    return run


@pytest.fixture
def fed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Meters that have had samples, in place of a thread; the UUIDs that were asked for."""
    asked = []

    @contextlib.contextmanager
    def metered(gpu: str = "") -> Iterator[Meter]:
        asked.append(gpu)
        meter = Meter(gpu)
        meter.add(sampled(cpu_energy=10.0, cpu_power=50.0))
        yield meter

    monkeypatch.setattr(engine.runs.recording, "metered", metered)
    return asked


def test_each_epoch_says_what_it_used(small_runs: None, tmp_path: Path, fed: list[str]) -> None:
    events = list(train_run(SHORT, tmp_path))
    epochs = [event for event in events if isinstance(event, EpochFinished)]
    assert fed == [""]
    assert len(epochs) == SHORT.epochs
    for epoch in epochs:
        usage = epoch.usage
        assert usage
        assert usage.memory == Level(mean=690.0, peak=690.0)
        assert usage.cpu
        assert usage.energy is not None
        assert usage.energy == pytest.approx(50.0 * usage.seconds)
        assert usage.gpu is None
    assert only(tmp_path).history().epochs == epochs


def test_a_pause_is_not_counted(small_runs: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    @contextlib.contextmanager
    def metered(gpu: str = "") -> Iterator[Meter]:
        yield Meter(gpu, lambda: now[0], lambda: 0.0)

    monkeypatch.setattr(engine.runs.recording, "metered", metered)
    run = train_run(SHORT, tmp_path)
    advance(run, 1)
    now[0] = 5.0
    assert isinstance(run.throw(PauseAsked()), RunPaused)
    now[0] = 1_000_000.0
    assert isinstance(next(run), RunContinued)
    epoch = next(event for event in run if isinstance(event, EpochFinished))
    assert epoch.usage
    assert epoch.usage.seconds == 5.0
    run.close()


@pytest.mark.parametrize(
    ("end", "driver"),
    [("finished", "absent"), ("stopped", "two GPUs"), ("closed", "absent"), ("failed", "two GPUs")],
)
def test_no_thread_is_left_behind(
    small_runs: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, driver: str
) -> None:
    installed(monkeypatch).absent = driver == "absent"
    monkeypatch.setattr(sampler, "SHARED", Sampler())
    run = train_run(SHORT, tmp_path)
    advance(run, 1)
    assert [thread.name for thread in threading.enumerate()].count("device-sampler") == 1
    if end == "closed":
        run.close()
    elif end == "failed":
        with pytest.raises(ZeroDivisionError):
            run.throw(ZeroDivisionError())
    else:
        with contextlib.suppress(StopIteration):
            if end == "stopped":
                run.throw(Cancelled())
            list(run)
    assert "device-sampler" not in [thread.name for thread in threading.enumerate()]


def test_events_without_it_still_load(tmp_path: Path) -> None:
    run = written(tmp_path / "run", STARTED, EPOCH, epoch_line(2, usage=None), epoch_line(3, usage={"seconds": 1.0}))
    history = run.history()
    assert [epoch.epoch for epoch in history.epochs] == [1, 2]
    assert history.damaged_lines == 1  # a usage without its samples
    assert history.usage is None


def test_a_run_of_which_a_part_is_known(tmp_path: Path) -> None:
    used(tmp_path, "part", Train(), None, USAGE, USAGE)
    used(tmp_path, "whole", Train(), USAGE, USAGE)
    used(tmp_path, "none", Train(), None)
    found = {run.name: (run.energy, run.memory) for run in summaries(tmp_path)}
    assert found == {"part": (None, 1_234.0), "whole": (800.0, 1_234.0), "none": (None, None)}
    (read,) = read_run(ReadRun(what="whole"), tmp_path)
    assert isinstance(read, RunRead)
    assert read.usage
    assert (read.usage.energy, read.usage.samples) == (800.0, 4)


def test_a_comparison_tells_what_all_runs_of_a_group_know(tmp_path: Path) -> None:
    frugal = msgspec.structs.replace(USAGE, energy=100.0)
    runs = [
        used(tmp_path, "a0", Train(), USAGE, USAGE),
        used(tmp_path, "a1", Train(seed=1), USAGE, frugal),
        used(tmp_path, "b0", Train(batch_norm=True), frugal),
        used(tmp_path, "c0", Train(epochs=3), None),
    ]
    event = compare(runs)
    first, second, third = event.groups
    assert first.values["joules per epoch"] == (400.0, 250.0)
    assert second.results["peak memory"].mean == 1_234.0
    assert not {"joules per epoch", "peak memory"} & third.results.keys()
    assert measures(event)[-2:] == ["joules per epoch", "peak memory"]
    (energy,) = (each for each in event.contrasts if each.measure == "joules per epoch")
    assert energy.difference == -225.0
    assert sentence(energy).startswith(f"joules per epoch: {second.label} 225.0 J lower than {first.label}")
    assert measures(compare(runs[3:])) == [
        *("test accuracy", "highest test accuracy", "validation loss", "seconds per epoch")
    ]


def test_a_csv_of_curves_has_columns_of_what_is_known(tmp_path: Path) -> None:
    used(tmp_path, "part", Train(), None, USAGE)
    list(perform(Export(what=str(tmp_path / "part"), to=str(tmp_path / "curves.csv")), tmp_path))
    with (tmp_path / "curves.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["energy"], first["gpu_memory_peak"]) == ("", "")
    assert (second["energy"], second["gpu_memory_peak"], second["cpu_mean"]) == ("400.0", "1234.0", "1.9")
    assert "usage" not in first
