"""Properties that a device must have apart from correct numbers. Each check raises AssertionError if it fails."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from msgspec.structs import replace

from engine.attacks.events import AttackFinished
from engine.attacks.requests import AttackTargeted
from engine.data.datasets import load
from engine.event import Event
from engine.network.checkpoints import load_tensors, load_weights
from engine.network.devices import choose_device
from engine.network.model import seeded_cnn
from engine.operations import end, perform
from engine.runs.folder import RunFolder
from engine.runs.requests import Resume
from engine.training.events import BatchTrained, RunStarted
from engine.training.requests import Train
from tests.conftest import returned
from tests.standin import chunks

SMALL = Train(channels=8, hidden=32, train_size=160, batch_size=32, epochs=2, batch_norm=True)


def _folder(root: Path) -> RunFolder:
    (only,) = root.iterdir()
    return RunFolder(only)


def _train(request: Train, root: Path) -> RunFolder:
    root.mkdir()
    for _ in perform(request, root):
        pass
    return _folder(root)


def _weights(folder: RunFolder) -> dict[str, torch.Tensor]:
    return load_tensors(folder.model_file)[0]


def _same(one: RunFolder, other: RunFolder) -> None:
    first, second = _weights(one), _weights(other)
    assert first.keys() == second.keys()
    assert not [key for key in first if not torch.equal(first[key], second[key])], "other weights"


def _stopped(request: Train | Resume, root: Path, last: Callable[[Event], bool]) -> None:
    """Run `request` up to the first event for which `last` is true."""
    work = perform(request, root)
    for event in work:
        if last(event):
            break
    for _ in end(work):
        pass


def gray_levels(device: str, _: Path) -> None:
    """A pixel has the same bits on every device."""
    there, here = (returned(load("mnist", choose_device(name))) for name in (device, "cpu"))
    assert torch.equal(there.test.images.cpu(), here.test.images)
    assert len(set(here.test.images.flatten().tolist())) == 256


def same_seed(device: str, root: Path) -> None:
    """The same seed gives the same weights twice."""
    request = replace(SMALL, device=device)
    _same(_train(request, root / "one"), _train(request, root / "other"))


def resume(device: str, root: Path) -> None:
    """A run stopped in mid-epoch resumes bit for bit, also if it was resumed and stopped on the CPU in between."""
    request = replace(SMALL, device=device)
    whole = _train(request, root / "whole")
    stopped = root / "stopped"
    stopped.mkdir()
    _stopped(request, stopped, lambda event: isinstance(event, BatchTrained) and (event.epoch, event.step) == (2, 3))
    shutil.copytree(stopped, moved := root / "moved")
    for _ in perform(Resume(device=device), stopped):
        pass
    _same(whole, _folder(stopped))
    before = load_tensors(_folder(moved).state_file)[0]
    _stopped(Resume(device="cpu"), moved, lambda event: isinstance(event, RunStarted))
    after = load_tensors(_folder(moved).state_file)[0]
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before), "the state changed on the way"
    for _ in perform(Resume(device=device), moved):
        pass
    _same(whole, _folder(moved))


def cancelled_biases(device: str, root: Path) -> None:
    """Training does not change biases that batch norm cancels."""
    for name in (device, "cpu"):
        request = replace(SMALL, device=name, epochs=1)
        trained, fresh = load_weights(_train(request, root / name).model_file), seeded_cnn(request, request.seed)
        pairs = list(zip(trained.cancelled_biases(), fresh.cancelled_biases(), strict=True))
        assert len(pairs) == 3
        assert all(torch.equal(one, other) for one, other in pairs), f"trained on {name}"


def single_precision(device: str, root: Path) -> None:
    """Without `exact`, attacks compute in single precision, and their images are as good as in double precision."""
    request = AttackTargeted(what="pretrained:cnn", device=device, indices=(3, 2, 1, 18, 61))
    *_, quick = perform(request, root)
    *_, exact = perform(replace(request, exact=True), root)
    assert isinstance(quick, AttackFinished)
    assert isinstance(exact, AttackFinished)
    assert (quick.settings["precision"], exact.settings["precision"]) == ("single", "double")
    assert abs(quick.successes - exact.successes) <= 1
    assert np.abs(quick.adversarial - exact.adversarial).mean() < 0.01, "other images"


CHECKS: dict[str, Callable[[str, Path], None]] = {
    "the same gray levels": gray_levels,
    "the same seed twice": same_seed,
    "resume in mid-epoch, and over the CPU": resume,
    "biases that batch norm cancels": cancelled_biases,
    "chunks and single steps": chunks.same_as_single_steps,
    "the state at any event": chunks.whole_at_any_event,
    "pause and cancellation within an epoch": chunks.interrupted,
    "from a CPU and back": chunks.from_a_cpu_and_back,
    "divergence": chunks.diverging,
    "several runs at once": chunks.several_at_once,
    "attacks in single precision": single_precision,
}
