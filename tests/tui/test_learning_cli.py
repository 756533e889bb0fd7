"""`mnist-tui lr-find` and `mnist-tui learned`: tables, JSON, arrays, figures, and bad input."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest

from engine.inspection.requests import ShowLearning
from engine.training.answers import packed
from engine.training.requests import FindLearningRate
from tests.learning import COUNT, EPOCHS, recognised, run_that_recognised, run_with
from tests.tui.driving import Call, lines
from tui.cli import main as cli
from tui.cli import train
from tui.cli.arguments import ArrayOutput, parse

TINY = ("--train-size", "640", "--channels", "4", "--hidden", "16", "--device", "cpu", "--steps", "60")


def asked(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> FindLearningRate:
    """The request that `mnist-tui lr-find` makes of `arguments`."""
    requests: list[FindLearningRate] = []

    def report(request: FindLearningRate, _: ArrayOutput) -> int:
        requests.append(request)
        return 0

    monkeypatch.setattr(train, "report", report)
    assert train.find_learning_rate(arguments) == 0
    return requests[0]


def test_its_fields_are_those_of_training_with_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch) == FindLearningRate()
    found = asked(monkeypatch, "--recipe", "fast", "--steps", "50", "--lowest-rate", "1e-5", "--seed", "3")
    assert (found.recipe, found.batch_norm, found.batch_size, found.label_smoothing) == ("fast", True, 128, 0.1)
    assert (found.steps, found.lowest_rate, found.highest_rate, found.seed) == (50, 1e-5, 1.0, 3)
    assert asked(monkeypatch, "--objective", "pgd", "--no-batch-norm").objective == "pgd"


def test_a_range_test_as_json_arrays_and_a_figure(call: Call, tmp_path: Path) -> None:
    (found,) = lines(call, "lr-find", *TINY, "--npz", "result.npz", "--png", "result.png")
    assert found["type"] == "LearningRateFound"
    assert (found["variant"], found["steps"], found["lowest"], found["highest"]) == ("cnn", 60, 1e-6, 1.0)
    assert len(found["rates"]) == len(found["losses"]) == len(found["smoothed"]) <= 60
    with np.load(tmp_path / "result.npz", allow_pickle=False) as file:
        for name in ("rates", "losses", "smoothed"):
            assert file[name].tolist() == found[name]
        assert np.isnan(file["suggested"]) == (found["suggested"] is None)
    assert (tmp_path / "result.png").read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "runs").exists()


def test_a_range_test_for_people(call: Call) -> None:
    code, out, err = call("lr-find", *TINY, "--highest-rate", "10")
    assert (code, err) == (0, "")
    assert out.startswith("cnn on mnist, batch size 64, seed 0: ")
    assert "of 60 steps from 1e-06 to 10" in out
    head, *rows = [line.split() for line in out.splitlines()[2:] if line.strip()]
    assert head == ["learning", "rate", "loss", "smoothed"]
    assert float(rows[0][0]) == 1e-6
    assert "steepest fall" in out
    assert "suggested" in out.splitlines()[-1]


def test_what_a_run_learned(call: Call, tmp_path: Path) -> None:
    run_that_recognised(tmp_path / "runs", "a-run")
    (found,) = lines(call, "learned", "a-run", "--count", 5, "--npz", "result.npz", "--png", "result.png")
    right = recognised()
    assert found["type"] == "LearningShown"
    assert (found["name"], found["split"], found["count"], found["missing"]) == ("a-run", "test", COUNT, 0)
    assert found["right"] == right.sum(axis=1).tolist()
    assert len(found["most_forgotten"]) == len(found["last_learned"]) == 5
    with np.load(tmp_path / "result.npz", allow_pickle=False) as file:
        assert (file["recognised"] == right).all()
        assert file["forgettings"].tolist() == (right[:-1] & ~right[1:]).sum(axis=0).tolist()
        assert file["most_forgotten"].tolist() == [digit["index"] for digit in found["most_forgotten"]]
        assert len(file["images"]) == len(file["indices"])
    assert (tmp_path / "result.png").read_bytes().startswith(b"\x89PNG")


def test_what_a_run_learned_for_people(call: Call, tmp_path: Path) -> None:
    run = run_that_recognised(tmp_path / "runs", "a-run")
    (found,) = lines(call, "learned", str(run.path), "--count", 3)
    code, out, err = call("learned", "a-run", "--count", 3)
    assert (code, err) == (0, "")
    assert f"400 test digits, which no weight is trained on, after each of {EPOCHS} epochs" in out
    rows = [line.split() for line in out.splitlines()]
    for at, epoch in enumerate(found["epochs"][1:], 1):
        numbers = [str(found[name][at]) for name in ("learned", "forgotten")]
        assert any(row[:2] == [str(epoch), str(found["right"][at])] and row[-2:] == numbers for row in rows)
    for group in ("most_forgotten", "last_learned", "never_right"):
        for digit in found[group]:
            assert [str(digit["index"]), str(digit["label"])] in [row[:2] for row in rows]
    assert f"never recognised: {found['never']}" in out


def test_help(call: Call) -> None:
    told = call("--help")[1]
    for word, options in (
        ("lr-find", ("--lowest-rate", "--highest-rate", "--steps", "--recipe", "--objective", "--npz", "--png")),
        ("learned", ("[WHAT]", "--count", "--json", "--npz FILE", "--png FILE")),
    ):
        assert f"  {word} " in told
        code, out, err = call(word, "--help")
        assert (code, err) == (0, "")
        assert all(option in out for option in options)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("lr-find", "--steps", "1"), "steps must be a whole number from 20 to 5000, not 1"),
        (("lr-find", "--lowest-rate", "1", "--highest-rate", "1e-3"), "the lowest rate 1 is not below the highest"),
        (("lr-find", "--lowest-rate", "0"), "lowest rate must be a number more than 0 and at most 10"),
        (("lr-find", "--recipe", "best"), "recipe"),
        (("lr-find", "a-run"), "a-run"),
        (("learned", "pretrained:cnn"), "run pretrained:cnn did not keep which test digits it recognised"),
        (("learned", "older"), "run older did not keep which test digits it recognised"),
        (("learned", "nothing"), "nothing is not a run folder"),
        (("learned", "--count", "0"), "count must be a whole number from 1 to 1000, not 0"),
    ],
)
def test_bad_input_is_one_line(call: Call, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    run_with(tmp_path / "runs", "older", [b"", b""])
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("mnist-tui: ")
    assert err.count("\n") == 1
    assert words in err


def test_an_interrupt_ends_it_with_what_it_has(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from engine.training.step import Step

    steps = []
    plain = Step.__call__

    def interrupted(self: Step, *arguments: object, **named: object) -> object:
        steps.append(self)
        if len(steps) == 30:
            signal.raise_signal(signal.SIGINT)
        return plain(self, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Step, "__call__", interrupted)
    code, out, _ = call("lr-find", *TINY, "--json", "--npz", "result.npz")
    assert code == 130
    found = json.loads(out)
    assert found["stopped"]
    assert len(found["losses"]) == len(steps) == 30
    assert not (tmp_path / "result.npz").exists()


def test_an_interrupted_run_has_what_its_epochs_kept(call: Call, tmp_path: Path) -> None:
    """As after a kill: the run has not ended, and nobody trains it."""
    run_with(tmp_path / "runs", "a-run", [packed(row) for row in recognised()[:3]], finished=False)
    (found,) = lines(call, "learned", "a-run")
    assert found["epochs"] == [1, 2, 3]


def test_they_are_commands(call: Call) -> None:
    assert cli.COMMANDS["lr-find"].request is FindLearningRate
    assert parse(ShowLearning, ArrayOutput, "mnist-tui learned", ("a", "--count", "3"))[0] == ShowLearning(
        what="a", count=3
    )
