"""What Ray costs, and what the death of workers costs: `python -m tests.benchmarks.ray_sweep [RUNS] [SECONDS]`.

RUNS (200) runs of one tiny epoch on two workers, beside the sum of the runs' own times divided by two; the time until
Ray and PyTorch are loaded is told apart. Then runs of ten epochs, of whose workers one is killed at random every five
seconds for SECONDS (60), where the workers write to the folder of all runs and where their files are sent to it: how
many finished epochs had to be trained again, and whether a run that was resumed is that of an undisturbed one.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from engine.cluster.events import RunLost, RunPlaced, RunTold, SweepEnded
from engine.cluster.machines import joined
from engine.cluster.requests import TrainOnRay
from engine.cluster.sweep import train_on_ray
from engine.runs.folder import RunFolder
from engine.runs.recording import train_run
from engine.training.events import EpochFinished
from engine.training.requests import Train
from tests.kill_and_resume import files, numbers

TINY = Train(train_size=640, epochs=1, channels=4, hidden=16, device="cpu", threads=1)
WORKERS = 2
INTERVAL = 5.0
"""Seconds between two kills."""
APART = "auto"
"""An address with which the workers have no folder in common with the driver."""


def ended(runs: Sequence[Train], root: Path) -> SweepEnded:
    """Train `runs` undisturbed."""
    *_, last = train_on_ray(TrainOnRay(runs=tuple(runs)), root)
    assert isinstance(last, SweepEnded)
    assert not last.failed, last.failed
    return last


def overhead(count: int, root: Path) -> None:
    """Print what `count` runs cost beyond their own times."""
    began = time.perf_counter()
    ended([replace(TINY, seed=seed) for seed in range(WORKERS)], root)
    print(f"{'first runs, with PyTorch':<26}{time.perf_counter() - began:7.1f} s")
    last = ended([replace(TINY, seed=seed) for seed in range(count)], root)
    own = sum(run.seconds for run in last.runs)
    epochs = sum(e.train_seconds + e.eval_seconds for run in last.runs for e in RunFolder(root / run.run).told().epochs)
    print(f"{f'{count} runs, {WORKERS} workers':<26}{last.seconds:7.1f} s")
    print(f"{'own times / 2':<26}{own / WORKERS:7.1f} s, of which epochs {epochs / WORKERS:.1f} s")
    print(f"{'factor':<26}{last.seconds / (own / WORKERS):7.3f}")


def kills(seconds: float, address: str, root: Path, chance: random.Random) -> None:
    """Kill workers for `seconds`, and print what was lost."""
    runs = tuple(replace(TINY, epochs=10, seed=seed) for seed in range(max(WORKERS, round(seconds / 4))))
    placed: dict[int, int] = {}
    names: dict[int, str] = {}
    lost: list[RunLost] = []
    killed, began = 0, time.monotonic()
    due = min(INTERVAL, seconds / 2)
    for event in train_on_ray(TrainOnRay(runs=runs, address=address), root):
        match event:
            case RunPlaced():
                placed[event.number] = event.process
            case RunLost():
                lost.append(event)
                placed.pop(event.number, None)
            case RunTold():
                names[event.number] = event.run
                if not isinstance(event.event, EpochFinished) and type(event.event).__name__ != "RunStarted":
                    placed.pop(event.number, None)
        now = time.monotonic() - began
        if placed and due <= now <= seconds:
            os.kill(placed.pop(chance.choice(list(placed))), signal.SIGKILL)
            killed, due = killed + 1, due + INTERVAL
    again = epochs = 0
    for name in names.values():
        told = [each.epoch for each in RunFolder(root / name).events() if isinstance(each, EpochFinished)]
        again += len(told) - len(set(told))
        epochs += len(set(told))
    how = "their files sent" if address else "written in place"
    same = ""
    if number := next((each.number for each in lost if each.epoch), None):
        here = root / "here"
        for _ in train_run(runs[number], here):
            pass
        (path,) = here.iterdir()
        run, whole = RunFolder(root / names[number]), RunFolder(path)
        identical = files(run) == files(whole) and numbers(run) == numbers(whole)
        same = f"; a run resumed after one is {'' if identical else 'not '}that of here bit for bit"
    print(
        f"{f'killed, {how}':<26}{killed:4d} workers in {seconds:.0f} s: {len(lost)} runs resumed, {epochs} of "
        f"{10 * len(runs)} epochs finished, {again} finished epochs lost{same}"
    )


def main(arguments: Sequence[str] = ()) -> None:
    """Print the figures."""
    count = int(arguments[0]) if arguments else 200
    seconds = float(arguments[1]) if len(arguments) > 1 else 60.0
    with joined(cores=WORKERS) as cluster, tempfile.TemporaryDirectory() as name:
        print(f"{'Ray starts':<26}{cluster.seconds:7.1f} s")
        overhead(count, Path(name) / "overhead")
        for address in ("", APART) if seconds else ():
            kills(seconds, address, Path(name) / (address or "here"), random.Random(0))


if __name__ == "__main__":
    main(sys.argv[1:])
