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
    """The work of the device in one training step."""

    kernels: int
    waits: int
    """Number of waits between two reads of the loss."""


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
    steps = {variant: training_step(batch_norm, root / variant) for batch_norm, variant in VARIANTS}
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


def training_step(batch_norm: bool, root: Path) -> TrainingStep:
    """A step in the middle of an epoch, where the loss is read only after two or more steps."""
    from engine.operations import perform
    from engine.training.events import BatchTrained
    from engine.training.requests import Train
    from engine.training.state import RUNNING_POINTS

    root.mkdir()
    size = 2
    request = Train(batch_norm=batch_norm, train_size=3 * size * RUNNING_POINTS, batch_size=size, device=DEVICE)
    kernels, waits = [], []
    work = perform(request, root)
    for event in work:
        if isinstance(event, BatchTrained):
            kernels.append(COUNTS.kernels.total())
            waits.append(COUNTS.waits.total())
            if event.step == 6:  # the loss is read after steps 3 and 6
                break
    work.close()
    return TrainingStep(kernels[4] - kernels[3], waits[4] - waits[2])
