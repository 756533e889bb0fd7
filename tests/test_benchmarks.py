"""Each benchmark runs in a short form and prints its figures. Their values are not checked."""

from __future__ import annotations

import importlib
import re

import pytest

from tui.drawing.raster import MODES

SHORT = {
    "startup": ("1", ["first frame", "PyTorch ready", "--help", "train --help"]),
    "raster": ("1", [*(f"{mode} " for mode in MODES), "one range", "own ranges"]),
    "runs": ("20", ["reading the bytes", "the list ", "the list again"]),
    "telemetry": ("0.1 0.01", ["while a run trains", "and the page is watched", "a sample"]),
    "attacks": ("1 cnn", ["PGD-40"]),
    "autoattack": ("2 quick pretrained:cnn", ["torchattacks", "ours", "theirs over ours"]),
    "insides": ("640 1 1", ["cnn    alone", "cnn-bn with over without", "cnn-bn bytes an epoch"]),
    "objectives": ("2 16 1", ["clean ", "fgsm ", "pgd ", "crown-ibp ", "PGD-10", "interval bounds"]),
    "bounds": ("400 pretrained:cnn", ["epsilon 0.002 ", "epsilon 0.3 "]),
    "interaction": ("640 1 1 0", ["key to screen", "throughput in the app over headless", "bytes a second"]),
    "draw": ("2", ["alone", "while a run trains"]),
    "pixels": ("500 1 kitty", ["kitty"]),
    "visitors": ("2 1 0.1", ["of 2 at once", "to another screen", "on Digits", "all 28 of 2 visitors", "memory"]),
    "screens": ("1 120 40 1", ["first: Model", "again: Digits, others", "first: Occlusion, whole", "again: a map"]),
}
"""Arguments of each benchmark, and words that its output must contain."""


@pytest.mark.timeout(170)
@pytest.mark.parametrize("name", SHORT)
def test_a_benchmark_prints_its_figures(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, wanted = SHORT[name]
    importlib.import_module(f"tests.benchmarks.{name}").main(arguments.split())
    lines = capsys.readouterr().out.splitlines()
    for words in wanted:
        assert any(words in line and re.search(r"\d", line.replace(words, "")) for line in lines), "\n".join(lines)
