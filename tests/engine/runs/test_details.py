"""A closer look at one run, and the list with the bundled networks."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.event import to_json
from engine.operations import perform
from engine.paths import PRETRAINED
from engine.request import RequestError
from engine.runs.details import POINTS
from engine.runs.events import RunRead, RunsListed
from engine.runs.finding import pretrained
from engine.runs.requests import BrowseRuns, ListRuns, ReadRun
from engine.training.events import RobustnessCollapsed
from engine.training.requests import Train
from tests.runs import EPOCH_EVENT, STARTED, copies, epoch_line, made, written


def read(what: str, root: Path) -> RunRead:
    (event,) = perform(ReadRun(what=what), root)
    assert isinstance(event, RunRead)
    return event


def test_what_a_folder_tells(tmp_path: Path) -> None:
    (folder,) = copies(tmp_path, 1)
    for what in (folder.name, str(folder.path), "pretrained:cnn"):
        found, history = read(what, tmp_path), pretrained("cnn").history()
        assert history.started is not None
        assert found.request == folder.read_record().request
        assert found.versions == history.started.versions
        assert (found.best, found.last) == (history.best, history.epochs[-1])
        assert found.epochs == tuple(range(1, 16))
        assert found.curves["val_loss"] == tuple(epoch.val_loss for epoch in history.epochs)
        assert to_json(found)
    assert read("pretrained:cnn", tmp_path).run == "pretrained:cnn"


def test_a_run_that_has_not_begun(tmp_path: Path) -> None:
    made(tmp_path, "new", Train(seed=3), [])
    found = read("new", tmp_path)
    assert (found.request.seed, found.best, found.last, found.epochs, found.begun) == (3, None, None, (), "")
    assert (found.device, found.device_name) == ("cpu", "2 threads")


def test_of_many_epochs_some_with_the_best_and_the_last(tmp_path: Path) -> None:
    count = 1001
    lines = [epoch_line(n, val_loss=0.1 if n == 500 else 0.5) for n in range(1, count + 1)]
    made(tmp_path, "long", Train(epochs=count), []).events_file.write_bytes(STARTED + b"".join(lines))
    found = read("long", tmp_path)
    assert {1, 500, count} <= set(found.epochs)
    assert len(found.epochs) <= POINTS + 2
    assert found.epochs == tuple(sorted(found.epochs))
    assert all(len(curve) == len(found.epochs) for curve in found.curves.values())


def test_what_is_no_run(tmp_path: Path) -> None:
    written(tmp_path / "damaged", b"").path.joinpath("request.json").write_bytes(b"{")
    for what in ("nowhere", "damaged", "", "pretrained:vgg"):
        with pytest.raises(RequestError):
            read(what, tmp_path)


def test_the_bundled_networks_come_last(tmp_path: Path) -> None:
    copies(tmp_path, 2)
    (alone,) = perform(ListRuns(), tmp_path)
    (event,) = perform(BrowseRuns(), tmp_path)
    assert isinstance(event, RunsListed)
    assert isinstance(alone, RunsListed)
    assert event.runs[:2] == alone.runs
    assert [run.name for run in event.runs[2:]] == [f"pretrained:{name}" for name in PRETRAINED]
    assert {run.state for run in event.runs[2:]} == {"bundled"}
    # A folder of that name cannot be named in a request.
    copies(tmp_path / "other", 1)[0].path.rename(tmp_path / "pretrained:cnn")
    (event,) = perform(BrowseRuns(), tmp_path)
    assert isinstance(event, RunsListed)
    assert [run.name for run in event.runs].count("pretrained:cnn") == 1


def test_of_a_robust_objective_also_what_it_withstands(tmp_path: Path) -> None:
    run = made(tmp_path, "fgsm", Train(objective="fgsm"), [0.9, 0.92, 0.94], robust=[0.5, 0.6, 0.01])
    run.append(RobustnessCollapsed(run="fgsm", epoch=3, before=0.6, after=0.01))
    found = read("fgsm", tmp_path)
    assert found.curves["robust_accuracy"] == (0.5, 0.6, 0.01)
    assert "certified_accuracy" not in found.curves
    assert found.best is not None
    assert (found.best.epoch, found.best.choice) == (2, "robust accuracy 60.00 %")
    assert found.collapsed is not None
    assert found.collapsed.epoch == 3
    (listed,) = perform(ListRuns(), tmp_path)
    assert isinstance(listed, RunsListed)
    assert (listed.runs[0].robust_accuracy, listed.runs[0].certified_accuracy) == (0.6, None)
    run.append(EPOCH_EVENT)  # it was resumed before its first epoch ended
    assert run.history().collapsed is None
