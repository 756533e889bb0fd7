"""The notebook's training loop compared with the engine: `python -m tests.benchmarks.epoch [ROUNDS [IMAGES]]`.

Both alternate in one process, on the same 50,000/10,000/10,000 images (or the first IMAGES of each): a whole epoch of
training, validation and test, for both variants. The notebook's side is its own code: a DataLoader over torchvision's
MNIST with ToTensor, plain Adam, one `.item()` per step. It runs with the most generous limits that glibc's allocator
adapts to by itself; the engine runs with the limits that the program sets.
"""

from __future__ import annotations

import ctypes
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
import torchvision
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset, random_split

from engine.allocator import M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
from engine.benchmark import notebook
from engine.data.datasets import MNIST_SHA256, load, load_mnist_file
from engine.paths import asset
from engine.training.loop import TrainingState, train
from engine.training.requests import Train
from tests.conftest import returned

Pair = tuple[torch.Tensor, int]


def allocator(mmap: int, trim: int) -> None:
    """Set the limits of glibc's allocator, in bytes."""
    libc = ctypes.CDLL(None)
    for name, value in ((M_MMAP_THRESHOLD, mmap), (M_TRIM_THRESHOLD, trim), (M_ARENA_MAX, 1)):
        assert libc.mallopt(name, value)


def torchvision_mnist(root: Path, most: int) -> tuple[Dataset[Pair], Dataset[Pair], Dataset[Pair]]:
    """The notebook's three data sets, from the bundled files; at most the first `most` images of each."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in MNIST_SHA256:
        load_mnist_file(name, asset("mnist"), raw)
    both = [
        torchvision.datasets.MNIST(root, train=train, transform=torchvision.transforms.ToTensor())
        for train in (True, False)
    ]
    train_data, val_data = random_split(both[0], [50_000, 10_000])
    first, second, third = (Subset(data, range(min(most, len(data)))) for data in (train_data, val_data, both[1]))
    return first, second, third


def notebooks_epoch(sets: tuple[Dataset[Pair], Dataset[Pair], Dataset[Pair]], batch_norm: bool) -> float:
    """Seconds of an epoch of the notebook."""
    allocator(32 << 20, 64 << 20)  # the maximum that glibc adapts to, after blocks of 32 MB were freed
    model = notebook.CNN_batch_norm() if batch_norm else notebook.CNN()
    train_data, val_data, test_data = (
        DataLoader(data, batch_size=64, shuffle=shuffle)
        for data, shuffle in zip(sets, (True, True, False), strict=True)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    began = time.perf_counter()
    notebook.train(train_data, val_data, test_data, model, optimizer, nn.CrossEntropyLoss(), 1)
    return time.perf_counter() - began


def our_epoch(batch_norm: bool, most: int) -> float:
    """Seconds of an epoch of the engine."""
    allocator(1 << 30, 2**31 - 1)
    request = Train(batch_norm=batch_norm, epochs=1, device="cpu")
    whole = returned(load("mnist", torch.device("cpu")))
    data = replace(whole, **{name: getattr(whole, name).first(most) for name in ("train", "val", "test")})
    state = TrainingState.fresh(request, torch.device("cpu"))
    began = time.perf_counter()
    for _ in train(request, data, state):
        pass
    return time.perf_counter() - began


def main(arguments: Sequence[str] = ()) -> None:
    """Print the ratio for each variant."""
    given = [int(word) for word in arguments]
    rounds, most = given + [3, 50_000][len(given) :]
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads of {platform.machine()}")
    with tempfile.TemporaryDirectory() as folder:
        sets = torchvision_mnist(Path(folder), most)
        for batch_norm in (False, True):
            theirs, ours = [], []
            for _ in range(rounds):
                theirs.append(notebooks_epoch(sets, batch_norm))
                ours.append(our_epoch(batch_norm, most))
            ratios = [a / b for a, b in zip(theirs, ours, strict=True)]
            name = "cnn-bn" if batch_norm else "cnn"
            seconds = f"notebook {statistics.median(theirs):.1f} s  ours {statistics.median(ours):.1f} s"
            spread = f"from {min(ratios):.2f} to {max(ratios):.2f}"
            print(f"{name:<6}  {seconds}  ratio median {statistics.median(ratios):.2f}  ({spread})")


if __name__ == "__main__":
    main(sys.argv[1:])
