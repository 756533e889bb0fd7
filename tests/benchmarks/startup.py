"""Startup times: `python -m tests.benchmarks.startup`.

The first frame of the app (from the command to the arrival of the complete frame) and its memory then, the import of
Textual alone, which no frame can precede, and `--help`: medians of several runs with warm file caches, in a
pseudo-terminal of 120x40. The modules are compiled, as in an installed program. Argument: number of runs (9).
"""

from __future__ import annotations

import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.pty_app import PtyApp

PROGRAM = str(Path(sys.executable).with_name("mnist-tui"))


LAST = b" quit"
"""The end of a frame, without an emulator, which takes a few hundredths of a second to show it."""


def first_frame(cwd: Path) -> tuple[float, float, float]:
    """Seconds to the first complete frame, and until PyTorch is loaded in the background; MB of memory in between."""
    with PtyApp(cwd=cwd, program=(PROGRAM,)) as app:
        received = b""
        while LAST not in received:
            received += app._receive(app.started + 30)
        frame, memory = time.perf_counter() - app.started, resident(app.pid)
        app._feed(received)
        app.wait_for(lambda a: "loading" not in a.text.splitlines()[0])
        return frame, time.perf_counter() - app.started, memory


def resident(pid: int) -> float:
    """The resident memory of a process in MB; NaN where the system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() / 1e6
    except OSError:
        return math.nan


def seconds(*command: str) -> float:
    """Seconds that a command takes."""
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def main(arguments: Sequence[str] = ()) -> None:
    """Print the medians."""
    runs = int(arguments[0]) if arguments else 9
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as folder:
        first_frame(Path(folder))
        found = [first_frame(Path(folder)) for _ in range(runs)]
    frames, ready, memory = zip(*found, strict=True)
    textual = [seconds(sys.executable, "-c", "import textual.app") for _ in range(runs)]
    print(f"first frame         median {statistics.median(frames):.3f} s  worst {max(frames):.3f} s")
    print(f"  Textual alone     median {statistics.median(textual):.3f} s  worst {max(textual):.3f} s")
    print(f"  memory            median {statistics.median(memory):.1f} MB  worst {max(memory):.1f} MB")
    print(f"PyTorch ready       median {statistics.median(ready):.3f} s  worst {max(ready):.3f} s")
    for words in ((), ("train",)):
        helps = [seconds(PROGRAM, *words, "--help") for _ in range(runs)]
        name = " ".join((*words, "--help"))
        print(f"{name:<18}  median {statistics.median(helps):.3f} s  worst {max(helps):.3f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
