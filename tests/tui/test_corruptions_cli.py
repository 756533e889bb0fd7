"""`mnist-tui corruptions`: table, JSON, arrays, figure, and bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.corruptions.requests import CORRUPTION_TITLES, CORRUPTIONS, MeasureCorruptions
from tests.tui.driving import CNN, Call, lines
from tui.cli import main as cli
from tui.cli.arguments import ArrayOutput, parse

NORMED = "pretrained:cnn-bn"


def test_what_is_asked_for_becomes_a_request() -> None:
    arguments = (CNN, "--others", NORMED, "--corruptions", "fog", "canny-edges", "--count", "10", "--seed", "3")
    asked = parse(cli.COMMANDS["corruptions"].request, ArrayOutput, "mnist-tui corruptions", arguments)[0]
    assert asked == MeasureCorruptions(what=CNN, others=(NORMED,), corruptions=("fog", "canny-edges"), count=10, seed=3)


def test_an_object_a_corruption_and_network(call: Call, tmp_path: Path) -> None:
    arguments = ("corruptions", CNN, "--others", NORMED, "--count", 20)
    *points, whole = lines(call, *arguments, "--npz", "result.npz", "--png", "result.png")
    assert [(point["network"], point["name"]) for point in points] == [
        (network, name) for network in (CNN, NORMED) for name in ("clean", *CORRUPTIONS)
    ]
    for point in points:
        assert point["accuracy"] == point["correct"] / 20
        assert point["low"] <= point["accuracy"] + 1e-9
        assert point["high"] >= point["accuracy"] - 1e-9
    assert whole["type"] == "CorruptionsMeasured"
    assert whole["networks"] == [CNN, NORMED]
    with np.load(tmp_path / "result.npz", allow_pickle=False) as file:
        assert file["accuracy"].tolist() == [point["accuracy"] for point in points]
        assert file["name"].tolist() == [point["name"] for point in points]
        assert file["images"].shape == (16, 28, 28)
        assert file["predicted"].tolist() == whole["predicted"]
    assert (tmp_path / "result.png").read_bytes().startswith(b"\x89PNG")
    code, out, err = call(*arguments)
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 110
    for point in points:
        assert f"{point['accuracy']:.2%}".replace("%", " %") in out
        assert CORRUPTION_TITLES[point["name"]] in out
    assert "mean over the corruptions, pretrained:cnn: " in out


def test_help(call: Call) -> None:
    assert "  corruptions " in call("--help")[1]
    code, out, err = call("corruptions", "--help")
    assert (code, err) == (0, "")
    for name in ("[WHAT]", "--others", "--count", "--seed", "--json", "--npz FILE", "--png FILE"):
        assert name in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((CNN, "--corruptions", "snow"), "snow"),
        ((CNN, "--corruptions", "fog", "fog"), "a corruption is listed twice: name each corruption once"),
        ((CNN, "--count", "0"), "count must be a whole number from 1 to 60000, not 0"),
        ((CNN, "--index", "400"), "index 400 is beyond the 400 images"),
        ((CNN, "--others", CNN), "name each network once"),
        (("pretrained:x",), "there is no pretrained:x"),
    ],
)
def test_bad_input_is_one_line(call: Call, arguments: tuple[str, ...], words: str) -> None:
    code, out, err = call("corruptions", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("mnist-tui: ")
    assert err.count("\n") == 1
    assert words in err
