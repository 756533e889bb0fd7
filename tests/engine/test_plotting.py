"""Matplotlib as the program imports it, in a fresh interpreter: what it is told once it keeps."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CAPTUM = """
import torch
from engine.attribution.gradients import Explained, maps_of
from engine.network.checkpoints import load_weights
from engine.attribution.requests import Attribute
from engine.runs.finding import pretrained

model = load_weights(pretrained("cnn").model_file)
digit, target = torch.rand(1, 1, 28, 28), torch.tensor([3])
assert maps_of("saliency", Explained(model, None), digit, target, Attribute()).shape == (1, 28, 28)
"""


@pytest.mark.parametrize(
    ("code", "backend"),
    [
        ("import engine.figures.export", "Qt4Agg"),
        ("import engine.figures.export", None),
        (CAPTUM, "module://matplotlib_inline.backend_inline"),
    ],
    ids=["figures", "unset", "captum"],
)
def test_figures_are_drawn_with_agg_whatever_the_environment_says(code: str, backend: str | None) -> None:
    asks = "import os, matplotlib.pyplot as plt; print(plt.get_backend().lower(), os.environ.get('MPLBACKEND'))"
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    given = environment if backend is None else environment | {"MPLBACKEND": backend}
    command = [sys.executable, "-W", "ignore", "-c", f"{code}\n{asks}"]
    done = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["agg", str(backend)]
