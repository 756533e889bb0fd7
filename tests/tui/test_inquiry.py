"""What a screen asks of the network, without a screen and without PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.event import Event, JobFailed, WorkAdvanced
from engine.inspection.requests import Evaluate, Summarise
from engine.lab import Job
from engine.network.events import EngineLoaded, NetworkEvent
from engine.network.requests import Inspect
from engine.operations import OPERATIONS
from engine.request import Request
from engine.runs.finding import pretrained
from tui.inquiry import Inquiry
from tui.workspace import Listener, Workspace

ANSWER = NetworkEvent(name="pretrained:cnn", variant="cnn", epoch=15)
ONE, OTHER = Evaluate(what="pretrained:cnn"), Summarise(what="pretrained:cnn")


class Asked:
    """A workspace whose questions a test answers, and the inquiry on it."""

    def __init__(self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
        self.workspace, self.jobs, self.listeners = workspace, list[Job](), dict[Job, Listener]()
        self.heard: list[Event] = []
        self.forgotten = 0
        self.wanted: list[Request] = [ONE]
        monkeypatch.setattr(workspace, "ask", self._ask)
        monkeypatch.setattr(workspace, "listens_to", lambda _: False)
        workspace.engine = EngineLoaded(device="cpu", device_name="", torch="2")
        workspace.open(pretrained("cnn"))
        self.inquiry = Inquiry(workspace, lambda _, event: self.heard.append(event), self._forget)

    def _ask(self, request: Inspect, listener: Listener) -> Job:
        self.jobs.append(job := Job(request, OPERATIONS[type(request)]))
        self.listeners[job] = listener
        job.state = "running"
        return job

    def _forget(self) -> None:
        self.forgotten += 1

    def ask(self) -> None:
        self.inquiry.ask(lambda: self.wanted, list)

    def say(self, *events: Event, done: bool = False) -> None:
        """What the job that was asked for last has to say."""
        for event in events:
            self.listeners[self.jobs[-1]](self.jobs[-1], event)
        if done:
            self.jobs[-1].state = "done"


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    workspace = Workspace(tmp_path)
    yield Asked(workspace, monkeypatch)
    workspace.close()


def work(done: int) -> WorkAdvanced:
    return WorkAdvanced(words="measuring", done=done, total=10)


def test_one_thing_at_a_time_and_none_twice(asked: Asked) -> None:
    asked.wanted = [ONE, OTHER]
    asked.ask()
    asked.ask()
    assert [job.request for job in asked.jobs] == [ONE]
    asked.say(ANSWER, done=True)
    assert asked.inquiry.answered(ONE)
    asked.ask()
    asked.ask()
    assert [job.request for job in asked.jobs] == [ONE, OTHER]
    assert asked.heard == [ANSWER]


def test_the_progress_of_finished_work_is_not_that_of_the_next(asked: Asked) -> None:
    asked.ask()
    asked.say(work(3), ANSWER, work(10))
    assert asked.inquiry.progress == work(10)  # a part of the answer came before all of it
    asked.say(ANSWER, done=True)
    assert asked.inquiry.progress is None
    asked.inquiry.ask_again(ONE)
    asked.ask()
    assert len(asked.jobs) == 2
    assert asked.inquiry.progress is None
    assert asked.inquiry.left == ""
    asked.say(work(1))
    assert asked.inquiry.progress == work(1)


def test_what_failed_is_said_as_long_as_it_is_wanted(asked: Asked) -> None:
    asked.ask()
    asked.say(JobFailed(reason="there is no such image", bad_request=True), done=True)
    assert asked.inquiry.problem == "there is no such image"
    asked.ask()
    assert len(asked.jobs) == 1  # the answer is that there is none
    asked.wanted = [OTHER]
    asked.ask()
    assert asked.inquiry.problem == ""
    asked.say(ANSWER, done=True)
    asked.wanted = [ONE]
    asked.ask()
    assert asked.inquiry.problem == ""  # it was asked anew, as it had not been kept
    asked.say(JobFailed(reason="there is no such image", bad_request=True), done=True)
    assert asked.inquiry.problem == "there is no such image"


def test_who_was_stopped_is_heard_only_where_its_last_words_are_wanted(asked: Asked) -> None:
    for last_words in (False, True):
        asked.wanted = [ONE]
        asked.ask()
        asked.inquiry.stop(last_words=last_words)
        assert asked.jobs[-1].cancelled
        asked.wanted = []
        asked.ask()
        asked.say(ANSWER, done=True)
        assert asked.heard == [ANSWER] * last_words


def test_another_network_is_asked_anew_and_hears_nothing_of_the_one_before(asked: Asked) -> None:
    asked.ask()
    assert asked.forgotten == 1
    asked.inquiry.stop(last_words=True)
    before = asked.jobs[-1]
    asked.workspace.open(pretrained("cnn-bn"))
    asked.ask()
    assert asked.forgotten == 2
    assert len(asked.jobs) == 2
    asked.listeners[before](before, ANSWER)
    assert asked.heard == []


def test_what_was_asked_about_the_drawings_is_asked_again_once_they_change(asked: Asked) -> None:
    about = Evaluate(what="pretrained:cnn", dataset="drawings")
    asked.wanted = [ONE, about]
    for _ in range(2):
        asked.ask()
        asked.say(ANSWER, done=True)
    asked.ask()
    assert [job.request for job in asked.jobs] == [ONE, about]
    asked.workspace.drawings_changed += 1
    assert asked.inquiry.answered(ONE)
    assert not asked.inquiry.answered(about)
    asked.ask()
    assert [job.request for job in asked.jobs] == [ONE, about, about]
    asked.say(ANSWER, done=True)
    assert asked.inquiry.answered(about)
