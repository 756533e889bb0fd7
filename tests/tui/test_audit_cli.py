"""`mnist-tui audit`: tables, JSON, arrays, figure, and bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.inspection.requests import Audit
from tests.tui.driving import CNN, Call, lines
from tui.cli import main as cli
from tui.cli.arguments import ArrayOutput, parse

NORMED = "pretrained:cnn-bn"


@pytest.mark.parametrize(
    ("arguments", "request_"),
    [
        ((), Audit()),
        ((CNN,), Audit(what=CNN)),
        ((CNN, NORMED, "a run"), Audit(what=CNN, others=(NORMED, "a run"))),
        ((CNN, NORMED, "--count", "7", "--bins", "9"), Audit(what=CNN, others=(NORMED,), count=7, bins=9)),
        (("--seed", "3", CNN, NORMED), Audit(what=CNN, others=(NORMED,), seed=3)),
    ],
)
def test_what_is_asked_for_becomes_a_request(arguments: tuple[str, ...], request_: Audit) -> None:
    assert parse(cli.COMMANDS["audit"].request, ArrayOutput, "mnist-tui audit", arguments)[0] == request_


def test_one_object_with_the_first_network_and_the_others(call: Call, tmp_path: Path) -> None:
    arguments = ("audit", CNN, NORMED, "--count", 12)
    (found,) = lines(call, *arguments, "--npz", "result.npz", "--png", "result.png")
    assert found["type"] == "NetworksAudited"
    assert (found["name"], [each["name"] for each in found["others"]]) == (CNN, [NORMED])
    assert found["ece_low"] <= found["ece"] <= found["ece_high"]
    assert {"temperature", "ece_calibrated", "accuracy", "accuracy_without_doubtful", "known_found"} <= found.keys()
    assert len(found["classes"]) == 10
    assert len(found["doubtful"]) == 12
    with np.load(tmp_path / "result.npz", allow_pickle=False) as file:
        assert file["networks"].tolist() == [CNN, NORMED]
        assert file["ece"].tolist() == [found["ece"], found["others"][0]["ece"]]
        assert file["f1"][1].tolist() == [each["f1"] for each in found["others"][0]["classes"]]
        assert file["doubtful"].tolist() == found["doubtful"]
        assert file["images"].shape == (12, 28, 28)
        assert file["bin_confidence"].shape == (2, 15)
        assert file["self_confidence"].shape == (400,)
    assert (tmp_path / "result.png").read_bytes().startswith(b"\x89PNG")
    code, out, err = call(*arguments)
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 110
    for each in (found, *found["others"]):
        assert f"{each['ece']:.2%}".replace("%", " %") in out
        assert f"{each['classes'][4]['f1']:.2%}".replace("%", " %") in out
    rows = [line.split() for line in out.splitlines()]
    for digit in found["digits"]:
        assert any(row[:3] == [str(digit[name]) for name in ("index", "actual", "predicted")] for row in rows)
    assert "12 labels in doubt, least believed by 2 networks together" in out


def test_help(call: Call) -> None:
    assert "  audit " in call("--help")[1]
    code, out, err = call("audit", "--help")
    assert (code, err) == (0, "")
    for name in ("[WHAT] [WHAT ...]", "--count", "--bins", "--seed", "--json", "--npz FILE", "--png FILE"):
        assert name in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((CNN, "--count", "0"), "count must be a whole number from 1 to 10000, not 0"),
        ((CNN, "--bins", "0"), "bins must be a whole number from 1 to 100, not 0"),
        ((CNN, CNN), "name each network once"),
        ((CNN, "pretrained:x"), "there is no pretrained:x"),
        ((CNN, "--dataset", "svhn"), "svhn"),
    ],
)
def test_bad_input_is_one_line(call: Call, arguments: tuple[str, ...], words: str) -> None:
    code, out, err = call("audit", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("mnist-tui: ")
    assert err.count("\n") == 1
    assert words in err
