"""A temporary folder in place of the user's home."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def at_home_in(folder: Path) -> None:
    """Put this process's home, caches, settings and temporary files into `folder`, and give it a plain terminal."""
    folders = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")
    for variable in ("HOME", *folders, "MPLCONFIGDIR", "TMPDIR"):
        place = folder / variable.lower()
        place.mkdir()
        os.environ[variable] = str(place)
    tempfile.tempdir = None
    os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", TEXTUAL_ANIMATIONS="none")
    for variable in ("MNIST_TUI_SETTINGS", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "LC_ALL"):
        os.environ.pop(variable, None)
