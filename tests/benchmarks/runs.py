"""How long it takes to list 1,000 run folders: `python -m tests.benchmarks.runs`, against reading their bytes alone."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from engine import catalogue
from tests.engine.test_catalogue import copies

COUNT = 1000


def main() -> None:
    """Print medians of five."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        copies(root, COUNT)

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
            print(f"{kind:<20}{1000 * statistics.median(values):7.1f} ms for {COUNT:,} runs")


if __name__ == "__main__":
    main()
