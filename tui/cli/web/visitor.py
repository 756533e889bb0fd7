"""The app for one visitor, in a process of its own."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import msgspec

from tui.cli.exit_codes import FAILED
from tui.cli.web.driver import CHANNEL

ENVIRONMENT = {
    "TEXTUAL_DRIVER": "tui.cli.web.driver:BrowserDriver",
    "TEXTUAL_COLOR_SYSTEM": "truecolor",
    "TEXTUAL_FPS": "60",
    "ESCDELAY": "25",
    "TERM": "xterm-256color",
    "COLORTERM": "truecolor",
    "LC_ALL": "C.UTF-8",
    "PYTHONUTF8": "1",
}
"""The browser's terminal, whatever the server's is; Textual reads it when it is imported."""


def environment() -> dict[str, str]:
    """The environment of a visitor's process."""
    ours = ("NO_COLOR", "LINES", "COLUMNS", "LANG", "LC_CTYPE", "TEXTUAL_ANIMATIONS")
    return {name: value for name, value in os.environ.items() if name not in ours} | ENVIRONMENT


class Visit(msgspec.Struct, frozen=True):
    """What a visitor sees, and how."""

    runs: str
    """Folder of all runs."""
    what: str
    """What is open at the start; empty for the most recent run."""
    looking: bool
    columns: int
    rows: int
    among: int
    """Number of visitors who share the cores."""


def receive(visit: Visit, standard_input: int, channel: int, errors: int) -> int:
    """Run the app for a visitor; returns the exit code. The descriptors are the ends of pipes to the server."""
    os.dup2(standard_input, 0)
    os.dup2(errors, 1)
    os.dup2(errors, 2)
    os.environ |= {CHANNEL: str(channel), "COLUMNS": str(visit.columns), "ROWS": str(visit.rows)}
    from engine.lab import AMONG_MANY, Lab
    from engine.request import RequestError
    from engine.runs.finding import find_network
    from engine.runs.folder import RunFolder
    from tui.app import MnistTui
    from tui.settings.file import load

    cores: int = importlib.import_module("engine.network.cores").cores()
    importlib.import_module("engine.network.devices").share_cores(max(1, cores // visit.among))
    if visit.among > 1:
        Lab.niceness = AMONG_MANY
    root = Path(visit.runs)
    try:
        found = find_network(visit.what, root)
        run, file = (found, None) if isinstance(found, RunFolder) else (None, found)
        app = MnistTui(root, run, file, loaded=load(), looking=visit.looking)
    except RequestError as error:
        print(f"mnist-tui: a visitor found nothing to look at: {error}", file=sys.stderr)
        return FAILED
    code = app.run()
    app.workspace.close()
    return (app.return_code or 0) if code is None else code


def main() -> None:
    """Run the app for the visit in the argument, in a process that was not forked; exits it."""
    visit = msgspec.json.decode(sys.argv[1], type=Visit)
    code = receive(visit, 0, os.dup(1), 2)
    sys.stderr.flush()
    os._exit(code)  # a thread may be busy with something that cannot be interrupted
