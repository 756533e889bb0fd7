from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "torchvision", "matplotlib", "safetensors", "captum", "psutil", "pynvml")
FRONT_END = ("textual", "rich", "tui", "tyro")


SCREENS = [
    f"tui.screens.{name}" for name in ("model", "digits", "filters", "activations", "occlusion", "attacks", "draw")
]


def python(code: str) -> object:
    """What `code` prints as JSON in a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "module",
    [
        "engine.lab",
        "engine.runs.folder",
        "engine.request",
        "engine.attacks.events",
        "engine.runs.history",
        "tui.app",
        *SCREENS,
    ],
)
def test_light_modules_import_nothing_heavy(module: str) -> None:
    code = f"import json, sys, {module}; print(json.dumps([name for name in {HEAVY} if name in sys.modules]))"
    assert python(code) == []


def test_no_engine_module_knows_of_a_terminal() -> None:
    code = f"""
import importlib, json, pkgutil, sys
import engine
found = {{}}
for module in pkgutil.walk_packages(engine.__path__, "engine."):
    importlib.import_module(module.name)
    found[module.name] = [name for name in {FRONT_END} if name in sys.modules]
print(json.dumps(found))
"""
    found = python(code)
    assert isinstance(found, dict)
    assert {
        "engine.lab",
        "engine.runs.recording",
        "engine.inspection.survey",
        "engine.attribution.explain",
        "engine.attacks.robustness",
        "engine.figures.export",
    } <= found.keys()
    assert {name: what for name, what in found.items() if what} == {}
