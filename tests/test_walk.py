"""The random walk detects planted faults, and finds none in the app."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import pytest
from textual._xterm_parser import XTermParser
from textual.events import Key

from tests.walk.minimise import minimised
from tests.walk.play import SEQUENCES, Start
from tests.walk.steps import EDITS, KEYS_OF, MOVES, Steps, size_of

PLANTED = """
import sys
from tests.walk.__main__ import main
from tui.app import MnistTui

def action_theme(self):
    raise ZeroDivisionError("planted")

MnistTui.action_theme = action_theme
sys.exit(main(sys.argv[1:]))
"""


def test_the_fewest_steps_are_found() -> None:
    steps = [f"keys {number}" for number in range(40)]
    steps[7], steps[31] = "keys a b 6", "keys end"
    tried = 0

    def fails(part: Sequence[str]) -> bool:
        nonlocal tried
        tried += 1
        keys = [key for step in part for key in step.split()[1:]]
        return "6" in keys and "end" in keys and keys.index("6") < keys.index("end")

    assert minimised(steps, fails, seconds=60) == ["keys 6", "keys end"]
    assert tried < 60
    assert minimised(steps, fails, seconds=0) == steps


def test_steps_are_the_same_for_a_seed_and_reach_every_key_of_every_screen() -> None:
    first, again = (list(islice(Steps(random.Random(3), 80, 24), 8000)) for _ in range(2))
    assert first == again
    assert {step.partition(" ")[0] for step in first} == {
        *("keys", "text", "paste", "click", "drag", "scroll", "move", "resize", "rest")
    }
    pressed = {key for step in first if step.startswith("keys ") for key in step.split(" ")[1:]}
    assert pressed >= {key for keys in KEYS_OF.values() for key in keys}
    assert size_of("keys a b c") == 3
    assert size_of('text "ab"') == 2
    start = Start(80, 24, 'a "b" c', training=True)
    assert Start.parse(str(start)) == start


def test_a_key_is_what_a_terminal_sends_for_it() -> None:
    for key in {*MOVES, *EDITS} & SEQUENCES.keys() - {"escape"}:
        (heard,) = XTermParser().feed(SEQUENCES[key])
        assert isinstance(heard, Key)
        assert heard.key == key


def test_a_planted_fault_is_found_with_its_replay(tmp_path: Path) -> None:
    steps = 'start 80 24 "pretrained:cnn"; keys 2 down; text "ab"; keys 1 escape t; keys 8'
    command = [sys.executable, "-c", PLANTED, "--limit", "60", "--replay", steps]
    process = subprocess.run(command, capture_output=True, text=True, check=False, timeout=170)
    assert process.returncode == 1, process.stderr
    assert "exception: ZeroDivisionError: planted" in process.stdout
    assert process.stdout.splitlines()[-1] == "3 steps: 1 failures"  # it stopped at the failure


@pytest.mark.timeout(900)
def test_a_walk_finds_nothing() -> None:
    command = [sys.executable, "-m", "tests.walk", "--keys", "300", "--seed", "1", "--limit", "60"]
    process = subprocess.run(command, capture_output=True, text=True, check=False, timeout=880)
    assert process.returncode == 0, process.stdout + process.stderr
    assert re.match(r"3\d\d keys with seed 1 in \d+ apps", process.stdout.splitlines()[-1])
