"""The workspace on its own, without terminal, screens or PyTorch."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path

import pytest

from engine.data.events import DownloadAdvanced
from engine.event import Event, JobFailed
from engine.figures.events import FigureSaved
from engine.figures.requests import DrawFigure
from engine.lab import Job
from engine.network.events import EngineLoaded
from engine.network.requests import WarmUp
from engine.operations import OPERATIONS
from engine.request import Request, RequestError
from engine.runs.catalogue import write_note
from engine.runs.finding import pretrained
from engine.runs.folder import RunFolder
from engine.runs.requests import ListRuns, Resume
from engine.training.events import (
    DIVERGED,
    BatchEvaluated,
    BatchTrained,
    RobustnessCollapsed,
    RunCancelled,
    RunFailed,
    RunFinished,
)
from engine.training.requests import Train
from tests.runs import EPOCH_EVENT as EPOCH
from tests.runs import STARTED_EVENT as STARTED
from tests.runs import made, stopped
from tui.drawing.fitting import Fact
from tui.workspace import NOTEBOOKS_DIGIT, Notice, Workspace

BATCH = BatchTrained(epoch=1, epochs=2, step=1, steps=9, images_per_second=1000.0, running_loss=(2.0,))
FINISHED = RunFinished(run="x", best_epoch=1, best_val_loss=0.1, test_accuracy=0.9, last_test_accuracy=0.9)
Answers = dict[type[Request], list[Event | Exception]]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Events to return for requests instead of the engine's; other requests return none."""
    found: Answers = {}

    def perform(request: Request, _root: Path) -> Generator[Event, None, None]:
        for event in found.get(type(request), []):
            if isinstance(event, Exception):
                raise event
            yield event

    monkeypatch.setattr("engine.operations.perform", perform)
    return found


@pytest.fixture
def workspace(tmp_path: Path, answers: Answers) -> Iterator[Workspace]:
    made = Workspace(tmp_path / "runs")
    yield made
    made.close()


def words(facts: Iterable[Fact]) -> list[str]:
    """The words of facts of the header, in full."""
    return [fact.words for fact in facts]


def heard(workspace: Workspace) -> list[Notice]:
    """A list that collects the workspace's notices from now on."""
    notices: list[Notice] = []
    workspace.tell = notices.append
    return notices


def until(workspace: Workspace, condition: Callable[[], bool]) -> None:
    """Process events until `condition` holds."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        workspace.take_in()


def test_an_event_changes_the_state_and_who_draws_is_told_once(workspace: Workspace, answers: Answers) -> None:
    answers[Train] = [STARTED, BATCH, EPOCH, FINISHED]
    changes: list[bool] = []
    workspace.on_change = changes.append
    workspace.train(Train(batch_norm=True))
    assert changes == [False]
    assert workspace.training is not None
    assert workspace.training.wait(20)
    workspace.take_in()
    assert len(changes) == 2
    assert workspace.training is None
    assert (workspace.history.state, workspace.history.epoch) == ("finished", EPOCH.epoch)
    assert workspace.run is not None
    assert workspace.run.path == workspace.root / STARTED.run
    assert (workspace.variant, workspace.history.variant) == ("cnn-bn", "cnn-bn")


def test_an_epoch_enters_the_history_once(workspace: Workspace, answers: Answers) -> None:
    answers[Train] = [STARTED, EPOCH, FINISHED]
    workspace.train(Train())
    history_of: list[int] = []
    workspace.on_change = lambda _: history_of.append(len(workspace.history.epochs))
    until(workspace, lambda: workspace.training is None)
    assert history_of[-1] == 1
    assert workspace.history.epochs == [EPOCH]


def test_changes_within_a_change_are_one(workspace: Workspace) -> None:
    changes: list[bool] = []
    workspace.on_change = changes.append
    with workspace.changing(routine=True):
        workspace.digit = ("train", 3)
        with workspace.changing(routine=True):
            pass
        assert changes == []
    assert changes == [False]  # not only routine progress
    with workspace.changing(routine=True):
        pass
    assert changes == [False, True]
    workspace.digit = ("train", 3)  # already the current digit
    assert len(changes) == 2


def test_what_is_no_training_is_told_while_it_lasts(workspace: Workspace, answers: Answers) -> None:
    download = DownloadAdvanced(dataset="kmnist", file="a.gz", received=1, total=2)
    evaluated = BatchEvaluated(split="val", done=250, total=10_000)
    job = Job(Train(), OPERATIONS[Train])
    workspace.training = job
    seen = []
    for event in (download, STARTED, BATCH, evaluated, EPOCH):
        workspace._take(job, event)
        seen.append(workspace.preparing)
    assert seen == [download, None, None, evaluated, None]


def test_what_became_of_the_queue(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """However an experiment ends, the next one starts, and the queue remembers it."""
    ends: dict[int, list[Event]] = {
        1: [STARTED, RunFailed(run="x", reason="no room on the disk")],
        2: [JobFailed(reason="too large", bad_request=True)],
        3: [STARTED, EPOCH, RunCancelled(run="x", epoch=1)],
        4: [],
        5: [STARTED, EPOCH, FINISHED],
    }

    def perform(request: Request, _root: Path) -> Iterator[Event]:
        yield from ends[request.seed] if isinstance(request, Train) else []

    monkeypatch.setattr("engine.operations.perform", perform)
    assert workspace.queue.told() == ""
    workspace.enqueue([Train(seed=seed) for seed in ends])
    assert workspace.queue.told() == "queue: 4 waiting, 1 running"
    until(workspace, lambda: workspace.training is None and not workspace.queue)
    assert workspace.queue.told() == "queue: 1 finished, 2 failed, 2 stopped"
    assert [(turn.number, turn.run, turn.outcome) for turn in workspace.queue.turns] == [
        (1, "x", "failed"),
        (2, "", "failed"),
        (3, "x", "stopped"),
        (4, "", "stopped"),
        (5, "x", "finished"),
    ]
    words = [turn.words for turn in workspace.queue.turns]
    assert words[:3] == ["no room on the disk", "too large", "after epoch 1"]
    assert words[4] == "best validation loss 0.1000 in epoch 1, test 90.00 %"


def test_the_queue_goes_on_after_each_run(workspace: Workspace, answers: Answers) -> None:
    answers[Train] = [STARTED, FINISHED]
    workspace.enqueue([Train(seed=1), Train(seed=2), Train(seed=3)])
    assert [request.seed for request in workspace.queue] == [2, 3]
    workspace.move(0, 1)
    assert [request.seed for request in workspace.queue] == [3, 2]
    workspace.move(1, 1)  # already the last one
    workspace.remove(1)
    assert [request.seed for request in workspace.queue] == [3]
    until(workspace, lambda: workspace.training is None and not workspace.queue)
    assert workspace.history.state == "finished"


def test_the_end_of_a_run_is_told(workspace: Workspace, answers: Answers) -> None:
    notices = heard(workspace)
    reason = f"{DIVERGED} in epoch 2 around step 5 of 9: lower the learning rate (1)"
    ends = (
        (FINISHED, "finished", "test accuracy 90.00 % (epoch 1 of 1, best validation loss), 2 s", "information"),
        (RunFailed(run="x", reason="no space: make room"), "failed", "no space: make room", "error"),
        (RunFailed(run="x", reason=reason), "diverged", reason, "error"),
        (RunCancelled(run="x", epoch=1), "stopped", "after epoch 1 of 1: another program asked for it", "warning"),
    )
    for end, ended, told, severity in ends:
        answers[Train] = [STARTED, EPOCH, end]
        workspace.train(Train())
        until(workspace, lambda: workspace.training is None)
        notice = notices.pop()
        assert (notice.title, notice.words, notice.severity) == (f"run x {ended}", told, severity)
        assert notices == []
        assert workspace.history.diverged == (ended == "diverged")


def test_a_run_that_the_user_stopped_can_be_resumed(workspace: Workspace) -> None:
    notices = heard(workspace)
    for epochs, when in (([], "before the end of its first epoch"), ([EPOCH], "after epoch 1 of 1")):
        workspace.training = job = Job(Train(), OPERATIONS[Train])
        job.cancel()
        for event in (STARTED, *epochs, RunCancelled(run="x", epoch=len(epochs))):
            workspace._take(job, event)
        assert notices.pop().words == f"{when}: R on screen 1 resumes it"


def test_of_queued_runs_it_is_told_which_one_ended_and_how_many_are_left(
    workspace: Workspace, answers: Answers
) -> None:
    answers[Train] = [STARTED, EPOCH, FINISHED]
    notices = heard(workspace)
    workspace.enqueue([Train(seed=1), Train(seed=2, learning_rate=3e-4), Train(seed=3)])
    until(workspace, lambda: workspace.training is None and not workspace.queue)
    assert [notice.title for notice in notices] == ["run x finished"] * 3
    told = "test accuracy 90.00 % (epoch 1 of 1, best validation loss), 2 s"
    assert [notice.words for notice in notices] == [
        f"seed 1: {told}\nqueue: 2 left",
        f"seed 2, learning rate 0.0003: {told}\nqueue: 1 left",
        f"seed 3: {told}\nthe queue is done",
    ]
    workspace.train(Train())
    until(workspace, lambda: workspace.training is None)
    assert notices[-1].words == told


def test_runs_opened_from_disk_end_in_silence(workspace: Workspace) -> None:
    notices = heard(workspace)
    for run in (pretrained("cnn"), stopped(workspace.root, "stopped")):
        workspace.open(run)
        workspace.look_around()
    assert notices == []


def test_a_run_that_fails_by_a_bug_stays_open_as_failed(workspace: Workspace, answers: Answers) -> None:
    workspace.open(pretrained("cnn"))
    answers[Train] = [STARTED, EPOCH, ZeroDivisionError("division by zero")]
    notices = heard(workspace)
    workspace.train(Train())
    until(workspace, lambda: workspace.training is None)
    assert (workspace.history.name, workspace.history.state) == (STARTED.run, "failed")
    assert "division by zero" in workspace.problem
    (notice,) = notices
    assert (notice.title, notice.severity) == ("run x failed", "error")


def test_a_damaged_run_opens_with_a_warning(workspace: Workspace) -> None:
    run = stopped(workspace.root, "damaged")
    (run.path / "request.json").write_bytes(b"{")
    notices = heard(workspace)
    workspace.open(run)
    assert (workspace.run, workspace.history.epoch, workspace.variant) == (run, 1, "")
    assert workspace.damage == notices[0].words
    assert "request.json cannot be read" in workspace.damage
    workspace.resume(run)
    assert workspace.training is None
    assert notices[-1].severity == "error"
    shutil.rmtree(run.path)
    assert not workspace.attempt(lambda: workspace.open(run))
    again = Workspace(workspace.root, stopped(workspace.root, "damaged"))
    assert again.damage == ""


def test_the_name_in_the_header_follows_the_note(workspace: Workspace) -> None:
    run = made(workspace.root, "20260101-000000-cnn", Train(), [0.9])
    workspace.open(run)
    changes: list[bool] = []
    workspace.on_change = changes.append
    workspace.look_around()
    assert changes == []
    write_note(run, "wider kernels #sweep")
    workspace.look_around()
    assert changes == [False]
    assert words(workspace.facts())[0] == "wider kernels #sweep"
    write_note(run, "")
    workspace.look_around()
    assert words(workspace.facts())[0] == "1 Jan 00:00:00"


def test_a_speed_is_only_told_while_it_is_reached(workspace: Workspace, answers: Answers) -> None:
    workspace.open(pretrained("cnn"))
    workspace.engine = EngineLoaded(device="cpu", device_name="2 threads", torch="2")
    assert words(workspace.place()) == ["cpu 2 threads"]
    workspace.training = job = Job(Train(), OPERATIONS[Train])
    told = []
    for event in (STARTED, BATCH, EPOCH):
        workspace._take(job, event)
        told.append(words(workspace.place())[1:])
    assert told == [[], ["1,000 img/s"], ["1 img/s"]]
    assert words(workspace.place())[0] == "cpu"  # that of the run, not of the app
    workspace._take(job, FINISHED)
    assert words(workspace.place()) == ["cpu 2 threads"]


def test_a_run_has_its_request_from_the_first_moment(workspace: Workspace, answers: Answers) -> None:
    answers[Train] = [STARTED, EPOCH, FINISHED]
    workspace.open(pretrained("cnn"))
    workspace.train(Train(seed=8, learning_rate=3e-4))
    assert words(workspace.facts()) == ["new run", "seed 8", "cnn", "learning rate 0.0003"]
    until(workspace, lambda: workspace.training is None)
    assert words(workspace.facts()) == ["x", "seed 8", "cnn", "learning rate 0.0003", "epoch 1/1", "test 50.00 %"]
    values = {known.label: known.value for group in workspace.about() for known in group}
    assert (values["learning rate"], values["device"], values["took"]) == ("0.0003", "cpu", "2 s for 1 epoch")


def test_what_was_open_stays_open_where_no_run_comes(workspace: Workspace, answers: Answers) -> None:
    answers[Train] = [RequestError("there is no such data set: choose another one")]
    notices = heard(workspace)
    run = pretrained("cnn")
    workspace.open(run)
    before = workspace.history
    workspace.train(Train())
    assert workspace.history is not before
    until(workspace, lambda: workspace.training is None)
    assert workspace.history is before
    assert workspace.run is run
    assert workspace.problem == "there is no such data set: choose another one"
    assert [notice.severity for notice in notices] == ["error"]


def test_a_run_that_is_under_way_stays_open(workspace: Workspace, answers: Answers) -> None:
    answers[Train] = [STARTED]
    workspace.train(Train())
    with pytest.raises(RequestError, match="stop it to open another one"):
        workspace.open(pretrained("cnn"))
    assert not workspace.attempt(lambda: workspace.open(pretrained("cnn")))


def test_a_renamed_run_is_resumed_under_its_new_name(workspace: Workspace, answers: Answers) -> None:
    run = stopped(workspace.root, STARTED.run)
    renamed = RunFolder(run.path.rename(workspace.root / "mine"))
    workspace.open(renamed)
    assert (workspace.history.name, workspace.history.unfinished) == ("mine", True)
    assert workspace.unfinished_run is renamed
    answers[Resume] = [STARTED, EPOCH]
    workspace.resume(renamed)
    until(workspace, lambda: workspace.training is None)
    assert workspace.history.name == "mine"
    assert workspace.run is renamed


def test_a_run_that_waits_is_found(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.runs.catalogue import find_unfinished

    stopped(workspace.root, "stopped")
    monkeypatch.setattr("engine.operations.perform", find_unfinished)
    workspace.look_for_unfinished()
    until(workspace, lambda: workspace.waiting is not None)
    assert workspace.unfinished_run is not None
    assert workspace.unfinished_run.name == "stopped"


def test_pytorch_is_loaded_once(workspace: Workspace, answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    answers[WarmUp] = [EngineLoaded(device="cpu", device_name="2 threads", torch="2")]
    asked: list[Request] = []
    submit = workspace.lab.submit

    def noted(request: Request) -> Job:
        asked.append(request)
        return submit(request)

    monkeypatch.setattr(workspace.lab, "submit", noted)
    assert words(workspace.place()) == ["loading PyTorch"]
    workspace.prepare()
    workspace.prepare()
    assert asked == [WarmUp()]
    until(workspace, lambda: workspace.engine is not None)
    assert words(workspace.place()) == ["cpu 2 threads"]


def test_what_came_of_a_figure_is_told(workspace: Workspace, answers: Answers) -> None:
    notices = heard(workspace)
    workspace.export(None)
    assert notices.pop().words == "there is nothing to draw yet"
    answers[DrawFigure] = [FigureSaved(path="/figures/a.png")]
    workspace.export(DrawFigure())
    until(workspace, lambda: bool(notices))
    assert notices.pop() == Notice("/figures/a.png", "figure saved, its path copied", copy="/figures/a.png")
    answers[DrawFigure] = [RequestError("the disk is full: make room")]
    until(workspace, lambda: workspace.exporting is not None and workspace.exporting.state == "done")
    workspace.export(DrawFigure())
    until(workspace, lambda: bool(notices))
    assert (notices[0].title, notices[0].severity) == ("no figure", "error")


def test_who_asks_hears_what_fails_and_nobody_else_is_told(workspace: Workspace, answers: Answers) -> None:
    answers[ListRuns] = [RequestError("cannot read it")]
    notices, events = heard(workspace), list[Event]()
    job = workspace.ask(ListRuns(), lambda _, event: events.append(event))
    assert workspace.listens_to(job)
    until(workspace, lambda: not workspace.listens_to(job))
    assert events == [JobFailed(reason="cannot read it", bad_request=True)]
    assert notices == []


def test_exports_go_into_a_run_of_ours(workspace: Workspace, tmp_path: Path) -> None:
    workspace.open(pretrained("cnn"))
    assert workspace.digit == NOTEBOOKS_DIGIT
    assert workspace.figures_folder == Path("figures")
    run = made(tmp_path / "runs", "a", Train(), [0.9])
    workspace.open(run)
    assert workspace.figures_folder == run.figures_folder
    assert words(workspace.facts())[-2:] == ["epoch 1/1", "test 90.00 %"]


def test_a_collapse_of_robust_accuracy_is_told_with_what_to_do(workspace: Workspace) -> None:
    told: list[Notice] = []
    workspace.tell = told.append
    job = Job(Train(objective="fgsm"), OPERATIONS[Train])
    workspace.training = job
    for event in (STARTED, EPOCH, RobustnessCollapsed(run="x", epoch=1, before=0.6, after=0.01)):
        workspace._take(job, event)
    (notice,) = told
    assert notice.severity == "warning"
    assert "fell from 60.00 % to 1.00 % in epoch 1" in notice.words
    assert "objective pgd" in notice.words
    assert workspace.history.collapsed is not None
