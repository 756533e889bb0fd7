"""All operations and checks on one device, and their findings."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from tests.standin.device import COUNTS

DEVICE = "cuda"
"""The name of the device in requests: the stand-in, or a GPU."""


class OperationRun(Struct):
    """An operation on the device and on the CPU."""

    name: str
    deviation: float = 0.0
    tolerance: float = 0.0
    kernels: int = 0
    waits: dict[str, int] = {}
    """Number of times the host waited for the device, by operation and line of the engine."""
    problem: str = ""
    """The problem in one line; empty if the device and the CPU agree."""


class TrainingStep(Struct):
    """The work of the device in training."""

    kernels: int
    """Of a step."""
    waits: int
    """Number of waits of a chunk of steps."""
    outside: int
    """Number of waits of an epoch besides those of its chunks."""


class Findings(Struct):
    """All findings."""

    operations: list[OperationRun]
    checks: dict[str, str]
    """The problem found by each check; empty if there is none."""
    steps: dict[str, TrainingStep]
    """By variant."""


def everything(root: Path) -> Findings:
    """Run all operations and checks, with run folders under `root`."""
    from tests.standin.operations import make_small

    make_small(root)
    steps = {variant: training_step(batch_norm) for batch_norm, variant in VARIANTS}
    return Findings(list(operation_runs(root)), checked(root), steps)


VARIANTS = ((False, "cnn"), (True, "cnn-bn"))


def operation_runs(root: Path, names: Iterable[str] | None = None) -> Iterable[OperationRun]:
    """Run the operations in `names` (default: all), one after another."""
    from tests.standin.operations import deviation, operations, results

    wanted = set(names) if names is not None else None
    for there, here in zip(operations(DEVICE), operations("cpu"), strict=True):
        if wanted is not None and there.name not in wanted:
            continue
        found = OperationRun(there.name, tolerance=there.tolerance)
        COUNTS.reset()
        try:
            events = results(there.request, root / "device")
            found.kernels = COUNTS.kernels.total()
            found.waits = {" ".join(place): count for place, count in COUNTS.waits.items()}
            found.deviation = deviation(events, results(here.request, root / "cpu"), there.name)
            if found.deviation > found.tolerance:
                found.problem = f"differs from the CPU by {found.deviation:.1e}"
        except Exception as error:
            found.problem = f"{type(error).__name__}: {error}".splitlines()[0]
        yield found


def checked(root: Path) -> dict[str, str]:
    """The problem found by each check; empty if there is none."""
    from tests.standin.checks import CHECKS

    found = {}
    for number, (name, check) in enumerate(CHECKS.items()):
        (place := root / f"check-{number}").mkdir()
        try:
            check(DEVICE, place)
            found[name] = ""
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}".splitlines()[0]
    return found


def training_step(batch_norm: bool) -> TrainingStep:
    """The work of the second of two epochs of sixteen steps, in chunks of two."""
    from unittest.mock import patch

    from engine.data.datasets import load
    from engine.network.devices import choose_device
    from engine.training.events import BatchTrained, EpochFinished
    from engine.training.loop import train
    from engine.training.requests import Train
    from engine.training.state import TrainingState
    from tests.conftest import returned

    chunks, size = 8, 2
    request = Train(batch_norm=batch_norm, train_size=2 * chunks * size, batch_size=size, epochs=2, device=DEVICE)
    device = choose_device(DEVICE)
    kernels, waits, before = list[int](), list[int](), 0
    with patch("engine.training.state.RUNNING_POINTS", chunks), patch("engine.training.chunks.LONGEST", float("inf")):
        for event in train(request, returned(load("mnist", device)), TrainingState.fresh(request, device)):
            if isinstance(event, EpochFinished):
                before = before or COUNTS.waits.total()
            elif isinstance(event, BatchTrained) and event.epoch == 2:
                kernels.append(COUNTS.kernels.total())
                waits.append(COUNTS.waits.total())
    # Between the first two events one chunk is launched: its steps, and the copy of the loss.
    return TrainingStep((kernels[1] - kernels[0] - 1) // 2, waits[1] - waits[0], waits[-1] - before - chunks)
