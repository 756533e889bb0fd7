"""The parts of the benchmark: rows, rounds, turns, limits of the allocator, and the sizes that fit into the time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from engine import allocator
from engine.benchmark import effort as efforts
from engine.benchmark import notebook, timing
from engine.benchmark.effort import FULL, QUICK, VARIANTS, Effort
from engine.benchmark.events import Measurement, three_digits
from engine.benchmark.requests import Bench
from engine.benchmark.training import notebooks_epoch, notebooks_sets, our_epoch, step_operations
from engine.data.datasets import Dataset
from engine.operations import perform
from engine.request import RequestError

CPU = torch.device("cpu")


def test_a_row_has_the_medians_and_the_ratio_of_each_round() -> None:
    row = Measurement.of("training", "whole epoch", "ms", [1, 2, 4], [4, 2, 12], scale=1000, peer="notebook")
    assert (row.median, row.low, row.high, row.rounds) == (2000, 1000, 4000, 3)
    assert row.peer_median == 4000
    assert (row.ratio, row.ratio_low, row.ratio_high) == (3, 1, 4)


def test_a_row_without_a_peer_has_no_ratio() -> None:
    row = Measurement.of("app", "first frame", "s", [0.2, 0.4])
    assert row.median == pytest.approx(0.3)
    assert (row.peer, row.peer_median, row.ratio) == ("", None, None)


@pytest.mark.parametrize(("amount", "text"), [(1071.6, "1,072"), (20.34, "20.3"), (5.678, "5.68"), (0.217, "0.22")])
def test_amounts_have_few_digits(amount: float, text: str) -> None:
    assert three_digits(amount) == text


def test_rounds_fill_the_time_within_their_bounds() -> None:
    effort = Effort(machine=0, training=0, occlusion=0, noise=0, gallery=0, least=3, most=10)
    assert [effort.rounds(12, one) for one in (100, 3, 2, 0.1)] == [3, 4, 6, 10]


def test_the_largest_part_is_taken_that_fits_into_the_time() -> None:
    effort = Effort(machine=0, training=0, occlusion=0, noise=0, gallery=0, least=3)
    assert [effort.part(30, whole, (1000, 500, 100)) for whole in (10, 10.1, 25, 1000)] == [1000, 500, 100, 100]


def test_both_forms_leave_time_for_the_app_and_for_imports() -> None:
    assert FULL.total < 240
    assert QUICK.total < 40


def test_works_take_turns_and_no_one_always_follows_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    clock = iter(range(1000))
    monkeypatch.setattr(timing, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(efforts, "perf_counter", lambda: 0.0)
    works = {name: lambda name=name: order.append(name) for name in "ab"}
    effort = Effort(machine=0, training=0, occlusion=0, noise=0, gallery=0, least=3, most=3)
    turns = timing.by_turns(works, 100, effort, CPU)
    shares = []
    try:
        while True:
            shares.append(next(turns))
    except StopIteration as stop:
        times = stop.value
    assert "".join(order) == "ab" + "ab" + "ba" + "ab"  # the first of each does not count
    assert shares == [1 / 3, 2 / 3, 1]
    assert times == {"a": [1, 1, 1], "b": [1, 1, 1]}


def test_a_machine_that_becomes_slow_ends_the_rounds_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efforts, "perf_counter", lambda: 1e9)
    effort = Effort(machine=0, training=0, occlusion=0, noise=0, gallery=0, least=3, most=3)
    turns = timing.by_turns({"a": lambda: None}, 100, effort, CPU)
    assert list(turns) == [1 / 3]


def test_the_peer_runs_with_glibcs_own_limits_and_the_program_gets_its_own_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits: list[tuple[int, int]] = []

    def note(*given: int) -> bool:
        limits.append((given[0], given[1]))
        return True

    monkeypatch.setattr(allocator, "_limits", note)
    monkeypatch.setattr(allocator, "keep_freed_memory", lambda: True)
    with allocator.as_glibc_adapts():
        assert limits == [(32 << 20, 64 << 20)]
    assert limits[1:] == [(1 << 30, 2**31 - 1)]


def test_without_glibc_no_limits_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator, "_limits", lambda *_: pytest.fail("set limits"))
    monkeypatch.setattr(allocator, "keep_freed_memory", lambda: False)
    with allocator.as_glibc_adapts():
        pass


def test_a_step_has_the_operations_of_the_layers() -> None:
    convolutions = 28 * 28 * 32 * 9, 14 * 14 * 32 * 32 * 9
    connected = 32 * 7 * 7 * 500, 500 * 10
    assert step_operations() == 2 * 64 * (3 * sum((*convolutions, *connected)) - convolutions[0])


@pytest.mark.parametrize("variant", VARIANTS)
def test_both_loops_are_timed_in_both_phases(variant: str, mnist: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    loop = notebook.train

    def watched(*arguments: Any) -> Any:
        seen.extend(sum(len(labels) for _, labels in loader) for loader in arguments[:3])
        return loop(*arguments)

    monkeypatch.setattr(notebook, "train", watched)
    batch_norm = bool(VARIANTS[variant])
    theirs = notebooks_epoch(notebooks_sets(), batch_norm, 130, CPU)
    ours = our_epoch(mnist, batch_norm, 130, "fp32", CPU)
    assert seen == [130, 26, 26]
    assert min(*theirs, *ours) > 0


@pytest.mark.parametrize(("fields", "words"), [({"device": "tpu"}, "device must be"), ({"threads": -1}, "threads")])
def test_a_wrong_field_is_named(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        Bench(**fields)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="use --device cpu"):
        next(perform(Bench(device="cuda"), tmp_path))
