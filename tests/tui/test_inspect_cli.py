"""Inspection of networks on the command line: tables for people, JSON lines, `.npz` and `.png`."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from rich.console import Console

from engine.attribution.requests import Attribute, MethodName, Occlude
from engine.data.datasets import Dataset
from engine.event import Event
from engine.figures.events import FigureSaved
from engine.figures.requests import DrawFigure
from engine.inspection.events import DigitsShown, NetworkSummarised, SplitEvaluated
from engine.inspection.requests import Evaluate, ShowActivations, ShowDigits, ShowFilters, Summarise
from engine.network.checkpoints import load_weights
from engine.network.events import NetworkEvent
from engine.operations import OPERATIONS, Entry, perform
from engine.request import Request, RequestError
from engine.runs.finding import pretrained
from engine.runs.folder import RunFolder
from engine.runs.history import RunHistory
from engine.training.events import BatchEvaluated, EpochFinished, RunFinished, RunStarted
from engine.training.requests import Train
from tests.tui.driving import CNN, Call, lines
from tui.cli import main as cli
from tui.cli import runner as output
from tui.cli.arguments import ArrayOutput, TrainOutput, parse
from tui.cli.saving import result_arrays
from tui.cli.tables import results as tables

METHODS = get_args(MethodName)
COMMANDS = ("summary", "evaluate", "digits", "filters", "activations", "occlude", "attribute")


# Requests.


def test_what_is_asked_for_becomes_a_request() -> None:
    def asked(word: str, *arguments: str) -> Request:
        return parse(cli.COMMANDS[word].request, ArrayOutput, f"mnist-tui {word}", arguments)[0]

    assert asked("summary") == Summarise()
    assert asked("summary", "runs/one") == Summarise(what="runs/one")
    assert asked("evaluate", "--split", "val", "net.pth", "--device", "cpu") == Evaluate(
        what="net.pth", split="val", device="cpu"
    )
    assert asked("digits", "--digit", "8", "--order", "mistakes", "--count", "3", "--seed", "5") == ShowDigits(
        digit=8, order="mistakes", count=3, seed=5
    )
    assert asked("digits", "--digit", "-1") == ShowDigits()
    assert asked("filters", CNN, "--layer", "conv2", "--epoch", "3") == ShowFilters(what=CNN, layer="conv2", epoch=3)
    assert asked("activations", "--survey", "--layer", "conv2", "--index", "7", "--dataset", "kmnist") == (
        ShowActivations(survey=True, layer="conv2", index=7, dataset="kmnist")
    )
    assert asked("occlude", "--baseline", "0.15", CNN) == Occlude(what=CNN, baseline="0.15")
    assert asked("occlude", "--patch-size", "4", "--stride", "2", "--baseline", "one", "--watch", "3", CNN) == Occlude(
        what=CNN, patch_size=4, stride=2, baseline="one", watch="3"
    )
    assert asked("attribute", CNN, "--method", "integrated-gradients", "--digits", "5", "--randomise") == Attribute(
        what=CNN, method="integrated-gradients", digits=5, randomise=True
    )


def test_where_results_go() -> None:
    arguments = ("--json", "--npz", "a.npz", "--png", "b.png", "--runs", "elsewhere")
    assert parse(Summarise, ArrayOutput, "mnist-tui summary", arguments)[1] == ArrayOutput(
        json=True, npz=Path("a.npz"), png=Path("b.png"), runs=Path("elsewhere")
    )
    assert parse(Summarise, ArrayOutput, "mnist-tui summary", ())[1] == ArrayOutput()
    assert parse(Train, TrainOutput, "mnist-tui train", ("--png", "b.png"))[1] == TrainOutput(png=Path("b.png"))


@pytest.mark.parametrize("word", COMMANDS)
def test_each_command_has_help(call: Call, word: str) -> None:
    _, usage, _ = call("--help")
    assert f"  {word} " in usage
    code, out, err = call(word, "--help")
    assert (code, err) == (0, "")
    for name in ("[WHAT]", "--json", "--npz FILE", "--png FILE", "--runs", "--device"):
        assert name in out
    if word == "digits":
        assert "from 1 to 10000" in " ".join(out.replace("│", " ").split())


# For people.


def test_summary_is_the_notebooks(call: Call) -> None:
    code, out, err = call("summary", CNN)
    assert (code, err) == (0, "")
    rows = [" ".join(line.split()) for line in out.splitlines()]
    assert rows[0] == "pretrained:cnn cnn, epoch 15"
    assert "conv1 [BS,1,28,28] [BS,32,28,28] 320 25,088 225,792 3" in rows
    assert "maxpool2 [BS,32,14,14] [BS,32,7,7] . . . 10" in rows
    assert "fc1 [BS,1568] [BS,500] 784,500 500 784,000 28" in rows
    assert "Convolutional layers parameters: 9,568" in rows
    assert "Fully connected layers parameters: 789,510" in rows
    assert "Total trainable parameters: 799,078" in rows
    assert "Total neurons: 31,870" in rows
    assert "statistics" not in out
    assert max(map(len, out.splitlines())) <= 80
    assert "Running statistics of batch norm (not trained): 1,128" in call("summary", "pretrained:cnn-bn")[1]


def test_evaluation_shows_the_confusion_matrix(call: Call) -> None:
    (event,) = lines(call, "evaluate", CNN)
    code, out, err = call("evaluate", CNN)
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    head = rows.index(["actual", *map(str, range(10)), "accuracy"])
    for actual, row in enumerate(rows[head + 1 : head + 11]):
        assert row[0] == str(actual)
        assert [0 if count == "." else int(count) for count in row[1:11]] == event["confusion"][actual]
        assert float(row[11]) == pytest.approx(100 * event["class_accuracy"][actual], abs=0.005)
    mistakes = round(400 * (1 - event["accuracy"]))
    assert f"400 images, loss {event['loss']:.4f}" in out
    assert f"{mistakes} mistakes" in out


def test_digits_mark_the_mistakes(call: Call) -> None:
    (event,) = lines(call, "digits", CNN, "--count", 400)
    code, out, _ = call("digits", CNN, "--count", 400)
    assert code == 0
    rows = [line.split() for line in out.splitlines()]
    found = rows[rows.index(["index", "actual", "predicted", "probability"]) + 1 :]
    assert [[int(word) for word in row[:3]] for row in found] == [
        [digit["index"], digit["actual"], digit["predicted"]] for digit in event["digits"]
    ]
    assert [row[-1] == "incorrect" for row in found] == [d["actual"] != d["predicted"] for d in event["digits"]]
    _, out, _ = call("digits", CNN, "--order", "mistakes", "--digit", 1)
    assert "class 1 only: mistakes, the most confident first" in out


def test_filters_of_an_epoch(call: Call) -> None:
    (event,) = lines(call, "filters", CNN, "--layer", "conv2", "--epoch", 3)
    code, out, _ = call("filters", CNN, "--layer", "conv2", "--epoch", 3)
    assert code == 0
    assert "cnn, epoch 3\n" in out
    assert f"conv2: 32 x 32 x 3 x 3 weights, {event['minimum']:.4f} to {event['maximum']:.4f}\n" in out
    assert "epochs kept: 0 to 15\n" in out
    rows = [line.split() for line in out.splitlines()]
    shown = rows[rows.index(["channel", "L2", "norm"]) + 1 :]
    order = sorted(range(32), key=lambda channel: -event["norms"][channel])
    assert [row[0] for row in shown] == [*map(str, order[:5]), "...", *map(str, order[-5:])]
    assert shown[0] == [str(order[0]), f"{event['norms'][order[0]]:.4f}"]


def test_activations_and_the_survey(call: Call) -> None:
    code, out, _ = call("activations", CNN)
    assert code == 0
    assert "image 61: actual 8, predicted 8 (" in out
    assert "wrong" not in out
    assert "over the" not in out
    _, surveyed = lines(call, "activations", CNN, "--survey")
    _, out, _ = call("activations", CNN, "--survey")
    assert "over the 400 images of mnist test:\n" in out
    for layer in ("conv1", "conv2"):
        dead = surveyed[layer]["dead"]
        words = f"{len(dead)} dead: {', '.join(map(str, dead))}" if dead else "none dead"
        assert f"{layer}: 32 channels, {words}\n" in out
    best = max((found for found in surveyed["conv1"]["strongest"] if found), key=lambda found: found[0]["value"])[0]
    wanted = [f"{best['value']:.4f}", str(best["row"]), str(best["column"]), str(best["index"])]
    assert wanted in [line.split()[1:] for line in out.splitlines()]


def test_occlusion_says_where_it_hurts(call: Call) -> None:
    code, out, err = call("occlude", CNN, "--average", "2")
    assert (code, err) == (0, "")
    (event, mean) = lines(call, "occlude", CNN, "--average", "2")
    assert out.startswith("pretrained:cnn  cnn, epoch 15, mnist test\n")
    at = "row {}, column {}".format(*event["minimum_at"])
    assert f"image 61: actual 8, predicted 8, p(8) {event['unoccluded_probability']:.2%}".replace("%", " %") in out
    assert f"p(8) from {event['minimum']:.4f} at {at} to {event['maximum']:.4f}" in out
    assert f"patch 8x8, filled with 0, stride 1: {event['computed']} positions in " in out
    assert f"over strokes: {event['strokes']['positions']:.2%} of the positions".replace("%", " %") in out
    assert f"mean over 2 of the {mean['matching']} images of class 8" in out


def test_attributions_and_what_they_are_worth(call: Call) -> None:
    arguments = ("attribute", CNN, "--digits", "2", "--randomise", "--stride", "5", "--samples", "4", "--steps", "6")
    code, out, err = call(*arguments)
    assert (code, err) == (0, "")
    (event, mean) = lines(call, *arguments)
    rows = [line.split() for line in out.splitlines()]
    for each in event["faithfulness"]:
        assert [each["method"], f"{each['deletion']['area']:.3f}", f"{each['insertion']['area']:.3f}"] in rows
    for each in mean["faithfulness"]:
        first = [each["method"], f"{each['deletion']['area']:.3f}", "±", f"{each['deletion']['area_spread']:.2f}"]
        (row,) = (row for row in rows if row[:4] == first)
        change = each["change"]
        assert row[7:] == ([] if each["method"] == "random" else ["-" if change is None else f"{change:.2f}"])
    total, difference = event["faithfulness"][3]["completeness"]
    wanted = f"map sums to {total:.4f}, logit difference {difference:.4f}, error {abs(total - difference):.4f}"
    assert wanted in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("occlude", "--index", "400"), "index 400 is beyond the 400 images of the test split: the last is 399"),
        (("occlude", "--patch-size", "28"), "patch size must be a whole number from 1 to 27, not 28"),
        (("occlude", "--patch-size", "0"), "patch size must be a whole number from 1 to 27, not 0"),
        (("occlude", "--stride", "0"), "stride must be a whole number from 1 to 27, not 0"),
        (
            ("occlude", "--baseline", "red"),
            "baseline must be zero, mean, one, noise, or a number from 0 to 1 such as 0.5, not 'red'",
        ),
        (("occlude", "--watch", "10"), "invalid choice '10' for argument '--watch'"),
        (("attribute", "--method", "lime"), "invalid choice 'lime' for argument '--method'"),
        (("attribute", "--noise", "0"), "noise must be a number more than 0 and at most 1, not 0.0"),
        (("attribute", "--index", "-1"), "index must be a whole number at least 0, not -1"),
        (("attribute", "none.pth"), "there is no file none.pth"),
        (("attribute", "--randomise"), "randomise is measured over many images: set digits too, for example to 16"),
    ],
)
def test_bad_questions_are_one_line(call: Call, arguments: tuple[str, ...], words: str) -> None:
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"mnist-tui: {words}")
    assert err.count("\n") == 1


def test_weights_of_another_shape_are_one_line(call: Call, tmp_path: Path) -> None:
    import torch

    from engine.network.checkpoints import load_weights
    from engine.runs.finding import pretrained

    state = load_weights(pretrained("cnn").model_file).state_dict() | {"conv2.0.bias": torch.zeros(3)}
    torch.save(state, tmp_path / "odd.pth")
    for word in ("occlude", "attribute"):
        code, out, err = call(word, "odd.pth")
        assert (code, out) == (2, "")
        assert err.startswith("mnist-tui: odd.pth holds a different network: conv2.0.bias is (3,), expected (32,)")
        assert err.count("\n") == 1


def test_weights_that_are_no_numbers_are_said_to_be(call: Call, tmp_path: Path) -> None:
    import torch

    from engine.network.checkpoints import load_weights
    from engine.runs.finding import pretrained

    state = load_weights(pretrained("cnn").model_file).state_dict()
    state["fc.3.bias"][3] = torch.nan
    torch.save(state, tmp_path / "nan.pth")
    code, out, err = call("occlude", "nan.pth", "--average", "2", "--stride", "9")
    assert (code, err) == (0, "")
    assert out.count("the network outputs no finite numbers: its weights are damaged") == 2
    assert " -1 " not in out
    code, out, err = call("attribute", "nan.pth", "--digits", "2", "--randomise", "--stride", "9")
    assert (code, err) == (0, "")
    assert "change" in out


def test_a_wrong_prediction_is_called_so(call: Call) -> None:
    (event,) = lines(call, "digits", CNN, "--order", "least-certain", "--count", 400)
    wrong = next(digit["index"] for digit in event["digits"] if digit["actual"] != digit["predicted"])
    assert "), incorrect\n" in call("activations", CNN, "--index", wrong)[1]


def test_nothing_named_is_the_newest_run(call: Call, trained: RunFolder) -> None:
    assert call("summary", "--runs", trained.path.parent)[1].startswith(f"{trained.name}  cnn, epoch 2\n")
    assert call("summary", trained.path)[1].startswith(f"{trained.name}  cnn, epoch 2\n")
    assert call("summary")[1].startswith("pretrained:cnn-bn  cnn-bn, epoch 15\n")


def test_a_name_is_printed_as_it_is(call: Call, trained: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "[red]é.safetensors").write_bytes(trained.model_file.read_bytes())
    code, out, _ = call("summary", "[red]é.safetensors", "--npz", "[b]é.npz")
    assert code == 0
    assert out.startswith("[red]é.safetensors  cnn\n")
    assert out.endswith("\nwrote [b]é.npz\n")


def test_a_name_that_the_terminal_cannot_show(
    call: Call, trained: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "é.safetensors").write_bytes(trained.model_file.read_bytes())
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, "ascii"))
    code, _, err = call("summary", "é.safetensors")
    assert (code, err) == (0, "")
    assert buffer.getvalue().startswith(b"?.safetensors  cnn\n")


def test_a_terminal_shows_how_far_it_is(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    code, out, _ = call("evaluate", "pretrained:cnn-bn")
    assert code == 0
    assert "evaluating test" in out
    assert "\x1b[" in out


@pytest.mark.parametrize("variable", ["FORCE_COLOR", "TTY_COMPATIBLE"])
def test_a_file_may_have_colour_but_no_bar(call: Call, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv(variable, "1")
    code, out, _ = call("digits", "pretrained:cnn-bn", "--count", "2")
    assert code == 0
    assert "\x1b[" in out
    assert set(re.findall(r"\x1b\[[0-9;?]*([A-Za-z])", out)) == {"m"}  # colours, but no cursor movements


def test_narrow_terminals_lose_no_digit(small: Dataset) -> None:
    for request in (Summarise(what=CNN), ShowFilters(what=CNN), ShowActivations(what=CNN, device="cpu")):
        for event in perform(request, Path("none")):
            assert isinstance(event, NetworkEvent)
            console = Console(width=30, file=io.StringIO())
            console.print(tables.results(event))
            text = console.file.getvalue()  # type: ignore[attr-defined]
            assert "…" not in text
            assert max(map(len, text.splitlines())) <= 30


def test_what_has_no_share_is_a_dash() -> None:
    fields: dict[str, Any] = {"name": "n", "variant": "cnn", "epoch": None, "dataset": "mnist", "split": "test"}
    nothing = np.zeros(0)
    event = SplitEvaluated(
        **fields,
        count=0,
        loss=float("nan"),
        accuracy=float("nan"),
        class_accuracy=(float("nan"),) * 10,
        confusion=((0,) * 10,) * 10,
        labels=nothing,
        predictions=nothing,
        probabilities=nothing,
    )
    console = Console(width=100, file=io.StringIO())
    console.print(tables.results(event))
    assert "accuracy -, 0 mistakes" in console.file.getvalue()  # type: ignore[attr-defined]


# For programs.


@pytest.mark.parametrize(
    ("arguments", "types"),
    [
        (["summary"], ["NetworkSummarised"]),
        (["evaluate"], ["SplitEvaluated"]),
        (["digits", "--order", "mistakes"], ["DigitsShown"]),
        (["filters"], ["FiltersShown"]),
        (["activations", "--survey"], ["ActivationsComputed", "ChannelsSurveyed"]),
        (["occlude", "--average", "2", "--stride", "4"], ["OcclusionMapReady", "ClassOcclusionReady"]),
        (
            ["attribute", "--method", "saliency", "--digits", "3", "--randomise"],
            ["AttributionsComputed", "FaithfulnessMeasured"],
        ),
    ],
)
def test_json_is_events_and_nothing_else(call: Call, tmp_path: Path, arguments: list[str], types: list[str]) -> None:
    files = ("--npz", "result.npz", "--png", "figure.png")
    assert [event["type"] for event in lines(call, *arguments, *files)] == types
    assert {path.name for path in tmp_path.iterdir()} == {"result.npz", "figure.png"}
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


WANTED: dict[str, dict[str, tuple[int, ...]]] = {
    "summary": dict.fromkeys(
        ("layer", "parameters", "running_statistics", "neurons", "multiply_adds", "receptive_field"), (6,)
    ),
    "evaluate": {"labels": (400,), "predictions": (400,), "probabilities": (400, 10), "confusion": (10, 10)},
    "digits": {
        "images": (10, 28, 28),
        "index": (10,),
        "actual": (10,),
        "predicted": (10,),
        "probabilities": (10, 10),
    },
    "filters": {"weights": (32, 1, 3, 3)},
    "activations": {
        "image": (28, 28),
        "conv1": (32, 14, 14),
        "conv2": (32, 7, 7),
        "conv1_mean": (14, 14),
        "conv2_mean": (7, 7),
    },
    "occlude": {
        "image": (28, 28),
        "covers": (28, 28),
        "unoccluded": (10,),
        "probabilities": (21, 21),
        "winners": (21, 21),
        "all_probabilities": (21, 21, 10),
        "unoccluded_probability": (),
    },
    "attribute": {
        "image": (28, 28),
        **dict.fromkeys((method.replace("-", "_") for method in METHODS), (28, 28)),
        "shares": (29,),
        "methods": (9,),
        "deletion": (9, 29),
        "insertion": (9, 29),
    },
}


@pytest.mark.parametrize("word", COMMANDS)
def test_npz_holds_the_arrays_by_name(call: Call, tmp_path: Path, word: str) -> None:
    (event,) = lines(call, word, CNN, "--npz", "result.npz")
    with np.load(tmp_path / "result.npz", allow_pickle=False) as file:
        found = dict(file)
    assert {name: array.shape for name, array in found.items()} == WANTED[word]
    if word == "summary":
        assert found["layer"].tolist() == [layer["name"] for layer in event["layers"]]
        assert found["parameters"].sum() == event["total_parameters"]
    if word == "occlude":
        assert found["unoccluded_probability"] == pytest.approx(event["unoccluded_probability"])
        assert found["probabilities"].min() == pytest.approx(event["minimum"])
        assert (found["winners"] == found["all_probabilities"].argmax(axis=2)).all()
    if word == "attribute":
        assert found["methods"].tolist() == [*METHODS, "random"]
        assert found["deletion"][0].tolist() == event["faithfulness"][0]["deletion"]["values"]
    if word == "evaluate":
        assert found["confusion"].tolist() == event["confusion"]
    if word == "digits":
        assert found["actual"].tolist() == [digit["actual"] for digit in event["digits"]]
        assert found["probabilities"].tolist() == [digit["probabilities"] for digit in event["digits"]]


def test_npz_of_the_survey_has_its_images_too(call: Call, tmp_path: Path) -> None:
    lines(call, "activations", CNN, "--survey", "--npz", "result.npz")
    with np.load(tmp_path / "result.npz") as file:
        assert set(file) == {*WANTED["activations"], "indices", "images"}
        assert file["images"].shape == (len(file["indices"]), 28, 28)


def test_npz_of_one_method_has_the_attribution(call: Call, tmp_path: Path) -> None:
    arguments = ("--method", "gradient-x-input", "--digits", "3", "--randomise", "--npz", "result.npz")
    _, mean = lines(call, "attribute", CNN, *arguments)
    with np.load(tmp_path / "result.npz") as file:
        found = {name: array.shape for name, array in file.items()}
    assert found == {
        "image": (28, 28),
        "attribution": (28, 28),
        "shares": (29,),
        "methods": (2,),
        "deletion": (2, 29),
        "insertion": (2, 29),
        "mean_shares": (29,),
        "mean_methods": (2,),
        "mean_deletion": (2, 29),
        "mean_insertion": (2, 29),
        "mean_deletion_spread": (2, 29),
        "mean_insertion_spread": (2, 29),
        "mean_similarities": (1, 4),
    }
    assert mean["faithfulness"][0]["deletion"]["area_spread"] > 0


def test_npz_of_the_mean_map_has_both(call: Call, tmp_path: Path) -> None:
    lines(call, "occlude", CNN, "--average", "3", "--stride", "10", "--npz", "result.npz")
    with np.load(tmp_path / "result.npz") as file:
        assert set(file) - set(WANTED["occlude"]) == {
            "mean_image",
            "mean_probabilities",
            "mean_unoccluded_probability",
            "deviation",
            "changed",
        }
        assert file["mean_probabilities"].shape == file["probabilities"].shape == (3, 3)


def test_npz_of_no_digits_keeps_its_shapes() -> None:
    fields: dict[str, Any] = {"name": "n", "variant": "cnn", "epoch": None, "dataset": "mnist", "split": "test"}
    event = DigitsShown(
        **fields,
        order="mistakes",
        digit=7,
        predicted=-1,
        seed=0,
        matching=0,
        digits=(),
        images=np.zeros((0, 28, 28), np.float32),
    )
    found = result_arrays(event)
    assert found["probabilities"].shape == (0, 10)
    assert found["index"].dtype == np.int64
    console = Console(file=io.StringIO())
    console.print(tables.results(event))
    assert "0 of 0, class 7 only" in console.file.getvalue()  # type: ignore[attr-defined]


def test_an_existing_file_is_replaced_whole(call: Call, tmp_path: Path) -> None:
    (tmp_path / "result.npz").write_text("before")
    assert call("filters", CNN, "--npz", "result.npz")[1].endswith("\nwrote result.npz\n")
    with np.load(tmp_path / "result.npz") as file:
        assert file["weights"].shape == (32, 1, 3, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["result.npz"]


def drawn(request: DrawFigure, root: Path) -> Generator[Event, None, None]:
    """Records requested figures instead of drawing them with Matplotlib."""
    if request.path.endswith("refused.png"):
        raise RequestError("cannot write refused.png")
    DRAWN.append(request)
    yield FigureSaved(path=request.path)


DRAWN: list[DrawFigure] = []


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[DrawFigure]:
    """The figures that were requested; none is drawn."""
    operations: dict[Any, Entry] = OPERATIONS
    monkeypatch.setitem(operations, DrawFigure, Entry("analysis", f"{__name__}:drawn"))
    DRAWN.clear()
    return DRAWN


def test_png_is_the_figure_of_the_result(call: Call, figures: list[DrawFigure]) -> None:
    code, out, _ = call("activations", CNN, "--layer", "conv2", "--survey", "--png", "figure.png")
    assert code == 0
    assert out.endswith("\nwrote figure.png\n")
    (request,) = figures
    assert (type(request.subject).__name__, request.path, request.layer) == (
        "ActivationsComputed",
        "figure.png",
        "conv2",
    )


@pytest.mark.parametrize(
    ("arguments", "subject", "colours", "shared_range"),
    [
        (["occlude"], "OcclusionMapReady", "viridis", True),
        (["occlude", "--average", "2"], "ClassOcclusionReady", "viridis", True),
        (["attribute", "--method", "saliency"], "AttributionsComputed", "diverging", False),
        (["attribute", "--method", "saliency", "--digits", "2"], "FaithfulnessMeasured", "diverging", False),
    ],
)
def test_png_is_of_what_was_asked_last_in_the_colours_of_the_screen(  # noqa: PLR0917
    call: Call, figures: list[DrawFigure], arguments: list[str], subject: str, colours: str, shared_range: bool
) -> None:
    assert call(*arguments, CNN, "--stride", "7", "--png", "figure.png")[0] == 0
    (request,) = figures
    assert type(request.subject).__name__ == subject
    assert (request.colours, request.shared_range) == (colours, shared_range)


def test_png_of_a_training_run_is_its_curves(call: Call, tmp_path: Path, figures: list[DrawFigure]) -> None:
    events = lines(call, "train", "--epochs", 2, "--train-size", 640, "--png", "curves.png", "--device", "cpu")
    assert [event["type"] for event in events] == [
        kind.__name__ for kind in (RunStarted, EpochFinished, EpochFinished, RunFinished)
    ]
    (request,) = figures
    assert isinstance(request.subject, RunHistory)
    assert (request.subject.state, len(request.subject.epochs)) == ("finished", 2)
    assert request.subject.name == events[0]["run"]


def test_a_figure_that_cannot_be_written_is_no_success(call: Call, figures: list[DrawFigure]) -> None:
    code, out, err = call("summary", CNN, "--png", "refused.png")
    assert (code, err) == (1, "mnist-tui: cannot write refused.png\n")
    assert "wrote" not in out


def test_a_full_disk_is_one_line_and_leaves_the_old_file(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "result.npz").write_text("before")
    monkeypatch.setattr(np, "savez_compressed", full)
    code, out, err = call("filters", CNN, "--npz", "result.npz", "--json")
    assert (code, err) == (1, "mnist-tui: cannot write result.npz (No space left on device)\n")
    assert json.loads(out)["type"] == "FiltersShown"
    assert [path.name for path in tmp_path.iterdir()] == ["result.npz"]
    assert (tmp_path / "result.npz").read_text() == "before"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["summary", "--npz", "result.txt"], "--npz needs a name that ends in .npz, not result.txt"),
        (["summary", "--npz", ".npz"], "--npz needs a name that ends in .npz"),
        (["evaluate", "--npz", "no/result.npz"], "there is no folder no: create it"),
        (["evaluate", "--png", "figure.jpg"], "--png needs a name that ends in .png, not figure.jpg"),
        (["digits", "--png", "no/figure.png"], "there is no folder no"),
        (["filters", "--png", "folder.png"], "folder.png is a folder"),
        (["activations", "--npz", "folder.png/file/result.npz"], "there is no folder folder.png/file"),
        (["activations", "--npz", "x" * 300 + ".npz"], "File name too long"),
        (["train", "--png", "curves"], "--png needs a name that ends in .png"),
        (["train", "--png", "no/curves.png"], "there is no folder no"),
    ],
)
def test_a_place_for_results_is_checked_before_the_work(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    (tmp_path / "folder.png").mkdir()
    monkeypatch.setattr(output, "perform", lambda *_: pytest.fail("it began"))
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert len(err.splitlines()) == 1


def test_a_folder_that_nothing_can_be_written_in(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    code, _, err = call("summary", "--npz", "result.npz")
    assert (code, err) == (2, "mnist-tui: folder . is not writable: choose another file for --npz\n")


# Exit codes.


def test_an_interrupt_ends_it_before_anything_is_written(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(request: Request, root: Path) -> Generator[Event, None, None]:
        for event in perform(request, root):
            if isinstance(event, BatchEvaluated):
                signal.raise_signal(signal.SIGINT)
            yield event

    monkeypatch.setattr(output, "perform", interrupted)
    files = ("--npz", "result.npz", "--png", "figure.png")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of a shell ignore SIGINT
    try:
        code, out, err = call("evaluate", "pretrained:cnn", "--dataset", "mnist", "--split", "val", *files)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (code, out, err) == (130, "", "")
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_leaves_is_no_traceback(tmp_path: Path) -> None:
    program = f"{sys.executable} -c 'from tui.cli.main import main; main()'"
    command = f"{program} digits --count 2000 | head -1"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout == "pretrained:cnn-bn  cnn-bn, epoch 15, mnist test\n"


def test_the_table_of_layers_is_the_events(call: Call) -> None:
    (event,) = lines(call, "summary")
    (made,) = perform(Summarise(), Path("none"))
    assert isinstance(made, NetworkSummarised)
    assert event["total_parameters"] == made.total_parameters


def test_people_and_programs_hear_why_the_cpu_computes(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    reason = "cuda:0 is too old for this PyTorch: using the CPU"
    monkeypatch.setattr("engine.network.devices.fallback", lambda: reason)
    code, out, err = call("filters", "pretrained:cnn")
    assert (code, err) == (0, "")
    assert out.startswith(reason + "\n")
    first, second = lines(call, "filters", "pretrained:cnn")
    assert first == {"type": "DeviceFellBack", "reason": reason}
    assert second["type"] == "FiltersShown"


def test_a_gpu_that_gives_out_is_one_line(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> object:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB.\nSee documentation")

    monkeypatch.setattr("engine.inspection.loaded._read", full)
    for command in (["evaluate"], ["occlude"], ["attribute"], ["attack", "pgd"], ["robustness"], ["digits"]):
        code, _, err = call(*command, "pretrained:cnn", "--device", "cpu")
        assert (code, err) == (1, "mnist-tui: cuda:0 is out of memory: use --device cpu, or free some memory\n")


def test_the_figure_of_a_third_partys_network(call: Call, tmp_path: Path) -> None:
    """How its file was read is told before the result, and is not what is drawn."""
    model = load_weights(pretrained("cnn").model_file)
    torch.save({f"module.{name}": tensor for name, tensor in model.state_dict().items()}, tmp_path / "other.pth")
    first, *_ = lines(call, "digits", "other.pth", "--png", "digits.png")
    assert first["type"] == "WeightsRead"
    assert (tmp_path / "digits.png").read_bytes().startswith(b"\x89PNG")
