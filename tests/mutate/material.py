"""The files to damage: a small run that was stopped, a finished one beside it, and weights in every format."""

from __future__ import annotations

import os
import random
import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from msgspec.structs import replace

from engine.network.checkpoints import load_tensors, save_tensors
from engine.operations import end
from engine.runs.catalogue import write_note
from engine.runs.folder import RunFolder
from engine.runs.recording import train_run
from engine.training.events import EpochFinished, RunStarted
from engine.training.requests import Train
from tests.mutate.mutations import Mutation, anyhow, in_header, in_json, in_lines, in_pickle, in_zip

SMALL = Train(epochs=3, train_size=120, batch_size=20, channels=4, hidden=16, threads=1, device="cpu")
SUBJECT, OTHER = "subject", "other"
LABELS = "t10k-labels-idx1-ubyte"


@dataclass(frozen=True)
class Material:
    """A file, its kind, and the mutations for its format."""

    kind: str
    """weights, run, state, epoch or data."""
    path: str
    """Path in the folder that is copied for each mutant."""
    mutations: Sequence[Mutation]
    weight: int
    """How often it is chosen, relative to the others."""


MATERIALS = (
    Material("weights", "net.safetensors", (in_header, in_header, anyhow), 14),
    Material("weights", "plain.safetensors", (in_header, anyhow), 6),
    Material("weights", "net.pth", (in_zip, in_zip, in_zip, anyhow), 16),
    Material("weights", "legacy.pth", (in_pickle, in_pickle, anyhow), 8),
    Material("weights", "wrapped.pth", (in_zip, in_zip, anyhow), 8),
    Material("weights", "half.pth", (in_zip, anyhow), 4),
    Material("run", f"runs/{SUBJECT}/request.json", (in_json, in_json, anyhow), 10),
    Material("run", f"runs/{SUBJECT}/events.jsonl", (in_lines, in_lines, in_lines, anyhow), 14),
    Material("run", f"runs/{SUBJECT}/note.json", (in_json, anyhow), 5),
    Material("run", f"runs/{SUBJECT}/resume/process.json", (in_json, anyhow), 6),
    Material("run", f"runs/{SUBJECT}/model.safetensors", (in_header, anyhow), 5),
    Material("state", f"runs/{SUBJECT}/resume/state.safetensors", (in_header, in_header, anyhow), 12),
    Material("epoch", f"runs/{SUBJECT}/epochs/0001.safetensors", (in_header, anyhow), 6),
    Material("data", f"cache/{LABELS}", (anyhow,), 3),
)
NOT_FILES = ("missing", "folder", "pipe", "socket", "loop", "nowhere", "endless")
"""What may be in place of a file."""


def make_material(root: Path) -> None:
    """Create the files in `root`. This trains a network, so the process must not be forked afterwards."""
    runs = root / "runs"
    runs.mkdir(parents=True)
    events, name, epochs = train_run(SMALL, runs), "", 0
    for event in events:
        name = event.run if isinstance(event, RunStarted) else name
        epochs += isinstance(event, EpochFinished)
        if epochs == 2:
            list(end(events))
            break
    subject = RunFolder((runs / name).rename(runs / SUBJECT))
    write_note(subject, "a note #tag")
    name = next(e.run for e in list(train_run(replace(SMALL, epochs=2), runs)) if isinstance(e, RunStarted))
    other = RunFolder((runs / name).rename(runs / OTHER))
    tensors, _ = load_tensors(other.model_file)
    shutil.copy(other.model_file, root / "net.safetensors")
    save_tensors(root / "plain.safetensors", tensors, {})
    torch.save(tensors, root / "net.pth")
    torch.save(tensors, root / "legacy.pth", _use_new_zipfile_serialization=False)
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in tensors.items()}}, root / "wrapped.pth")
    torch.save({key: value.half() for key, value in tensors.items()}, root / "half.pth")
    (root / "cache").mkdir()


def damage(material: Material, root: Path, chance: random.Random) -> str:
    """Damage a file under `root`; returns a description of the damage."""
    path = root / material.path
    if chance.random() < 0.08:
        return _replaced(path, chance.choice(NOT_FILES))
    mutation = chance.choice(material.mutations)
    path.write_bytes(mutation(path.read_bytes(), chance))
    return mutation.__name__


def _replaced(path: Path, what: str) -> str:
    path.unlink()
    match what:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "socket":
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(os.path.relpath(path))
        case "loop":
            path.symlink_to(path.name)
        case "nowhere":
            path.symlink_to("there is none")
        case "endless":
            path.symlink_to("/dev/zero")
        case _:
            pass
    return f"replaced by {what}"
