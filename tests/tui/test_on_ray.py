"""Sweeps on Ray from the command line and the app, whose workers only say what they do. Does not need Ray."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from engine.cluster import sweep
from engine.cluster.events import (
    ClusterStarted,
    RunLost,
    RunOutcome,
    RunPlaced,
    RunRefused,
    RunState,
    RunTold,
    SearchAdvanced,
    SearchEnded,
    SweepAdvanced,
    SweepEnded,
    Trial,
)
from engine.cluster.requests import SearchOnRay, TrainOnRay, planned
from engine.event import Cancelled, Event
from engine.request import Request, RequestError
from engine.training.events import (
    BatchTrained,
    RunCancelled,
    RunFailed,
    RunFinished,
)
from engine.training.requests import Train
from tests.runs import EPOCH_EVENT as EPOCH
from tests.runs import STARTED_EVENT as STARTED
from tests.tui.driving import Call
from tui.workspace import Notice, Workspace

BATCH = BatchTrained(epoch=1, epochs=2, step=1, steps=9, images_per_second=1000.0, running_loss=(2.0,))
FINISHED = RunFinished(run="x", best_epoch=1, best_val_loss=0.5, test_accuracy=0.5, last_test_accuracy=0.5)
BEGUN = ClusterStarted(machines=2, cores=16.0, gpus=1.0, address="box:6379", direct=False, seconds=2.0)
Script = list[Event | Exception]


def told(number: int, *events: Event) -> list[Event]:
    return [RunTold(number=number, run="x", event=event) for event in events]


def ended(*outcomes: Any, **fields: Any) -> SweepEnded:
    runs = (RunOutcome(number=n, seed=n, run="x", outcome=each, **fields) for n, each in enumerate(outcomes))
    return SweepEnded(runs=tuple(runs), seconds=3.0)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> tuple[Script, list[Request]]:
    """The events of the next sweep, and the requests for sweeps so far."""
    events: Script = []
    asked: list[Request] = []

    def train_on_ray(request: TrainOnRay, _: Path) -> Generator[Event, None, None]:
        asked.append(request)
        try:
            for event in events:
                if isinstance(event, Exception):
                    raise event
                yield event
        except Cancelled:
            yield ended(*["stopped"] * len(request.runs))

    monkeypatch.setattr(sweep, "train_on_ray", train_on_ray)
    return events, asked


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("on=ray", TrainOnRay(runs=(Train(),))),
        (
            "seeds=2 on=ray parallel=3 address=box:1 shared=yes",
            TrainOnRay(runs=(Train(), Train(seed=1)), address="box:1", parallel=3, shared=True),
        ),
        ("", [Train()]),
        ("seeds=2 on=here", [Train(), Train(seed=1)]),
    ],
)
def test_a_line_says_where_to_train(text: str, wanted: object) -> None:
    assert planned(Train(), text) == wanted


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("on=mars", "on must be here or ray, not mars"),
        ("parallel=2", "parallel is only for Ray: add on=ray"),
        ("on=ray parallel=many", "parallel must be a whole number"),
        ("on=ray shared=perhaps address=auto", "shared must be yes or no"),
        ("on=ray shared=yes", "without an address"),
        ("on=ray seeds=0", "seeds must be at least 1"),
        ("on=ray device=cuda:1", "Ray chooses the GPU: use --device cuda"),
    ],
)
def test_a_wrong_line_is_refused(text: str, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        planned(Train(), text)


def test_the_command_line_asks_for_a_sweep(call: Call, script: tuple[Script, list[Request]]) -> None:
    events, asked = script
    events += [BEGUN, *told(0, STARTED, EPOCH, FINISHED), *told(1, STARTED, EPOCH, FINISHED)]
    events += [ended("finished", "finished", val_loss=0.5, test_accuracy=0.5, epochs=1)]
    code, out, err = call("train", "--on", "ray", "--seeds", 2, "--address", "box:6379", "--parallel", 5, "--shared")
    assert (code, err) == (0, "")
    assert asked == [TrainOnRay(runs=(Train(), Train(seed=1)), address="box:6379", parallel=5, shared=True)]
    lines = out.splitlines()
    assert lines[0] == "joined the Ray cluster at box:6379 in 2.0 s: 2 machines, 16 cores, 1 GPU, 2 runs"
    assert lines[1].startswith("seed 0: epoch 1/1, train loss 0.5000, val loss 0.5000, test 50.00 %")
    assert lines[2] == "seed 0: finished, best validation loss 0.5000 in epoch 1, test 50.00 %"
    (row,) = (line.split() for line in lines if line.startswith("seed 1  x"))
    assert row == ["seed", "1", "x", "finished", "1", "0.5000", "50.00", "%", "0", "s"]


def test_failures_are_told_and_listed(call: Call, script: tuple[Script, list[Request]]) -> None:
    events, _ = script
    events += [BEGUN, RunLost(number=0, run="x", epoch=2, reason="its process ended")]
    events += [*told(0, FINISHED), *told(1, RunFailed(run="x", reason="diverged"))]
    events += [RunRefused(number=2, run="", reason="no room", bad_request=True)]
    events += [ended("finished", "failed", "refused", reason="why not")]
    code, out, err = call("train", "--on", "ray", "--seeds", 3)
    assert code == 1
    assert "seed 0: its worker died (its process ended): it is resumed after epoch 2 elsewhere" in out
    assert "seed 1: failed: diverged" in out
    assert "seed 2: no room" in out
    assert "2 of 3 runs failed:" in err
    assert err.count("why not") == 2


def test_lines_of_json_have_their_run(call: Call, script: tuple[Script, list[Request]]) -> None:
    events, _ = script
    events += [BEGUN, RunPlaced(number=0, run="", machine="box", process=7), *told(0, STARTED, EPOCH, FINISHED)]
    events += [SweepAdvanced(active=(RunState(0, "x", BATCH),), waiting=0, ended=0)]
    events += [RunRefused(number=0, run="x", reason="no\nroom", bad_request=False), ended("finished", "finished")]
    code, out, err = call("train", "--on", "ray", "--seeds", 2, "--json")
    assert code == 0
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["type"] for line in lines] == [
        *("ClusterStarted", "RunPlaced", "RunStarted", "EpochFinished", "RunFinished", "SweepEnded")
    ]
    assert lines[3]["run"] == "x"
    assert lines[3]["val_loss"] == 0.5
    assert err == "mnist-tui: run 1 of 2: seed 0: no\\x0aroom\n"


def test_where_no_run_can_begin_for_one_reason_the_input_was_wrong(
    call: Call, script: tuple[Script, list[Request]]
) -> None:
    events, _ = script
    events += [RunRefused(number=number, run="", reason="no GPU", bad_request=True) for number in (0, 1)]
    events += [ended("refused", "refused")]
    code, _, err = call("train", "--on", "ray", "--seeds", 2, "--json")
    assert code == 2
    assert err.splitlines()[-1] == "mnist-tui: no GPU"


def test_a_figure_of_a_single_run(call: Call, script: tuple[Script, list[Request]], tmp_path: Path) -> None:
    script[0].extend([*told(0, STARTED, EPOCH, FINISHED), ended("finished")])
    code, out, _ = call("train", "--on", "ray", "--png", "curves.png")
    assert code == 0
    assert out.endswith("wrote curves.png\n")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_search_shows_its_trials_and_what_it_chose(
    call: Call, script: tuple[Script, list[Request]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def search_on_ray(request: SearchOnRay, root: Path) -> Generator[Event, None, None]:
        asked.append(request)
        yield from events  # type: ignore[misc]

    monkeypatch.setattr("engine.cluster.search.search_on_ray", search_on_ray)
    events, asked = script
    trials = tuple(
        Trial(values={"learning_rate": 0.001 * n, "shift": n}, epochs=n, val_loss=0.1 * n, seconds=60.0)
        for n in range(1, 13)
    )
    events += [BEGUN, SearchAdvanced(done=1, trials=12, epochs=5, val_loss=0.1, values={"shift": 1})]
    events += [
        SearchEnded(
            method="random",
            space=("shift 0 to 3",),
            trials=(*trials, Trial(values={"learning_rate": 1.0, "shift": 0}, epochs=1, val_loss=None, seconds=0.0)),
            chosen=trials[0].values,
            val_loss=0.1,
            epochs=79,
            seconds=720.0,
            elapsed=120.0,
        )
    ]
    events += [*told(0, STARTED, FINISHED), ended("finished", "finished")]
    space = ("--search-space", "learning-rate=1e-3..1e-1", "shift=0..3")
    options = ("--search", "random", *space, "--trials", 13, "--seeds", 2, "--epochs", 3)
    code, out, err = call("train", "--on", "ray", *options)
    assert (code, err) == (0, "")
    assert asked == [
        SearchOnRay(
            experiment=Train(epochs=3),
            method="random",
            space=("learning-rate=1e-3..1e-1", "shift=0..3"),
            trials=13,
            seeds=2,
        )
    ]
    assert "0.001      1       1    0.1000  1 min 00 s" in out
    cost = "13 trials, 79 epochs, 12 min 00 s of training in 2 min 00 s, and 3 trials with a higher loss"
    assert f"chosen: learning rate 0.001, shift 1; {cost}" in out
    assert "seed 1: finished" in out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--parallel", 2], "--address, --parallel and --shared are for Ray: add --on ray"),
        (["--on", "mars"], "--on"),
        (["--on", "ray", "--parallel", "-1"], "parallel must be"),
        (["--on", "ray", "--shared"], "without an address Ray is started here"),
        (["--search", "random"], "a search is done on Ray: add --on ray"),
        (["--on", "ray", "--search", "random"], "name the fields to search, for example --search-space"),
        (["--on", "ray", "--search-space", "shift=0..2"], "add --search random or --search halving"),
        (["--on", "ray", "--trials", "3"], "add --search random or --search halving"),
        (["--on", "ray", "--search", "halving", "--search-space", "shift=0..2", "--detach"], "drop --detach"),
        (["--sweep", "foo=1"], "foo is no field to sweep over: choose from "),
        (["--sweep", "on=ray"], "on is for a sweep on Ray: use mnist-tui train --on ray"),
        (["--on", "ray", "--search", "halving", "--search-space", "shift=2..0"], "give the lower bound first"),
        (
            ["--on", "ray", "--search", "halving", "--search-space", "shift=0..2", "--sweep", "rotate=1,2"],
            "a search and a sweep over values exclude each other",
        ),
    ],
)
def test_wrong_options_are_one_line(call: Call, options: list[object], words: str) -> None:
    code, out, err = call("train", *options)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err


def test_without_the_package_a_line_says_how_to_install_it(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ray" else found(name))
    code, out, err = call("train", "--on", "ray")
    assert (code, out) == (2, "")
    assert err == "mnist-tui: training on Ray needs the package ray: pip install 'ray[tune]'\n"


@pytest.fixture
def sweeping(script: tuple[Script, list[Request]], tmp_path: Path) -> Generator[Callable[..., list[Notice]]]:
    """Trains two runs on Ray in a workspace, with these events; returns what the user is told."""
    workspace = Workspace(tmp_path)

    def swept(*events: Event | Exception, stop: bool = False) -> list[Notice]:
        notices: list[Notice] = []
        workspace.tell = notices.append
        script[0][:] = events
        workspace.train_on_ray(TrainOnRay(runs=(Train(), Train(seed=1))))
        (job,) = workspace.sweeps.jobs
        assert workspace.sweeps.told() == "on Ray: starting"
        if stop:
            workspace.stop_sweeps()
            assert workspace.sweeps.told() == "on Ray: stopping"
        assert job.wait(20)
        workspace.take_in()
        assert workspace.training is None
        assert workspace.sweeps.told() == ""
        return notices

    yield swept
    workspace.close()


def test_the_app_tells_what_matters(sweeping: Callable[..., list[Notice]]) -> None:
    notices = sweeping(
        BEGUN,
        *told(0, STARTED, EPOCH, FINISHED),
        RunLost(number=1, run="x", epoch=0, reason="its machine stopped"),
        *told(1, RunFailed(run="x", reason="diverged")),
        RunRefused(number=1, run="", reason="no room", bad_request=True),
        ended("finished", "failed", val_loss=0.5, test_accuracy=0.5),
    )
    assert [(each.title, each.words, each.severity) for each in notices] == [
        ("", "starting Ray for 2 runs", "information"),
        ("joined box:6379", "2 runs on 16 cores, 1 GPU: screen 8 shows them", "information"),
        ("seed 1 lost", "its machine stopped: it is begun again elsewhere", "warning"),
        ("seed 1 failed", "diverged", "error"),
        ("seed 1 failed", "no room", "error"),
        (
            "the sweep on Ray has ended",
            "1 finished, 1 failed; lowest validation loss 0.5000 by x, test 50.00 %, in 3 s",
            "error",
        ),
    ]


def test_a_sweep_that_cannot_begin(sweeping: Callable[..., list[Notice]]) -> None:
    _, notice = sweeping(RequestError("nothing answers"))
    assert (notice.title, notice.words, notice.severity) == ("no sweep on Ray", "nothing answers", "error")


def test_a_sweep_can_be_stopped_whole(sweeping: Callable[..., list[Notice]]) -> None:
    """Before it begins, or after its first event."""
    notices = sweeping(BEGUN, *told(0, STARTED), ended("finished", "finished"), stop=True)
    assert all("finished" not in notice.words for notice in notices)


def test_what_the_sweep_under_way_does() -> None:
    from engine.lab import Job
    from engine.operations import OPERATIONS
    from tui.sweeps import Sweeps

    sweeps = Sweeps()
    job = Job(TrainOnRay(runs=tuple(Train(seed=seed) for seed in range(9))), OPERATIONS[TrainOnRay])
    sweeps.jobs.append(job)
    assert sweeps.hear(job, SweepAdvanced(active=(), waiting=4, ended=3)) is None
    assert sweeps.told() == "on Ray: 4 waiting, 2 running, 3 ended"
    assert sweeps.hear(job, told(0, RunCancelled(run="x", epoch=1))[0]) is None
    assert sweeps.hear(job, ended(*["stopped"] * 9)) is not None
    sweeps.forget(job)
    assert sweeps.told() == ""
