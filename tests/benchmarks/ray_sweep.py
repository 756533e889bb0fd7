"""What Ray costs, and what the death of workers costs: `python -m tests.benchmarks.ray_sweep [RUNS] [SECONDS]`.

RUNS (200) runs of one tiny epoch on two workers, beside the sum of the runs' own times divided by two; the time until
Ray and PyTorch are loaded is told apart. Then runs of four epochs, of whose workers one is killed at random every five
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
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

from msgspec.structs import replace

from engine.cluster.events import RunLost, RunOutcome, RunPlaced, RunTold, SweepEnded
from engine.cluster.machines import joined
from engine.cluster.requests import TrainOnRay
from engine.cluster.sweep import train_on_ray
from engine.event import Event
from engine.operations import end
from engine.runs.folder import RunFolder
from engine.runs.recording import train_run
from engine.training.events import EpochFinished, RunFinished
from engine.training.requests import Train
from tests.kill_and_resume import files, numbers

TINY = Train(train_size=640, epochs=1, channels=4, hidden=16, device="cpu", threads=1)
WORKERS = 2
INTERVAL = 5.0
"""Seconds between two kills."""
EPOCHS = 4
"""Epochs of a run whose worker may be killed."""
COMPARED = 3
"""Number of resumed runs that are compared with undisturbed ones."""
HERE = 20
"""Number of runs that are trained in this process, beside them."""
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
    here = min(HERE, count)
    seconds = [_alone(replace(TINY, seed=seed), root / "here") for seed in range(here + 1)][1:]  # the first loads
    print(f"{f'{count} / 2 runs alone, here':<26}{sum(seconds) / here * count / WORKERS:7.1f} s, by {here} runs")


def _alone(run: Train, root: Path) -> float:
    """The seconds of a run in this process."""
    began = time.perf_counter()
    for _ in train_run(run, root):
        pass
    return time.perf_counter() - began


def kills(seconds: float, address: str, root: Path, chance: random.Random) -> None:
    """Train for `seconds`, kill workers meanwhile, and print what was lost."""
    runs = tuple(replace(TINY, epochs=EPOCHS, seed=seed) for seed in range(max(WORKERS, round(2 * seconds))))
    placed: dict[int, int] = {}
    """The process of each run under way, by its number."""
    names: dict[int, str] = {}
    lost: list[RunLost] = []
    ended: SweepEnded | None = None
    killed, began, due = 0, time.monotonic(), INTERVAL
    work = train_on_ray(TrainOnRay(runs=runs, address=address), root)
    for event in _until(work, began + seconds):
        match event:
            case RunPlaced():
                placed[event.number] = event.process
            case RunLost():
                lost.append(event)
                placed.pop(event.number, None)
            case RunTold():
                names[event.number] = event.run
                if isinstance(event.event, RunFinished):
                    placed.pop(event.number, None)
            case SweepEnded():
                ended = event
        if placed and due <= time.monotonic() - began < seconds:
            os.kill(placed.pop(chance.choice(list(placed))), signal.SIGKILL)
            killed, due = killed + 1, due + INTERVAL
    assert ended
    again = epochs = 0
    for name in names.values():
        told = [each.epoch for each in RunFolder(root / name).events() if isinstance(each, EpochFinished)]
        again += len(told) - len(set(told))
        epochs += len(set(told))
    same = [_identical(runs[each.number], RunFolder(root / each.run), root) for each in _resumed(ended)[:COMPARED]]
    how = "their files sent" if address else "written in place"
    failed = sum(run.outcome in ("failed", "refused") for run in ended.runs)
    print(
        f"{f'killed, {how}':<26}{killed:4d} workers in {seconds:.0f} s: {len(lost)} times a run was resumed, {epochs} "
        f"epochs finished, {again} finished epochs lost, {failed} runs failed; {sum(same)} of {len(same)} resumed runs "
        "are those of here bit for bit"
    )


def _until(work: Generator[Event, None, None], moment: float) -> Iterator[Event]:
    """The events of a sweep, which is stopped at `moment`."""
    for event in work:
        yield event
        if time.monotonic() >= moment:
            yield from end(work)
            return


def _resumed(ended: SweepEnded) -> list[RunOutcome]:
    return [run for run in ended.runs if run.losses and run.outcome == "finished"]


def _identical(request: Train, run: RunFolder, root: Path) -> bool:
    """Whether a run has the weights and numbers of one that is trained in this process."""
    here = root / "here" / str(request.seed)
    for _ in train_run(request, here):
        pass
    (path,) = here.iterdir()
    return files(run) == files(RunFolder(path)) and numbers(run) == numbers(RunFolder(path))


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
