"""Weights and curves for other programs: what one writes, another reads."""

from __future__ import annotations

import csv
import math
import re
import shutil
import sys
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from engine.benchmark import notebook
from engine.event import to_json
from engine.inspection.events import NetworkSummarised
from engine.inspection.requests import Summarise
from engine.network.checkpoints import load_weights, save_weights
from engine.network.events import WeightsOpened
from engine.network.requests import OpenWeights
from engine.operations import perform
from engine.request import RequestError
from engine.runs.catalogue import summaries
from engine.runs.events import Exported
from engine.runs.finding import pretrained
from engine.runs.folder import RunFolder
from engine.runs.requests import CompareRuns, Export, Import, Resume
from engine.training.requests import Train
from tests.runs import made


def exported(what: str, to: Path, **options: str) -> Exported:
    (event,) = perform(Export(what=what, to=str(to), **options), Path("nowhere"))  # type: ignore[arg-type]
    assert isinstance(event, Exported)
    return event


@pytest.mark.parametrize("variant", ["cnn", "cnn-bn"])
def test_the_notebook_loads_what_is_exported(tmp_path: Path, variant: str) -> None:
    event = exported(f"pretrained:{variant}", tmp_path / "net.pth")
    assert event.path == str(tmp_path / "net.pth")
    theirs = notebook.network(variant == "cnn-bn")
    theirs.load_state_dict(torch.load(tmp_path / "net.pth", weights_only=True))
    exported(str(tmp_path / "net.pth"), tmp_path / "again.safetensors")
    ours, again = (load_weights(path) for path in (pretrained(variant).model_file, tmp_path / "again.safetensors"))
    for key, value in ours.state_dict().items():
        assert torch.equal(value, theirs.state_dict()[key])
        assert torch.equal(value, again.state_dict()[key])


def test_the_best_weights(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"no file best.safetensors"):
        exported("pretrained:cnn", tmp_path / "best.pth", weights="best")
    run = tmp_path / "run"
    run.mkdir()
    for name in ("request.json", "events.jsonl", "model.safetensors"):
        shutil.copy(pretrained("cnn").path / name, run / name)
    shutil.copy(pretrained("cnn-bn").model_file, run / "best.safetensors")
    exported(str(run), tmp_path / "best.pth", weights="best")
    assert load_weights(tmp_path / "best.pth").architecture.batch_norm
    exported(str(run), tmp_path / "last.pth")
    assert not load_weights(tmp_path / "last.pth").architecture.batch_norm


def test_curves(tmp_path: Path) -> None:
    exported("pretrained:cnn", tmp_path / "curves.csv")
    with (tmp_path / "curves.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    epochs = pretrained("cnn").history().epochs
    assert [int(row["epoch"]) for row in rows] == [epoch.epoch for epoch in epochs]
    for name in ("train_loss", "val_loss", "val_accuracy", "test_accuracy", "train_seconds"):
        assert [float(row[name]) for row in rows] == [getattr(epoch, name) for epoch in epochs]


def test_an_epoch_whose_loss_is_null_is_left_out(tmp_path: Path) -> None:
    """Other programs write it for a loss that was no number: it is a value neither to plot nor to be the best."""
    run = tmp_path / "diverged"
    run.mkdir()
    for name in ("request.json", "model.safetensors"):
        shutil.copy(pretrained("cnn").path / name, run / name)
    lines = (pretrained("cnn").path / "events.jsonl").read_text().splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if '"epoch":4,' in line)
    lines[at] = re.sub(r'"val_loss":[^,]+', '"val_loss":null', lines[at])
    (run / "events.jsonl").write_text("".join(lines))
    exported(str(run), tmp_path / "curves.csv")
    with (tmp_path / "curves.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, *range(5, 16)]
    assert all(math.isfinite(float(value)) for row in rows for value in row.values())
    (found,) = summaries(tmp_path)
    assert found.name == "diverged"
    assert found.val_loss == min(float(row["val_loss"]) for row in rows)
    (compared,) = perform(CompareRuns(what=(str(run), "pretrained:cnn")), tmp_path)
    assert b"NaN" not in to_json(compared)


@pytest.mark.filterwarnings("ignore")
def test_tensorboard(tmp_path: Path) -> None:
    exported("pretrained:cnn", tmp_path / "board")
    board = EventAccumulator(str(tmp_path / "board"))
    board.Reload()
    epochs = pretrained("cnn").history().epochs
    assert set(board.Tags()["scalars"]) == {
        "loss/train",
        "loss/val",
        "accuracy/val",
        "accuracy/test",
        "images_per_second",
    }
    points = board.Scalars("loss/val")
    assert [point.step for point in points] == [epoch.epoch for epoch in epochs]
    assert [point.value for point in points] == pytest.approx([epoch.val_loss for epoch in epochs])


@pytest.mark.filterwarnings("ignore")
def test_what_was_measured_of_the_layers(trained: RunFolder, tmp_path: Path) -> None:
    exported(str(trained.path), tmp_path / "board")
    exported(str(trained.path), tmp_path / "curves.csv")
    board = EventAccumulator(str(tmp_path / "board"), size_guidance={"histograms": 0})
    board.Reload()
    with (tmp_path / "curves.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    epochs = trained.history().epochs
    assert {tag for tag in board.Tags()["histograms"] if tag.startswith("conv1/")} == {
        "conv1/weights",
        "conv1/gradients",
        "conv1/activations",
    }
    assert len(board.Tags()["histograms"]) == 12
    for number, epoch in enumerate(epochs):
        assert epoch.insides is not None
        for layer in epoch.insides.layers:
            point = board.Histograms(f"{layer.layer}/weights")[number]
            found, bins = point.histogram_value, layer.weights.bins()
            assert point.step == epoch.epoch
            assert found.bucket_limit == [high for _, high, _ in bins]
            assert found.bucket == [count for _, _, count in bins]
            assert found.num == layer.weights.total
            assert math.sqrt(found.sum_squares) == pytest.approx(layer.weight_norm, rel=0.05)  # known by bins
            for name in ("weight_norm", "gradient_norm", "update_norm", "update_ratio", "dead"):
                value = getattr(layer, name)
                if value is None:
                    assert f"{layer.layer}_{name}" not in rows[number]
                else:
                    assert float(rows[number][f"{layer.layer}_{name}"]) == value
                    assert board.Scalars(f"{layer.layer}/{name}")[number].value == pytest.approx(value)
        assert float(rows[number]["gradient_variance"]) == epoch.insides.gradient_variance


@pytest.mark.filterwarnings("ignore")
def test_a_folder_of_tensorboard_holds_one_curve_a_run(tmp_path: Path) -> None:
    to, other = tmp_path / "lr-0.001", pretrained("cnn-bn")
    for _ in range(2):
        assert exported("pretrained:cnn", to).path == str(to)
        assert exported("pretrained:cnn-bn", to).path == str(to / other.name)
    assert len(list(to.rglob("events.out.tfevents.*"))) == 2
    for folder, variant in ((to, "cnn"), (to / other.name, "cnn-bn")):
        board = EventAccumulator(str(folder))
        board.Reload()
        losses = [epoch.val_loss for epoch in pretrained(variant).history().epochs]
        assert [point.value for point in board.Scalars("loss/val")] == pytest.approx(losses)


@pytest.mark.filterwarnings("ignore")
def test_curves_of_others_are_never_replaced(tmp_path: Path) -> None:
    """Neither those of a run whose name ends like this one's, nor any program's whose files end in its name."""
    shutil.copytree(pretrained("cnn").path, tmp_path / "5")
    others = ("events.out.tfevents.17.host.1.5", "events.out.tfevents.17.host.1.0.mnist-tui.lr-0.5")
    for number, name in enumerate(others):
        (to := tmp_path / f"board{number}").mkdir()
        (to / name).touch()
        for _ in range(2):
            assert exported(str(tmp_path / "5"), to).path == str(to / "5")
        assert (to / name).exists()
        assert len(list((to / "5").iterdir())) == 1


def test_the_name_of_an_imported_file_may_be_no_text(tmp_path: Path) -> None:
    exported("pretrained:cnn", tmp_path / "net.pth")
    file = (tmp_path / "net.pth").rename(tmp_path / "caf\udce9.pth")
    *_, event = perform(Import(what=str(file), name="net"), tmp_path / "runs")
    assert isinstance(event, Exported)
    assert summaries(tmp_path / "runs")[0].note == r"imported from caf\xe9.pth"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["lr-0.001", "runs.v2", "curves/", "old.runs/", "there.zip"])
def test_names_of_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.zip").mkdir()
    (event,) = perform(Export(what="pretrained:cnn", to=name), tmp_path)
    assert isinstance(event, Exported)
    assert Path(event.path) == Path(name)
    assert list(Path(name).glob("events.out.tfevents.*"))


def test_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exported("pretrained:cnn", weights := tmp_path / "net.pth")
    for what, to, words in (
        ("pretrained:cnn", tmp_path / "x.zip", "must end in .pth, .safetensors or .csv"),
        ("pretrained:cnn", Path("-"), "export cannot write to standard output"),
        (str(weights), tmp_path / "x.csv", "is a weights file, which has no curves"),
        ("pretrained:cnn", tmp_path / "no" / "x.pth", "cannot write"),
        ("nowhere", tmp_path / "x.pth", "is not a run folder"),
    ):
        with pytest.raises(RequestError, match=words) as caught:
            exported(what, to)
        assert "\n" not in str(caught.value)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard.writer", None)
    with pytest.raises(RequestError, match="pip install"):
        exported("pretrained:cnn", tmp_path / "board")


def test_a_notebooks_file_becomes_a_run(tmp_path: Path) -> None:
    torch.save(notebook.network(batch_norm=True).state_dict(), tmp_path / "net.pth")
    root = tmp_path / "runs"
    (event,) = perform(Import(what=str(tmp_path / "net.pth"), name="the notebook's"), root)
    assert isinstance(event, Exported)
    assert event.path == str(root / "the notebook's")
    (run,) = summaries(root)
    assert (run.name, run.state, run.variant, run.epochs) == ("the notebook's", "imported", "cnn-bn", 0)
    assert run.note == "imported from net.pth"
    *_, found = perform(Summarise(what="the notebook's"), root)
    assert isinstance(found, NetworkSummarised)
    with pytest.raises(RequestError, match="was not trained here"):
        list(perform(Resume(what="the notebook's"), root))
    list(perform(Import(what=str(tmp_path / "net.pth")), root))
    assert len(summaries(root)) == 2


def test_imports_that_are_none(tmp_path: Path) -> None:
    model = load_weights(pretrained("cnn").model_file)
    with torch.no_grad():
        model.get_parameter("fc.3.bias")[:2] = float("nan")
    save_weights(tmp_path / "nan.pth", model)
    (tmp_path / "broken.pth").write_bytes(b"no weights")
    exported("pretrained:cnn", tmp_path / "good.pth")
    for request, words in (
        (Import(what=str(tmp_path / "nan.pth")), "2 of its weights are not finite"),
        (Import(what=str(tmp_path / "broken.pth")), "is a text file"),
        (Import(what=str(tmp_path / "nothing.pth")), "there is no file"),
        (Import(what="pretrained:cnn"), "there is no file pretrained:cnn"),
        (Import(what=str(tmp_path / "good.pth"), name="a/b"), "must be a folder name"),
    ):
        with pytest.raises(RequestError, match=words) as caught:
            list(perform(request, tmp_path / "runs"))
        assert "\n" not in str(caught.value)
    assert summaries(tmp_path / "runs") == []
    with pytest.raises(RequestError, match="no weights file is given"):
        Import()
    (event,) = perform(OpenWeights(path=str(tmp_path / "nan.pth")), tmp_path)
    assert isinstance(event, WeightsOpened)
    assert event.damaged == 2


@pytest.mark.filterwarnings("ignore")
def test_robust_and_certified_accuracy_are_exported_where_there_are_any(tmp_path: Path) -> None:
    request = Train(objective="ibp", epochs=3)
    run = made(tmp_path, "proved", request, [0.9, 0.92, 0.94], robust=[0.5, 0.6, 0.7], certified=[0.3, 0.5, 0.4])
    exported(str(run.path), tmp_path / "curves.csv")
    with (tmp_path / "curves.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["robust_accuracy"]) for row in rows] == [0.5, 0.6, 0.7]
    assert [float(row["certified_accuracy"]) for row in rows] == [0.3, 0.5, 0.4]
    exported("pretrained:cnn", tmp_path / "plain.csv")
    assert "robust" not in (tmp_path / "plain.csv").read_text()
    exported(str(run.path), tmp_path / "board")
    board = EventAccumulator(str(tmp_path / "board"))
    board.Reload()
    assert [point.value for point in board.Scalars("accuracy/robust")] == pytest.approx([0.5, 0.6, 0.7])
    assert [point.value for point in board.Scalars("accuracy/certified")] == pytest.approx([0.3, 0.5, 0.4])
