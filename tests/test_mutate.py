"""The mutation test detects planted faults, and finds none in the program's readers."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.mutate.mutations import in_header, in_json, in_lines, write_json
from tests.mutate.trial import in_child


def _raises(tell: Callable[[str], None]) -> None:
    raise KeyError("x")


def _eats(tell: Callable[[str], None]) -> None:
    bytearray(3 << 30)


def _hangs(tell: Callable[[str], None]) -> None:
    while True:
        time.process_time()


def _dies(tell: Callable[[str], None]) -> None:
    os.abort()


def _tells(tell: Callable[[str], None]) -> None:
    tell("code was run")


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (_raises, "KeyError: 'x'"),
        (_eats, "over 2 GB"),
        (_hangs, "over 1 s"),
        (_dies, "ended by SIGABRT"),
        (_tells, "code was run"),
        (lambda _: os._exit(3), "ended with 3"),
        (lambda _: None, ""),
    ],
)
def test_a_trial_says_what_was_wrong(work: Callable[[Callable[[str], None]], None], words: str) -> None:
    assert in_child(work, 1.0).partition("\n")[0] == words


def test_mutants_are_the_same_for_a_seed_and_all_are_changed() -> None:
    data = write_json({"request": {"epochs": 3, "threads": [1, 2]}, "text": "x"})
    lines = b"".join(json.dumps({"type": "x", "n": n}).encode() + b"\n" for n in range(5))
    first, second = ({"dtype": "F32", "shape": [n], "data_offsets": [4 * n - 4, 8 * n - 4]} for n in (1, 2))
    header = write_json({"a": first, "b": second})
    tensors = len(header).to_bytes(8, "little") + header + b"\0" * 12
    for mutation, whole in ((in_json, data), (in_lines, lines), (in_header, tensors)):
        made = [mutation(whole, random.Random(number)) for number in range(60)]
        assert made == [mutation(whole, random.Random(number)) for number in range(60)]
        assert sum(each != whole for each in made) > 50


@pytest.mark.timeout(900)
def test_no_mutant_is_bad() -> None:
    command = [sys.executable, "-m", "tests.mutate", "--count", "40"]
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}  # as if started by hand
    process = subprocess.run(command, capture_output=True, text=True, check=False, timeout=880, env=environment)
    assert process.returncode == 0, process.stdout + process.stderr
    assert process.stdout.splitlines()[-1].startswith("40 mutants with seed 0")
    assert process.stdout.splitlines()[-1].endswith(" 0 bad")
