"""Telling the end of a run: the bell, notifications of terminals, a command and a webhook."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from engine.cluster.events import RunOutcome, RunTold, SweepEnded
from engine.cluster.requests import TrainOnRay
from engine.event import Event, JobFailed, to_json
from engine.lab import Job
from engine.operations import OPERATIONS
from engine.runs.folder import RunFolder
from engine.runs.processes import claimed
from engine.runs.queue import Experiment
from engine.runs.tail import Tail
from engine.training.events import DIVERGED, RunCancelled, RunFailed, RunFinished
from engine.training.requests import Train
from tests.pty_app import PtyApp
from tests.runs import made
from tests.tui.conftest import FakeJob, MakeApp, under_way
from tests.tui.driving import Call
from tui.alerts import outside
from tui.alerts.alert import Alert, of_ended, of_event, of_sweep
from tui.alerts.outside import run_command, send
from tui.alerts.ringer import Ringer, Ways
from tui.alerts.terminal import sequences
from tui.app import MnistTui
from tui.cli.ringing import ring_for, ringing
from tui.settings.values import Settings

ROOT = Path(__file__).parents[2]
FINISHED = RunFinished(run="one", best_epoch=2, best_val_loss=0.05, test_accuracy=0.98, last_test_accuracy=0.97)
SMALL = ("--epochs", "1", "--train-size", "640")


def alert(event: Event = FINISHED, run: str = "one") -> Alert:
    found = of_event(event, run)
    assert found
    return found


def test_what_is_told() -> None:
    assert (alert().outcome, alert().title) == ("finished", "run one finished")
    assert alert().words == "test accuracy 98.00 %, best validation loss 0.0500 in epoch 2"
    assert json.loads(alert().json) == json.loads(msgspec.json.encode(FINISHED)) | {
        "outcome": "finished",
        "title": "run one finished",
        "text": "run one finished: test accuracy 98.00 %, best validation loss 0.0500 in epoch 2",
    }
    assert alert(RunFailed(run="one", reason=f"{DIVERGED}: lower it")).outcome == "diverged"
    assert alert(RunFailed(run="one", reason="the disk is full")).outcome == "failed"
    assert alert(JobFailed(reason="no\x1bsuch\nfolder", bad_request=True), "").words == "no\\x1bsuch; folder"
    assert of_event(RunCancelled(run="one", epoch=1), "one") is None
    assert (of_sweep(20, 0).outcome, of_sweep(20, 3).words) == ("finished", "3 of 20 runs failed")


def test_a_run_that_was_stopped_has_not_failed() -> None:
    def of(*outcomes: Literal["finished", "stopped", "failed", "refused"]) -> tuple[str, str]:
        runs = (RunOutcome(number=n, seed=n, run="", outcome=each) for n, each in enumerate(outcomes))
        told = of_ended(SweepEnded(runs=tuple(runs), seconds=1.0))
        return told.outcome, told.words

    assert of("finished", "finished") == ("finished", "all 2 runs finished")
    assert of("finished", "stopped", "finished") == ("finished", "2 of 3 runs finished, 1 stopped")
    assert of("failed", "stopped", "refused", "finished") == ("failed", "2 of 4 runs failed")


def rung(environment: dict[str, str], *, bell: bool = True, osc9: bool = True, osc777: bool = True) -> str:
    said = Alert("finished", "a;b\x1b]0;x\x07", "c;d\x9c\u202e")
    return sequences(said, bell=bell, osc9=osc9, osc777=osc777, environment=environment)


def test_what_the_terminal_gets() -> None:
    nine = "\x1b]9;a;b]0;x: c;d\x1b\\"
    seven = "\x1b]777;notify;a,b]0,x;c;d\x1b\\"
    assert rung({"TERM": "xterm-256color"}) == f"\a{nine}{seven}"
    assert rung({"TERM": "xterm"}, bell=False, osc9=False, osc777=False) == ""
    for term in ("dumb", "linux", ""):
        assert rung({"TERM": term}) == "\a"
    assert rung({"TERM": "tmux-256color", "TMUX": "/tmp/x,1,0"}, bell=False, osc777=False) == (
        "\x1bPtmux;\x1b\x1b]9;a;b]0;x: c;d\x1b\x1b\\\x1b\\"
    )
    long = Alert("failed", "t", "x" * 10_000)
    assert len(sequences(long, bell=False, osc9=True, osc777=False, environment={"TERM": "xterm"})) < 250


def test_the_command_gets_the_event(tmp_path: Path) -> None:
    command = f'cat > "{tmp_path}/event"; printf %s "$MNIST_TUI_OUTCOME $MNIST_TUI_TITLE" > "{tmp_path}/words"'
    hostile = RunFailed(run="$(touch gone)", reason="`touch gone`; touch gone")
    said = alert(hostile, "$(touch gone)")
    assert run_command(command, said) == ""
    assert json.loads((tmp_path / "event").read_text())["reason"] == hostile.reason
    assert (tmp_path / "words").read_text() == "failed run $(touch gone) failed"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["event", "words"]


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("exit 3", "the notify command ended with code 3"),
        ("echo no such bell >&2; exit 1", "ended with code 1: no such bell"),
        ("printf '\\033]0;x' >&2; exit 1", "ended with code 1: \\x1b]0;x"),
        ("kill -9 $$", "ended by signal 9"),
        ("no-such-command-anywhere", "ended with code 127"),
        ("x" * 200_000, "the notify command could not be run"),
        ("sleep 60", "took longer than 0 s"),
        ("sleep 0.01 &", ""),
        ("head -c 1000000 /dev/zero", ""),
    ],
)
def test_what_the_command_does(command: str, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if "longer" in problem:
        monkeypatch.setattr(outside, "COMMAND_SECONDS", 0.2)
    said = run_command(command, alert())
    assert said.splitlines() == ([said] if problem else [])
    assert problem in said


class Answers(BaseHTTPRequestHandler):
    """Answers /200 with 200 and so on, and keeps what it got."""

    got: list[tuple[str, str, bytes]]

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.got.append((self.path, self.headers["Content-Type"], self.rfile.read(length)))
        code = int(self.path.strip("/"))
        self.send_response(code)
        if code == 302:
            self.send_header("Location", "/200")
        self.end_headers()

    do_GET = do_POST

    def log_message(self, *_: Any) -> None:
        """Nothing on standard error."""


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    Answers.got = []
    with HTTPServer(("127.0.0.1", 0), Answers) as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.mark.usefixtures("no_proxy")
def test_the_webhook_gets_the_event(server: HTTPServer) -> None:
    address = f"http://127.0.0.1:{server.server_port}"
    assert send(f"{address}/200", alert()) == ""
    assert Answers.got == [("/200", "application/json", alert().json)]
    assert send(f"{address}/500", alert()) == "the webhook at 127.0.0.1 answered 500 Internal Server Error"
    assert send(f"{address}/302", alert()).startswith("the webhook at 127.0.0.1 answered 302")
    assert len(Answers.got) == 3  # the redirection was not followed


@pytest.mark.usefixtures("no_proxy")
@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("http://127.0.0.1:1/secret", "the webhook at 127.0.0.1 cannot be reached"),
        ("file:///etc/passwd", "the webhook needs an address that begins with http"),
        ("http://[", "the webhook cannot be reached"),
        ("http://127.0.0.1:port/secret", "the webhook"),
        ("http://127.0.0.1/a b", "the webhook"),
    ],
)
def test_a_webhook_that_fails(address: str, problem: str) -> None:
    said = send(address, alert())
    assert problem in said
    assert len(said.splitlines()) == 1
    assert "secret" not in said


def rings(ways: Ways, *, followed: bool = False) -> tuple[str, list[str]]:
    """What goes to the terminal, and what fails, when a run ends."""
    written: list[str] = []
    failures: list[str] = []
    ringer = Ringer(ways, written.append, failures.append)
    ringer.ring(alert(), followed=followed)
    assert ringer.finish(20)
    return "".join(written), failures


def test_who_runs_the_command() -> None:
    assert Ways.of(Settings()) == Ways(bell=True)
    assert rings(Ways.of(Settings(notify="exit 5"))) == ("\a", ["the notify command ended with code 5"])
    assert rings(Ways.of(Settings(notify="exit 5", bell=False)), followed=True) == ("", [])  # the other process does
    assert rings(Ways.of(Settings(), "exit 6"), followed=True)[1] == ["the notify command ended with code 6"]
    assert rings(Ways.of(Settings(notify="exit 5"), "")) == ("\a", [])


# The command line


def test_train_and_resume_tell_it(call: Call, tmp_path: Path) -> None:
    command = f"cat >> {tmp_path}/told"
    code, _, err = call("train", *SMALL, "--notify", command)
    assert (code, err) == (0, "")  # no bell: standard error is no terminal
    (told,) = [json.loads(line) for line in (tmp_path / "told").read_text().splitlines()]
    assert (told["type"], told["outcome"]) == ("RunFinished", "finished")


def test_a_command_that_fails_is_one_line(call: Call) -> None:
    code, _, err = call("train", *SMALL, "--notify", "exit 4")
    assert (code, err) == (0, "mnist-tui: the notify command ended with code 4\n")


class Terminal(StringIO):
    """A terminal that keeps what it gets."""

    def isatty(self) -> bool:
        return True


def test_the_bell_on_a_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("osc9 = true\n")
    monkeypatch.setenv("MNIST_TUI_SETTINGS", str(tmp_path / "settings.toml"))
    monkeypatch.delenv("TMUX", raising=False)
    for terminal, expected in ((Terminal(), "\a\x1b]9;run one finished: "), (StringIO(), "")):
        monkeypatch.setattr(sys, "stderr", terminal)
        with ringing(None) as ringer:
            ring_for(ringer, [FINISHED, RunCancelled(run="one", epoch=1)])
        said = terminal.getvalue()
        assert said.startswith(expected)
        assert said.count("\a") == len(expected[:1])


# The app


def listening(app: MnistTui) -> list[tuple[str, str, bool]]:
    """Outcome, title and whether another process trained it, of all alerts from now on."""
    found: list[tuple[str, str, bool]] = []
    app.workspace.ring = lambda alert, followed: found.append((alert.outcome, alert.title, followed))
    return found


async def test_a_run_of_the_app_rings(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test():
        rung = listening(app)
        for event in (FINISHED, RunFailed(run="one", reason=DIVERGED), RunCancelled(run="one", epoch=2)):
            under_way(app)
            assert app.workspace.training
            app.workspace._take(app.workspace.training, event)
        assert [(outcome, title.split()[-1], followed) for outcome, title, followed in rung] == [
            ("finished", "finished", False),
            ("diverged", "diverged", False),
        ]


async def test_a_queue_rings_for_failures_and_at_its_end(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test():
        workspace, rung = app.workspace, listening(app)
        for waiting, event in ((2, FINISHED), (1, RunFailed(run="one", reason="no room")), (0, FINISHED)):
            under_way(app)
            workspace._queued = True
            workspace.queue._waiting = [Experiment(str(number), Train()) for number in range(waiting)]
            workspace.queue.working = True
            assert workspace.training
            workspace._take(workspace.training, event)
        assert [outcome for outcome, _, _ in rung] == ["failed", "finished"]
        workspace.queue._waiting = []


async def test_a_run_rings_beside_a_queue_that_is_held(still_app: MakeApp) -> None:
    """What an earlier session has left, or another app trains, does not follow this run."""
    app = still_app()
    async with app.run_test():
        rung = listening(app)
        under_way(app)
        app.workspace.queue._waiting = [Experiment("left", Train())]
        assert app.workspace.training
        app.workspace._take(app.workspace.training, FINISHED)
        assert [outcome for outcome, _, _ in rung] == ["finished"]
        app.workspace.queue._waiting = []


async def test_what_the_user_has_just_asked_for_does_not_ring(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test():
        rung = listening(app)
        app.workspace.training = job = FakeJob()
        app.workspace._before = app.workspace._open
        app.workspace._take(job, JobFailed(reason="there is no such device", bad_request=True))
        assert rung == []


async def test_a_run_that_another_process_trains_rings(still_app: MakeApp, tmp_path: Path) -> None:
    app = still_app()
    async with app.run_test():
        rung = listening(app)
        folder = RunFolder(tmp_path / "runs" / "theirs")
        folder.path.mkdir(parents=True)
        under_way(app)
        workspace = app.workspace
        history, workspace.training = workspace.history, None
        workspace._open.tail = tail = Tail(folder)
        tail.history = history
        folder.events_file.write_bytes(msgspec.json.encode(FINISHED) + b"\n")
        workspace.look_around()
        workspace.look_around()
        assert [(outcome, followed) for outcome, _, followed in rung] == [("finished", True)]


async def test_a_run_of_a_sweep_of_this_app_rings_once(still_app: MakeApp, tmp_path: Path) -> None:
    """Also where the sweep has ended before the log of the open run is read."""
    app = still_app()
    async with app.run_test():
        workspace, rung = app.workspace, listening(app)
        folder = RunFolder(tmp_path / "runs" / workspace.history.name)
        folder.path.mkdir(parents=True)
        under_way(app)
        history, workspace.training = workspace.history, None
        sweep = Job(TrainOnRay(runs=(Train(),)), OPERATIONS[TrainOnRay])
        workspace.sweeps.jobs.append(sweep)
        failure = RunFailed(run=history.name, reason="no room")
        workspace._hear_sweep(sweep, RunTold(number=0, run=history.name, event=failure))
        workspace.sweeps.forget(sweep)
        workspace._open.tail = tail = Tail(folder)
        tail.history = history
        folder.events_file.write_bytes(to_json(failure) + b"\n")
        workspace.look_around()
        assert history.state == "failed"
        assert rung == [("failed", "seed 0 failed", False)]
        workspace._ring_for_other()  # another process has resumed it since
        assert rung[1:] == [("failed", f"run {workspace._short} failed", True)]


def test_the_app_rings_between_two_frames(tmp_path: Path) -> None:
    """In a pseudo-terminal, for a run of another process: the bell, a notification, and what the command has said."""
    (tmp_path / "settings.toml").write_text("osc777 = true\n")
    folder = made(tmp_path / "runs", "theirs", Train(epochs=2), [0.9])
    environment = {"TMUX": "", "MNIST_TUI_SETTINGS": str(tmp_path / "settings.toml")}
    with (
        claimed(folder.lock_file),
        PtyApp(("theirs", "--notify", "exit 9"), cwd=tmp_path, environment=environment) as app,
    ):
        app.wait_for("trains this run")
        folder.append(FINISHED)
        received = b""
        while b"\x1b]777;" not in received:
            data = app._receive(app.started + 60)
            assert data, app.text
            received += data
        app._feed(received)
        app.wait_for("the notify command ended with code 9")
    before, _, after = received.partition(b"\a")
    assert after.startswith(b"\x1b]777;notify;run theirs finished;test accuracy 98.00 %")
    assert not before.endswith(b"\x1b")  # no sequence is cut in two


INNER = """
import sys
from tui.alerts.alert import Alert
from tui.alerts.terminal import sequences
sys.stdout.write(sequences(Alert("finished", "run one finished", "99 %"), bell=True, osc9=True, osc777=True))
sys.stdout.flush()
sys.stdin.read()
"""


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_tmux_passes_it_on(tmp_path: Path) -> None:
    (tmp_path / "inner.py").write_text(INNER)
    (tmp_path / "conf").write_text("set -g allow-passthrough on\n")
    command = f"PYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)} inner.py"
    server = ("tmux", "-L", f"mnist-tui-tests-{os.getpid()}")
    expected = (b"\a", b"\x1b]9;run one finished: 99 %\x1b\\", b"\x1b]777;notify;run one finished;99 %\x1b\\")
    program = (*server, "-f", "conf", "new-session", command)
    try:
        with PtyApp(cwd=tmp_path, program=program, environment={"TMUX": ""}) as app:
            received = b""
            while not all(part in received for part in expected):
                data = app._receive(app.started + 60)
                assert data, received
                received += data
    finally:
        subprocess.run([*server, "kill-server"], check=False, capture_output=True)
