"""Startup times: `python -m tests.benchmarks.startup`.

The first frame of the app (from the command to the complete frame on the terminal) and `--help`: medians of several
runs with warm file caches, in a pseudo-terminal of 120x40. Argument: number of runs (9).
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.pty_app import PtyApp

PROGRAM = str(Path(sys.executable).with_name("mnist-tui"))


def first_frame(cwd: Path) -> tuple[float, float]:
    """Seconds to the first complete frame, and until PyTorch is loaded in the background."""
    with PtyApp(cwd=cwd, program=(PROGRAM,)) as app:
        app.wait_for("quit")
        frame = time.perf_counter() - app.started
        app.wait_for(lambda a: "loading" not in a.text.splitlines()[0])
        return frame, time.perf_counter() - app.started


def help_seconds(*arguments: str) -> float:
    """Seconds that a `--help` takes."""
    began = time.perf_counter()
    subprocess.run([PROGRAM, *arguments, "--help"], check=True, capture_output=True)
    return time.perf_counter() - began


def main(arguments: Sequence[str] = ()) -> None:
    """Print the medians."""
    runs = int(arguments[0]) if arguments else 9
    with tempfile.TemporaryDirectory() as folder:
        first_frame(Path(folder))
        both = [first_frame(Path(folder)) for _ in range(runs)]
    frames, ready = zip(*both, strict=True)
    print(f"first frame         median {statistics.median(frames):.3f} s  worst {max(frames):.3f} s")
    print(f"PyTorch ready       median {statistics.median(ready):.3f} s  worst {max(ready):.3f} s")
    for words in ((), ("train",)):
        helps = [help_seconds(*words) for _ in range(runs)]
        name = " ".join((*words, "--help"))
        print(f"{name:<18}  median {statistics.median(helps):.3f} s  worst {max(helps):.3f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
