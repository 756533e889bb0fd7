"""`mnist-tui embed`: table, JSON, arrays, figure, and bad input."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from engine.inspection.requests import Embed
from tests.tui.driving import CNN, Call, lines
from tui.cli import main as cli
from tui.cli.arguments import ArrayOutput, parse


@pytest.mark.parametrize(
    ("arguments", "request_"),
    [
        ((), Embed()),
        ((CNN, "--method", "umap", "--neighbours", "30"), Embed(what=CNN, method="umap", neighbours=30)),
        ((CNN, "--layer", "block2", "--epoch", "3"), Embed(what=CNN, layer="block2", epoch=3)),
        (
            (CNN, "--method", "tsne", "--count", "500", "--perplexity", "12.5", "--seed", "3"),
            Embed(what=CNN, method="tsne", count=500, perplexity=12.5, seed=3),
        ),
    ],
)
def test_what_is_asked_for_becomes_a_request(arguments: tuple[str, ...], request_: Embed) -> None:
    assert parse(cli.COMMANDS["embed"].request, ArrayOutput, "mnist-tui embed", arguments)[0] == request_


def test_one_object_its_arrays_and_its_figure(call: Call, tmp_path: Path) -> None:
    arguments = ("embed", CNN, "--count", 300)
    (found,) = lines(call, *arguments, "--npz", "map.npz", "--png", "map.png")
    assert found["type"] == "ImagesEmbedded"
    assert (found["method"], found["layer"], found["count"], found["dimensions"]) == ("pca", "hidden", 300, 500)
    assert 0 < found["explained"][1] < found["explained"][0] < found["kept"] < 1
    with np.load(tmp_path / "map.npz", allow_pickle=False) as file:
        assert file["points"].shape == (300, 2)
        assert file["points"].dtype == np.float32
        assert file["probabilities"].shape == (300, 10)
        assert (file["predictions"] == file["probabilities"].argmax(axis=1)).all()
        assert file["images"].shape == (300, 28, 28)
        wrong = file["predictions"] != file["labels"]
        labels = file["labels"]
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    code, out, err = call(*arguments)
    assert (code, err) == (0, "")
    assert "PCA of the last hidden layer: 500 values" in out
    rows = [line.split() for line in out.splitlines()]
    for number, share in enumerate(found["same_class_by_class"]):
        own = labels == number
        assert [str(number), str(own.sum()), str((own & wrong).sum()), f"{100 * share:.2f}", "%"] in rows
    assert ["all", "300", str(wrong.sum()), f"{100 * found['same_class']:.2f}", "%"] in rows
    assert f"principal components: {100 * found['same_class_before']:.2f} %" in out


def test_t_sne_names_its_perplexity(call: Call) -> None:
    code, out, err = call("embed", CNN, "--method", "tsne", "--count", 100, "--perplexity", 10)
    assert (code, err) == (0, "")
    assert "t-SNE of the last hidden layer" in out
    assert "perplexity 10, Kullback-Leibler divergence" in out


def test_help(call: Call) -> None:
    assert "  embed " in call("--help")[1]
    code, out, err = call("embed", "--help")
    assert (code, err) == (0, "")
    for name in ("--method", "--layer", "--count", "--epoch", "--perplexity", "--neighbours", "--seed", "--npz FILE"):
        assert name in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((CNN, "--count", "1"), "count must be a whole number from 2 to 10000, not 1"),
        ((CNN, "--method", "mds"), "mds"),
        ((CNN, "--layer", "fc2"), "fc2"),
        ((CNN, "--method", "tsne", "--count", "50"), "perplexity 30 needs more than 90 images, not 50"),
        ((CNN, "--method", "umap", "--count", "9"), "15 neighbours need more images than 9"),
        ((CNN, "--epoch", "2"), "runs keep only the convolutions"),
        (("pretrained:x",), "there is no pretrained:x"),
    ],
)
def test_bad_input_is_one_line(call: Call, arguments: tuple[str, ...], words: str) -> None:
    code, out, err = call("embed", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("mnist-tui: ")
    assert err.count("\n") == 1
    assert words in err


def test_a_missing_package_is_said_in_one_line(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: None if name == "umap" else find(name))
    code, out, err = call("embed", CNN, "--method", "umap")
    assert (code, out) == (2, "")
    assert err == "mnist-tui: UMAP needs the package umap-learn: pip install umap-learn\n"
