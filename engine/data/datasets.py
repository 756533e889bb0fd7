"""Data sets as tensors on the device, split into 50,000 training, 10,000 validation and 10,000 test images."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
from collections.abc import Generator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.data.drawings import read_drawings
from engine.data.events import DownloadAdvanced
from engine.data.idx import Raw, parse_idx
from engine.data.integrity import intact
from engine.data.requests import DRAWINGS, DatasetName
from engine.geometry import CLASSES, IMAGE_SIZE
from engine.paths import asset, cache_folder, stamp, write_whole
from engine.request import RequestError

VALIDATION_SIZE = 10_000
SPLIT_SEED = 0
"""The same split for all runs, whatever their seed: no network is trained on the validation images of another."""

MNIST_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


@dataclass(frozen=True, eq=False)
class Split:
    """Images and their labels, on one device. Compared by identity, so that results can be cached by it."""

    images: Tensor
    """(N, 1, 28, 28) float32 in [0, 1]."""
    labels: Tensor
    """(N,) int64, 0 to 9."""

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int) -> Split:
        """The first `count` images, or all if there are fewer."""
        return Split(self.images[:count], self.labels[:count])


@dataclass(frozen=True)
class Dataset:
    """The three splits of the notebook's section 1, each in the data set's own order."""

    name: str
    train: Split
    val: Split
    test: Split

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, rows, columns) of one image: (1, 28, 28)."""
        channels, rows, columns = self.train.images.shape[1:]
        return channels, rows, columns


def one_hot(labels: Tensor) -> Tensor:
    """Labels (N,) as one-hot rows (N, 10) float32: the notebook's `conversion_to_one_hot`."""
    return torch.nn.functional.one_hot(labels, CLASSES).to(torch.float32)


def split_indices(size: int, seed: int = SPLIT_SEED) -> tuple[Tensor, Tensor]:
    """Indices of `size` images for training and for validation, each sorted: (size - 10000,), (10000,) int64.

    The same sets as from the notebook's `random_split` with a CPU generator of this seed, on every device.
    """
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
    cut = size - VALIDATION_SIZE
    return order[:cut].sort().values, order[cut:].sort().values


def epoch_permutation(seed: int, epoch: int, size: int) -> Tensor:
    """The order of the training images in `epoch`: (size,) int64 on the CPU, determined by (seed, epoch).

    So an epoch depends neither on earlier ones nor on the device, and a run can be resumed at any epoch.
    """
    mixed = int(np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)[0] >> np.uint64(1))
    return torch.randperm(size, generator=torch.Generator().manual_seed(mixed))


def load_mnist_file(name: str, folder: Path, cache: Path) -> np.ndarray:
    """One of MNIST's four files, unpacked from `folder` into `cache` on first use.

    Both are checked by SHA-256: the unpacked data each time, the cached file once for each change of it. (The bundled
    networks are not checked.) Raises RequestError that names a damaged or missing file. Works without a writable cache;
    a cached file with the wrong contents is unpacked again.
    """
    cached, digest = cache / name, MNIST_SHA256[name]
    with contextlib.suppress(OSError, RequestError):
        if intact(cached, digest, "sha256"):
            return parse_idx(cached.read_bytes(), str(cached))
    packed = folder / f"{name}.gz"
    try:
        data = gzip.decompress(packed.read_bytes())
    except FileNotFoundError:
        raise RequestError(f"{packed} is missing: reinstall mnist-tui") from None
    except (OSError, EOFError, ValueError, gzip.zlib.error) as error:  # type: ignore[attr-defined]
        raise RequestError(f"{packed} is damaged ({error}): reinstall mnist-tui") from None
    if hashlib.sha256(data).hexdigest() != digest:
        raise RequestError(f"{packed} is damaged (wrong SHA-256): reinstall mnist-tui")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        write_whole(cached, lambda path: path.write_bytes(data))
        intact(cached, digest, "sha256")
    except OSError:
        pass  # with a read-only or full home, the next start only takes longer
    return parse_idx(data, str(packed))


def load_mnist() -> Raw:
    """The MNIST files that ship with the program; works offline."""
    images, labels, test_images, test_labels = (
        load_mnist_file(name, asset("mnist"), cache_folder() / "mnist") for name in MNIST_SHA256
    )
    return images, labels, test_images, test_labels


def arrange(name: str, raw: Raw, device: torch.device) -> Dataset:
    """Split `raw` and move it to `device`, with pixels as from the notebook's ToTensor (a byte divided by 255)."""

    images, labels, test_images, test_labels = raw
    train, val = split_indices(len(labels))
    return Dataset(
        name,
        _split(images, labels, device, train),
        _split(images, labels, device, val),
        _split(test_images, test_labels, device),
    )


def _split(images: np.ndarray, labels: np.ndarray, device: torch.device, chosen: Tensor | None = None) -> Split:
    pixels, classes = torch.from_numpy(images.copy()), torch.from_numpy(labels.astype(np.int64))
    if chosen is not None:
        pixels, classes = pixels[chosen], classes[chosen]
    # Divided on the CPU: a GPU multiplies by 1 / 255, which changes the last bit of half of the gray levels.
    pixels = pixels.to(torch.float32).div_(255).view(-1, 1, IMAGE_SIZE, IMAGE_SIZE)
    return Split(pixels.to(device), classes.to(device))


def load_drawings(root: Path, device: torch.device) -> Split:
    """All drawings that the user kept in `root`, the folder of all runs.

    Returns the same object until their file changes. Raises RequestError where there are none, or the file is damaged.
    """
    return _drawings(root, device, stamp(root / DRAWINGS))


@lru_cache(maxsize=2)
def _drawings(root: Path, device: torch.device, _version: tuple[int, ...]) -> Split:
    return _split(*read_drawings(root), device)


KEPT = 2
"""Number of data sets kept in memory: each takes 220 MB."""
_kept: dict[tuple[str, torch.device], Dataset] = {}


def is_loaded(name: DatasetName, device: torch.device) -> bool:
    """Whether the data set is in memory already."""
    return (name, device) in _kept


def load(name: DatasetName, device: torch.device) -> Generator[DownloadAdvanced, None, Dataset]:
    """The data set `name` on `device`; a generator, since all but mnist may have to be downloaded first.

    Returns the same object as long as it is cached. Raises RequestError where a file is damaged or not available.
    """
    if (data := _kept.get((name, device))) is None:
        if name == "mnist":
            raw = load_mnist()
        else:
            # torchvision takes 1.5 s to import, so it is imported only for other data sets.
            from engine.data.downloads import download

            raw = yield from download(name, cache_folder())
        _kept[name, device] = data = arrange(name, raw, device)
        for oldest in list(_kept)[:-KEPT]:
            _kept.pop(oldest, None)
    return data
