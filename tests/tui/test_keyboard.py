"""Pastes are no keys, whether the terminal marks them or not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from engine import catalogue
from engine.runs import pretrained
from tests.pty_app import PtyApp
from tui.keyboard import MOST, PATIENCE, Pastes, pasted

START, END = "\x1b[200~", "\x1b[201~"


@pytest.mark.parametrize("text", ["runs/exp-drx R", "md\rr", "drop\tx", "eins\nzwei\n", "größe"])
def test_what_comes_at_once_is_marked(text: str) -> None:
    assert Pastes().take(text) == f"{START}{text}{END}"


@pytest.mark.parametrize("text", ["d", "dd", "8jd", "jjjjjjjj", "jkjkjk", "\x1b[A\x1b[B\x1b[A", "\x01\x0b4000", "\x1b"])
def test_keys_stay_keys(text: str) -> None:
    assert not pasted(text)
    assert Pastes().take(text) == text


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_a_marked_paste_in_pieces(size: int) -> None:
    whole = f"d{START}one \x1b[20 two\rthree{END}x"
    pastes = Pastes()
    assert "".join(pastes.take(whole[at : at + size]) for at in range(0, len(whole), size)) == whole
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
    assert len(Pastes().take("abc" * MOST)) == MOST + len(START + END)


def test_a_paste_does_nothing_to_runs(tmp_path: Path) -> None:
    for number in (1, 2):
        shutil.copytree(pretrained("cnn").path, tmp_path / "runs" / f"2026010{number}-000000-cnn")
    before = [run.name for run in catalogue.summaries(tmp_path / "runs")]
    with PtyApp(cwd=tmp_path) as app:
        app.wait_for("quit")
        app.send("8")
        app.wait_for("by newest")
        app.send("drx md\rR\rd")
        app.wait_for("there is no field here")
        app.send(f"{START}dd")
        app.send("d")
        while "keys on Runs" not in app.text:  # no key before the paste that has no end was given up
            app.send("?")
            app.read(1.2 * PATIENCE)
        app.send("q")
        app.wait_for(lambda a: "keys on Runs" not in a.text)
        app.send("q")
        assert app.wait() == 0
    assert [run.name for run in catalogue.summaries(tmp_path / "runs")] == before
