"""Fixtures that make apps: the real one, and one without PyTorch for tests that do not need it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from engine import operations
from engine.certification.requests import CertifyDigit
from engine.event import Event
from engine.lab import Job, Lab
from engine.network.events import EngineLoaded
from engine.request import Request
from engine.runs.finding import pretrained
from engine.runs.folder import RunFolder
from engine.runs.history import RunHistory
from engine.training.events import BatchTrained, EpochFinished, RunStarted
from tests.conftest import patch_load
from tests.styles import parsed_once
from tests.tui.driving import Call, show
from tui.app import MnistTui
from tui.cli import main as cli

if TYPE_CHECKING:
    import torch

    from engine.data.datasets import Dataset
    from engine.training.requests import Train

MakeApp = Callable[..., MnistTui]
Answers = dict[Request, list[Event]]


@pytest.fixture(scope="session", autouse=True)
def styles_read_once() -> Iterator[None]:
    """Parse style sheets only once for all apps."""
    with parsed_once():
        yield


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain colour terminal, regardless of the one that the tests run in."""
    for name in ("NO_COLOR", "LC_ALL", "LC_CTYPE", "LANG", "TEXTUAL_ANIMATIONS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")


@pytest.fixture(autouse=True)
def given_proofs(monkeypatch: pytest.MonkeyPatch) -> None:
    """How far a digit is safe is given, rather than found."""
    known: dict[Any, operations.Entry] = cast(Any, operations.OPERATIONS)
    monkeypatch.setitem(known, CertifyDigit, replace(known[CertifyDigit], target="tests.certified:certify_digit"))


@pytest.fixture(autouse=True)
def closed_labs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stop all lanes after a test, so that none keeps its app in memory."""
    made = []

    class KeptLab(Lab):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            made.append(self)

    monkeypatch.setattr("tui.workspace.Lab", KeptLab)
    yield
    for lab in made:
        lab.close()


@pytest.fixture
def quick_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys without the wait for an idle CPU, for which Textual's pilot takes up to two seconds while the lab works.

    The pilot then waits only until all widgets have processed their messages. For tests that wait for what they check.
    """

    async def soon(*_: float) -> None:
        await asyncio.sleep(0.005)

    for module in ("textual.app", "textual.pilot"):
        monkeypatch.setattr(f"{module}.wait_for_idle", soon)


class StillApp(MnistTui):
    """The app, with an engine that counts as loaded and does nothing."""

    def __init__(self, root: Path, run: RunFolder | None = None, **named: Any) -> None:
        super().__init__(root, run, **named)
        self.workspace.prepare = self._warm_up  # type: ignore[method-assign]
        self.workspace.look_at_devices = self._unwatched  # type: ignore[method-assign]

    def _unwatched(self, *, shown: bool) -> None:
        """Take no samples, since no two are the same."""
        self.workspace.machines.shown = shown

    def _warm_up(self) -> None:
        if not self.workspace.engine:
            loaded = EngineLoaded(device="cpu", device_name="2 threads of x86_64", torch="2.15.0")
            with self.workspace.changing():
                self.workspace.engine = loaded


@pytest.fixture
def still_app(tmp_path: Path) -> MakeApp:
    """Makes an app that shows a run (by default, the pretrained network without batch norm)."""

    def make(run: RunFolder | None = None, *, empty: bool = False) -> StillApp:
        return StillApp(tmp_path / "runs", None if empty else run or pretrained("cnn"))

    return make


@pytest.fixture
def app(tmp_path: Path, small_runs: None) -> MnistTui:
    """The real app with the real lab."""
    return MnistTui(tmp_path / "runs", pretrained("cnn"))


@pytest.fixture
def call(
    tmp_path: Path, small: Dataset, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Call:
    """Calls `mnist-tui` in an empty folder, with 400 test images; returns its exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    for module in ("engine.inspection.loaded", "engine.training.loading"):
        patch_load(monkeypatch, small, module)

    def run(*arguments: object) -> tuple[int, str, str]:
        capfdbinary.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main([str(argument) for argument in arguments])
        out, err = capfdbinary.readouterr()
        assert isinstance(end.value.code, int)
        return end.value.code, out.decode(), err.decode()

    return run


class FakeJob(Job):
    """A training job that stays in progress as long as a test needs it."""

    def __init__(self, request: Train | None = None) -> None:
        from engine.operations import OPERATIONS
        from engine.training.requests import Train

        super().__init__(request or Train(), OPERATIONS[Train])
        self.state = "running"


def under_way(app: MnistTui) -> None:
    """Make `app` show a run in its third epoch."""
    history = RunHistory()
    history.add(
        RunStarted(
            run="20260101-000000-cnn",
            device="cpu",
            device_name="2 threads of x86_64",
            threads=2,
            versions={},
            train_size=50_000,
            val_size=10_000,
            test_size=10_000,
            image_shape=(1, 28, 28),
            parameters=799_078,
            started="2026-01-01T00:00:00+00:00",
        )
    )
    for epoch in (1, 2):
        history.add(
            EpochFinished(
                epoch=epoch,
                epochs=15,
                train_loss=0.18 / epoch,
                val_loss=0.06 / epoch,
                val_accuracy=0.982 + 0.002 * epoch,
                test_accuracy=0.983 + 0.002 * epoch,
                train_seconds=9.5,
                eval_seconds=0.9,
                images_per_second=5263.0,
                running_loss=tuple(1.2 / (epoch * (i + 1)) for i in range(32)),
            )
        )
    history.add(
        BatchTrained(
            epoch=3,
            epochs=15,
            step=391,
            steps=782,
            images_per_second=5300.0,
            running_loss=tuple(0.05 / (i + 1) for i in range(16)),
        )
    )
    app.workspace.training = FakeJob()
    show(app, app.workspace.opened, history, "cnn")


@pytest.fixture(scope="session")
def exact_dataset(mnist: Dataset) -> Dataset:
    """The first images of MNIST's test split, in double precision."""
    from engine.data.datasets import Dataset, Split

    def double(split: Split, count: int) -> Split:
        return Split(split.images[:count].double(), split.labels[:count])

    return Dataset("mnist", double(mnist.train, 100), double(mnist.val, 100), double(mnist.test, 1000))


class Answered(Generator[Event, None, None]):
    """The events of a request, which are stored in `answers` if they are complete."""

    def __init__(self, request: Request, events: Generator[Event, None, None], answers: Answers) -> None:
        self._request, self._events, self._answers = request, events, answers
        self._said: list[Event] = []
        self._disturbed = False

    def send(self, value: None) -> Event:
        try:
            self._said.append(next(self._events))
        except StopIteration:
            if not self._disturbed:
                self._answers[self._request] = self._said
            raise
        return self._said[-1]

    def throw(self, *error: Any) -> Event:
        self._disturbed = True
        return self._events.throw(*error)


@pytest.fixture(scope="session")
def answers() -> Answers:
    """A cache of results of the bundled networks in double precision, by request."""
    return {}


@pytest.fixture
def exact_engine(exact_dataset: Dataset, answers: Answers, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Compute networks in double precision, so that pictures are exactly the same on every processor.

    A request that uses only bundled networks and writes no files is computed once, because many tests repeat it.
    """
    from engine.data.datasets import Split, load_drawings
    from engine.inspection import loaded
    from engine.network.checkpoints import Weights, read_weights
    from engine.network.requests import Reading

    perform = operations.perform

    def again(request: Request, root: Path) -> Generator[Event, None, None]:
        what = getattr(request, "what", "")
        names = (*(what if isinstance(what, tuple) else (what,)), *getattr(request, "others", ()))
        bundled = (
            all(name.startswith("pretrained:") for name in names) and getattr(request, "dataset", "") != "drawings"
        )
        if operations.OPERATIONS[type(request)].writes or not bundled:
            return perform(request, root)
        if request in answers:
            return (copy(event) for event in answers[request])
        return Answered(request, perform(request, root), answers)

    monkeypatch.setattr(operations, "perform", again)

    def double(path: Path, reading: Reading) -> Weights:
        weights = read_weights(path, reading)
        weights.model.double()
        return weights

    def drawings(root: Path, device: torch.device) -> Split:
        split = load_drawings(root, device)
        return Split(split.images.double(), split.labels)

    patch_load(monkeypatch, exact_dataset, "engine.inspection.loaded")
    monkeypatch.setattr("engine.inspection.loaded.load_drawings", drawings)
    monkeypatch.setattr("engine.inspection.loaded.read_weights", double)
    monkeypatch.setattr("engine.attribution.occlusion.perf_counter", lambda: 0.0)  # the screen shows times
    loaded._read.cache_clear()
    yield
    loaded._read.cache_clear()


@pytest.fixture
def asked_anew(exact_engine: None, answers: Answers) -> Iterator[None]:
    """Do not reuse results of other tests."""
    kept = dict(answers)
    answers.clear()
    yield
    answers.clear()  # the test may have changed the engine
    answers.update(kept)
