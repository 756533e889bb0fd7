from __future__ import annotations

import subprocess
import sys


def test_the_default_number_of_threads_comes_back() -> None:
    code = """
import torch
from engine.devices import set_threads
default = torch.get_num_threads()
assert set_threads(default + 1) == default + 1
assert set_threads(0) == default
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
