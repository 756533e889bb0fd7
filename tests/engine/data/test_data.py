from __future__ import annotations

import gzip
import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import random_split
from torchvision.transforms import ToTensor

from engine.data.datasets import Dataset, epoch_permutation, load_mnist_file, one_hot, split_indices
from engine.data.idx import parse_idx
from engine.paths import asset
from engine.request import RequestError

LABELS = "t10k-labels-idx1-ubyte"


def raw(name: str, header: int) -> np.ndarray:
    return np.frombuffer(gzip.decompress(asset("mnist", f"{name}.gz").read_bytes()), np.uint8)[header:]


def notebook_split() -> tuple[set[int], set[int]]:
    everything: Any = range(60_000)
    train, val = random_split(everything, [50_000, 10_000], generator=torch.Generator().manual_seed(0))
    return set(train.indices), set(val.indices)


@pytest.fixture(scope="module")
def train_bytes() -> np.ndarray:
    return raw("train-images-idx3-ubyte", 16).reshape(60_000, 28, 28)


def test_sizes_and_types(mnist: Dataset) -> None:
    assert (len(mnist.train), len(mnist.val), len(mnist.test)) == (50_000, 10_000, 10_000)
    assert mnist.image_shape == (1, 28, 28)
    for split in (mnist.train, mnist.val, mnist.test):
        assert split.images.shape == (len(split), 1, 28, 28)
        assert split.images.dtype == torch.float32
        assert split.labels.dtype == torch.int64
        assert 0 <= split.images.min() < split.images.max() <= 1
        assert set(split.labels.tolist()) == set(range(10))


def test_pixels_and_labels_are_those_of_to_tensor(mnist: Dataset, train_bytes: np.ndarray) -> None:
    to_tensor, labels = ToTensor(), raw("train-labels-idx1-ubyte", 8)
    notebook_train, notebook_val = notebook_split()
    for split, chosen in ((mnist.train, notebook_train), (mnist.val, notebook_val)):
        indices = sorted(chosen)
        for place in (0, 1, 77, 4321, len(indices) - 1):
            image = to_tensor(train_bytes[indices[place]][:, :, None].copy())
            assert torch.equal(split.images[place], image)
            assert split.labels[place] == int(labels[indices[place]])
    tests, test_labels = raw("t10k-images-idx3-ubyte", 16).reshape(-1, 28, 28), raw(LABELS, 8)
    for place in (0, 9_999):
        assert torch.equal(mnist.test.images[place], to_tensor(tests[place][:, :, None].copy()))
    assert mnist.test.labels.tolist() == test_labels.tolist()


def test_split_is_the_notebooks_random_split() -> None:
    train, val = split_indices(60_000)
    notebook_train, notebook_val = notebook_split()
    assert set(train.tolist()) == notebook_train
    assert set(val.tolist()) == notebook_val
    assert len(train) + len(val) == len({*train.tolist(), *val.tolist()}) == 60_000


def test_split_is_deterministic_and_sorted() -> None:
    torch.manual_seed(1)
    first = split_indices(60_000)
    torch.manual_seed(2)
    second = split_indices(60_000)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert all(torch.equal(a, a.sort().values) for a in first)


def test_epoch_permutation_comes_from_seed_and_epoch_alone() -> None:
    torch.manual_seed(1)
    first = epoch_permutation(3, 5, 1000)
    torch.manual_seed(2)
    assert torch.equal(first, epoch_permutation(3, 5, 1000))
    assert sorted(first.tolist()) == list(range(1000))
    others = [epoch_permutation(*pair, 1000) for pair in ((3, 6), (4, 5), (5, 3), (2, 6))]
    assert not any(torch.equal(first, other) for other in others)


def test_epoch_permutation_never_changes() -> None:
    assert epoch_permutation(0, 1, 50_000)[:5].tolist() == [42741, 37875, 39718, 32240, 38742]
    assert epoch_permutation(0, 2, 50_000)[:5].tolist() == [48783, 17119, 5631, 38190, 17955]
    assert epoch_permutation(7, 1, 10).tolist() == [7, 1, 2, 8, 4, 0, 5, 6, 9, 3]


def test_one_hot_is_the_notebooks_loop(mnist: Dataset) -> None:
    labels = mnist.test.labels[:100]
    rows = []
    for label in labels:
        row = torch.zeros(10)
        row[label] = 1
        rows.append(row)
    encoded = one_hot(labels)
    assert encoded.dtype == torch.float32
    assert torch.equal(encoded, torch.stack(rows))


def damaged(folder: Path, data: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / f"{LABELS}.gz").write_bytes(data)
    return folder


def refusal(folder: Path, cache: Path) -> str:
    with pytest.raises(RequestError) as caught:
        load_mnist_file(LABELS, folder, cache)
    message = str(caught.value)
    assert f"{folder / LABELS}.gz" in message
    assert "\n" not in message
    assert not (cache / LABELS).exists()
    return message


def test_flipped_byte_is_named(tmp_path: Path) -> None:
    good = asset("mnist", f"{LABELS}.gz").read_bytes()
    for place in range(100, len(good), 250):
        bad = bytearray(good)
        bad[place] ^= 0x10
        assert "damaged" in refusal(damaged(tmp_path / "assets", bytes(bad)), tmp_path / "cache")


@pytest.mark.parametrize("length", [0, 1, 9, 1000, -1])
def test_truncated_file_is_named(tmp_path: Path, length: int) -> None:
    good = asset("mnist", f"{LABELS}.gz").read_bytes()
    assert "damaged" in refusal(damaged(tmp_path / "assets", good[:length]), tmp_path / "cache")


def test_other_content_in_valid_gzip_is_named(tmp_path: Path) -> None:
    data = bytearray(gzip.decompress(asset("mnist", f"{LABELS}.gz").read_bytes()))
    data[100] = (data[100] + 1) % 10  # a wrong label: only the checksum can tell
    assert "SHA-256" in refusal(damaged(tmp_path / "assets", gzip.compress(bytes(data))), tmp_path / "cache")


def test_missing_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    assert "missing" in refusal(tmp_path / "assets", tmp_path / "cache")


@pytest.mark.parametrize("content", [b"", b"garbage", bytes(10_008), "short"])
def test_damaged_cache_is_replaced(tmp_path: Path, content: bytes | str) -> None:
    good = gzip.decompress(asset("mnist", f"{LABELS}.gz").read_bytes())
    (tmp_path / LABELS).write_bytes(good[:-1] if isinstance(content, str) else content)
    assert load_mnist_file(LABELS, asset("mnist"), tmp_path).tolist() == list(good[8:])
    assert (tmp_path / LABELS).read_bytes() == good
    assert sorted(path.name for path in tmp_path.iterdir()) == [f".{LABELS}.verified", LABELS]


def test_cached_idx_of_another_length_is_replaced(tmp_path: Path) -> None:
    (tmp_path / LABELS).write_bytes(b"\0\0\x08\x01" + (3).to_bytes(4, "big") + b"\1\2\3")
    assert len(load_mnist_file(LABELS, asset("mnist"), tmp_path)) == 10_000


def test_a_cached_file_of_the_right_length_with_other_bytes_is_replaced(tmp_path: Path) -> None:
    good = load_mnist_file(LABELS, asset("mnist"), tmp_path)
    data = (tmp_path / LABELS).read_bytes()
    (tmp_path / LABELS).write_bytes(data[:8] + bytes(10_000))
    assert np.array_equal(load_mnist_file(LABELS, asset("mnist"), tmp_path), good)
    assert (tmp_path / LABELS).read_bytes() == data


def test_a_cached_file_is_hashed_once_for_each_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_mnist_file(LABELS, asset("mnist"), tmp_path)
    hashed = []
    digest = hashlib.file_digest

    def file_digest(*rest: Any) -> Any:
        hashed.append(rest)
        return digest(*rest)

    monkeypatch.setattr(hashlib, "file_digest", file_digest)
    load_mnist_file(LABELS, asset("mnist"), tmp_path)
    assert hashed == []
    os.utime(tmp_path / LABELS, (1, 1))
    load_mnist_file(LABELS, tmp_path / "no-assets", tmp_path)
    load_mnist_file(LABELS, tmp_path / "no-assets", tmp_path)
    assert len(hashed) == 1
    (tmp_path / f".{LABELS}.verified").write_bytes(b"[" * 100_000)
    load_mnist_file(LABELS, tmp_path / "no-assets", tmp_path)
    assert len(hashed) == 2


def test_integers_of_four_bytes(tmp_path: Path) -> None:
    rows = parse_idx(b"\0\0\x0c\2" + b"\0\0\0\2\0\0\0\3" + b"".join(n.to_bytes(4, "big") for n in range(6)), "x")
    assert rows.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_cache_is_used(tmp_path: Path) -> None:
    first = load_mnist_file(LABELS, asset("mnist"), tmp_path)
    assert np.array_equal(load_mnist_file(LABELS, tmp_path / "no-assets", tmp_path), first)


def test_unwritable_cache_costs_nothing_but_time(tmp_path: Path) -> None:
    blocked = tmp_path / "cache"
    blocked.write_text("a file where the folder should be")
    assert load_mnist_file(LABELS, asset("mnist"), blocked / "mnist").shape == (10_000,)
    assert load_mnist_file(LABELS, asset("mnist"), blocked).shape == (10_000,)
    assert blocked.read_text() == "a file where the folder should be"
