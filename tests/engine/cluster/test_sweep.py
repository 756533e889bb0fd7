"""The driver of a sweep, by workers that follow a script. Does not need Ray."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from engine.cluster import sweep
from engine.cluster.events import RunLost, RunRefused, SweepAdvanced, SweepEnded
from engine.cluster.hub import Hub
from engine.cluster.machines import Cluster
from engine.cluster.messages import Lost, Order, Parcel
from engine.cluster.mirror import Mirror
from engine.cluster.requests import TrainOnRay
from engine.cluster.scratch import LOCK, PREFIX, scratch
from engine.cluster.shares import FIRST, Machine, Share, share
from engine.event import Event
from engine.operations import end
from engine.runs.folder import RunFolder, RunRecord
from engine.telemetry.sampler import sample
from engine.training.events import BatchTrained, EpochFinished, RunFailed, RunFinished
from engine.training.requests import Train
from tests.runs import EPOCH_EVENT, STARTED_EVENT

Scripts = Callable[[Order], list[Parcel | Lost]]
_RECORD = msgspec.json.encode(RunRecord(Train(), {}, "cpu", "", 1))
BEGUN = Parcel(events=(STARTED_EVENT,), files={"request.json": _RECORD})
FINISHED = RunFinished(run="x", best_epoch=1, best_val_loss=0.5, test_accuracy=0.5, last_test_accuracy=0.5)
WHOLE: list[Parcel | Lost] = [
    Parcel(machine="there", process=1),
    BEGUN,
    Parcel(events=(EPOCH_EVENT,), files={"model.safetensors": b"1"}),
    Parcel(events=(FINISHED,)),
    Parcel(seconds=1.0),
]
DEAD = Lost("its process ended")


class Scripted(Hub):
    """Workers that send what the script of an order says, one parcel each in turn."""

    def __init__(self, scripts: Scripts) -> None:
        super().__init__(reuse_gpu_workers=True)
        self.scripts = scripts
        self.orders: list[tuple[Order, Share]] = []
        self.stopped: list[int | None] = []
        self.cancelled: list[int] = []
        self.sent: dict[int, deque[Parcel | Lost]] = {}

    def cancel(self, number: int) -> None:
        self.cancelled.append(number)
        self.sent.pop(number, None)

    def submit(self, order: Order, share: Share) -> None:
        self.orders.append((order, share))
        self.sent[order.number] = deque(self.scripts(order))

    def take(self, seconds: float) -> list[tuple[int, Parcel | Lost]]:
        found = [(number, parcels.popleft()) for number, parcels in self.sent.items() if parcels]
        if not found and self.stopped:
            found = [(number, Parcel(seconds=0.0)) for number in self.sent]
        assert found, "it waits for nothing"
        return found

    def stop(self, sweep: str, number: int | None = None) -> None:
        self.stopped.append(number)

    def forget(self, sweep: str) -> None:
        pass


@pytest.fixture
def swept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., tuple[Scripted, Iterator[Event]]]:
    """Begins a sweep of `count` runs with workers by `scripts`; returns their hub and its events."""

    def begun(scripts: Scripts, count: int = 1, gpus: float = 0.0, **options: Any) -> tuple[Scripted, Iterator[Event]]:
        hub = Scripted(scripts)

        @contextmanager
        def joined(_: str) -> Iterator[Cluster]:
            yield Cluster((Machine(4.0, gpus),), "far", hub, 0.0)

        monkeypatch.setattr(sweep, "joined", joined)
        runs = options.pop("runs", None) or tuple(Train(seed=seed, channels=4 + seed) for seed in range(count))
        return hub, sweep.train_on_ray(TrainOnRay(runs=runs, address="far", **options), tmp_path)

    return begun


def test_a_run_whose_workers_keep_dying_is_given_up(swept: Any, tmp_path: Path) -> None:
    hub, work = swept(lambda order: [BEGUN, DEAD] if order.number == 0 else WHOLE, count=2)
    *events, ended = work
    assert [run.outcome for run in ended.runs] == ["failed", "finished"]
    assert [order.number for order, _ in hub.orders].count(0) == sweep.MOST_LOSSES
    assert len([event for event in events if isinstance(event, RunLost)]) == sweep.MOST_LOSSES - 1
    folder = RunFolder(tmp_path / ended.runs[0].run)
    assert folder.history().state == "failed"
    assert f"died {sweep.MOST_LOSSES} times" in ended.runs[0].reason
    assert "its process ended" in ended.runs[0].reason
    assert isinstance(folder.events()[-1], RunFailed)
    assert not folder.locked


def test_a_run_that_finishes_epochs_in_between_is_not_given_up(swept: Any) -> None:
    def scripts(order: Order) -> list[Parcel | Lost]:
        done = order.files.get("events.jsonl", b"").count(b"EpochFinished")
        epoch = Parcel(events=(replace(EPOCH_EVENT, epoch=done + 1, epochs=9),))
        return [BEGUN, epoch, DEAD] if done < 7 else WHOLE[1:]

    hub, work = swept(scripts)
    *_, ended = work
    assert ended.runs[0].outcome == "finished"
    assert ended.runs[0].losses == 7
    assert [bool(order.resume) for order, _ in hub.orders] == [False, *[True] * 7]


def test_a_worker_that_dies_before_its_run_has_a_folder(swept: Any, tmp_path: Path) -> None:
    tries: list[Order] = []

    def scripts(order: Order) -> list[Parcel | Lost]:
        tries.append(order)
        return WHOLE if len(tries) == 3 else [DEAD]

    *_, ended = swept(scripts)[1]
    assert ended.runs[0].outcome == "finished"
    assert {order.resume for order in tries} == {""}
    assert len(list(tmp_path.iterdir())) == 1


def test_a_run_that_never_begins_has_no_folder(swept: Any, tmp_path: Path) -> None:
    *events, ended = swept(lambda _: [DEAD])[1]
    (refused,) = [event for event in events if isinstance(event, RunRefused)]
    assert not refused.bad_request
    assert ended.runs[0].outcome == "failed"
    assert not list(tmp_path.iterdir())


def test_only_the_last_words_of_a_finished_run_were_lost(swept: Any) -> None:
    *_, ended = swept(lambda _: [*WHOLE[:-1], DEAD])[1]
    assert ended.runs[0].outcome == "finished"


def test_errors_of_a_worker_are_told(swept: Any) -> None:
    def scripts(order: Order) -> list[Parcel | Lost]:
        refused = Parcel(refused="no room", bad_request=True, seconds=0.0)
        return [refused] if order.number == 0 else [BEGUN, Parcel(refused="ZeroDivisionError: 0", seconds=0.0)]

    *events, ended = swept(scripts, count=2)[1]
    refused = [event for event in events if isinstance(event, RunRefused)]
    assert [(event.reason, event.bad_request) for event in refused] == [
        ("no room", True),
        ("ZeroDivisionError: 0", False),
    ]
    assert [run.outcome for run in ended.runs] == ["refused", "failed"]


def test_a_full_disk_fails_the_run_alone(swept: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    append = RunFolder.append
    hub, work = swept(lambda _: WHOLE, count=2)
    full: list[str] = []

    def refuse(folder: RunFolder, event: Any) -> None:
        if isinstance(event, EpochFinished) and full in ([], [folder.name]):
            full[:] = [folder.name]
            raise OSError(28, "No space left on device")
        append(folder, event)

    monkeypatch.setattr(RunFolder, "append", refuse)
    *_, ended = work
    assert [run.outcome for run in ended.runs] == ["failed", "finished"]
    assert "No space left on device" in ended.runs[0].reason
    assert hub.stopped == [0]


def test_progress_is_of_all_runs_under_way(swept: Any) -> None:
    now = BatchTrained(epoch=1, epochs=2, step=3, steps=4, images_per_second=1.0, running_loss=())
    script = [WHOLE[0], BEGUN, Parcel(events=(now,)), *WHOLE[2:]]
    events = list(swept(lambda _: script, count=3)[1])
    shown = [event for event in events if isinstance(event, SweepAdvanced)]
    assert max(len(event.active) for event in shown) == 3
    (first,) = [event for event in shown if len(event.active) == 3][:1]
    assert {state.progress.step for state in first.active} == {3}
    assert (first.waiting, first.ended) == (0, 0)
    assert shown[-1].ended == 3


def test_machines_of_a_cluster_tell_how_busy_they_are(swept: Any) -> None:
    orders: list[Order] = []
    seen = replace(sample(), host="far")

    def scripts(order: Order) -> list[Parcel | Lost]:
        orders.append(order)
        return [WHOLE[0], BEGUN, Parcel(sample=seen), *WHOLE[2:]]

    assert seen in list(swept(scripts)[1])
    assert [order.watch for order in orders] == [True]


def test_cancelled_before_anything_began(swept: Any) -> None:
    hub, work = swept(lambda _: WHOLE, count=2)
    next(work)
    *_, ended = end(work)
    assert isinstance(ended, SweepEnded)
    assert [run.outcome for run in ended.runs] == ["stopped"] * 2
    assert not hub.orders


def test_the_largest_run_shows_how_many_fit_on_a_gpu(swept: Any) -> None:
    def scripts(order: Order) -> list[Parcel | Lost]:
        measured = Parcel(events=(EPOCH_EVENT,), gpu_share=0.24) if order.measure else Parcel(events=(EPOCH_EVENT,))
        return [BEGUN, measured, *WHOLE[3:]]

    hub, work = swept(scripts, count=4, gpus=1.0)
    *_, ended = work
    assert [run.outcome for run in ended.runs] == ["finished"] * 4
    (first, given), *rest = hub.orders
    assert (first.number, first.measure, given.gpus) == (3, True, FIRST)  # it has the most channels
    assert [(order.number, order.measure) for order, _ in rest] == [(0, False), (1, False), (2, False)]
    assert {each.gpus for _, each in rest} == {0.33}  # three beside the first, which takes as much as each of them


def test_a_run_on_a_cpu_says_nothing_of_a_gpu(swept: Any) -> None:
    def scripts(order: Order) -> list[Parcel | Lost]:
        wait = [Parcel()] * 20 if order.measure else []
        return [BEGUN, *wait, Parcel(events=(EPOCH_EVENT,), gpu_share=0.24 if order.measure else None), *WHOLE[3:]]

    runs = (Train(device="cpu"), Train(channels=64), Train())
    hub, work = swept(scripts, gpus=1.0, runs=runs)
    *_, ended = work
    assert [run.outcome for run in ended.runs] == ["finished"] * 3
    assert [(order.number, order.measure, given.gpus) for order, given in hub.orders] == [
        *((0, False, 0.0), (1, True, FIRST), (2, False, 0.33))
    ]


def test_a_measured_run_that_cannot_be_written_leaves_the_others_alone(
    swept: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, failures = Mirror.create, [OSError(28, "No space left on device")]

    def full_once(root: Path, variant: str) -> Mirror:
        if failures:
            raise failures.pop()
        return create(root, variant)

    monkeypatch.setattr(Mirror, "create", full_once)
    *_, ended = swept(lambda _: WHOLE, count=3, gpus=1.0)[1]
    assert [run.outcome for run in ended.runs] == ["finished", "finished", "failed"]


def test_as_many_runs_at_once_as_asked_for(swept: Any) -> None:
    hub, work = swept(lambda _: WHOLE, count=5, parallel=2)
    most = max(sum(map(bool, hub.sent.values())) for _ in work)
    assert [order.number for order, _ in hub.orders] == [0, 1, 2, 3, 4]
    assert most == 2


def test_runs_that_never_find_room_do_not_hold_a_stop_up(swept: Any) -> None:
    hub, work = swept(lambda order: WHOLE if order.number == 0 else [], count=2)
    next(event for event in work if isinstance(event, SweepAdvanced))
    *_, ended = end(work)
    assert isinstance(ended, SweepEnded)
    assert ended.runs[1].outcome == "stopped"
    assert hub.cancelled == [1]


@pytest.mark.parametrize("last", [Lost("its machine stopped"), Parcel(refused="no GPU", seconds=0.0)])
def test_where_nothing_can_be_measured_each_run_gets_a_gpu(swept: Any, last: Parcel | Lost) -> None:
    hub, work = swept(lambda order: [last] if order.number == 2 else WHOLE, count=3, gpus=2.0)
    *_, ended = work
    assert [run.outcome == "finished" for run in ended.runs] == [True, True, False]
    assert [each.gpus for order, each in hub.orders if order.number < 2] == [1.0, 1.0]


def test_folders_of_killed_processes_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are held, and those that may be about to be held, are left alone."""
    place = Path(tempfile.mkdtemp(dir="/tmp"))
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(place))
    try:
        left, young, foreign = (place / f"{PREFIX}{name}" for name in ("left", "young", "foreign"))
        for folder in (left, young, foreign):
            folder.mkdir()
        for folder in (left, young):
            (folder / LOCK).touch()
        with scratch() as held:
            os.utime(left / LOCK, (0, 0))
            os.utime(held / LOCK, (0, 0))
            with scratch() as other:
                assert {path.name for path in place.iterdir()} == {p.name for p in (young, foreign, held, other)}
        assert {path.name for path in place.iterdir()} == {young.name, foreign.name}
    finally:
        shutil.rmtree(place)


CPU, BOX = (Machine(8.0, 0.0),), (Machine(16.0, 2.0), Machine(4.0, 0.0))


@pytest.mark.parametrize(
    ("request_", "machines", "parallel", "memory", "wanted"),
    [
        (Train(), CPU, 0, None, Share(1.0, 1)),
        (Train(threads=3), CPU, 0, None, Share(3.0, 3)),
        (Train(threads=100), CPU, 0, None, Share(8.0, 8)),  # else it would wait for ever
        (Train(), CPU, 2, None, Share(4.0, 4)),
        (Train(), CPU, 3, None, Share(2.6666, 2)),
        (Train(), (Machine(4.0, 0.0), Machine(4.0, 0.0)), 3, None, Share(2.0, 2)),
        (Train(), CPU, 16, None, Share(0.5, 1)),
        (Train(device="cpu"), BOX, 0, None, Share(1.0, 1)),
        (Train(), BOX, 0, None, Share(1.0, 1, FIRST)),
        (Train(), BOX, 0, 0.1, Share(1.0, 1, 0.1237)),
        (Train(), BOX, 0, 0.45, Share(1.0, 1, 0.99)),
        (Train(), BOX, 0, 0.7, Share(1.0, 1, 1.0)),
        (Train(), BOX, 3, None, Share(1.0, 1, 0.5)),
        (Train(), BOX, 8, None, Share(1.0, 1, 0.25)),
        (Train(), BOX, 1, None, Share(1.0, 1, 1.0)),
        (Train(device="cpu"), BOX, 1, None, Share(16.0, 16)),  # no run spans two machines
    ],
)
def test_the_share_of_a_run(request_: Train, machines: Any, parallel: int, memory: float | None, wanted: Share) -> None:
    assert share(request_, machines, parallel, memory) == wanted
