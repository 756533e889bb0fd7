"""The queue in its file: changes by several processes, kills at any instant, damage, and folders that refuse it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from engine.operations import perform
from engine.paths import PARTIAL
from engine.request import RequestError
from engine.runs import processes, queue
from engine.runs.catalogue import summaries
from engine.runs.events import QueueListed
from engine.runs.finding import newest
from engine.runs.processes import SILENCE, Process, claimed
from engine.runs.queue import FILE, LOCK, QueueFile, Sign, Unwritable, added, moved, removed, worked_on
from engine.runs.requests import EditQueue
from engine.runs.sweeps import sweep
from engine.training.requests import Train
from tests.runs import EPOCH, STARTED, made

FIVE = sweep(Train(), "seeds=5")
OWN = Process.own()
DEAD = replace(OWN, number=2**22 + 1)
"""No process has a number that high."""

ADD = """
from functools import partial
from engine.runs.queue import QueueFile, added
from engine.training.requests import Train
file = QueueFile(Path(sys.argv[1]))
for seed in range(10_000):
    file.change(partial(added, [Train(seed=seed)]))
    print(seed, flush=True)
"""
TAKE = """
from functools import partial
from engine.runs.processes import Process
from engine.runs.queue import QueueFile, removed
file = QueueFile(Path(sys.argv[1]))
sys.stdin.readline()
while (first := file.take(Process.own())[1]):
    print(first.id, flush=True)
    file.change(partial(removed, {first.id}))
"""
TAKE_ONE = """
from engine.runs.processes import Process
from engine.runs.queue import QueueFile
print(QueueFile(Path(sys.argv[1])).take(Process.own())[1].id, flush=True)
sys.stdin.readline()
"""


@contextmanager
def process(code: str, root: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that runs `code` with the runs folder `root`; killed at the end."""
    program = [sys.executable, "-c", f"import sys\nfrom pathlib import Path\n{code}", str(root)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


def waiting(file: QueueFile) -> list[int]:
    """The seeds of what waits."""
    return [each.request.seed for each in file.read().waiting]


def test_experiments_are_added_moved_and_removed(tmp_path: Path) -> None:
    file = QueueFile(tmp_path / "runs")
    assert file.read() == queue.EMPTY
    ids = [each.id for each in file.change(partial(added, FIVE)).waiting]
    assert len(set(ids)) == 5
    file.change(partial(moved, ids[0], 2))
    file.change(partial(moved, ids[4], -9))
    file.change(partial(moved, "gone", 1))
    file.change(partial(removed, {ids[3], "gone"}))
    assert waiting(QueueFile(tmp_path / "runs")) == [4, 1, 2, 0]
    assert [each.request for each in file.read().waiting] == [FIVE[4], FIVE[1], FIVE[2], FIVE[0]]


def test_the_file_is_not_taken_for_a_run(tmp_path: Path) -> None:
    QueueFile(tmp_path).change(partial(added, FIVE))
    assert summaries(tmp_path) == []
    assert newest(tmp_path) is None


def test_an_unchanged_queue_is_not_written_again(tmp_path: Path) -> None:
    file = QueueFile(tmp_path)
    file.change(partial(worked_on, OWN, False))
    assert not file.path.exists()
    file.change(partial(added, FIVE))
    before = file.stamp()
    file.change(partial(removed, {"gone"}))
    assert file.stamp() == before


def test_too_many_experiments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "MOST", 7)
    file = QueueFile(tmp_path)
    file.change(partial(added, FIVE))
    with pytest.raises(RequestError, match="at most 7 experiments"):
        file.change(partial(added, FIVE))
    assert waiting(file) == [0, 1, 2, 3, 4]


def test_each_experiment_is_taken_by_one_process(tmp_path: Path) -> None:
    contents = QueueFile(tmp_path).change(partial(added, sweep(Train(), "seeds=25")))
    with process(TAKE, tmp_path) as one, process(TAKE, tmp_path) as other:
        for each in (one, other):
            assert each.stdin
            each.stdin.write("\n")
            each.stdin.flush()
        taken = [*one.communicate()[0].split(), *other.communicate()[0].split()]
        assert (one.returncode, other.returncode) == (0, 0)
    assert sorted(taken) == sorted(each.id for each in contents.experiments)
    assert QueueFile(tmp_path).read().experiments == ()


def test_a_kill_at_any_instant_leaves_a_whole_queue(tmp_path: Path) -> None:
    file, total = QueueFile(tmp_path), 0
    for count in (1, 2, 7):
        with process(ADD, tmp_path) as adding:
            assert adding.stdout
            for _ in range(count):
                adding.stdout.readline()
            adding.kill()
            told = count + len(adding.stdout.read().split())
        found = len(QueueFile(tmp_path).read().waiting)
        assert total + told <= found <= total + told + 1  # one may be written and not told
        total = found
    (tmp_path / f".{FILE}.{DEAD.number}{PARTIAL}").write_bytes(b"half")
    file.change(partial(added, FIVE))
    assert {path.name for path in tmp_path.iterdir()} == {FILE, LOCK}


def test_what_a_killed_process_took_waits_again(tmp_path: Path) -> None:
    file = QueueFile(tmp_path)
    first, second, *_ = file.change(partial(added, FIVE)).waiting
    with process(TAKE_ONE, tmp_path) as taking:
        assert taking.stdout
        assert taking.stdout.readline().strip() == first.id
        assert waiting(file) == [1, 2, 3, 4]
        contents, found = file.take(OWN)
        assert found
        assert found.id == second.id
        assert [each.id for each in contents.experiments[:2]] == [first.id, second.id]
    assert waiting(file) == [0, 2, 3, 4]
    contents, found = file.take(OWN)
    assert found
    assert found.id == first.id


@pytest.mark.parametrize("began", [True, False])
def test_what_began_before_its_process_was_killed_is_not_trained_again(tmp_path: Path, began: bool) -> None:
    file = QueueFile(tmp_path)
    file.change(partial(added, FIVE[:2]))
    folder = made(tmp_path, "run", FIVE[0], [0.9])
    folder.events_file.write_bytes(STARTED + EPOCH)
    folder.write_process(DEAD)
    start = folder.began()
    sign = Sign(DEAD, start if began else start + 60)  # an equal experiment may have been trained before
    file.change(lambda contents: queue.taken(contents.experiments[0].id, sign, contents))
    contents, found = file.take(OWN)
    assert found
    assert found.request.seed == (1 if began else 0)
    assert len(contents.experiments) == (1 if began else 2)


def test_a_process_out_of_sight_is_dead_when_it_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    far = Process("elsewhere", "another boot", 1, "")
    assert Sign(far, time.time()).lives
    assert not Sign(far, time.time() - SILENCE - 1).lives
    assert Sign(OWN, 0.0).lives
    assert not Sign(DEAD, time.time()).lives


def test_who_trains_the_queue(tmp_path: Path) -> None:
    file = QueueFile(tmp_path)
    far = Process("elsewhere", "another boot", 1, "")
    file.change(partial(added, FIVE))
    file.change(partial(worked_on, OWN, True))
    file.change(partial(worked_on, DEAD, True))
    contents = file.change(partial(worked_on, far, True))
    assert [sign.process for sign in contents.workers] == [OWN, far]
    assert contents.other_worker(OWN) == far
    assert contents.other_worker(far) == OWN
    before = contents.workers[0].at
    contents = file.change(partial(queue.signed_again, far))
    assert contents.workers[0].at == before
    assert contents.workers[1].at > before
    assert file.change(partial(worked_on, far, False)).other_worker(OWN) is None


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b'{"experiments": []}', b'{"mnist_tui_queue": 2, "experiments": []}']
)
def test_a_damaged_or_foreign_file_stays_as_it_is(tmp_path: Path, text: bytes) -> None:
    file = QueueFile(tmp_path)
    file.path.write_bytes(text)
    for work in (file.read, lambda: file.change(partial(added, FIVE)), lambda: file.take(OWN)):
        with pytest.raises(RequestError, match=r"queue\.json cannot be read .*: repair it") as told:
            work()
        assert "\n" not in str(told.value)
        assert not isinstance(told.value, Unwritable)
    assert file.path.read_bytes() == text


def test_one_damaged_experiment_loses_no_other(tmp_path: Path) -> None:
    """The file is put aside when something is added, over no other file, so that it can be repaired."""
    file = QueueFile(tmp_path)
    for name in ("queue.damaged.json", "queue.damaged-2.json"):
        file.change(partial(added, FIVE))
        data = file.path.read_bytes().replace(b'"seed": 3', b'"seed": "three"')
        file.path.write_bytes(data)
        assert [each.request.seed for each in file.change(partial(added, FIVE[:1]), over_damage=True).waiting] == [0]
        assert (tmp_path / name).read_bytes() == data
        file.change(partial(removed, {each.id for each in file.read().experiments}))


def test_a_folder_that_refuses_the_file(tmp_path: Path) -> None:
    (tmp_path / "runs").write_bytes(b"no folder")
    with pytest.raises(Unwritable, match=r"cannot write .*queue\.json"):
        QueueFile(tmp_path / "runs").change(partial(added, FIVE))


def test_a_lock_that_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "PATIENCE", 0.0)
    file = QueueFile(tmp_path)
    with claimed(tmp_path / LOCK), pytest.raises(Unwritable, match=r"keeps .* locked"):
        file.change(partial(added, FIVE))
    file.change(partial(added, FIVE))


def test_without_locks_the_queue_is_written_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_locked", lambda _: None)
    assert len(QueueFile(tmp_path).change(partial(added, FIVE)).waiting) == 5


def listed(root: Path, request: EditQueue) -> QueueListed:
    (event,) = perform(request, root)
    assert isinstance(event, QueueListed)
    return event


def test_the_request(tmp_path: Path) -> None:
    assert listed(tmp_path, EditQueue()).experiments == ()
    event = listed(tmp_path, EditQueue(add="seeds=2 batch-norm=no,yes"))
    assert [(each.place, each.request.variant, each.request.seed) for each in event.experiments] == [
        (1, "cnn", 0),
        (2, "cnn", 1),
        (3, "cnn-bn", 0),
        (4, "cnn-bn", 1),
    ]
    event = listed(tmp_path, EditQueue(first=4))
    assert [(each.request.variant, each.request.seed) for each in event.experiments][:2] == [("cnn-bn", 1), ("cnn", 0)]
    event = listed(tmp_path, EditQueue(remove="1"))
    assert [each.request.seed for each in event.experiments] == [0, 1, 0]
    QueueFile(tmp_path).take(OWN)
    event = listed(tmp_path, EditQueue(remove="all"))
    assert [(each.place, each.taken_by) for each in event.experiments] == [(0, f"process {os.getpid()}")]
    assert msgspec.json.decode(msgspec.json.encode(event), type=QueueListed) == event


@pytest.mark.parametrize("place", ["0", "6", "-1", "x", "1.5"])
def test_a_place_that_is_none(tmp_path: Path, place: str) -> None:
    listed(tmp_path, EditQueue(add="seeds=5"))
    with pytest.raises(RequestError, match="give a number from 1 to 5"):
        listed(tmp_path, EditQueue(remove=place))
    assert len(listed(tmp_path, EditQueue()).experiments) == 5


def test_nothing_to_remove(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="the queue is empty"):
        listed(tmp_path, EditQueue(remove="1"))
