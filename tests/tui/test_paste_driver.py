"""Pastes are not taken for keys, whether the terminal marks them or not."""

from __future__ import annotations

import shutil
from pathlib import Path
from threading import Event

import pytest
from textual import constants
from textual._xterm_parser import XTermParser
from textual.events import Paste
from textual.message import Message

from engine.runs import catalogue
from engine.runs.finding import pretrained
from tests.pty_app import PtyApp
from tui.answers import Answers
from tui.paste_driver import BURST, GATHER, LONE, LOOK, MOST, PATIENCE, PasteDriver, Pastes, pasted

START, END = "\x1b[200~", "\x1b[201~"


def keys_of(text: str) -> list[str]:
    """The keys that Textual's parser finds in our output, with `paste` for each paste."""
    pastes, parser = Pastes(), XTermParser()
    pastes.take("")
    events = (*parser.feed(pastes.take(text)), *parser.tick())
    return ["paste" if isinstance(event, Paste) else getattr(event, "key", "?") for event in events]


@pytest.mark.parametrize("text", ["runs/exp-drx R", "mdxR\rnew\r", "drop\texperiment", "eins\nzwei\n", "größe 3"])
def test_what_comes_at_once_is_marked(text: str) -> None:
    pastes = Pastes()
    assert pastes.take(text) == text  # typed before the app read any input
    assert pastes.take(text + text) == f"{START}{text}{text}{END}"
    assert (keys_of(text) == ["paste"]) == (len(text) >= BURST)


@pytest.mark.parametrize(
    "text", ["d", "8jjd", "6sss", "7grr", "jjjjjjjjjj", "jkljkljkljkl", "\x1b[A\x1b[B\x1b[A", "\x1b"]
)
def test_keys_stay_keys(text: str) -> None:
    pastes = Pastes()
    pastes.take("")
    assert not pasted(text)
    assert pastes.take(text) == text


def test_escapes_within_a_paste_are_no_keys() -> None:
    assert keys_of(f"{START}\x1b[31merror\x1b[0m: dd R{END}") == ["paste"]
    assert keys_of(f"{START}err\x1b[1mdRR{END}d") == ["paste", "d"]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_a_marked_paste_in_pieces(size: int) -> None:
    whole = f"d{START}one \x1b[20 two\rthree{END}x"
    pastes = Pastes()
    taken = "".join(pastes.take(whole[at : at + size]) for at in range(0, len(whole), size))
    assert taken == f"d{START}one [20 two\rthree{END}x"
    assert not pastes.open


def test_a_paste_without_an_end() -> None:
    pastes = Pastes()
    assert pastes.take(f"{START}drx\x1b[20") == f"{START}drx"
    assert pastes.open
    assert pastes.end() == END
    assert pastes.take("d") == "d"


def test_a_paste_has_bounds() -> None:
    pastes = Pastes()
    out = pastes.take(START) + "".join(pastes.take("ab" * 5_000) for _ in range(100)) + pastes.take(END)
    assert out == START + "ab" * (MOST // 2) + END
    assert len(pastes.take("abcd" * MOST)) == MOST + len(START + END)


class Driver(PasteDriver):
    """Reads the given input instead of a terminal's, and records how long it would have waited for it."""

    def __init__(self, *given: bytes) -> None:
        self._debug, self.exit_event, self.answers = False, Event(), Answers()
        self.given, self.waits = list(given), list[float]()
        self.keys: list[str] = []

    def _read(self, seconds: float) -> bytes:
        self.waits.append(seconds)
        if not self.given:
            self.exit_event.set()
        return self.given.pop(0) if self.given else b""

    def process_message(self, message: Message) -> None:
        self.keys.append(getattr(message, "key", "?"))


def test_nothing_waits_longer_than_the_parser_for_the_rest_of_a_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ESCAPE_DELAY", 0.001)
    monkeypatch.setattr("textual._parser.get_time", lambda: 0.0)  # the rest always comes in time
    driver = Driver(b"\x1b", b"[A", b"\x1b[B")
    driver.run_input_thread()
    assert driver.waits == [LOOK, 0.001, GATHER, LOOK]
    assert driver.keys == ["up", "down"]


def test_a_key_hardly_waits_for_the_rest_of_a_paste() -> None:
    driver = Driver(b"", b"d", b"", b"dr", b"ax", b"")
    driver.run_input_thread()
    assert driver.waits == [LOOK, LOOK, LONE, LOOK, GATHER, GATHER, LOOK]
    assert driver.keys == ["d", "d", "r", "a", "x"]


def test_a_paste_does_nothing_to_runs(tmp_path: Path) -> None:
    for number in (1, 2):
        shutil.copytree(pretrained("cnn").path, tmp_path / "runs" / f"2026010{number}-000000-cnn")
    before = [run.name for run in catalogue.summaries(tmp_path / "runs")]
    with PtyApp(cwd=tmp_path) as app:
        app.wait_for("quit")
        app.send("8")
        app.wait_for("newest first")
        app.send("Drx Md\rR\rD now")
        app.wait_for("pasted text is ignored")
        app.send(f"{START}DD")
        app.send("D")
        while "keys on Runs" not in app.text:  # keys are ignored until the unfinished paste times out
            app.send("?")
            app.read(1.2 * PATIENCE)
        app.send("\x1b")
        app.wait_for(lambda a: "keys on Runs" not in a.text)
        app.send("q")
        assert app.wait() == 0
    assert [run.name for run in catalogue.summaries(tmp_path / "runs")] == before
