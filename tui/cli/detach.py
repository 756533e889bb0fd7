"""`mnist-tui train --detach`: a run in a process of its own, which outlives the terminal that started it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from engine.request import RequestError
from engine.runs.codec import read_json_lines
from engine.training.events import RunStarted

_OURS = Path(__file__).parents[2]
"""The folder that holds this package, which need not be installed."""

PATIENCE = 120.0
"""Seconds in which a run must begin: an import of PyTorch from a cold disk takes some."""


class Detached:
    """A process that trains, and what it has said so far."""

    def __init__(self, arguments: Sequence[str], root: Path, runs: int = 1) -> None:
        """Start it, for as many `runs`; raises RequestError where the disk does not let us."""
        try:
            root.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=".detached-", suffix=".jsonl", dir=root)
        except OSError as error:
            raise RequestError(f"cannot write to {root} ({error.strerror}): give another place with --runs") from None
        self._said = Path(name)
        self._several = runs > 1
        self.complaints: Path | None = None
        """Where it writes which of several runs fail; None for a single one, whose folder says it."""
        self.refused: list[str] = []
        """The runs of a sweep that could not begin, in the words of the process, before the one that did."""
        # -P: the folder at hand may hold an engine.py, a random.py and the like of its own.
        code = f"import sys; sys.path.append({str(_OURS)!r}); from tui.cli.main import main; main()"
        command = [sys.executable, "-P", "-c", code, *arguments, "--json"]
        with os.fdopen(handle, "wb") as said, self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=errors, start_new_session=True
            )

    @property
    def _errors(self) -> Path:
        return self._said.with_suffix(".err")

    def wait(self) -> RunStarted | str:
        """Wait until it trains: how it began, or in one line why it did not."""
        until = time.monotonic() + PATIENCE
        try:
            while time.monotonic() < until:
                ended = self.process.poll() is not None
                for event in read_json_lines(self._said.read_bytes()):
                    if isinstance(event, RunStarted):
                        said = self._errors.read_text(errors="replace").splitlines()
                        self.refused = [line for line in said if line.startswith("mnist-tui: run ")]
                        if self._several:
                            with contextlib.suppress(OSError):  # it trains all the same
                                self.complaints = self._errors.rename(self._said.parent / f"{event.run}.failures.txt")
                        return event
                if ended:
                    lines = self._errors.read_text(errors="replace").strip().splitlines()
                    return (lines[-1] if lines else "the run ended at once").removeprefix("mnist-tui: ")
                time.sleep(0.05)
            self.process.terminate()
            return f"the run did not begin within {PATIENCE:.0f} seconds"
        finally:
            # Its events go on in the run folder: what it prints is needed no more, and its files have no name left.
            self._said.unlink(missing_ok=True)
            self._errors.unlink(missing_ok=True)
