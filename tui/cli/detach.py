"""`mnist-tui train --detach`: training in a separate process that outlives the terminal."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from engine.request import RequestError
from engine.runs.codec import read_json_lines
from engine.training.events import RunStarted
from tui.cli.program import command

PATIENCE = 120.0
"""Seconds within which a run must start. Importing PyTorch from a cold disk takes a while."""


class Detached:
    """A separate process that trains, and its output so far."""

    def __init__(self, arguments: Sequence[str], root: Path, runs: int = 1) -> None:
        """Start a process for this number of `runs`; raises RequestError if `root` is not writable."""
        try:
            root.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=".detached-", suffix=".jsonl", dir=root)
        except OSError as error:
            raise RequestError(
                f"cannot write to {root} ({error.strerror}): choose another folder with --runs"
            ) from None
        self._said = Path(name)
        self._several = runs > 1
        self.complaints: Path | None = None
        """The file that lists which of several runs failed; None for a single run, whose folder records it."""
        self.refused: list[str] = []
        """Error messages of the runs of a sweep that could not start, before the first run that did."""
        with os.fdopen(handle, "wb") as said, self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                command(*arguments, "--json"),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=errors,
                start_new_session=True,
            )

    @property
    def _errors(self) -> Path:
        return self._said.with_suffix(".err")

    def wait(self) -> RunStarted | str:
        """Wait until a run starts. Returns its first event, or a one-line reason why none started."""
        until = time.monotonic() + PATIENCE
        try:
            while time.monotonic() < until:
                ended = self.process.poll() is not None
                for event in read_json_lines(self._said.read_bytes()):
                    if isinstance(event, RunStarted):
                        said = self._errors.read_text(errors="replace").splitlines()
                        self.refused = [line for line in said if line.startswith("mnist-tui: run ")]
                        if self._several:
                            with contextlib.suppress(OSError):  # training does not depend on it
                                self.complaints = self._errors.rename(self._said.parent / f"{event.run}.failures.txt")
                        return event
                if ended:
                    lines = self._errors.read_text(errors="replace").strip().splitlines()
                    return (lines[-1] if lines else "the process ended before the run started").removeprefix(
                        "mnist-tui: "
                    )
                time.sleep(0.05)
            self.process.terminate()
            return f"the run did not start within {PATIENCE:.0f} seconds"
        finally:
            # The run folder records all events, so the process may keep printing to files that have no name.
            self._said.unlink(missing_ok=True)
            self._errors.unlink(missing_ok=True)
