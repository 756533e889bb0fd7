"""Training on Ray, which is started once for all of these tests: what comes back is as from a run here."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from engine.cluster.events import RunLost, RunPlaced, RunTold, SearchEnded, SweepEnded
from engine.cluster.machines import Cluster, joined
from engine.cluster.requests import SearchOnRay, TrainOnRay
from engine.cluster.search import search_on_ray
from engine.cluster.sweep import train_on_ray
from engine.event import Event
from engine.operations import end
from engine.request import RequestError
from engine.runs.comparison import compare
from engine.runs.folder import RunFolder, ask_to_stop
from engine.runs.recording import resume_run, train_run
from engine.runs.requests import Resume
from engine.training.events import DIVERGED, EpochFinished, RunFinished, RunStarted
from engine.training.requests import Train
from tests.benchmarks import ray_sweep
from tests.kill_and_resume import files, numbers
from tests.runs import SHORT, only

if importlib.util.find_spec("ray") is None:
    pytest.skip("the extra ray is not installed", allow_module_level=True)

RUN = replace(SHORT, train_size=320, threads=1)
DIRECT, APART = "", "auto"
"""Addresses with which the workers write to the folder of all runs, and with which their files are sent."""


@pytest.fixture(scope="module", autouse=True)
def ray() -> Iterator[Cluster]:
    """Ray with two workers."""
    with joined(cores=2) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that was trained here."""
    root = tmp_path_factory.mktemp("here")
    for _ in train_run(RUN, root):
        pass
    return only(root)


def on(root: Path, address: str, *runs: Train) -> Iterator[Event]:
    return train_on_ray(TrainOnRay(runs=runs, address=address), root)


def told(events: list[Event], number: int = 0) -> list[str]:
    return [type(e.event).__name__ for e in events if isinstance(e, RunTold) and e.number == number]


def folder(events: list[Event], root: Path, number: int = 0) -> RunFolder:
    return RunFolder(root / next(e.run for e in events if isinstance(e, RunTold) and e.number == number))


def same(run: RunFolder, other: RunFolder) -> None:
    """Both have the same weights byte for byte, and the same numbers of each epoch."""
    assert files(run).keys() == files(other).keys()
    assert files(run) == files(other)
    assert numbers(run) == numbers(other)


@pytest.mark.parametrize("address", [DIRECT, APART])
def test_runs_are_those_of_here_bit_for_bit(tmp_path: Path, here: RunFolder, address: str) -> None:
    events = list(on(tmp_path, address, RUN, replace(RUN, seed=1)))
    assert told(events) == told(events, 1) == ["RunStarted", *["EpochFinished"] * RUN.epochs, "RunFinished"]
    run = folder(events, tmp_path)
    same(run, here)
    assert run.read_record() == here.read_record()
    assert [type(event) for event in run.events()] == [type(event) for event in here.events()]
    assert run.history().state == "finished"
    assert not list(run.path.rglob("*.partial"))
    assert isinstance(ended := events[-1], SweepEnded)
    assert [(each.run, each.seed, each.outcome) for each in ended.runs] == [
        (folder(events, tmp_path, number).name, number, "finished") for number in (0, 1)
    ]
    assert len({each.name for each in tmp_path.iterdir()}) == 2


def test_a_failed_run_leaves_the_others_alone(tmp_path: Path, here: RunFolder) -> None:
    bad = replace(RUN, learning_rate=10.0, weight_decay=10.0)  # each step multiplies the weights by -99
    *events, ended = on(tmp_path, APART, bad, RUN)
    assert isinstance(ended, SweepEnded)
    assert [run.outcome for run in ended.runs] == ["failed", "finished"]
    assert ended.runs[0].reason.startswith(DIVERGED)
    assert folder(events, tmp_path).history().diverged
    same(folder(events, tmp_path, 1), here)


@pytest.mark.parametrize("address", [DIRECT, APART])
def test_a_run_looks_like_one_of_another_process_and_can_be_stopped(tmp_path: Path, address: str) -> None:
    work = on(tmp_path, address, replace(RUN, epochs=1000), RUN)
    events: list[Event] = []
    for event in work:
        events.append(event)
        if isinstance(event, RunTold) and event.number == 0 and isinstance(event.event, EpochFinished):
            run = folder(events, tmp_path)
            if run.history().state == "running":
                ask_to_stop(run)
                break
    assert run.locked
    events += work
    assert told(events)[-1] == "RunCancelled"
    assert told(events, 1)[-1] == "RunFinished"
    assert run.history().state == "stopped"
    assert not run.locked
    assert not run.stop_file.exists()
    resumed = resume_run(Resume(what=str(run.path)), tmp_path)
    begun = next(event for event in resumed if isinstance(event, RunStarted))
    assert begun.resumed_from == run.history().epoch > 0
    assert not begun.differences
    list(end(resumed))


def test_a_sweep_is_stopped_as_a_whole(tmp_path: Path) -> None:
    long = replace(RUN, epochs=1000)
    work: Any = on(tmp_path, DIRECT, *(replace(long, seed=seed) for seed in range(4)))
    events: list[Event] = []
    for event in work:
        events.append(event)
        if all("EpochFinished" in told(events, number) for number in (0, 1)):
            break
    events += end(work)
    assert told(events)[-1] == told(events, 1)[-1] == "RunCancelled"
    assert isinstance(ended := events[-1], SweepEnded)
    assert [(run.outcome, bool(run.run)) for run in ended.runs] == [("stopped", True)] * 2 + [("stopped", False)] * 2
    assert len(list(tmp_path.iterdir())) == 2


def test_the_benchmark_prints_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    """Without its kills, on the workers of these tests. Its figures are not checked."""
    ray_sweep.main(["4", "0"])
    lines = capsys.readouterr().out.splitlines()
    for words in ("Ray starts", "first runs, with PyTorch", "4 runs, 2 workers", "own times / 2", "factor"):
        assert any(line.startswith(words) and re.search(r"\d", line.removeprefix(words)) for line in lines), lines


@pytest.mark.parametrize("address", [DIRECT, APART])
def test_a_run_whose_worker_is_killed_is_resumed_bit_for_bit(tmp_path: Path, here: RunFolder, address: str) -> None:
    events: list[Event] = []
    for event in on(tmp_path, address, RUN):
        events.append(event)
        if told(events) == ["RunStarted", "EpochFinished"] and isinstance(event, RunTold) and event.number == 0:
            placed = next(each for each in events if isinstance(each, RunPlaced) and each.number == 0)
            os.kill(placed.process, signal.SIGKILL)
    (lost,) = [event for event in events if isinstance(event, RunLost)]
    run = folder(events, tmp_path)
    assert (lost.run, lost.number) == (run.name, 0)
    same(run, here)
    kinds = [type(event) for event in run.events()]
    assert kinds.count(EpochFinished) == RUN.epochs  # none was trained twice
    assert kinds.count(RunStarted) == 2
    assert kinds[-1] is RunFinished
    again = next(event for event in reversed(run.events()) if isinstance(event, RunStarted))
    assert (again.resumed_from, again.differences) == (lost.epoch, ())
    assert isinstance(ended := events[-1], SweepEnded)
    assert [(each.outcome, each.losses) for each in ended.runs] == [("finished", 1)]


def test_a_run_that_cannot_start_leaves_no_folder(tmp_path: Path) -> None:
    wrong = replace(RUN, device="cuda")
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    *_, ended = on(tmp_path, APART, wrong)
    assert isinstance(ended, SweepEnded)
    assert ended.runs[0].outcome == "refused"
    assert "use --device cpu" in ended.runs[0].reason
    assert not list(tmp_path.iterdir())


def test_a_search_trains_its_choice_with_fresh_seeds(tmp_path: Path) -> None:
    """By halving: at a rate of 1e-9, nothing is learned, so those trials are stopped first."""
    request = SearchOnRay(
        experiment=replace(RUN, epochs=3, train_size=640, seed=7),
        space=("learning-rate=1e-9..1e-1",),
        trials=4,
        parallel=1,
    )
    events = list(search_on_ray(request, tmp_path))
    (found,) = [event for event in events if isinstance(event, SearchEnded)]
    ended = events[-1]
    assert isinstance(ended, SweepEnded)
    assert len(found.trials) == 4
    assert found.chosen == found.trials[0].values
    assert found.val_loss == min(trial.val_loss for trial in found.trials if trial.val_loss is not None)
    assert found.epochs == sum(trial.epochs for trial in found.trials) < 12
    assert [(run.seed, run.outcome) for run in ended.runs] == [(8, "finished")]
    folders = [RunFolder(tmp_path / run.run) for run in ended.runs]
    assert {run.read_record().request.learning_rate for run in folders} == {found.chosen["learning_rate"]}
    (group,) = compare(folders).groups
    assert group.search.startswith(f"halving search over learning rate 1e-09 to 0.1: 4 trials, {found.epochs} epochs, ")


def test_an_address_that_is_none_is_one_line() -> None:
    from engine.cluster import machines

    class Nowhere:
        """Stands for Ray where no cluster has been joined."""

        def init(self, *_: object, **__: object) -> None:
            raise ConnectionError("nothing\nhere")

    def join(address: str) -> None:
        machines._check(address)
        machines._join(Nowhere(), address)

    for address, words in {
        "here": "is HOST:PORT, ray://HOST:PORT or auto, not here",
        "localhost:x": "is HOST:PORT",
        "127.0.0.1:1": "no Ray cluster answers at 127.0.0.1:1 (",
        "ray://127.0.0.1:1": "no Ray cluster answers at ray://127.0.0.1:1 (",
        "auto": "cannot join the Ray cluster at auto: nothing",
    }.items():
        with pytest.raises(RequestError) as error:
            join(address)
        assert words in str(error.value)
        assert "\n" not in str(error.value)
