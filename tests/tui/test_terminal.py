"""The real program in a pseudo-terminal: first frame, quitting during a run, hang-up, and limited terminals."""

from __future__ import annotations

import curses
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from engine.request import parameters
from engine.runs.finding import pretrained
from engine.runs.folder import RunFolder
from engine.training.events import RunCancelled
from engine.training.requests import Train
from tests.pty_app import PtyApp
from tui.drawing.terminal import ASCII, ESCAPE_DELAY, UNICODE, colour_system, escape_delay, glyphs, prepare
from tui.signals import LAST_RESORT


def _train(app: PtyApp, cwd: Path) -> Path:
    """Start a run and wait for its first steps; returns its folder."""
    app.wait_for("quit")
    app.send("r")
    app.wait_for("img/s   run", 60)
    (folder,) = (cwd / "runs").iterdir()
    return folder


def test_first_frame_comes_without_torch(tmp_path: Path) -> None:
    with PtyApp(cwd=tmp_path) as app:
        app.wait_for("quit")
        assert "pretrained:cnn-bn" in app.text
        app.wait_for("loading PyTorch")
        app.send("q")
        assert app.wait() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the memory in use")
def test_before_torch_the_app_with_a_run_takes_at_most_80_mb(tmp_path: Path) -> None:
    code = """if True:
        import json, resource, sys
        from pathlib import Path
        from engine.runs.finding import pretrained
        from tui.app import MnistTui
        from tui.workspace import Workspace
        Workspace.prepare = lambda self: app.exit()  # what would load PyTorch, right after the first frame
        app = MnistTui(Path("runs"), pretrained("cnn"))
        app.run(headless=True, size=(120, 40))
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        heavy = [name for name in ("torch", "numpy", "matplotlib", "PIL") if name in sys.modules]
        print(json.dumps([pages * resource.getpagesize() / 1e6, heavy]))
    """
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    memory, heavy = json.loads(done.stdout.splitlines()[-1])
    assert heavy == []
    assert memory <= 80


def test_quitting_while_torch_loads_is_clean(tmp_path: Path) -> None:
    with PtyApp(cwd=tmp_path) as app:
        app.wait_for("loading PyTorch")
        app.send("q")
        assert app.wait() == 0
        assert "Traceback" not in app.text


def test_what_cannot_be_remembered_is_said_after_the_app(tmp_path: Path) -> None:
    """A file stands where the folder would be: nobody can write there, not even root."""
    (tmp_path / "state").write_text("")
    with PtyApp(cwd=tmp_path, environment={"XDG_STATE_HOME": str(tmp_path / "state")}) as app:
        app.wait_for("quit")
        app.send("tq")
        assert app.wait() == 0
        assert "mnist-tui: cannot remember the state of the app: " in app.text
        assert "Traceback" not in app.text


def test_quitting_in_mid_run_leaves_weights_and_a_sane_terminal(tmp_path: Path) -> None:
    with PtyApp(cwd=tmp_path, columns=80, rows=24) as app:
        before = termios.tcgetattr(app.fd)
        folder = _train(app, tmp_path)
        app.send("q")
        app.wait_for("A run is under way")
        app.send("y")
        assert app.wait() == 0
        assert termios.tcgetattr(app.fd)[3] == before[3]  # echo and line mode are back
        assert not app.screen.cursor.hidden
    assert isinstance(RunFolder(folder).events()[-1], RunCancelled)
    assert (folder / "model.safetensors").is_file()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGHUP, 129), (signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_in_mid_run_ends_it_in_order(tmp_path: Path, number: signal.Signals, code: int) -> None:
    with PtyApp(cwd=tmp_path) as app:
        folder = _train(app, tmp_path)
        app.kill(number)
        assert app.wait() == code
    assert isinstance(RunFolder(folder).events()[-1], RunCancelled)
    assert not list(folder.glob(".*.partial"))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGHUP, 129), (signal.SIGTERM, 143)])
def test_a_signal_to_an_idle_app_ends_it_at_once(tmp_path: Path, number: signal.Signals, code: int) -> None:
    with PtyApp(cwd=tmp_path) as app:
        before = termios.tcgetattr(app.fd)
        app.wait_for(lambda a: "quit" in a.text and "loading" not in a.text.splitlines()[0], 60)
        app.read(0.5)  # no other activity would wake it
        app.kill(number)
        assert app.wait(LAST_RESORT - 1) == code
        assert termios.tcgetattr(app.fd)[3] == before[3]
        assert not app.screen.cursor.hidden


def test_a_closed_terminal_ends_the_run_in_order(tmp_path: Path) -> None:
    with PtyApp(cwd=tmp_path) as app:
        folder = _train(app, tmp_path)
        app.hang_up()
        assert app.wait(30) == 129
    assert isinstance(RunFolder(folder).events()[-1], RunCancelled)


def test_a_terminal_that_takes_nothing_does_not_stop_training(tmp_path: Path) -> None:
    with PtyApp(cwd=tmp_path) as app:
        app.wait_for("quit")
        app.send("s" + "j" * [each.name for each in parameters(Train) if not each.fixed].index("train_size"))
        app.wait_for("number of training images")
        app.send("4000")  # shorter epochs than with all of MNIST
        app.wait_for("takes it")
        app.send("\r")
        app.wait_for("[4000]")
        app.send("\x1b")
        app.wait_for(lambda a: "[4000]" not in a.text)  # at once, `r` would belong to the escape
        folder = _train(app, tmp_path)
        # Nothing is read from here on: the app's writer fills the pseudo-terminal and blocks, as with a stalled
        # connection.
        for _ in range(120):
            app.send("y")
        events = folder / "events.jsonl"
        app.count_until(lambda: b"EpochFinished" in events.read_bytes(), 90, read=False)
        app.kill(signal.SIGTERM)
        assert app.wait(30, read=False) == 143
    assert isinstance(RunFolder(folder).events()[-1], RunCancelled)


@pytest.mark.parametrize(
    "environment",
    [
        {"NO_COLOR": "1"},
        {"TERM": "dumb", "COLORTERM": ""},
        {"TERM": "xterm", "COLORTERM": ""},
        {"COLORTERM": ""},
        {"LC_ALL": "C"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
    ids=["no-colour", "dumb", "16-colours", "256-colours", "c-locale", "latin-1"],
)
def test_terminals_that_can_do_little(tmp_path: Path, environment: Mapping[str, str]) -> None:
    best = pretrained("cnn").history().best
    assert best is not None
    with PtyApp(("pretrained:cnn",), cwd=tmp_path, environment=environment, columns=80, rows=24) as app:
        app.wait_for("quit")
        app.wait_for(f"best validation loss {best.val_loss:.4f} in epoch {best.epoch}")
        if not {"LC_ALL", "PYTHONIOENCODING"}.isdisjoint(environment) or environment.get("TERM") == "dumb":
            assert all(ord(character) < 128 for character in app.text)
        app.send("q")
        assert app.wait() == 0


def test_glyphs_follow_the_locale() -> None:
    assert glyphs({"LC_ALL": "C"}) is ASCII
    assert glyphs({"LC_ALL": "", "LANG": "POSIX"}) is ASCII
    assert glyphs({"LANG": "C", "LC_ALL": "de_DE.UTF-8"}) is UNICODE
    assert glyphs({"LC_CTYPE": "C.UTF-8", "LANG": "C"}) is UNICODE
    assert glyphs({}) is UNICODE
    assert glyphs({"TERM": "dumb"}) is ASCII


def test_glyphs_are_what_the_encoding_holds() -> None:
    for encoding in ("latin-1", "ascii", "cp437", "euc-jp"):
        assert glyphs({"LANG": "de_DE"}, encoding) is ASCII
    for encoding in ("utf-8", "gb18030"):
        assert glyphs({"LANG": "de_DE"}, encoding) is UNICODE


@pytest.mark.parametrize(
    ("environment", "colours"),
    [
        ({"TERM": "alacritty"}, "truecolor"),
        ({"TERM": "foot-extra"}, "truecolor"),
        ({"TERM": "xterm-ghostty", "COLORTERM": ""}, "truecolor"),
        ({"TERM": "xterm-kitty"}, "truecolor"),
        ({"TERM": "wezterm"}, "truecolor"),
        ({"TERM": "xterm-direct"}, "truecolor"),
        ({"TERM": "tmux-256color"}, "auto"),
        ({"TERM": "alacritty", "COLORTERM": "truecolor"}, "auto"),
        ({"TERM": "dumb"}, "auto"),
        ({}, "auto"),
        ({"TERM": "no-such-terminal"}, "auto"),
    ],
)
def test_terminals_are_known_by_name(environment: dict[str, str], colours: str) -> None:
    assert colour_system(environment) == colours


@pytest.mark.parametrize(("claimed", "colours"), [(1 << 24, "truecolor"), (256, "256"), (16, "auto"), (-1, "auto")])
def test_of_other_terminals_their_own_description_counts(
    claimed: int, colours: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(curses, "setupterm", lambda term, _: asked.append(term))
    monkeypatch.setattr(curses, "tigetnum", lambda name: {"colors": claimed}[name])
    assert colour_system({"TERM": "st-meta"}) == colours
    assert asked == ["st-meta"]


@pytest.mark.parametrize(
    ("said", "delay"),
    [("", ESCAPE_DELAY), ("0", 0), (" 300 ", 300), ("60000", 60_000)]
    + [(text, ESCAPE_DELAY) for text in ("-1", "x", "1.5", "25ms", "60001", "9" * 5000, "٣")],
)
def test_the_wait_after_an_escape_is_short_unless_the_user_says_otherwise(said: str, delay: int) -> None:
    assert escape_delay({"ESCDELAY": said}) == delay
    master, terminal = pty.openpty()
    try:
        environment = {"ESCDELAY": said} if said else {}
        prepare(terminal, environment)
    finally:
        os.close(master)
        os.close(terminal)
    assert environment["ESCDELAY"] == str(delay)
    assert environment["TEXTUAL_FPS"] == "120"


def test_escape_closes_the_help_and_a_sequence_is_a_key(tmp_path: Path) -> None:
    with PtyApp(("pretrained:cnn",), cwd=tmp_path, environment={"ESCDELAY": "0"}) as app:
        app.wait_for("quit")
        app.send("?")
        app.wait_for("keys on Train")
        app.send("\x1b")
        app.wait_for(lambda a: "keys on Train" not in a.text)
        app.send("2\x1b[D\x1b1")  # an arrow, and alt+1, which is no key here
        app.wait_for("parameters")
        app.send("q")
        assert app.wait() == 0


def test_libraries_that_print_do_so_in_a_log(tmp_path: Path) -> None:
    """Even in a terminal whose shell has exported its former size."""
    code = """
import os
from tui.app import MnistTui
from tui.cli.main import main

mount = MnistTui.on_mount

def prints(app):
    os.write(1, b"NOISE on 1\\n")
    os.write(2, b"NOISE on 2\\n")
    mount(app)

MnistTui.on_mount = prints
main()
"""
    environment = {"XDG_CACHE_HOME": str(tmp_path), "COLUMNS": "30", "LINES": "5"}
    with PtyApp(cwd=tmp_path, environment=environment, program=(sys.executable, "-c", code)) as app:
        app.wait_for("quit")
        assert "8 Runs" in app.text
        assert "NOISE" not in app.text
        app.send("q")
        assert app.wait() == 0
        assert "libraries printed messages" in app.text
    assert (tmp_path / "mnist-tui" / "libraries.log").read_text() == "NOISE on 1\nNOISE on 2\n"


def test_standard_output_is_for_events_alone() -> None:
    code = """
import os, sys
from tui.cli.descriptors import output_to_ourselves

for number in (b"1", b"2"):
    with output_to_ourselves() as out:
        os.write(1, b"noise ")
        print("of Python", flush=True)
        out.write(number)
        out.flush()
print("after")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "12after\n"
    assert done.stderr == "noise of Python\n" * 2


def test_standard_error_elsewhere_is_said(tmp_path: Path) -> None:
    """Textual draws on standard error, so the screen would stay dark if it were redirected."""
    script = ("/bin/sh", "-c", f"exec {sys.executable} -c 'from tui.cli.main import main; main()' 2>err.txt")
    with PtyApp(cwd=tmp_path, program=script) as app:
        assert app.wait() == 2
    assert (tmp_path / "err.txt").read_text().startswith("mnist-tui: the app needs a terminal")


def test_a_closed_terminal_loses_nothing(tmp_path: Path) -> None:
    """After a hang-up in mid-epoch, a resumed run has the same weights as an uninterrupted one."""
    experiment = ("--epochs", "1", "--threads", "1", "--channels", "8", "--hidden", "32")
    command = [sys.executable, "-m", "tui.cli", "train", *experiment, "--runs", str(tmp_path / "whole"), "--json"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (whole,) = (tmp_path / "whole").iterdir()
    command[-2] = str(tmp_path / "runs")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as started:
        events = tmp_path / "runs"
        until(lambda: any(b"RunStarted" in path.read_bytes() for path in events.glob("*/events.jsonl")))
        started.kill()  # before its first epoch, when the folder holds only the request
    for _ in range(2):
        with PtyApp(cwd=tmp_path) as app:
            app.wait_for("was not finished: R resumes it", 60)
            app.send("R")
            app.wait_for("img/s   run", 60)
            app.hang_up()
            assert app.wait(30) == 129
    with PtyApp(cwd=tmp_path) as app:
        app.wait_for("was not finished: R resumes it", 60)
        app.send("R")
        app.wait_for("best validation loss", 90)
        app.send("q")
        assert app.wait() == 0
    (path,) = (tmp_path / "runs").iterdir()
    assert sum(isinstance(event, RunCancelled) for event in RunFolder(path).events()) == 2
    for name in ("model.safetensors", "best.safetensors"):
        assert (path / name).read_bytes() == (whole / name).read_bytes()


def test_a_detached_run_goes_on_without_the_app(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "tui.cli", "train", "--detach", "--train-size", "3000", "--epochs", "4"]
    theirs = [tmp_path / f"{name}.py" for name in ("engine", "random", "queue")]
    for file in theirs:
        file.write_text("raise ImportError('of another project')")
    said = subprocess.run([*command, "--json"], check=True, cwd=tmp_path, capture_output=True, text=True).stdout
    for file in theirs:
        file.unlink()
    name = json.loads(said)["run"]
    folder = RunFolder(tmp_path / "runs" / name)
    for _ in range(2):
        with PtyApp([name], cwd=tmp_path) as app:
            app.wait_for("quit")
            app.send("q")
            assert app.wait() == 0  # it does not ask, because another process trains the run
    assert not list((tmp_path / "runs").glob(".detached*"))
    with PtyApp([name], cwd=tmp_path) as app:
        app.wait_for("best validation loss", 90)
        for epoch in range(1, 5):
            assert f"{epoch}/4" in app.text
    assert [epoch.epoch for epoch in folder.history().epochs] == [1, 2, 3, 4]
    assert folder.history().state == "finished"


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
