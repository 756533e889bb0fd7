"""The benchmark, from the request to its rows."""

from __future__ import annotations

from collections.abc import Generator
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import TypeVar, get_args

from engine.allocator import keep_freed_memory
from engine.benchmark import effort as efforts
from engine.benchmark.analysis import measure_gallery, measure_noise, measure_occlusion
from engine.benchmark.effort import VARIANTS
from engine.benchmark.events import BenchFinished, Measurement, SectionName
from engine.benchmark.machine import measure_rates
from engine.benchmark.recipe import measure_recipe
from engine.benchmark.requests import Bench
from engine.benchmark.training import measure_training, notebooks_sets
from engine.data.datasets import load
from engine.event import Event, WorkAdvanced
from engine.network.devices import choose_device, device_name, set_threads, versions
from engine.network.machine import description

R = TypeVar("R")


class _Bar:
    """The progress over all parts, in seconds as they are planned."""

    def __init__(self, total: float) -> None:
        self._total, self._done = total, 0.0

    def over(self, words: str, planned: float, work: Generator[float, None, R]) -> Generator[Event, None, R]:
        """Report the progress of `work`, which yields the share done of its `planned` seconds; returns its result."""
        share = 0.0
        while True:
            yield WorkAdvanced(words=words, done=round(self._done + share * planned), total=round(self._total))
            try:
                share = next(work)
            except StopIteration as stop:
                self._done += planned
                return stop.value  # type: ignore[no-any-return]


def bench(request: Bench, root: Path) -> Generator[Event, None, None]:
    """Measure everything that needs no terminal; the rows are in the order of their sections.

    Raises RequestError where the device does not exist.
    """
    began = perf_counter()
    keep_freed_memory()
    device = choose_device(request.device)
    threads = set_threads(request.threads)
    effort = efforts.QUICK if request.quick else efforts.FULL
    bar = _Bar(effort.total)
    data = yield from load("mnist", device)
    rates = yield from bar.over("products and convolutions", effort.machine, measure_rates(effort, device))
    rows: list[Measurement] = list(rates)
    sets = notebooks_sets()
    for variant in VARIANTS:
        training = measure_training(variant, sets, data, rates, effort)
        rows += yield from bar.over(f"training, {variant}", effort.training, training)
        occlusion = measure_occlusion(variant, data.test, root, effort, device)
        rows += yield from bar.over(f"occlusion, {variant}", effort.occlusion, occlusion)
        from_noise = measure_noise(variant, root, effort, device)
        rows += yield from bar.over(f"from noise, {variant}", effort.noise, from_noise)
        gallery = measure_gallery(variant, data.test, root, effort, device)
        rows += yield from bar.over(f"gallery, {variant}", effort.gallery, gallery)
    if not request.quick:
        rows += yield from bar.over("recipe fast", effort.recipe, measure_recipe(data, rows))
    order = {name: number for number, name in enumerate(get_args(SectionName))}
    yield BenchFinished(
        rows=tuple(sorted(rows, key=lambda row: order[row.section])),
        quick=request.quick,
        device=str(device),
        device_name=device_name(device),
        threads=threads,
        machine=description(device),
        versions=versions() | {name: version(name) for name in ("torchvision", "captum")},
        seconds=perf_counter() - began,
    )
