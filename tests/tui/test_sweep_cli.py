"""`mnist-tui train --sweep`: a failed run does not affect the others, and failures are listed at the end."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from engine.operations import end, perform_all
from engine.request import RequestError
from engine.runs import recording
from engine.runs.folder import RunFolder
from engine.runs.together import Together
from engine.training import loading
from engine.training.loop import TrainingFailed, train
from engine.training.memory import free_memory
from engine.training.recipes import RECIPES, with_recipe
from engine.training.requests import Train
from tests.tui.driving import Call
from tui.cli import runner
from tui.cli import train as training
from tui.cli.arguments import Output

SMALL = ("train", "--epochs", "1", "--train-size", "640", "--hidden", "8", "--device", "cpu")


@pytest.fixture
def troubles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two gigabytes of memory; training fails with 3 channels, and raises an unexpected error with 5."""

    def troubled(request: Any, *rest: Any) -> Iterator[Any]:
        if request.channels == 3:
            raise TrainingFailed("the loss is no longer a finite number")
        if request.channels == 5:
            raise ZeroDivisionError("division by zero")
        return train(request, *rest)

    monkeypatch.setattr(loading, "free_memory", lambda: 2 * 10**9)
    monkeypatch.setattr(recording, "train", troubled)


@pytest.mark.usefixtures("troubles")
def test_a_sweep_goes_on_past_what_failed_and_ends_with_a_table(call: Call) -> None:
    code, out, err = call(*SMALL, "--batch-size", "640", "--sweep", "channels=1024,3,5,4")
    assert code == 1
    assert [f"run {n} of 4: channels {c}, seed 0" in out for n, c in ((1, 1024), (2, 3), (3, 5), (4, 4))] == [True] * 4
    assert out.count("best validation loss") == 1
    table = err[err.index("3 of 4 runs failed:") :]
    names = {run.read_record().request.channels: run.name for run in map(RunFolder, Path("runs").iterdir())}
    assert names.keys() == {3, 5, 4}  # a refused run leaves no folder
    rows = table.splitlines()
    assert rows[1].split() == ["run", "folder", "reason"]
    for channels, words in (
        (1024, "this run needs about "),
        (3, "the loss is no longer a finite number"),
        (5, "ZeroDivisionError: division by zero"),
    ):
        (row,) = (row for row in rows if row.startswith(f"channels {channels}, seed 0 "))
        assert names.get(channels, " . ") in row
        assert words in row
    assert RunFolder(Path("runs") / names[4]).history().state == "finished"


@pytest.mark.usefixtures("troubles")
def test_failures_and_the_end_are_told(call: Call, tmp_path: Path) -> None:
    command = f"cat >> {tmp_path}/told"
    assert call(*SMALL, "--channels", "3", "--notify", command)[0] == 1
    assert call(*SMALL, "--sweep", "channels=3,4", "--notify", command)[0] == 1
    told = [json.loads(line) for line in (tmp_path / "told").read_text().splitlines()]
    assert (told[0]["type"], told[0]["outcome"]) == ("RunFailed", "diverged")
    assert [(each["type"], each["outcome"]) for each in told[1:]] == [
        ("RunFailed", "diverged"),
        ("SweepFinished", "failed"),
    ]


@pytest.mark.usefixtures("troubles")
def test_in_json_standard_output_is_events_alone(call: Call) -> None:
    code, out, err = call(*SMALL, "--batch-size", "640", "--sweep", "channels=1024,4", "--json")
    assert code == 1
    kinds = [json.loads(line)["type"] for line in out.splitlines()]
    assert kinds == ["RunStarted", "EpochFinished", "RunFinished"]
    assert err.startswith("mnist-tui: run 1 of 2: channels 1024, seed 0: this run needs about ")
    assert "1 of 2 runs failed:" in err


@pytest.mark.usefixtures("troubles")
def test_where_no_run_can_begin_for_one_reason_the_input_was_wrong(call: Call) -> None:
    code, _, err = call(*SMALL, "--batch-size", "640", "--channels", "1024", "--seeds", "2")
    assert code == 2
    assert err.splitlines()[-1].startswith("mnist-tui: this run needs about ")
    assert "failed" not in err


@pytest.mark.usefixtures("troubles")
def test_one_run_that_cannot_fit_is_bad_input(call: Call) -> None:
    code, out, err = call(*SMALL, "--batch-size", "640", "--channels", "1024")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "2.0 GB are free in memory" in err
    assert not Path("runs").exists()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train two runs at once, as on a GPU."""

    def together(requests: Sequence[Train], root: Path) -> Together:
        several = perform_all(requests, root)
        several._width = 2
        return several

    monkeypatch.setattr(training, "perform_all", together)


@pytest.mark.usefixtures("at_once", "troubles")
def test_runs_at_once_are_printed_one_after_the_other(call: Call) -> None:
    code, out, err = call(*SMALL, "--sweep", "channels=4,3,2,1", "--json")
    assert code == 1
    kinds = [json.loads(line)["type"] for line in out.splitlines()]
    assert kinds == ["RunStarted", "EpochFinished", "RunFinished", "RunStarted", "RunFailed", *kinds[:3] * 2]
    names = [json.loads(line)["run"] for line in out.splitlines() if "RunStarted" in line]
    assert [RunFolder(Path("runs") / name).read_record().request.channels for name in names] == [4, 3, 2, 1]
    assert "1 of 4 runs failed:" in err


@pytest.mark.usefixtures("at_once")
def test_an_interrupt_stops_all_runs_at_once(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def report(request: Train, output: Output, results: Any, operation: Any) -> int:
        if request.seed == 0:  # interrupted while both are under way
            work = operation()
            seen = [next(work) for _ in range(3)]
            assert [type(event).__name__ for event in seen] == ["RunStarted", "BatchTrained", "BatchTrained"]
            list(end(work))
            return 130
        return runner.report(request, output, results, operation)

    monkeypatch.setattr(training, "report", report)
    code, out, _ = call(*SMALL, "--seeds", "3")
    assert code == 130
    assert "run 2 of 3: seed 1\n" in out
    assert "run 3 of 3" not in out
    assert "stopped before the end of its first epoch" in out
    assert [run.history().state for run in map(RunFolder, Path("runs").iterdir())] == ["stopped"] * 2


def test_an_interrupt_between_two_runs_keeps_the_table(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def report(request: Train, *_: object) -> int:
        if request.seed == 1:
            raise KeyboardInterrupt
        raise RequestError(f"nothing of seed {request.seed}")

    monkeypatch.setattr(training, "report", report)
    code, out, err = call(*SMALL, "--seeds", "3")
    assert code == 130
    assert "run 3 of 3" not in out
    table = err[err.index("1 of 3 runs failed:") :]
    assert "nothing of seed 0" in table


def test_a_detached_sweep_writes_down_which_runs_failed(tmp_path: Path) -> None:
    large = ("--train-size", "50000", "--batch-size", "50000", "--sweep", "channels=1,1024")
    command = [sys.executable, "-m", "tui.cli", *SMALL, *large, "--detach"]
    free = free_memory()
    if free is None or free > 700 * 10**9:
        pytest.skip("nothing is too large for this machine, or it does not say what is")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("failures are written to "))
    file = tmp_path / line.removeprefix("failures are written to ")
    until = time.monotonic() + 60
    while "1 of 2 runs failed:" not in file.read_text():
        assert time.monotonic() < until
        time.sleep(0.05)
    assert "channels 1024, seed 0: this run needs about " in file.read_text()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Train]:
    """The requests that the command line would carry out, with a recipe that no tuning changes."""
    found: list[Train] = []
    fast = {"batch_norm": True, "epochs": 2, "batch_size": 256, "schedule": "one-cycle", "shift": 1}
    monkeypatch.setitem(RECIPES, "fast", fast)

    def noted(request: Train, *_: object) -> int:
        found.append(request)
        return 0

    monkeypatch.setattr(training, "report", noted)
    return found


@pytest.mark.parametrize(
    ("words", "fields"),
    [
        ("--recipe fast", {}),
        ("--recipe fast --epochs 3", {"epochs": 3}),
        ("--epochs 3 --recipe=fast --seed 5", {"epochs": 3, "seed": 5}),
        ("--recipe accurate --batch-size 64 --recipe fast", {"batch_size": 64}),
        ("--no-batch-norm --recipe fast --shift 0", {"batch_norm": False, "shift": 0}),
    ],
)
def test_options_win_over_the_recipe_wherever_they_stand(
    asked: list[Train], words: str, fields: dict[str, Any]
) -> None:
    assert training.train(words.split()) == 0
    assert asked == [replace(with_recipe(Train(), "fast"), **fields)]


def test_a_sweep_over_recipes_keeps_the_options(asked: list[Train]) -> None:
    """Even one that has the notebook's value; other axes win over the recipe too."""
    assert training.train(["--epochs", "15", "--sweep", "recipe=notebook,fast", "--batch-norm", "both"]) == 0
    plain, fast = Train(), replace(with_recipe(Train(), "fast"), epochs=15)
    assert asked == [replace(each, batch_norm=normed) for normed in (False, True) for each in (plain, fast)]


def test_the_help_shows_the_defaults_of_the_recipe(call: Call, asked: list[Train]) -> None:
    code, out, _ = call("train", "--recipe", "fast", "--help")
    assert code == 0
    words = " ".join(out.replace("│", " ").split())
    assert "number of training epochs (from 1 to 100000) (default: 2)" in words
    assert "(default: 256)" in words
    assert "(default: fast)" in words
    code, out, _ = call("train", "--help")
    assert "number of training epochs (from 1 to 100000) (default: 15)" in " ".join(out.replace("│", " ").split())


@pytest.mark.parametrize("words", ["--recipe best", "--recipe", "--sweep recipe=best", "--recipe fast --epochs 0"])
def test_a_wrong_recipe_is_one_line(call: Call, asked: list[Train], words: str) -> None:
    code, out, err = call("train", *words.split())
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "recipe" in err or "epochs must be" in err
    assert not asked
