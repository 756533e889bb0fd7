"""Drawings as a data set on the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.data.datasets import Dataset
from engine.data.requests import KeepDrawing
from engine.operations import perform
from tests.tui.driving import CNN, Call, lines


@pytest.fixture
def drawings(mnist: Dataset, tmp_path: Path) -> Path:
    """Three test digits kept as drawings, one with a wrong label, in the folder of runs."""
    for index, image in enumerate(np.rint(255 * mnist.test.images[:3, 0].numpy()).astype(np.uint8)):
        label = int(mnist.test.labels[index]) if index else 0
        list(perform(KeepDrawing(pixels=image.tobytes(), label=label), tmp_path / "runs"))
    return tmp_path / "runs" / "drawings.npz"


@pytest.mark.usefixtures("drawings")
def test_the_drawings_are_evaluated(call: Call) -> None:
    code, out, err = call("evaluate", CNN, "--dataset", "drawings")
    assert (code, err) == (0, "")
    assert "epoch 15, drawings" in out
    assert "drawings test" not in out
    (event,) = (each for each in lines(call, "evaluate", CNN, "--dataset", "drawings") if "accuracy" in each)
    assert (event["count"], event["dataset"]) == (3, "drawings")
    assert event["accuracy"] == pytest.approx(2 / 3)


@pytest.mark.usefixtures("drawings")
@pytest.mark.parametrize(
    "arguments",
    [
        ("digits", CNN, "--order", "mistakes"),
        ("activations", CNN, "--index", "2"),
        ("occlude", CNN, "--index", "2", "--stride", "9"),
        ("attack", "fgsm", CNN, "--indices", "2"),
        ("certify", CNN, "--epsilons", "0.001", "--count", "3"),
    ],
)
def test_other_commands_take_them_too(call: Call, arguments: tuple[str, ...]) -> None:
    code, out, err = call(*arguments, "--dataset", "drawings")
    assert (code, err) == (0, "")
    assert "drawings" in out


@pytest.mark.usefixtures("drawings")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("audit", CNN), "on validation images, which the drawings do not have: evaluate them"),
        (("evaluate", CNN, "--split", "train"), "the drawings have no train split: all of them are in test"),
        (("activations", CNN, "--index", "3"), "index 3 is beyond the 3 images of the drawings: the last is 2"),
    ],
)
def test_what_drawings_are_not_for(call: Call, arguments: tuple[str, ...], words: str) -> None:
    code, out, err = call(*arguments, "--dataset", "drawings")
    assert (code, out) == (2, "")
    assert err.strip().endswith(words)
    assert err.count("\n") == 1


def test_no_training_on_drawings(call: Call, drawings: Path) -> None:
    code, _, err = call("train", "--dataset", "drawings")
    assert code == 2
    assert "drawings" in err
    assert "emnist-digits" in err  # what it can be trained on
    assert [path.name for path in drawings.parent.iterdir()] == [drawings.name]


def test_missing_and_damaged_drawings_are_one_line(call: Call, tmp_path: Path) -> None:
    code, out, err = call("evaluate", CNN, "--dataset", "drawings")
    assert (code, out) == (2, "")
    assert err.strip().endswith("no drawings in runs: draw a digit on screen 9 and keep it there")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "drawings.npz").write_bytes(b"PK\x03\x04 and no more")
    code, out, err = call("evaluate", CNN, "--dataset", "drawings")
    assert (code, out) == (2, "")
    assert "runs/drawings.npz is damaged (" in err
    assert err.strip().endswith("): restore it, or move it away")
    assert err.count("\n") == 1


@pytest.mark.usefixtures("drawings")
def test_drawings_are_no_run(call: Call) -> None:
    code, out, err = call("runs")
    assert (code, err) == (0, "")
    assert "drawings" not in out
