"""The data sets that do not ship with the program: sources, checks and formats are torchvision's."""

from __future__ import annotations

import urllib.request
from collections.abc import Generator
from contextlib import closing
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
import torchvision.datasets as sets
from torchvision.datasets.utils import check_integrity

from engine.data import Raw
from engine.events import DownloadAdvanced
from engine.paths import write_whole
from engine.requests import DatasetName, RequestError

CHUNK = 1 << 16
TIMEOUT = 15.0  # seconds without a byte


def sources(name: DatasetName) -> list[tuple[str, list[str], str]]:
    """(file name, addresses to try in turn, MD5) of each file of `name`, as torchvision lists them."""
    match name:
        case "fashion-mnist" | "kmnist":
            kind = sets.FashionMNIST if name == "fashion-mnist" else sets.KMNIST
            return [(file, [mirror + file for mirror in kind.mirrors], md5) for file, md5 in kind.resources]
        case "emnist-digits":
            return [(sets.EMNIST.url.rpartition("/")[2], [sets.EMNIST.url], sets.EMNIST.md5)]
        case "qmnist":
            files = sets.QMNIST.resources["train"] + sets.QMNIST.resources["test"]
            return [(url.rpartition("/")[2], [url], md5) for url, md5 in files]
        case _:
            raise RequestError(f"{name} is not downloaded: it ships with the program")


def _kind(name: DatasetName, root: Path, train: bool) -> Any:
    match name:
        case "fashion-mnist":
            return sets.FashionMNIST(root, train=train, download=True)
        case "kmnist":
            return sets.KMNIST(root, train=train, download=True)
        case "emnist-digits":
            return sets.EMNIST(root, split="digits", train=train, download=True)
        case _:
            return sets.QMNIST(root, what="train" if train else "test", compat=True, download=True)


FOLDERS = {"fashion-mnist": "FashionMNIST", "kmnist": "KMNIST", "emnist-digits": "EMNIST", "qmnist": "QMNIST"}


def download(name: DatasetName, root: Path) -> Generator[DownloadAdvanced, None, Raw]:
    """Fetch what is missing of `name` into `root` and read it.

    We fetch the files ourselves, to say how far it is and to stop when asked; torchvision then finds them in place,
    unpacks and parses them. Raises RequestError in one line when offline.
    """
    folder = root / FOLDERS[name] / "raw"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, addresses, md5 in sources(name):
            if not check_integrity(folder / file, md5):
                yield from _fetch(name, folder / file, addresses, md5)
        train, test = _kind(name, root, train=True), _kind(name, root, train=False)
    except OSError as error:
        raise RequestError(
            f"cannot keep {name} in {folder} ({error.strerror or error}): free the disk or set XDG_CACHE_HOME"
        ) from None
    arrays = [np.asarray(array) for split in (train, test) for array in (split.data, split.targets)]
    if name == "emnist-digits":  # EMNIST stores its images with rows and columns exchanged
        arrays[0], arrays[2] = arrays[0].transpose(0, 2, 1), arrays[2].transpose(0, 2, 1)
    if name == "qmnist":  # its labels are rows of which the first column is the class
        arrays[1], arrays[3] = (labels.reshape(len(labels), -1)[:, 0] for labels in (arrays[1], arrays[3]))
    return arrays[0], arrays[1], arrays[2], arrays[3]


def _fetch(name: str, path: Path, addresses: list[str], md5: str) -> Generator[DownloadAdvanced, None, None]:
    problem = "no address"
    for address in addresses:
        parts: list[bytes] = []
        try:
            request = urllib.request.Request(address, headers={"User-Agent": "mnist-tui"})
            with closing(urllib.request.urlopen(request, timeout=TIMEOUT)) as response:
                total, received = int(response.headers.get("Content-Length") or 0), 0
                while part := response.read(CHUNK):
                    parts.append(part)
                    received += len(part)
                    yield DownloadAdvanced(dataset=name, file=path.name, received=received, total=total)
        except (OSError, HTTPException, ValueError) as error:
            problem = str(getattr(error, "reason", error))
            continue
        write_whole(path, lambda partial, parts=parts: partial.write_bytes(b"".join(parts)))  # type: ignore[misc]
        if check_integrity(path, md5):
            return
        path.unlink()
        problem = "what came has the wrong MD5"
    raise RequestError(
        f"cannot download {path.name} of {name} ({problem}): check the connection, or train on mnist, which is included"
    )
