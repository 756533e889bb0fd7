from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest

import engine.lab
from engine.attribution.events import DrawingExplained
from engine.attribution.requests import ExplainDrawing
from engine.event import Event, JobFailed, Progress
from engine.lab import Job, Lab, Stream, Turns
from engine.network.events import WeightsOpened
from engine.network.requests import OpenWeights
from engine.operations import OPERATIONS, Entry
from engine.runs.events import RunsListed
from engine.runs.folder import RunFolder
from engine.runs.requests import ListRuns
from engine.training.events import (
    BatchEvaluated,
    BatchTrained,
    EpochFinished,
    RunCancelled,
    RunContinued,
    RunFinished,
    RunPaused,
    RunStarted,
)
from engine.training.requests import Train
from tests.engine.fakes import GATES, Chatty, Failing, Gate, Gated, result

LONG = Train(train_size=2000, batch_size=20, epochs=1000, device="cpu", channels=4, hidden=16)
SHORT = Train(train_size=640, epochs=1, device="cpu", channels=4, hidden=16)
PATIENCE = 30.0  # seconds that nothing should take: only a hang does


class Reader:
    """A front end: wakes when it is woken, and remembers all."""

    def __init__(self, root: Path) -> None:
        self.woken = threading.Event()
        self.lab = Lab(root, self.woken.set)
        self.seen: list[tuple[Job, Event]] = []

    def of(self, job: Job) -> list[Event]:
        return [event for owner, event in self.seen if owner is job]

    def drain(self) -> None:
        self.seen += self.lab.drain()

    def until(self, what: Callable[[], bool]) -> None:
        limit = time.monotonic() + PATIENCE
        while True:
            self.drain()
            if what():
                return
            assert time.monotonic() < limit, f"never happened; seen: {self.seen[-5:]}"
            self.woken.wait(0.02)
            self.woken.clear()

    def finish(self, job: Job) -> list[Event]:
        assert job.wait(PATIENCE)
        self.drain()
        return self.of(job)


@pytest.fixture
def reader(tmp_path: Path, small_runs: None) -> Iterator[Reader]:
    reader = Reader(tmp_path)
    yield reader
    for gate in GATES.values():
        gate.open.set()
    assert reader.lab.close()


@pytest.fixture
def operations(monkeypatch: pytest.MonkeyPatch) -> None:
    for request, function in ((Gated, "gated"), (Failing, "failing"), (Chatty, "chatty")):
        monkeypatch.setitem(OPERATIONS, request, Entry("analysis", f"tests.engine.fakes:{function}"))
    GATES.clear()
    GATES.update({name: Gate() for name in "abc"})


def progress(done: int) -> BatchEvaluated:
    return BatchEvaluated(split="val", done=done, total=9)


def trained(step: int) -> BatchTrained:
    return BatchTrained(epoch=1, epochs=1, step=step, steps=9, images_per_second=1, running_loss=())


class Wakes:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


def jobs() -> tuple[Job, Job]:
    return Job(SHORT, OPERATIONS[Train]), Job(SHORT, OPERATIONS[Train])


def test_stream_keeps_results_in_order_and_the_latest_progress() -> None:
    stream, (one, two) = Stream(Wakes()), jobs()
    stream.put(one, progress(1))
    stream.put(one, result("x", 1))
    stream.put(two, progress(7))
    stream.put(one, trained(1))
    stream.put(one, result("x", 1))
    stream.put(one, progress(2))
    assert stream.drain() == [
        (one, result("x", 1)),
        (two, progress(7)),
        (one, trained(1)),
        (one, result("x", 1)),
        (one, progress(2)),
    ]
    assert stream.drain() == []


def test_a_reader_that_has_heard_nothing_is_woken_for_the_next_event() -> None:
    wakes = Wakes()
    stream, (job, _) = Stream(wakes), jobs()
    stream.wake()  # a job has ended
    assert stream.quiet()
    stream.put(job, result("x"))
    assert wakes.count == 2
    assert not stream.quiet()
    stream.put(job, result("y"))
    assert wakes.count == 2  # it has been woken, and not yet taken any
    assert len(stream.drain()) == 2


def test_stream_wakes_at_once_for_results_and_seldom_for_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.lab, "PROGRESS_INTERVAL", 1e6)
    wakes = Wakes()
    stream, (job, _) = Stream(wakes), jobs()
    stream._woken_at = time.monotonic()
    stream.put(job, progress(1))
    assert wakes.count == 0
    stream.put(job, result("x"))
    assert wakes.count == 1
    stream.put(job, result("y"))
    assert wakes.count == 1  # it is awake already
    stream.drain()
    stream.put(job, result("z"))
    assert wakes.count == 2
    stream.drain()
    monkeypatch.setattr(engine.lab, "PROGRESS_INTERVAL", 0.0)
    stream.put(job, progress(2))
    assert wakes.count == 3


def test_stream_wakes_at_once_for_a_part_of_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.lab, "PROGRESS_INTERVAL", 1e6)

    class Part(Progress, frozen=True):
        at_once: ClassVar[bool] = True
        share: int

    wakes = Wakes()
    stream, (job, _) = Stream(wakes), jobs()
    stream._woken_at = time.monotonic()
    stream.put(job, progress(1))
    assert wakes.count == 0
    stream.put(job, Part(share=1))
    assert wakes.count == 1
    stream.put(job, Part(share=2))
    assert [event for _, event in stream.drain()] == [progress(1), Part(share=2)]  # the newest stands for all


def test_stream_loses_nothing_between_threads() -> None:
    stream, (one, two) = Stream(Wakes()), jobs()

    def write(job: Job) -> None:
        for number in range(2000):
            stream.put(job, progress(number))
            stream.put(job, result("x", number))

    threads = [threading.Thread(target=write, args=(job,)) for job in (one, two)]
    for thread in threads:
        thread.start()
    seen: list[tuple[Job, Event]] = []
    while any(thread.is_alive() for thread in threads):
        seen += stream.drain()
    seen += stream.drain()
    for job in (one, two):
        results = [event for owner, event in seen if owner is job and isinstance(event, WeightsOpened)]
        assert results == [result("x", number) for number in range(2000)]


def test_training_pauses_resumes_and_is_cancelled(reader: Reader, tmp_path: Path) -> None:
    job = reader.lab.submit(LONG)
    reader.until(lambda: any(isinstance(event, BatchTrained) for event in reader.of(job)))
    assert job.state == "running"
    job.pause()
    assert job.paused
    reader.until(lambda: job.state == "paused")
    reader.drain()
    stopped = len(reader.seen)
    assert not job.wait(0.15)
    reader.drain()
    assert len(reader.seen) == stopped
    job.resume()
    assert not job.paused
    reader.until(lambda: len(reader.seen) > stopped)
    job.pause()
    reader.until(lambda: job.state == "paused")
    reader.drain()
    stopped = len(reader.seen)

    job.cancel()  # takes effect without another step
    assert job.cancelled
    reader.finish(job)
    (last,) = (event for _, event in reader.seen[stopped:])
    (run,) = tmp_path.iterdir()
    assert isinstance(last, RunCancelled)
    assert RunFolder(run).events()[-1] == last
    assert job.state == "done"


def test_resumed_training_finishes(reader: Reader) -> None:
    job = reader.lab.submit(SHORT)
    job.pause()
    reader.until(lambda: job.state == "paused")
    job.resume()
    results = [event for event in reader.finish(job) if not isinstance(event, (BatchTrained, BatchEvaluated))]
    kinds = [RunStarted, RunPaused, RunContinued, EpochFinished, RunFinished]
    assert [type(event) for event in results] == kinds


def test_trainings_take_turns(reader: Reader) -> None:
    first, second, third = (reader.lab.submit(request) for request in (LONG, SHORT, SHORT))
    first.pause()
    reader.until(lambda: first.state == "paused")
    assert (second.state, third.state) == ("waiting", "waiting")
    assert reader.lab.unfinished("training") == [first, second, third]
    second.cancel()
    first.cancel()
    assert isinstance(reader.finish(third)[-1], RunFinished)
    assert reader.of(second) == []
    owners = [job for job, _ in reader.seen]
    assert owners == sorted(owners, key=[first, third].index)


def test_cancel_takes_effect_within_one_step(reader: Reader, operations: None) -> None:
    job = reader.lab.submit(Gated(name="a", steps=1000))
    assert GATES["a"].reached.wait(PATIENCE)
    job.cancel()
    GATES["a"].open.set()
    assert reader.finish(job) == [result("a", 0), result("a cancelled")]
    assert GATES["a"].steps == 1


def test_the_reader_is_woken_when_a_job_is_over(operations: None, tmp_path: Path) -> None:
    """Also where the job has nothing to say: it was cancelled before its turn."""
    jobs: list[Job] = []
    over = threading.Event()

    def wake() -> None:
        lab.drain()
        if jobs and all(job.state == "done" for job in jobs):
            over.set()

    lab = Lab(tmp_path, wake)
    first, second = lab.submit(Gated(name="a")), lab.submit(Gated(name="b"))
    assert first.lane == second.lane == "analysis"
    jobs += [first, second]
    first.cancel()
    second.cancel()
    GATES["a"].open.set()
    assert over.wait(PATIENCE)
    assert lab.close()


def test_a_cancelled_job_cannot_be_paused(reader: Reader, operations: None) -> None:
    job = reader.lab.submit(Gated(name="a", steps=1000))
    assert GATES["a"].reached.wait(PATIENCE)
    job.cancel()
    job.pause()
    GATES["a"].open.set()
    assert job.wait(PATIENCE)


def test_a_paused_job_goes_on_step_by_step(reader: Reader, operations: None) -> None:
    gate = GATES["a"]
    gate.open.set()
    job = reader.lab.submit(Gated(name="a", steps=1_000_000))
    reader.until(lambda: gate.steps > 0)
    job.pause()
    reader.until(lambda: job.state == "paused")
    for _ in range(3):
        before = gate.steps
        job.step()
        reader.until(lambda: job.state == "paused" and gate.steps > before)  # noqa: B023
        assert gate.steps == before + 1
    job.resume()
    before = gate.steps
    reader.until(lambda: gate.steps > before + 1)
    job.step()  # there is no pause that it could be a step of
    assert not job.paused
    job.cancel()
    reader.finish(job)
    assert job.state == "done"


def test_in_analysis_the_newest_wins(reader: Reader, operations: None) -> None:
    first = reader.lab.submit(Gated(name="a", steps=1000))
    assert GATES["a"].reached.wait(PATIENCE)
    second, third = reader.lab.submit(Gated(name="b")), reader.lab.submit(Gated(name="c"))
    assert (first.cancelled, second.cancelled, third.cancelled) == (True, True, False)
    for gate in GATES.values():
        gate.open.set()
    assert reader.finish(third) == [result("c")]
    assert reader.of(first) == [result("a", 0), result("a cancelled")]
    assert reader.of(second) == []
    assert not GATES["b"].reached.is_set()


def test_what_writes_is_not_displaced_and_displaces_nothing(
    reader: Reader, operations: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(OPERATIONS, Chatty, Entry("analysis", "tests.engine.fakes:chatty", writes=True))  # type: ignore[misc]
    first = reader.lab.submit(Gated(name="a", steps=2))
    assert GATES["a"].reached.wait(PATIENCE)
    export = reader.lab.submit(Chatty(results=1))
    assert not first.cancelled
    second = reader.lab.submit(Gated(name="b"))
    assert (first.cancelled, export.cancelled) == (True, False)
    for gate in GATES.values():
        gate.open.set()
    assert reader.finish(second) == [result("b")]
    assert result("chatty", 0) in reader.of(export)


def test_turns_are_taken_one_at_a_time_in_the_order_asked() -> None:
    turns, order, inside = Turns(), list[int](), list[int]()

    def work(number: int) -> None:
        with turns.taken():
            inside.append(number)
            order.append(number)
            assert inside == [number]
            inside.remove(number)

    with turns.taken():
        threads = []
        for number in range(8):
            threads.append(threading.Thread(target=work, args=(number,)))
            threads[-1].start()
            limit = time.monotonic() + PATIENCE
            while turns._asked < number + 2:
                assert time.monotonic() < limit
        assert order == []
    for thread in threads:
        thread.join(PATIENCE)
    assert order == list(range(8))


def test_the_answer_to_a_stroke_does_not_wait_for_a_turn(reader: Reader) -> None:
    stroke = ExplainDrawing(what="pretrained:cnn", device="cpu", pixels=bytes([0, 255]) * 392)
    with reader.lab._lanes["training"]._turns.taken():
        assert isinstance(reader.finish(reader.lab.submit(stroke))[-1], DrawingExplained)


def test_a_step_that_fails_gives_its_turn_back(reader: Reader, operations: None) -> None:
    reader.finish(reader.lab.submit(Failing()))
    assert isinstance(reader.finish(reader.lab.submit(SHORT))[-1], RunFinished)


def test_analysis_does_not_wait_for_training(reader: Reader, operations: None) -> None:
    training = reader.lab.submit(LONG)
    training.pause()
    GATES["a"].open.set()
    assert reader.finish(reader.lab.submit(Gated(name="a"))) == [result("a")]
    assert not training.wait(0)


def test_a_failing_job_leaves_the_lane_alive(reader: Reader, operations: None, tmp_path: Path) -> None:
    ours = reader.finish(reader.lab.submit(Failing()))
    assert ours == [
        result("before"),
        JobFailed(reason="ZeroDivisionError: division by zero", bad_request=False),
    ]
    theirs = reader.finish(reader.lab.submit(Failing(bad_request=True)))
    assert theirs[-1] == JobFailed(reason="that was wrong", bad_request=True)
    missing = reader.finish(reader.lab.submit(OpenWeights(path=str(tmp_path / "none.pth"))))
    assert missing == [JobFailed(reason=f"there is no file {tmp_path / 'none.pth'}", bad_request=True)]
    GATES["a"].open.set()
    assert reader.finish(reader.lab.submit(Gated(name="a"))) == [result("a")]


def test_open_weights(reader: Reader, trained: RunFolder) -> None:
    events = reader.finish(reader.lab.submit(OpenWeights(path=str(trained.model_file))))
    assert events == [WeightsOpened(name="model.safetensors", variant="cnn", parameters=799_078)]


def test_close_ends_all_and_the_run_says_so(reader: Reader, tmp_path: Path) -> None:
    running, waiting = reader.lab.submit(LONG), reader.lab.submit(LONG)
    reader.until(lambda: any(isinstance(event, RunStarted) for event in reader.of(running)))
    assert reader.lab.close(PATIENCE)
    assert running.wait(0)
    assert waiting.wait(0)
    (run,) = tmp_path.iterdir()
    assert isinstance(RunFolder(run).events()[-1], RunCancelled)


def test_close_of_a_paused_lab(reader: Reader) -> None:
    job = reader.lab.submit(LONG)
    job.pause()
    reader.until(lambda: job.state == "paused")
    assert reader.lab.close(PATIENCE)
    assert isinstance(reader.finish(job)[-1], RunCancelled)


def test_close_says_when_a_thread_is_left(reader: Reader, operations: None) -> None:
    job = reader.lab.submit(Gated(name="a"))
    assert GATES["a"].reached.wait(PATIENCE)
    assert not reader.lab.close()
    GATES["a"].open.set()
    assert job.wait(PATIENCE)


def test_a_reader_that_never_reads_stops_nobody(reader: Reader, operations: None) -> None:
    job = reader.lab.submit(Chatty(results=100))
    assert job.wait(PATIENCE)
    events = [event for _, event in reader.lab.drain()]
    assert [event for event in events if isinstance(event, WeightsOpened)] == [result("chatty", n) for n in range(100)]
    assert len(events) == 101  # and the last progress


@pytest.mark.usefixtures("operations")
def test_folders_are_listed_however_busy_the_other_lanes_are(reader: Reader, tmp_path: Path) -> None:
    busy = reader.lab.submit(Gated(name="a"))
    assert GATES["a"].reached.wait(PATIENCE)
    listed = [reader.lab.submit(ListRuns()) for _ in range(2)]  # the newest does not displace the others here
    for job in listed:
        assert reader.finish(job) == [RunsListed(folder=str(tmp_path), runs=())]
    assert busy.state == "running"
