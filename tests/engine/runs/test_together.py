"""Several runs at once, by runs that only say what they do: which advance when, how many, and how they end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from engine.event import Cancelled, Event
from engine.operations import end
from engine.request import RequestError
from engine.runs.together import Together, Work
from engine.training.events import BatchTrained, EpochFinished, RunCancelled, RunFinished
from engine.training.requests import Train
from tests.runs import EPOCH_EVENT, STARTED_EVENT

STEPS = 12


class Fleet:
    """Runs of two epochs; the clock goes on by `seconds(active)` for each step, where `active` runs are under way."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, device: str = "cuda:0") -> None:
        self.device = device
        self.log: list[tuple[int, str]] = []
        self.active: list[int] = []
        """Number of runs under way at each step in `log`."""
        self.now = 0.0
        self.under_way: set[int] = set()
        self.most = 0
        self.costs: dict[int, float] = {}
        """Seconds of a step with that many runs under way; 1 if not given."""
        self.refuses_beside_others: set[int] = set()
        self.fails: set[int] = set()
        monkeypatch.setattr("engine.runs.together.time.perf_counter", lambda: self.now)

    def start(self, request: Train) -> Work:
        seed = request.seed
        if seed in self.refuses_beside_others and self.under_way:
            raise RequestError("no room")
        self.under_way.add(seed)
        self.most = max(self.most, len(self.under_way))
        try:
            yield replace(STARTED_EVENT, run=f"run-{seed}", device=self.device)
            for number in (1, 2):
                for step in range(1, STEPS + 1):
                    self.now += self.costs.get(len(self.under_way), 1.0)
                    self.log.append((seed, f"{number}.{step}"))
                    self.active.append(len(self.under_way))
                    if seed in self.fails:
                        raise ZeroDivisionError("division by zero")
                    yield BatchTrained(
                        epoch=number, epochs=2, step=step, steps=STEPS, images_per_second=1.0, running_loss=()
                    )
                yield replace(EPOCH_EVENT, epoch=number, epochs=2)
            yield RunFinished(
                run=f"run-{seed}", best_epoch=1, best_val_loss=1.0, test_accuracy=0.5, last_test_accuracy=0.5
            )
        except Cancelled:
            yield RunCancelled(run=f"run-{seed}", epoch=0)
        finally:
            self.under_way.discard(seed)


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Fleet:
    return Fleet(monkeypatch)


def requests(count: int) -> list[Train]:
    return [Train(seed=seed, train_size=64 * STEPS) for seed in range(count)]


def kinds(events: Iterator[Event]) -> list[str]:
    found = [type(event).__name__ for event in events]
    return [kind for kind in found if kind != "BatchTrained"]


WHOLE = ["RunStarted", "EpochFinished", "EpochFinished", "RunFinished"]


def test_on_a_cpu_one_run_follows_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = Fleet(monkeypatch, device="cpu")
    events = [list(work) for work in Together(fleet.start, requests(3))]
    assert [kinds(iter(each)) for each in events] == [WHOLE] * 3
    assert fleet.most == 1
    assert [seed for seed, _ in fleet.log] == [seed for seed in range(3) for _ in range(2 * STEPS)]
    assert sum(isinstance(event, BatchTrained) for event in events[1]) == 2 * STEPS


def test_a_run_is_not_begun_before_it_is_asked_for_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = Fleet(monkeypatch, device="cpu")
    _, second, _ = Together(fleet.start, requests(3))
    assert kinds(second) == WHOLE
    assert {seed for seed, _ in fleet.log} == {1}


def test_runs_join_while_they_pay(fleet: Fleet) -> None:
    """A second and a third double the rate, a fourth adds nothing: three go on."""
    fleet.costs = {1: 1.0, 2: 0.5, 3: 0.25, 4: 0.25}
    assert [kinds(work) for work in Together(fleet.start, requests(20))] == [WHOLE] * 20
    assert fleet.most == 4
    assert {seed for seed, _ in fleet.log} == set(range(20))
    assert set(fleet.active[100:-60]) <= {2, 3}  # 2 where one is about to be replaced
    assert fleet.active[100:-60].count(3) > 240


def test_one_run_more_must_pay(fleet: Fleet) -> None:
    assert [kinds(work) for work in Together(fleet.start, requests(5))] == [WHOLE] * 5
    assert fleet.most == 2
    first_of_last = fleet.log.index((4, "1.1"))
    assert {seed for seed, _ in fleet.log[first_of_last:]} == {4}  # alone again


def test_no_more_than_asked_for(fleet: Fleet) -> None:
    fleet.costs = {count: 1.0 / 2**count for count in range(1, 9)}
    list(map(kinds, Together(fleet.start, requests(9), most=2)))
    assert fleet.most == 2


def test_a_run_that_fails_ends_alone(fleet: Fleet) -> None:
    fleet.costs, fleet.fails = {2: 0.5, 3: 0.25}, {1}
    works = list(Together(fleet.start, requests(4)))
    assert kinds(works[0]) == WHOLE
    with pytest.raises(ZeroDivisionError):
        kinds(works[1])
    assert [kinds(work) for work in works[2:]] == [WHOLE] * 2


def test_a_run_without_room_beside_the_others_waits_for_them(fleet: Fleet) -> None:
    fleet.costs, fleet.refuses_beside_others = {2: 0.5, 3: 0.25}, {1}
    assert [kinds(work) for work in Together(fleet.start, requests(3))] == [WHOLE] * 3
    assert fleet.log.index((1, "1.1")) > fleet.log.index((0, f"2.{STEPS}"))


def test_a_run_that_never_has_room_is_refused(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(request: Train) -> Work:
        if request.seed == 1:
            raise RequestError("too large")
        yield from fleet.start(request)

    fleet.costs = {2: 0.5}
    works = list(Together(start, requests(3)))
    assert kinds(works[0]) == WHOLE
    with pytest.raises(RequestError, match="too large"):
        kinds(works[1])
    assert kinds(works[2]) == WHOLE


def until_two(fleet: Fleet) -> tuple[Together, list[Work]]:
    """Two runs under way, after the first epoch of the first one."""
    fleet.costs = {2: 0.5}
    several = Together(fleet.start, requests(3))
    works = list(several)
    for _ in works[0]:
        if len(fleet.under_way) == 2:
            break
    return several, works


def test_one_cancelled_run_leaves_the_others_alone(fleet: Fleet) -> None:
    _, works = until_two(fleet)
    assert [type(event) for event in end(works[0])] == [RunCancelled]
    assert [kinds(work) for work in works[1:]] == [WHOLE] * 2


def test_all_can_be_stopped(fleet: Fleet) -> None:
    several, works = until_two(fleet)
    assert isinstance(list(end(works[0]))[-1], RunCancelled)
    ((number, work),) = several.stop()
    assert (number, kinds(work)) == (1, ["RunStarted", "RunCancelled"])
    assert not fleet.under_way
    assert not list(works[2])


def test_a_closed_view_closes_its_run(fleet: Fleet) -> None:
    _, works = until_two(fleet)
    works[0].close()
    assert fleet.under_way == {1}


def test_only_the_progress_of_the_shown_run_is_kept(fleet: Fleet) -> None:
    fleet.costs = {2: 0.5, 3: 0.25}
    first, second, _ = Together(fleet.start, requests(3))
    shown = [event for event in first if isinstance(event, BatchTrained)]
    assert len(shown) == 2 * STEPS
    later = [event for event in second if isinstance(event, (BatchTrained, EpochFinished))]
    assert 0 < sum(isinstance(event, BatchTrained) for event in later) < 2 * STEPS
    assert [event.epoch for event in later if isinstance(event, EpochFinished)] == [1, 2]
