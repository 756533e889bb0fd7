"""Averaged weights, against PyTorch's, and what a run does with them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from engine.data.datasets import Dataset
from engine.network.checkpoints import load_tensors
from engine.network.model import CNN, seeded_cnn
from engine.network.requests import Architecture
from engine.runs.recording import train_run
from engine.training.averaging import Average
from engine.training.evaluation import evaluate
from engine.training.requests import Train
from tests.conftest import returned
from tests.runs import only

SMALL = Architecture(channels=4, hidden=16, batch_norm=True)


def disturb(model: CNN) -> None:
    """Change all weights and running statistics, as a step does."""
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.is_floating_point():
                value.add_(torch.rand_like(value))


def test_with_a_constant_decay_it_is_pytorchs() -> None:
    """A decay below that of the first steps stays as it is."""
    model = seeded_cnn(SMALL, 0)
    decayed = get_ema_multi_avg_fn(0.15)  # type: ignore[no-untyped-call]
    ours, theirs = Average(model, 0.15), AveragedModel(model, multi_avg_fn=decayed, use_buffers=True)
    theirs.update_parameters(model)  # the first time it copies
    for step in range(1, 6):
        disturb(model)
        ours.add(ours.share(step))
        theirs.update_parameters(model)
    expected = theirs.module.state_dict()
    for key, value in ours.model.state_dict().items():
        if value.is_floating_point():
            assert torch.allclose(value, expected[key], rtol=1e-5), key


def test_the_initial_weights_are_soon_forgotten() -> None:
    model = seeded_cnn(SMALL, 0)
    average = Average(model, 0.999)
    before = model.state_dict()["conv1.0.weight"].clone()
    disturb(model)
    average.add(average.share(1))
    after = model.state_dict()["conv1.0.weight"]
    assert torch.allclose(average.model.state_dict()["conv1.0.weight"], (2 * before + 9 * after) / 11, rtol=1e-5)
    average.add(average.share(100_000))
    kept = (2 * before + 9 * after) / 11
    expected = 0.999 * kept + 0.001 * after
    assert torch.allclose(average.model.state_dict()["conv1.0.weight"], expected, rtol=1e-5)


@pytest.mark.usefixtures("small_runs")
def test_a_run_evaluates_and_keeps_the_averages(tmp_path: Path, small: Dataset) -> None:
    request = Train(channels=4, hidden=16, batch_norm=True, train_size=320, epochs=2, average=0.9, device="cpu")
    list(train_run(request, tmp_path))
    folder = only(tmp_path)
    state, _ = load_tensors(folder.state_file)
    kept, _ = load_tensors(folder.model_file)
    averages = {key.removeprefix("average."): value for key, value in state.items() if key.startswith("average.")}
    assert kept.keys() == averages.keys()
    assert all(torch.equal(kept[key], averages[key]) for key in kept)
    assert not torch.equal(kept["conv1.0.weight"], state["model.conv1.0.weight"])
    model = CNN(request)
    model.load_state_dict(kept)
    loss, accuracy, _ = returned(evaluate(model, small.val, "val"))
    last = folder.history().epochs[-1]
    assert last.val_loss == pytest.approx(loss, rel=1e-5)
    assert last.val_accuracy == accuracy
