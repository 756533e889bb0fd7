"""What sampling the devices costs: `python -m tests.benchmarks.telemetry [SECONDS] [INTERVAL]` (20, 1).

The CPU time of the thread that samples while a run trains, as a share of one core: as the run alone needs it, and while
the page of the devices is watched. Below them, the time of one sample, without the waits of the system between two.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from engine.telemetry import sampler
from engine.telemetry.sampler import Sampler


def _thread(seconds: float, folder: Path, *, watched: bool) -> tuple[float, int, int]:
    """CPU seconds of the thread over `seconds`, its number of samples, and the number of GPUs."""
    own = Sampler()
    own.look(folder)  # the import and the first look at the driver are no part of it
    with own.metered() as meter:
        time.sleep(sampler.INTERVAL)
        before = own.cpu_seconds
        meter.begin()
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(1.0, left))
            if watched:
                own.look(folder, processes=True)
        used, samples = own.cpu_seconds - before, meter.epoch().samples
        gpus = len(own.look(folder).gpus)
    return used, samples, gpus


def main(arguments: Sequence[str] = ()) -> None:
    """Print shares of a core, and medians of 50 samples in a row."""
    seconds = float(arguments[0]) if arguments else 20.0
    before, sampler.INTERVAL = sampler.INTERVAL, float(arguments[1]) if len(arguments) > 1 else sampler.INTERVAL
    try:
        with tempfile.TemporaryDirectory() as name:
            for words, watched in (("while a run trains", False), ("and the page is watched", True)):
                used, samples, gpus = _thread(seconds, Path(name), watched=watched)
                each = used / max(1, samples)
                print(
                    f"{words:<24}{100 * each:8.3f} % of a core at one sample a second"
                    f" ({samples} samples, {gpus} GPUs, {1000 * each:.2f} ms each)"
                )
    finally:
        sampler.INTERVAL = before
    own, times = Sampler(), []
    for _ in range(50):
        began = time.thread_time()
        own._take()
        times.append(time.thread_time() - began)
    print(f"{'a sample':<24}{1000 * statistics.median(times):8.3f} ms of CPU time in a row")


if __name__ == "__main__":
    main(sys.argv[1:])
