"""A drawing explained: what the network receives, its answer, its strongest channels, and a patch that moves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from engine.attribution import drawing
from engine.attribution.events import DrawingExplained, OcclusionMapReady
from engine.attribution.requests import DrawingBaseline, ExplainDrawing, Occlude
from engine.data.datasets import Dataset, load_drawings
from engine.data.requests import KeepDrawing
from engine.inspection.events import ActivationsComputed
from engine.inspection.loaded import load_network
from engine.inspection.requests import ShowActivations
from engine.network.checkpoints import save_weights
from engine.network.model import seeded_cnn
from engine.network.requests import Architecture, Inspect
from engine.operations import perform
from engine.request import RequestError

CNN, BN = "pretrained:cnn", "pretrained:cnn-bn"
NOWHERE = Path("nowhere")


def explained(
    drawing: np.ndarray, *, raw: bool = False, what: str = CNN, baseline: DrawingBaseline = "zero"
) -> DrawingExplained:
    pixels = np.rint(255 * drawing).astype(np.uint8).tobytes()
    request = ExplainDrawing(what=what, device="cpu", pixels=pixels, raw=raw, baseline=baseline)
    (event,) = perform(request, NOWHERE)
    assert isinstance(event, DrawingExplained)
    return event


def probabilities(what: str, images: np.ndarray) -> np.ndarray:
    """Of images (n, 28, 28), by the network itself: (n, 10)."""
    network = load_network(Inspect(what=what, device="cpu"), NOWHERE)
    with torch.inference_mode():
        return np.asarray(network.model.probabilities(torch.from_numpy(images).unsqueeze(1)).numpy())


def test_a_digit_in_a_corner_is_put_into_the_middle(mnist: Dataset) -> None:
    digit = mnist.test.images[0, 0].numpy()
    corner = np.roll(digit, (-7, -6), axis=(0, 1))
    centred, raw = explained(corner), explained(corner, raw=True)
    assert np.abs(centred.images[0] - digit).max() < 0.1
    assert np.array_equal(raw.images[0], corner)
    assert (centred.centred, raw.centred) == (True, False)
    assert centred.predictions == (7,)
    for event in (centred, raw):
        assert event.probabilities[0] == pytest.approx(probabilities(CNN, event.images)[0].tolist(), abs=1e-5)


def test_the_network_receives_what_would_be_kept(mnist: Dataset, tmp_path: Path) -> None:
    received = explained(mnist.test.images[3, 0].numpy()[::-1].copy()).images
    pixels = np.rint(255 * received).astype(np.uint8).tobytes()
    list(perform(KeepDrawing(pixels=pixels, label=0), tmp_path))
    assert np.array_equal(load_drawings(tmp_path, torch.device("cpu")).images[0].numpy(), received)


@pytest.mark.parametrize("what", [CNN, BN])
def test_the_strongest_channels_are_those_of_the_maps(what: str, mnist: Dataset) -> None:
    event = explained(mnist.test.images[1, 0].numpy(), raw=True, what=what)
    request = ShowActivations(what=what, device="cpu", split="test", index=1)
    (maps,) = (each for each in perform(request, NOWHERE) if isinstance(each, ActivationsComputed))
    for channels, strengths, found, all_of_them in (
        (event.conv1_channels, event.conv1_strengths, event.conv1, maps.conv1),
        (event.conv2_channels, event.conv2_strengths, event.conv2, maps.conv2),
    ):
        assert len(set(channels)) == len(channels) == 8
        assert np.allclose(found, all_of_them[list(channels)], atol=1e-5)
        means = all_of_them.mean(axis=(1, 2))
        assert np.allclose(strengths, means[list(channels)], atol=1e-6)
        assert list(strengths) == sorted(strengths, reverse=True)
        assert np.delete(means, list(channels)).max() <= strengths[-1] + 1e-6


@pytest.mark.parametrize(("what", "baseline"), [(CNN, "zero"), (CNN, "one"), (BN, "one")])
def test_the_patch_is_tried_at_each_position(what: str, baseline: DrawingBaseline, mnist: Dataset) -> None:
    event = explained(mnist.test.images[2, 0].numpy(), raw=True, what=what, baseline=baseline)
    image, answer = event.images[0], event.predictions[0]
    covered = np.repeat(image[None], 64, axis=0)
    for place in range(64):
        row, column = 3 * (place // 8), 3 * (place % 8)
        covered[place, row : row + 7, column : column + 7] = float(baseline == "one")
    expected = probabilities(what, covered)[:, answer].reshape(8, 8)
    assert np.allclose(event.occluded, expected, atol=1e-4)
    falls = event.probabilities[0][answer] - expected
    total, count = np.zeros((28, 28)), np.zeros((28, 28))
    for (row, column), fall in np.ndenumerate(falls):
        total[3 * row : 3 * row + 7, 3 * column : 3 * column + 7] += fall
        count[3 * row : 3 * row + 7, 3 * column : 3 * column + 7] += 1
    assert count.min() == 1  # every pixel is covered
    assert np.allclose(event.drop, total / count, atol=1e-4)
    assert (event.patch_size, event.stride, event.baseline) == (7, 3, baseline)


def test_the_map_is_that_of_the_screen_of_occlusion(mnist: Dataset) -> None:
    event = explained(mnist.test.images[61, 0].numpy(), raw=True)
    request = Occlude(what=CNN, device="cpu", index=61, patch_size=7, stride=3, watch="predicted")
    (occlusion,) = (each for each in perform(request, NOWHERE) if isinstance(each, OcclusionMapReady))
    assert np.allclose(event.occluded, occlusion.probabilities, atol=1e-4)


def test_a_white_drawing_has_nothing_to_cover_in_white() -> None:
    event = explained(np.ones((28, 28), np.float32), raw=True, baseline="one")
    assert np.ptp(event.occluded) == 0
    assert np.abs(event.drop).max() < 1e-6


def test_a_network_of_few_channels_with_another_geometry(tmp_path: Path, mnist: Dataset) -> None:
    what = str(tmp_path / "small.safetensors")
    save_weights(Path(what), seeded_cnn(Architecture(channels=3, kernel_size=5, padding=2, hidden=16), 0))
    event = explained(mnist.test.images[1, 0].numpy(), raw=True, what=what)
    assert (event.conv1.shape, event.conv2.shape) == ((3, 14, 14), (3, 7, 7))
    assert event.probabilities[0] == pytest.approx(probabilities(what, event.images)[0].tolist(), abs=1e-5)


def test_an_empty_drawing_is_refused() -> None:
    with pytest.raises(RequestError, match="nothing is drawn: draw a digit first"):
        list(perform(ExplainDrawing(what=CNN), NOWHERE))


def test_it_works_alone_and_leaves_the_threads_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, before = list[int](), torch.get_num_threads()

    def watched(*given: object) -> dict[str, object]:
        seen.append(torch.get_num_threads())
        return strongest(*given)  # type: ignore[arg-type]

    strongest = drawing._strongest
    monkeypatch.setattr(drawing, "_strongest", watched)
    try:
        torch.set_num_threads(2)
        explained(np.eye(28))
        assert seen == [1, 1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
