"""`mnist-tui visualise` and `mnist-tui unit`: tables, JSON, arrays, figures, and bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.inspection.requests import ShowUnit, VisualiseUnits
from engine.request import Request
from tests.tui.driving import CNN, Call, lines
from tui.cli import main as cli
from tui.cli.arguments import ArrayOutput, parse


@pytest.mark.parametrize(
    ("words", "request_"),
    [
        (("visualise",), VisualiseUnits()),
        (("visualise", CNN, "--layer", "hidden"), VisualiseUnits(what=CNN, layer="hidden")),
        (("visualise", "--units", "3", "17", "--seed", "4"), VisualiseUnits(units=(3, 17), seed=4)),
        (("visualise", "--total-variation", "0", "--jitter", "0"), VisualiseUnits(total_variation=0.0, jitter=0)),
        (("unit", CNN, "--layer", "conv2", "--unit", "17"), ShowUnit(what=CNN, layer="conv2", unit=17)),
    ],
)  # fmt: skip
def test_what_is_asked_for_becomes_a_request(words: tuple[str, ...], request_: Request) -> None:
    command, *arguments = words
    assert parse(cli.COMMANDS[command].request, ArrayOutput, f"mnist-tui {command}", arguments)[0] == request_


def test_units_as_json_arrays_figure_and_table(call: Call, tmp_path: Path) -> None:
    arguments = ("visualise", CNN, "--layer", "conv2", "--units", 4, 9, 30, "--steps", 4, "--starts", 2)
    (found,) = lines(call, *arguments, "--npz", "units.npz", "--png", "units.png")
    assert found["type"] == "UnitsVisualised"
    assert [each["unit"] for each in found["units"]] == [4, 9, 30]
    assert found["settings"]["steps"] == 4
    assert {"median_ratio", "high_frequency", "digits_high_frequency", "likeness"} <= found.keys()
    with np.load(tmp_path / "units.npz", allow_pickle=False) as file:
        assert file["images"].shape == file["digits"].shape == (3, 28, 28)
        assert file["starts"].shape == (3, 2, 28, 28)
        assert file["unit"].tolist() == [4, 9, 30]
        assert file["activations"].tolist() == [each["activation"] for each in found["units"]]
        assert file["start_activations"].tolist() == [each["activations"] for each in found["units"]]
        assert file["digit_index"].tolist() == [each["digit"] for each in found["units"]]
        assert file["digit_activation"].tolist() == [each["digit_activation"] for each in found["units"]]
    assert (tmp_path / "units.png").read_bytes().startswith(b"\x89PNG")
    code, out, err = call(*arguments)
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 110
    rows = [line.split() for line in out.splitlines()]
    for each in found["units"]:
        ratio = f"{each['activation'] / each['digit_activation']:.1f}x"
        numbers = [f"{each[name]:.4f}" for name in ("activation", "digit_activation")]
        assert [str(each["unit"]), numbers[0], str(each["digit"]), numbers[1], ratio] in rows
    assert "2 images from noise of each in 4 steps; none silent on all digits" in out


def test_a_unit_as_json_arrays_figure_and_table(call: Call, tmp_path: Path) -> None:
    arguments = ("unit", CNN, "--layer", "hidden", "--unit", 5, "--steps", 3)
    (found,) = lines(call, *arguments, "--npz", "unit.npz", "--png", "unit.png")
    assert (found["type"], found["unit"], found["of"], found["count"]) == ("UnitShown", 5, 500, 400)
    with np.load(tmp_path / "unit.npz", allow_pickle=False) as file:
        assert file["kernels"].shape == (32, 7, 7)
        assert file["starts"].shape == (3, 28, 28)
        assert file["logit_changes"].tolist() == found["ablation"]["logits"]
        assert file["responses"].tolist() == found["responses"]
        assert file["digit_index"].tolist() == [each["index"] for each in found["digits"]]
        assert len(file["digit_images"]) == len(found["digits"]) > 0
    assert (tmp_path / "unit.png").read_bytes().startswith(b"\x89PNG")
    code, out, err = call(*arguments)
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    for number, (mean, change) in enumerate(zip(found["responses"], found["ablation"]["logits"], strict=True)):
        assert [str(number), f"{mean:.4f}", f"{change:+.3f}"] in rows
    for each in found["digits"]:
        assert [str(each["index"]), str(each["actual"]), f"{each['activation']:.4f}"] in rows
    assert "hidden neuron 5 of 500" in out
    lost = found["ablation"]
    assert f"without it {100 * lost['accuracy_without']:.2f} % accuracy, not {100 * lost['accuracy']:.2f} %" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("visualise", CNN, "--layer", "conv3"), "invalid choice 'conv3'"),
        (("visualise", CNN, "--layer", "conv2", "--units", 32), "conv2 of pretrained:cnn has no unit 32"),
        (("visualise", CNN, "--units", 3, 3), "name each unit once"),
        (("visualise", CNN, "--steps", 0), "steps must be a whole number from 1 to 10000"),
        (("unit", CNN, "--layer", "conv1", "--unit", 99), "its 32 units are 0 to 31"),
        (("unit", "nowhere"), "nowhere"),
        (("unit", CNN, "--png", "unit.jpg"), "--png needs a name that ends in .png"),
    ],
)
def test_bad_input_is_one_line(call: Call, arguments: tuple[object, ...], words: str) -> None:
    code, out, err = call(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err
