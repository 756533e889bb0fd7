"""The data sets that do not ship with the program, with the sources and checksums that torchvision lists."""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import os
import urllib.request
import zipfile
import zlib
from collections.abc import Generator
from contextlib import closing
from http.client import HTTPException
from pathlib import Path
from typing import IO

import numpy as np
import torchvision.datasets as sets

from engine.data.events import DownloadAdvanced
from engine.data.idx import Raw, parse_idx
from engine.data.integrity import intact
from engine.data.requests import DatasetName
from engine.paths import PARTIAL, write_whole
from engine.request import RequestError

CHUNK = 1 << 16
TIMEOUT = 15.0  # seconds without a byte
MOST_BYTES = 1 << 28
"""Maximum size of an unpacked array: the largest, EMNIST's training images, has 188 MB."""
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO)


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
            raise RequestError(f"{name} ships with the program and is not downloaded")


def _arrays(name: DatasetName) -> list[tuple[str, str]]:
    """Training images and labels, test images and labels of `name`: the file, and the member if it is an archive."""
    if name == "emnist-digits":
        parts = [(half, kind) for half in ("train", "test") for kind in ("images-idx3", "labels-idx1")]
        return [(sources(name)[0][0], f"gzip/emnist-digits-{half}-{kind}-ubyte.gz") for half, kind in parts]
    return [(file, "") for file, _, _ in sources(name)]


FOLDERS = {"fashion-mnist": "FashionMNIST", "kmnist": "KMNIST", "emnist-digits": "EMNIST", "qmnist": "QMNIST"}


def download(name: DatasetName, root: Path) -> Generator[DownloadAdvanced, None, Raw]:
    """Download the missing files of `name` into `root` and read them.

    Each file is checked against the MD5 that torchvision lists, once for each change of it, and downloaded again if it
    differs. Its contents are unpacked in memory, with their own checksum. Raises RequestError in one line when offline.
    """
    folder = root / FOLDERS[name] / "raw"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, addresses, md5 in sources(name):
            if not intact(folder / file, md5, "md5"):
                yield from _fetch(name, folder / file, addresses, md5)
    except OSError as error:
        raise RequestError(
            f"cannot store {name} in {folder} ({error.strerror or error}): free disk space or set XDG_CACHE_HOME"
        ) from None
    arrays = [_read(folder / file, member) for file, member in _arrays(name)]
    if name == "emnist-digits":  # EMNIST stores its images with rows and columns exchanged
        arrays[0], arrays[2] = arrays[0].transpose(0, 2, 1), arrays[2].transpose(0, 2, 1)
    if name == "qmnist":  # the first column of its labels is the class
        arrays[1], arrays[3] = arrays[1][:, 0], arrays[3][:, 0]
    return arrays[0], arrays[1], arrays[2], arrays[3]


def _read(file: Path, member: str) -> np.ndarray:
    try:
        with contextlib.ExitStack() as stack:
            packed: Path | IO[bytes] = file
            if member:
                packed = stack.enter_context(stack.enter_context(zipfile.ZipFile(file)).open(member))
            data = stack.enter_context(gzip.open(packed)).read(MOST_BYTES)
    except (OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise RequestError(f"{file} is damaged ({error}): delete it, and it will be downloaded again") from None
    return parse_idx(data, f"{file} {member}".rstrip())


def _fetch(name: str, path: Path, addresses: list[str], md5: str) -> Generator[DownloadAdvanced, None, None]:
    problem = "no address"
    partial = path.with_name(f".{path.name}.{os.getpid()}.download{PARTIAL}")
    for address in addresses:
        digest = hashlib.md5(usedforsecurity=False)
        try:
            request = urllib.request.Request(address, headers={"User-Agent": "mnist-tui"})
            with closing(urllib.request.urlopen(request, timeout=TIMEOUT)) as response, partial.open("wb") as file:
                total, received = int(response.headers.get("Content-Length") or 0), 0
                while part := response.read(CHUNK):
                    file.write(part)
                    digest.update(part)
                    received += len(part)
                    yield DownloadAdvanced(dataset=name, file=path.name, received=received, total=total)
            if digest.hexdigest() == md5:
                write_whole(path, partial.replace)
                return
            problem = "the file received has the wrong MD5"
        except (OSError, HTTPException, ValueError) as error:
            if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
                raise
            problem = str(getattr(error, "reason", error))
        finally:
            partial.unlink(missing_ok=True)
    raise RequestError(
        f"cannot download {path.name} of {name} ({problem}): check the connection, or use mnist, which is included"
    )
