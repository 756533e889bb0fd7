"""Shared fixtures. Heavy imports are inside the fixtures that need them."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from engine.data.datasets import Dataset
    from engine.runs.folder import RunFolder

if "PYTEST_XDIST_WORKER" in os.environ:
    # One thread per process: with more threads than cores, every barrier would wait for threads that are not scheduled.
    os.environ["OMP_NUM_THREADS"] = "1"

_HOME = tempfile.mkdtemp(prefix="mnist-tui-tests-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
for _variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):  # nobody's own settings, also in processes that tests start
    os.environ[_variable] = os.path.join(_HOME, _variable)  # noqa: PTH118
os.environ.pop("MNIST_TUI_SETTINGS", None)

pytest.register_assert_rewrite("tests.engine.figures.pages", "tests.tui.driving")  # for detailed assertion messages

T = TypeVar("T")


def pytest_addoption(parser: pytest.Parser) -> None:
    """An option to store what the screens show now."""
    parser.addoption("--update-frames", action="store_true", help="store what the screens show, after looking at it")


def pytest_collection_finish() -> None:
    """Exclude imported modules from garbage collection, since scanning them takes longer than most tests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)  # an app has a hundred thousand objects


def returned(generator: Generator[Any, Any, T]) -> T:
    """The return value of a generator; its events are discarded."""
    while True:
        try:
            next(generator)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Use a temporary cache folder instead of the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def mnist() -> Dataset:
    """All of MNIST, on the CPU."""
    import torch

    from engine.data.datasets import load

    return returned(load("mnist", torch.device("cpu")))


@pytest.fixture(scope="session")
def small(mnist: Dataset) -> Dataset:
    """The first images of MNIST's splits, so that an epoch takes a fraction of a second."""
    from engine.data.datasets import Dataset

    return Dataset("mnist", mnist.train.first(2000), mnist.val.first(500), mnist.test.first(400))


@pytest.fixture
def small_runs(small: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train on the small data set."""
    patch_load(monkeypatch, small)


@pytest.fixture
def few_images(small: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inspect networks on the small data set."""
    patch_load(monkeypatch, small, "engine.inspection.loaded")


def patch_load(patch: pytest.MonkeyPatch, data: Dataset, module: str = "engine.training.loading") -> None:
    """Make `module` load `data`, whichever data set it asks for."""

    def load(*_: object) -> Generator[Any, None, Dataset]:
        yield from ()
        return data

    patch.setattr(f"{module}.load", load)


@pytest.fixture(scope="session")
def trained(mnist: Dataset, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished run of two short epochs on real images. Tests must not write to it."""
    from engine.runs.folder import RunFolder
    from engine.runs.recording import train_run
    from engine.training.events import RunStarted
    from engine.training.requests import Train

    root = tmp_path_factory.mktemp("trained")
    request = Train(train_size=1280, epochs=2, device="cpu")
    events = list(train_run(request, root))
    name = next(event.run for event in events if isinstance(event, RunStarted))
    return RunFolder(root / name)
