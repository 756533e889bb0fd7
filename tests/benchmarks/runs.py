"""The time to list 1,000 runs, compared with reading their bytes: `python -m tests.benchmarks.runs [COUNT]`."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from engine.runs import catalogue
from tests.runs import copies


def main(arguments: Sequence[str] = ()) -> None:
    """Print medians of five."""
    count = int(arguments[0]) if arguments else 1000
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        copies(root, count)

        def plain() -> None:
            for path in root.iterdir():
                (path / "request.json").read_bytes()
                (path / "events.jsonl").read_bytes()

        def listed() -> None:
            catalogue.summaries(root)

        times: dict[str, list[float]] = {"reading the bytes": [], "the list": [], "the list again": []}
        for _ in range(5):
            catalogue._read.cache_clear()
            for kind, work in zip(times, (plain, listed, listed), strict=True):
                began = time.perf_counter()
                work()
                times[kind].append(time.perf_counter() - began)
        for kind, values in times.items():
            print(f"{kind:<20}{1000 * statistics.median(values):7.1f} ms for {count:,} runs")


if __name__ == "__main__":
    main(sys.argv[1:])
