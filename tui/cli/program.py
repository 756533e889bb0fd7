"""This program as a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

_OURS = Path(__file__).parents[2]
"""The folder that contains this package, which need not be installed."""


def command(*arguments: str) -> list[str]:
    """The command line that runs `mnist-tui ARGUMENTS` by this interpreter and from this folder."""
    return python("from tui.cli.main import main; main()", *arguments)


def python(code: str, *arguments: str) -> list[str]:
    """The command line that runs a piece of this program's code by this interpreter and from this folder."""
    # -P: the working directory may contain an unrelated engine.py or random.py.
    return [sys.executable, "-P", "-c", f"import sys; sys.path.append({str(_OURS)!r}); {code}", *arguments]
