"""The queue of an app: what waits after a restart, other apps, and folders that refuse it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from engine.cluster.requests import TrainOnRay
from engine.event import Event, JobFailed
from engine.lab import Job
from engine.operations import OPERATIONS
from engine.request import Request
from engine.runs.processes import Process, _started
from engine.runs.queue import FILE, QueueFile, removed, worked_on
from engine.runs.sweeps import sweep
from engine.training.requests import Train
from tests.runs import STARTED_EVENT as STARTED
from tests.tui.conftest import FakeJob, MakeApp, under_way
from tests.tui.driving import Call, lines, until
from tests.tui.test_workspace import FINISHED, heard
from tests.tui.test_workspace import until as worked
from tui.keymap import key_map
from tui.screens.dialogs import QuitScreen
from tui.workspace import Workspace

THREE = sweep(Train(), "seeds=3")
Apps = Callable[[], Workspace]


@pytest.fixture
def apps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Apps]:
    """Makes workspaces of one runs folder, whose runs have no folders; experiments of seed 1 are refused."""
    made: list[Workspace] = []

    def perform(request: Request, _root: Path) -> Iterator[Event]:
        if isinstance(request, Train):
            yield from [JobFailed(reason="too large", bad_request=True)] if request.seed == 1 else [STARTED, FINISHED]

    def make() -> Workspace:
        made.append(Workspace(tmp_path / "runs"))
        return made[-1]

    monkeypatch.setattr("engine.operations.perform", perform)
    yield make
    for each in made:
        each.close()


def seeds(workspace: Workspace) -> list[int]:
    return [request.seed for request in workspace.queue]


def filled(workspace: Workspace) -> None:
    """Add three experiments while a run is under way."""
    workspace.training = FakeJob()
    workspace.enqueue(THREE)
    assert seeds(workspace) == [0, 1, 2]


def another() -> Process:
    """A process that lives: the one that started this one."""
    number = os.getppid()
    return Process(Process.own().host, Process.own().boot, number, _started(number), Process.own().space)


def test_what_waits_is_there_after_a_restart_and_starts_when_asked(apps: Apps, tmp_path: Path) -> None:
    filled(apps())
    workspace = apps()
    notices = heard(workspace)
    assert seeds(workspace) == []
    workspace.look_at_queue()
    assert [notice.words for notice in notices] == ["3 experiments wait in the queue: G starts it, 8 lists it"]
    workspace.take_in()
    workspace.look_at_queue()
    assert (seeds(workspace), workspace.queue.turns, len(notices)) == ([0, 1, 2], [], 1)
    workspace.start_queue()
    assert workspace.queue.told() == "queue: 2 waiting, 1 running"
    worked(workspace, lambda: workspace.training is None and not workspace.queue)
    assert workspace.queue.told() == "queue: 2 finished, 1 failed"
    assert QueueFile(tmp_path / "runs").read().experiments == ()
    assert QueueFile(tmp_path / "runs").read().workers == ()


def test_who_only_looks_sees_the_queue_and_is_not_told_to_start_it(apps: Apps, tmp_path: Path) -> None:
    filled(apps())
    looking = Workspace(tmp_path / "runs", looking=True)
    notices = heard(looking)
    looking.look_at_queue()
    looking.close()
    assert (seeds(looking), notices) == ([0, 1, 2], [])


def test_an_experiment_leaves_the_file_when_its_run_has_begun(apps: Apps, tmp_path: Path) -> None:
    workspace, file = apps(), QueueFile(tmp_path / "runs")
    workspace.enqueue(THREE[:1])
    (experiment,) = file.read().experiments
    assert experiment.taken
    assert experiment.taken.process == Process.own()
    workspace.queue.hear(workspace.queue.turns[0].request, STARTED)
    assert file.read().experiments == ()


def test_a_held_queue_waits_for_its_user(apps: Apps) -> None:
    workspace = apps()
    filled(workspace)
    notices = heard(workspace)
    workspace.start_queue()
    assert notices.pop().words == "the queue is held: the run under way goes on, G starts it again"
    workspace.training = None
    workspace.take_in()
    assert seeds(workspace) == [0, 1, 2]
    assert workspace.queue.held
    workspace.train(Train(seed=9))
    worked(workspace, lambda: workspace.training is None)
    assert "queue" not in notices.pop().words  # the run was none of the queue
    workspace.training = FakeJob()
    workspace.start_queue()
    assert notices.pop().words == "the queue starts after the run under way"
    workspace.training = None
    worked(workspace, lambda: workspace.training is None and not workspace.queue)
    workspace.start_queue()
    assert notices.pop().words == "the queue is empty: Q on screen 1 adds experiments"


def test_two_apps_show_one_queue(apps: Apps) -> None:
    one, other = apps(), apps()
    filled(one)
    other.look_at_queue()
    assert seeds(other) == [0, 1, 2]
    other.move(0, 1)
    other.remove(2)
    second = one.queue[1]
    one.look_at_queue()
    assert seeds(one) == [1, 0]
    assert one.queue[0] is second  # the lists know it by the object
    one.move(0, 1)
    other.look_at_queue()
    assert seeds(other) == [0, 1]


def test_an_app_leaves_the_queue_to_the_one_that_trains_it(apps: Apps, tmp_path: Path) -> None:
    file = QueueFile(tmp_path / "runs")
    file.change(partial(worked_on, another(), True))
    workspace = apps()
    notices = heard(workspace)
    workspace.look_at_queue()
    workspace.enqueue(THREE)
    workspace.take_in()
    assert (seeds(workspace), workspace.training) == ([0, 1, 2], None)
    words = f"process {os.getppid()} trains the queue and takes them in turn: G trains it here too"
    assert [notice.words for notice in notices] == [words]
    workspace.start_queue()
    assert workspace.training is not None
    found = file.take(another())[1]
    assert found
    assert found.request.seed == 1
    file.change(partial(removed, {found.id}))
    worked(workspace, lambda: workspace.training is None and not workspace.queue.working)
    assert [turn.request.seed for turn in workspace.queue.turns] == [0, 2]
    assert [sign.process for sign in file.read().workers] == [another()]


def test_a_damaged_file_is_told_once_and_put_aside_for_something_new(apps: Apps, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / FILE).write_bytes(b"damaged")
    workspace = apps()
    notices = heard(workspace)
    for _ in range(2):
        workspace.look_at_queue()
    (notice,) = notices
    assert "queue.json cannot be read" in notice.words
    assert "\n" not in notice.words
    workspace.start_queue()
    assert (tmp_path / "runs" / FILE).read_bytes() == b"damaged"
    filled(workspace)
    assert (tmp_path / "runs" / "queue.damaged.json").read_bytes() == b"damaged"
    assert len(QueueFile(tmp_path / "runs").read().waiting) == 3


def test_in_a_folder_that_refuses_it_the_queue_lives_in_memory(apps: Apps, tmp_path: Path) -> None:
    (tmp_path / "runs").write_bytes(b"no folder")
    workspace = apps()
    notices = heard(workspace)
    filled(workspace)
    (notice,) = notices
    assert notice.words.endswith("the queue is kept in memory and is lost when the app ends")
    workspace.move(2, -1)
    workspace.look_at_queue()
    assert seeds(workspace) == [0, 2, 1]
    workspace.remove(0)
    workspace.training = None
    worked(workspace, lambda: workspace.training is None and not workspace.queue)
    assert workspace.queue.told() == "queue: 1 finished, 1 failed"


async def test_the_keys_and_the_question_when_quitting(still_app: MakeApp, tmp_path: Path) -> None:
    QueueFile(tmp_path / "runs").change(lambda contents: contents)
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        under_way(app)
        app.workspace.enqueue(THREE)
        await pilot.press("G")
        assert app.workspace.queue.held
        assert "the queue is held" in list(app._notifications)[-1].message
        await pilot.press("q")
        assert isinstance(app.screen, QuitScreen)
        asked = str(app.screen.query_one("Static").render())
        assert "The queue of 3 stays for the next time." in asked
        await pilot.press("n", "8", "G")
        await until(pilot, lambda: app.workspace.queue.working)


async def test_quitting_names_all_that_it_stops(still_app: MakeApp) -> None:
    app = still_app()
    app.workspace.key_map = key_map({"train.resume": ("g",), "runs.list.resume": ("f3",)})
    async with app.run_test(size=(120, 40)) as pilot:

        async def asked() -> str:
            await pilot.press("q")
            assert isinstance(app.screen, QuitScreen)
            words = str(app.screen.query_one("Static").render())
            await pilot.press("n")
            return words.partition("\n")[0]

        here = "A run is under way. Quitting stops it; press g to resume it next time."
        on_ray = "Runs on Ray are under way. Quitting stops them; F3 on screen 8 resumes them."
        app.workspace.sweeps.jobs.append(Job(TrainOnRay(runs=(Train(),)), OPERATIONS[TrainOnRay]))
        assert await asked() == on_ray
        under_way(app)
        assert await asked() == f"{here} {on_ray}"
        app.workspace.sweeps.jobs.clear()
        assert await asked() == here


def test_the_command(call: Call, tmp_path: Path) -> None:
    assert call("queue")[1].startswith("the queue is empty: mnist-tui queue --add")
    code, out, err = call("queue", "--add", "seeds=2 learning-rate=3e-4")
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines() if "learning rate 0.0003" in line] == [
        ["1", "cnn", "0", "learning", "rate", "0.0003", "waits"],
        ["2", "cnn", "1", "learning", "rate", "0.0003", "waits"],
    ]
    assert "G in mnist-tui starts the queue" in out
    for keys, shown in (("start_queue = 'f4'", "F4"), ("start_queue = 'q'", "G")):  # q is taken
        (tmp_path / "settings.toml").write_text(f"[keys]\n{keys}\n")
        assert f"{shown} in mnist-tui starts" in call("queue", "--settings", tmp_path / "settings.toml")[1]
    (event,) = lines(call, "queue", "--first", 2)
    assert [each["request"]["seed"] for each in event["experiments"]] == [1, 0]
    (event,) = lines(call, "queue", "--remove", "all")
    assert event["experiments"] == []
    assert call("queue", "--remove", "1")[::2] == (
        2,
        "mnist-tui: the queue is empty: mnist-tui queue --add 'seeds=5' adds experiments\n",
    )
    assert call("queue", "--add", "colour=red")[0] == 2
    (tmp_path / "runs" / FILE).write_bytes(b"{}")
    code, out, err = call("queue", "--add", "seeds=2")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert (tmp_path / "runs" / FILE).read_bytes() == b"{}"


def test_a_run_that_ends_tells_that_the_rest_is_held(apps: Apps) -> None:
    workspace = apps()
    workspace.enqueue(THREE)
    notices = heard(workspace)
    workspace.queue.work(False)
    worked(workspace, lambda: workspace.training is None)
    assert notices[-1].words.endswith("queue: 2 left, held")
