"""Kill runs at random instants, resume them, and compare: `python -m tests.kill_and_resume [RUNS]` (30).

Each run is a separate process, which is ended with SIGKILL and resumed with `mnist-tui resume`. It is compared with a
run that was not killed: all weights (after each epoch, best, last) byte for byte, and all numbers of each epoch.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import asdict

from engine.runs.folder import RunFolder
from engine.training.events import RunStarted

EXPERIMENT = ("--train-size", "2560", "--epochs", "4", "--channels", "8", "--hidden", "32", "--batch-norm")
TIMES = {"train_seconds", "eval_seconds", "images_per_second", "usage"}


@dataclass
class Outcome:
    """The results of the trial."""

    killed: int = 0
    """Number of runs that were killed while they trained."""
    identical: int = 0
    """Number of these with the same results as the run that was not killed."""
    lost_epochs: int = 0
    """Number of epochs that were finished before the kill and had to be trained again."""


def started(arguments: Sequence[str], root: Path) -> subprocess.Popen[bytes]:
    """Start the program with `arguments`."""
    command = [sys.executable, "-m", "tui.cli", *arguments, "--runs", str(root), "--json", "--device", "cpu"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)


def files(folder: RunFolder) -> dict[str, bytes]:
    """All weight files of a run, by name."""
    paths = [*folder.path.glob("*.safetensors"), *folder.epochs_folder.glob("*.safetensors")]
    return {path.name: path.read_bytes() for path in paths}


def numbers(folder: RunFolder) -> list[dict[str, Any]]:
    """The events of each epoch, without their times and what they used."""
    return [{k: v for k, v in asdict(epoch).items() if k not in TIMES} for epoch in folder.history().epochs]


def _the_run(root: Path, process: subprocess.Popen[bytes]) -> RunFolder:
    """Wait for the run under `root` to start."""
    while process.poll() is None:
        for path in root.iterdir() if root.is_dir() else ():
            if any(isinstance(event, RunStarted) for event in RunFolder(path).events()):
                return RunFolder(path)
        time.sleep(0.01)
    (path,) = root.iterdir()
    return RunFolder(path)


def trial(runs: int, root: Path, seed: int = 0) -> Outcome:
    """Kill and resume `runs` runs under `root`."""
    process = started(("train", *EXPERIMENT), root / "whole")
    whole = _the_run(root / "whole", process)
    began = time.monotonic()
    if process.wait():
        raise RuntimeError("the run that nobody kills did not end well")
    seconds = time.monotonic() - began
    outcome, instant = Outcome(), random.Random(seed)
    attempt = 0
    while outcome.killed < runs:
        attempt += 1
        place = root / str(attempt)
        process = started(("train", *EXPERIMENT), place)
        folder = _the_run(place, process)
        time.sleep(instant.uniform(0, 0.95 * seconds))
        process.send_signal(signal.SIGKILL)
        if process.wait() != -signal.SIGKILL or (before := folder.history()).state == "finished":
            continue  # it finished before the kill
        outcome.killed += 1
        if before.state != "interrupted":
            raise RuntimeError(f"{folder.path} is said to be {before.state}")
        if started(("resume", folder.name), place).wait():
            raise RuntimeError(f"{folder.path} did not go on")
        outcome.identical += files(folder) == files(whole) and numbers(folder) == numbers(whole)
        again = next(e for e in reversed(folder.events()) if isinstance(e, RunStarted)).resumed_from
        outcome.lost_epochs += len(before.epochs) - min(len(before.epochs), again or 0)
    return outcome


def main() -> None:
    """Run the trial and print its outcome."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    with tempfile.TemporaryDirectory() as root:
        outcome = trial(runs, Path(root))
    print(
        f"{outcome.killed} runs killed and resumed: {outcome.identical} identical to the run that nobody killed, "
        f"{outcome.lost_epochs} finished epochs lost"
    )


if __name__ == "__main__":
    main()
