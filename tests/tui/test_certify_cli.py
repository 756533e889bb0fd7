"""`mnist-tui certify`: tables, JSON, arrays, figures, and bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.tui.driving import CNN, Call, lines


def test_certified_accuracy_is_an_object_a_point(call: Call, tmp_path: Path) -> None:
    arguments = ("certify", CNN, "--epsilons", 0.005, 0.02, "--count", 40)
    *points, whole = lines(call, *arguments, "--npz", "result.npz", "--png", "result.png")
    assert [(point["type"], point["epsilon"], point["count"]) for point in points] == [
        ("CertifiedPointMeasured", epsilon, 40) for epsilon in (0.005, 0.02)
    ]
    for point in points:
        assert point["low"] <= point["certified_accuracy"] <= point["high"]
    assert whole["type"] == "CertificationMeasured"
    with np.load(tmp_path / "result.npz", allow_pickle=False) as file:
        assert file["epsilons"].tolist() == [0.005, 0.02]
        assert file["certified"].dtype == bool
        assert file["certified"].shape == file["margin"].shape == (2, 40)
        assert file["certified"].mean(axis=1).tolist() == [point["certified_accuracy"] for point in points]
    assert (tmp_path / "result.png").read_bytes().startswith(b"\x89PNG")
    code, out, err = call(*arguments)
    assert (code, err) == (0, "")
    assert "40 digits, L-inf, proved by the better of interval bounds and CROWN:" in out
    for point in points:
        assert f"{point['certified_accuracy']:.2%}".replace("%", " %") in out


def test_how_far_a_digit_is_safe(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.certification.certify.PROVED_TO", 5e-4)
    monkeypatch.setattr("engine.certification.certify.BROKEN_TO", 3e-2)
    arguments = ("certify", CNN, "--digit", 61)
    (event,) = lines(call, *arguments, "--npz", "result.npz", "--png", "result.png")
    assert event["type"] == "DigitCertified"
    assert 0 < event["proved"] < event["broken_from"] < 1
    with np.load(tmp_path / "result.npz", allow_pickle=False) as file:
        assert file["proved"] == event["proved"]
        assert np.abs(file["adversarial"] - file["image"]).max() == pytest.approx(event["broken_from"])
    assert (tmp_path / "result.png").read_bytes().startswith(b"\x89PNG")
    code, out, err = call(*arguments)
    assert (code, err) == (0, "")
    assert "digit 61, actual 8" in out
    assert ", unknown between" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((CNN, "--epsilons", "0.1", "--digit", "3"), "leave epsilons out, or the digit"),
        ((CNN, "--epsilons", "0.1", "2"), "epsilons must be from 0 to 1, in pixel values"),
        ((CNN, "--epsilons", "nan"), "epsilons must be a finite number"),
        ((CNN, "--bound", "lp"), "lp"),
        ((CNN, "--digit", "400"), "index 400 is beyond the 400 images"),
        (("pretrained:x",), "there is no pretrained:x"),
    ],
)
def test_bad_input_is_one_line(call: Call, arguments: tuple[str, ...], words: str) -> None:
    code, out, err = call("certify", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("mnist-tui: ")
    assert err.count("\n") == 1
    assert words in err
