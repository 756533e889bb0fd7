"""`mnist-tui predict`: table, JSON, arrays, figure, and bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.data.datasets import Dataset
from engine.inspection.requests import Predict
from tests.tui.driving import CNN, Call, lines
from tui.cli import main as cli
from tui.cli.arguments import ArrayOutput, parse


@pytest.fixture
def files(small: Dataset, tmp_path: Path, call: Call) -> tuple[str, str]:
    """Test image 0, a 7, as an array; and test image 1, a 2, dark on light and large in a corner of a picture."""
    seven, two = (small.test.images[index, 0].numpy() for index in range(2))
    np.save(tmp_path / "seven.npy", seven)
    page = np.full((400, 500), 255, np.uint8)
    page[:280, -280:] -= (255 * two.repeat(10, axis=0).repeat(10, axis=1)).astype(np.uint8)
    Image.fromarray(page).save(tmp_path / "two.jpg")
    return "seven.npy", "two.jpg"


def test_what_is_asked_for_becomes_a_request() -> None:
    def asked(*arguments: str) -> Predict:
        request, _ = parse(cli.COMMANDS["predict"].request, ArrayOutput, "mnist-tui predict", arguments)
        assert isinstance(request, Predict)
        return request

    assert asked(CNN, "a.png", "b c.jpg") == Predict(what=CNN, images=("a.png", "b c.jpg"))
    assert asked("--raw", CNN, "a.png", "--device", "cpu") == Predict(
        what=CNN, images=("a.png",), raw=True, device="cpu"
    )


def test_an_object_an_array_file_and_a_figure(call: Call, files: tuple[str, str], tmp_path: Path) -> None:
    (event,) = lines(call, "predict", CNN, *files, "--npz", "result.npz", "--png", "result.png")
    assert (event["type"], event["name"], event["variant"]) == ("ImagesPredicted", CNN, "cnn")
    assert event["files"] == list(files)
    assert event["predictions"] == [7, 2]
    assert event["inverted"] == [False, True]
    assert event["centred"] is True
    assert [int(np.argmax(row)) for row in event["probabilities"]] == [7, 2]
    assert [sum(row) for row in event["probabilities"]] == pytest.approx([1, 1], abs=1e-5)
    with np.load(tmp_path / "result.npz", allow_pickle=False) as file:
        assert file["images"].shape == (2, 28, 28)
        assert file["files"].tolist() == list(files)
        assert file["predictions"].tolist() == [7, 2]
        assert file["probabilities"].tolist() == event["probabilities"]
    assert (tmp_path / "result.png").read_bytes().startswith(b"\x89PNG")


def test_raw_images_are_only_resized(call: Call, files: tuple[str, str], small: Dataset, tmp_path: Path) -> None:
    (event,) = lines(call, "predict", CNN, *files, "--raw", "--npz", "result.npz")
    assert event["centred"] is False
    assert event["inverted"] == [False, False]
    with np.load(tmp_path / "result.npz", allow_pickle=False) as file:
        assert np.array_equal(file["images"][0], small.test.images[0, 0].numpy())
        assert np.median(file["images"][1]) > 0.9  # the paper


def test_a_table(call: Call, files: tuple[str, str]) -> None:
    (event,) = lines(call, "predict", CNN, *files)
    code, out, err = call("predict", CNN, *files)
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert rows[0] == ["pretrained:cnn", "cnn,", "epoch", "15"]
    assert "2 images, scaled to 20x20 and centred by mass, as MNIST was; 1 dark on light, so inverted" in out
    assert ["image", "class", *map(str, range(10))] in rows
    for name, answer, shares in zip(files, event["predictions"], event["probabilities"], strict=True):
        (row,) = (row for row in rows if row[:1] == [name])
        assert row[1] == str(answer)
        assert row[2 + answer] == f"{100 * shares[answer]:.1f}"
        assert len(row) == 12
    _, out, _ = call("predict", CNN, files[0], "--raw")
    assert "1 image, only resized to 28x28; probabilities in %:" in out


def test_help(call: Call) -> None:
    assert "  predict " in call("--help")[1]
    code, out, err = call("predict", "--help")
    assert (code, err) == (0, "")
    assert "[WHAT] IMAGE ..." in out
    for name in ("--raw", "--json", "--npz FILE", "--png FILE"):
        assert name in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "name one or more images after the network: mnist-tui predict pretrained:cnn digit.png"),
        ((CNN,), "name one or more images after the network"),
        (("seven.npy",), "name a network before the images: mnist-tui predict pretrained:cnn digit.png"),
        ((CNN, "seven.npy", "none.png"), "there is no file none.png"),
        ((CNN, "empty.png"), "empty.png cannot be used: it is of one colour, so nothing is drawn on it"),
        (("pretrained:x", "seven.npy"), "there is no pretrained:x"),
    ],
)
def test_bad_input_is_one_line(
    call: Call, files: tuple[str, str], tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    Image.new("L", (50, 50), 255).save(tmp_path / "empty.png")
    code, out, err = call("predict", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("mnist-tui: ")
    assert err.count("\n") == 1
    assert words in err
