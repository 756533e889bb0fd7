"""Maps of images, held against NumPy and scikit-learn; that they come again, stop, and say what is missing."""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from engine.data.datasets import Dataset
from engine.event import Event, Progress, WorkAdvanced, arrays, to_json
from engine.inspection import embedding, neighbour_maps
from engine.inspection.loaded import load_network
from engine.inspection.map_events import EmbeddingAdvanced, ImagesEmbedded
from engine.inspection.requests import Embed, MapMethod
from engine.network.checkpoints import load_tensors, load_weights, save_weights
from engine.network.requests import Inspect
from engine.operations import end, perform
from engine.request import RequestError
from engine.runs.finding import pretrained

pytestmark = [pytest.mark.numeric, pytest.mark.usefixtures("few_images")]
CNN = "pretrained:cnn"
NOWHERE = Path("no-such-folder")


def said(**fields: Any) -> list[Event]:
    return list(perform(Embed(**{"what": CNN, "device": "cpu"} | fields), NOWHERE))


def mapped(**fields: Any) -> ImagesEmbedded:
    (event,) = (event for event in said(**fields) if not isinstance(event, Progress))
    assert isinstance(event, ImagesEmbedded)
    return event


def layers(images: torch.Tensor, what: str = CNN) -> dict[str, np.ndarray]:
    """What each layer computes for images, layer by layer with PyTorch's own modules."""
    model = load_network(Inspect(what=what, device="cpu"), NOWHERE).model.double()
    with torch.inference_mode():
        first = model.conv1(images.double())
        second = model.conv2(first)
        hidden = model.fc[:-1](second)
    model.float()
    found = {"pixels": images.double(), "block1": first, "block2": second, "hidden": hidden}
    return {name: values.flatten(1).numpy() for name, values in found.items()}


@pytest.mark.parametrize("layer", ["hidden", "block1", "block2", "pixels"])
def test_pca_is_that_of_the_layer(small: Dataset, layer: str) -> None:
    event = mapped(layer=layer, count=200)
    x = layers(small.test.images[:200])[layer]
    left, values, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    expected = left[:, :2] * values[:2]
    expected *= np.sign((expected * event.points).sum(axis=0))
    assert np.abs(event.points - expected).max() < 1e-3 * values[0] / math.sqrt(200)
    assert event.explained == pytest.approx(((values**2)[:2] / (values**2).sum()).tolist(), rel=1e-3)
    assert event.kept == pytest.approx((values**2)[:50].sum() / (values**2).sum(), rel=1e-3)
    assert (event.dimensions, event.components, event.count) == (x.shape[1], 50, 200)
    assert (event.divergence, event.perplexity, event.neighbours) == (None, None, None)


def test_the_answers_are_those_of_the_network(small: Dataset) -> None:
    event = mapped(count=150)
    images = small.test.images[:150]
    with torch.inference_mode():
        expected = load_network(Inspect(what=CNN, device="cpu"), NOWHERE).model.probabilities(images)
    assert (event.labels == small.test.labels[:150].numpy()).all()
    np.testing.assert_allclose(event.probabilities, expected.numpy(), atol=1e-5)
    assert (event.predictions == event.probabilities.argmax(axis=1)).all()
    assert (event.images == np.round(255 * images[:, 0].numpy())).all()
    assert event.mistakes == (event.predictions != event.labels).sum()


def test_neighbours_of_the_same_class_are_counted_as_scikit_learn_does(small: Dataset) -> None:
    event = mapped(count=250)
    near = NearestNeighbors(n_neighbors=10).fit(event.points.astype(float)).kneighbors(return_distance=False)
    same = (event.labels[near] == event.labels[:, None]).mean(axis=1)
    assert event.same_class == pytest.approx(same.mean(), abs=2e-3)
    for number, share in enumerate(event.same_class_by_class):
        assert share == pytest.approx(same[event.labels == number].mean(), abs=0.02)
    x = layers(small.test.images[:250])["hidden"]
    left, values, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    near = NearestNeighbors(n_neighbors=10).fit(left[:, :50] * values[:50]).kneighbors(return_distance=False)
    assert event.same_class_before == pytest.approx((event.labels[near] == event.labels[:, None]).mean(), abs=2e-3)


def test_the_map_comes_before_its_neighbours_are_counted() -> None:
    events = said(count=100)
    place = next(number for number, event in enumerate(events) if isinstance(event, EmbeddingAdvanced))
    early = events[place]
    assert isinstance(early, EmbeddingAdvanced)
    assert not any(isinstance(event, WorkAdvanced) for event in events[:place])
    assert (early.embedding.same_class, early.embedding.same_class_by_class) == (None, ())
    assert isinstance(last := events[-1], ImagesEmbedded)
    assert (early.embedding.points == last.points).all()


@pytest.mark.parametrize("method", ["tsne", "umap"])
def test_maps_of_neighbours_come_again_by_their_seed(method: MapMethod) -> None:
    few: dict[str, Any] = {"method": method, "count": 150, "perplexity": 10.0}
    event = mapped(**few)
    assert event.points.shape == (150, 2)
    assert np.isfinite(event.points).all()
    assert event.same_class is not None
    assert event.same_class_before is not None
    assert event.same_class > 0.85 * event.same_class_before > 0.5
    assert (event.explained, event.components) == (None, 50)
    assert (event.perplexity, event.neighbours) == ((10.0, None) if method == "tsne" else (None, 15))
    assert (event.divergence is not None) == (method == "tsne")
    assert (mapped(**few).points == event.points).all()
    if method == "umap":  # t-SNE begins from the principal components and has nothing random
        assert (mapped(**few, seed=1).points != event.points).any()


def test_t_sne_is_seen_moving_and_stops_when_it_is_told_to() -> None:
    work = perform(Embed(what=CNN, device="cpu", method="tsne", count=150), NOWHERE)
    moving = [next(event for event in work if isinstance(event, EmbeddingAdvanced)).embedding for _ in range(2)]
    assert (moving[0].points != moving[1].points).any()
    assert moving[1].same_class is None
    assert not list(end(work))
    assert next(work, None) is None


def test_epochs_of_a_run_are_rotated_onto_the_latest(small: Dataset) -> None:
    latest = mapped(layer="block2", count=200)
    assert latest.epochs == tuple(range(16))
    earlier = mapped(layer="block2", count=200, epoch=14)
    assert (earlier.epoch, latest.epoch) == (14, 15)
    model = load_weights(pretrained("cnn").model_file).double()
    kept, _ = load_tensors(pretrained("cnn").convolutions_file(14))
    with torch.inference_mode():
        for key, tensor in kept.items():
            model.get_parameter(key).copy_(tensor)
        x = model.conv2(model.conv1(small.test.images[:200].double())).flatten(1).numpy()
    left, values, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    own = left[:, :2] * values[:2]
    distances, expected = (np.linalg.norm(each[:, None] - each[None], axis=2) for each in (earlier.points, own))
    np.testing.assert_allclose(distances, expected, atol=1e-3 * expected.max())  # only turned and reflected
    apart = np.linalg.norm(earlier.points - latest.points)
    for signs in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        for turned in (own, own[:, ::-1]):
            assert apart <= np.linalg.norm(turned * signs - latest.points) * 1.0001
    assert earlier.explained is not None
    assert sum(earlier.explained) == pytest.approx((values**2)[:2].sum() / (values**2).sum(), rel=1e-3)
    assert (earlier.predictions == latest.predictions).all()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"epoch": 3}, "has no last hidden layer of epoch 3: runs keep only the convolutions, so choose layer block1"),
        ({"epoch": 3, "layer": "pixels"}, "has no pixels of epoch 3"),
        ({"epoch": 99, "layer": "block1"}, "has no first convolution block of epoch 99: it has 0 to 15"),
        ({"epoch": 3, "layer": "block1", "what": "pretrained:cnn-bn"}, "of epoch 3: it has only the latest"),
        ({"method": "tsne", "perplexity": 200.0}, "perplexity 200 needs more than 600 images, not 400"),
        ({"what": "pretrained:x"}, "there is no pretrained:x"),
    ],
)
def test_what_cannot_be_mapped_is_said_in_a_line(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=words) as caught:
        mapped(**fields)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("method", "package"), [("tsne", "openTSNE"), ("umap", "umap-learn")])
def test_a_missing_package_is_named_before_any_work(
    monkeypatch: pytest.MonkeyPatch, method: MapMethod, package: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    work = perform(Embed(what=CNN, method=method), NOWHERE)
    with pytest.raises(RequestError, match=f"needs the package {package}: pip install {package}"):
        next(work)
    assert neighbour_maps.check_installed("pca") is None  # type: ignore[func-returns-value]


def test_too_many_values_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "MOST_VALUES", 50_000)
    with pytest.raises(RequestError, match="111 images of 500 values each are too many: map at most 100 images"):
        mapped(count=111)


@pytest.mark.parametrize(("bias", "words"), [(math.nan, "not finite"), (-1e6, "the same for all images")])
def test_a_layer_that_says_nothing_has_no_map(tmp_path: Path, bias: float, words: str) -> None:
    model = load_weights(pretrained("cnn").model_file)
    with torch.no_grad():
        model.get_parameter("fc.1.bias").fill_(bias)
    save_weights(file := tmp_path / "odd.safetensors", model)
    with pytest.raises(RequestError, match=f"the last hidden layer of odd.safetensors .*{words}"):
        mapped(what=str(file), count=50)
    assert mapped(what=str(file), count=50, layer="block2").epochs == ()


def test_json_has_the_numbers_and_the_arrays_are_apart() -> None:
    event = mapped(count=60)
    found = json.loads(to_json(event))
    assert found["same_class"] == event.same_class
    assert set(arrays(event)) == {"points", "labels", "predictions", "probabilities", "images"}
    assert event.points.dtype == np.float32
    assert not set(arrays(event)) & set(found)
