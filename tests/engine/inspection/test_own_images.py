"""Predictions for drawings: what the network receives, and what it says of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from engine.data.datasets import Dataset
from engine.inspection.events import ImagesPredicted
from engine.inspection.loaded import load_network
from engine.inspection.requests import PredictDrawing
from engine.network.requests import Inspect
from engine.operations import perform
from engine.request import RequestError

CNN = "pretrained:cnn"


def predicted(drawing: np.ndarray, *, raw: bool = False) -> ImagesPredicted:
    pixels = np.rint(255 * drawing).astype(np.uint8).tobytes()
    (event,) = perform(PredictDrawing(what=CNN, device="cpu", pixels=pixels, raw=raw), Path("nowhere"))
    assert isinstance(event, ImagesPredicted)
    return event


def test_a_digit_in_a_corner_is_put_into_the_middle(mnist: Dataset) -> None:
    digit = mnist.test.images[0, 0].numpy()
    corner = np.roll(digit, (-7, -6), axis=(0, 1))
    centred, raw = predicted(corner), predicted(corner, raw=True)
    assert np.abs(centred.images[0] - digit).max() < 0.1
    assert np.array_equal(raw.images[0], corner)
    assert (centred.centred, raw.centred) == (True, False)
    assert centred.predictions == (7,)
    for event in (centred, raw):
        network = load_network(Inspect(what=CNN, device="cpu"), Path("nowhere"))
        with torch.inference_mode():
            expected = network.model.probabilities(torch.from_numpy(event.images).unsqueeze(1))[0]
        assert event.probabilities[0] == pytest.approx(expected.tolist())


def test_an_empty_drawing_is_refused() -> None:
    with pytest.raises(RequestError, match="nothing is drawn: draw a digit first"):
        list(perform(PredictDrawing(what=CNN), Path("nowhere")))
