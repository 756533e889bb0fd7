"""The folder that a walk takes place in: runs of all kinds, most of them unusual in some way."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from msgspec.structs import replace

from engine.data import datasets as data
from engine.data.datasets import Dataset, Split
from engine.event import to_json
from engine.network.checkpoints import load_tensors, save_tensors
from engine.operations import end
from engine.runs.exchange import import_weights
from engine.runs.folder import RunFolder
from engine.runs.processes import Process
from engine.runs.recording import train_run
from engine.runs.requests import Import
from engine.training.events import EpochFinished, RunStarted
from engine.training.requests import Train
from tests.conftest import returned

SMALL = Train(epochs=2, train_size=120, batch_size=20, channels=4, hidden=16, threads=1, device="cpu")
NAMES = (b"lr[b]", b"[red]lr", b"a b  c", b"esc\x1b[2J\x1b]0;x\x07", b"caf\xe9", "日本語🙂".encode(), b"n" * 200, b"-x")


def few_images() -> None:
    """From now on, load a few images of MNIST for any data set."""
    cpu = torch.device("cpu")
    whole = returned(data.load("mnist", cpu))

    def copied(split: Split, count: int) -> Split:
        return Split(split.images[:count].clone(), split.labels[:count].clone())

    few = Dataset("mnist", copied(whole.train, 400), copied(whole.val, 100), copied(whole.test, 200))
    for name in ("mnist", "fashion-mnist", "kmnist", "emnist-digits", "qmnist"):
        data._kept[name, cpu] = few


def _trained(root: Path, name: str, request: Train, *, cancel_at: int = -1) -> RunFolder:
    """A run under `root`; with `cancel_at`, stopped after that many events."""
    events, run = train_run(request, root), ""
    for number, event in enumerate(events):
        if isinstance(event, RunStarted):
            run = event.run
        if number == cancel_at:
            list(end(events))
            break
    return RunFolder((root / run).rename(root / name))


def _copy(source: RunFolder, name: str | bytes) -> RunFolder:
    place = source.path.with_name(os.fsdecode(name))
    shutil.copytree(source.path, place)
    return RunFolder(place)


def _ended(folder: RunFolder) -> None:
    """Remove a run's last events, as a kill would, and record a process that no longer exists."""
    lines = folder.events_file.read_bytes().splitlines(keepends=True)
    folder.events_file.write_bytes(b"".join(lines[:-1]))
    own = Process.own()
    folder.write_process(Process(own.host, own.boot, 2**22 + 1, "1"))


def make_world(root: Path) -> None:
    """Create `runs/` and `net.pth` in `root`."""
    runs = root / "runs"
    runs.mkdir(parents=True)
    finished = _trained(runs, "20260101-000001-cnn", SMALL)
    _trained(runs, "20260101-000002-cnn-bn", replace(SMALL, batch_norm=True, channels=32, hidden=500, epochs=1))
    _trained(runs, "shrinking-maps", replace(SMALL, kernel_size=7, stride=2, padding=3, channels=2, hidden=3, epochs=1))
    _trained(runs, "tiny", replace(SMALL, kernel_size=2, padding=0, channels=1, hidden=1, batch_norm=True, epochs=1))
    stopped = _trained(runs, "stopped", SMALL, cancel_at=9)
    _ended(_copy(stopped, "interrupted"))
    _ended(elsewhere := _copy(stopped, "elsewhere"))
    elsewhere.write_process(Process("another-host", "boot", 12, "1"))
    _ended(lost := _copy(stopped, "number-of-all"))
    own = Process.own()
    lost.write_process(Process(own.host, own.boot, -1, ""))
    torch.save(load_tensors(finished.model_file)[0], root / "net.pth")
    list(import_weights(Import(what=str(root / "net.pth"), name="imported"), runs))
    for name in NAMES:
        _copy(finished, name)
    for damage in DAMAGES:
        damage(_copy(stopped if damage is _state else finished, damage.__name__.strip("_")))
    (runs / "link").symlink_to(finished.path.name)
    (runs / "no run").mkdir()
    (runs / "a file").touch()
    (runs / "nowhere").symlink_to("there is none")


def _request(folder: RunFolder) -> None:
    (folder.path / "request.json").write_bytes(b'{"request": {"type": [[[[')


def _events(folder: RunFolder) -> None:
    first, *rest = folder.events_file.read_bytes().splitlines(keepends=True)
    folder.events_file.write_bytes(b"".join((first, b"\0" * 512 + b"\n", *rest)))


def _weights(folder: RunFolder) -> None:
    folder.model_file.write_bytes(folder.model_file.read_bytes()[:-100])


def _no_weights(folder: RunFolder) -> None:
    folder.model_file.unlink()
    shutil.rmtree(folder.epochs_folder)


def _nan_weights(folder: RunFolder) -> None:
    tensors, metadata = load_tensors(folder.model_file)
    save_tensors(folder.model_file, {key: value * torch.nan for key, value in tensors.items()}, metadata)


def _other_weights(folder: RunFolder) -> None:
    shutil.copy(folder.path.parent / "tiny" / "model.safetensors", folder.model_file)


def _note(folder: RunFolder) -> None:
    folder.note_file.write_bytes(b'{"text": "caf\xe9"}')


def _escaping_note(folder: RunFolder) -> None:
    folder.note_file.write_bytes(rb'{"text": "\u001b[2J [/] [red]x"}')


def _state(folder: RunFolder) -> None:
    folder.state_file.write_bytes(folder.state_file.read_bytes()[:-200])


def _epochs(folder: RunFolder) -> None:
    for path in folder.epochs_folder.iterdir():
        path.write_bytes(b"\0" * 64)


def _long(folder: RunFolder) -> None:
    """Replace the epochs with two thousand, some of them with extreme losses."""
    lines = folder.events_file.read_bytes().splitlines(keepends=True)[:1]
    for epoch in range(1, 2001):
        finished = EpochFinished(
            epoch=epoch,
            epochs=2000,
            train_loss=1e30 if epoch % 700 == 0 else 1.0 / epoch,
            val_loss=0.0 if epoch % 500 == 0 else 1.0 / epoch,
            val_accuracy=0.5,
            test_accuracy=0.5,
            train_seconds=0.0,
            eval_seconds=0.0,
            images_per_second=0.0,
            running_loss=(0.0,) * (epoch % 3),
        )
        lines.append(to_json(finished) + b"\n")
    folder.events_file.write_bytes(b"".join(lines))


DAMAGES: tuple[Callable[[RunFolder], None], ...] = (
    *(_request, _events, _weights, _no_weights, _nan_weights, _other_weights, _note, _escaping_note, _state, _epochs),
    _long,
)
