"""Files of tensors, recognised by their contents and not by their names: safetensors, and files of torch.save.

Code in a file is never run, and the size of what is unpacked is limited.
"""

from __future__ import annotations

import contextlib
import io
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from engine.network.pickles import PickleError
from engine.network.stored import MOST_BYTES, MOST_TENSORS, FileError, Stored, TensorFile
from engine.network.torch_files import InPieces, legacy, zip_archive
from engine.request import RequestError
from engine.words import shortened

_OF_SAFETENSORS = {
    "F32": torch.float32,
    "F64": torch.float64,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
}


@contextlib.contextmanager
def opened(path: Path) -> Iterator[TensorFile]:
    """The contents of `path`, whose tensors can be loaded within the context.

    Raises RequestError, then or while a tensor is loaded, with what is wrong with the file.
    """
    try:
        with _opened(path) as file:
            yield file
    except FileNotFoundError:
        raise RequestError(f"there is no file {path}") from None
    except (FileError, PickleError) as error:
        raise RequestError(f"{path} {error}") from None
    except MemoryError:
        raise RequestError(f"{path} does not fit in memory: free some") from None
    except OSError as error:
        raise RequestError(f"{path} cannot be read ({error.strerror or error})") from None


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[TensorFile]:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise FileError("is a folder, not a weights file" if path.is_dir() else "is not a regular file")
    if status.st_size > MOST_BYTES:
        raise FileError(f"holds {status.st_size >> 20:,} MiB: weights files may have at most {MOST_BYTES >> 20:,}")
    with InPieces(io.FileIO(path)) as file:
        head = file.read(1024)
        file.seek(0)
        if head[:4] in (b"PK\3\4", b"PK\5\6"):
            yield zip_archive(file)
        elif _is_safetensors(head):
            with _safetensors(path) as found:
                yield found
        elif head[:1] == b"\x80":
            yield legacy(io.BytesIO(file.read()))
        else:
            raise FileError(what_it_is(head))


def what_it_is(head: bytes) -> str:
    """What kind of file begins with `head`, if it does not hold tensors, worded to follow the file's name."""
    if not head:
        return "is empty: download or save it again"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    known = {
        b"version https://git-lfs": "is a pointer of Git LFS, not the file itself: run git lfs pull",
        b"<!doctype": "is a web page, perhaps a login page: download the file itself",
        b"<html": "is a web page, perhaps a login page: download the file itself",
        b"<?xml": "is XML, perhaps an error of a server: download the file itself",
        b"\x1f\x8b": "is compressed with gzip: gunzip it first",
        b"bzh": "is compressed with bzip2: bunzip2 it first",
        b"\xfd7zxz": "is compressed with xz: unxz it first",
        b"\x28\xb5\x2f\xfd": "is compressed with zstd: unzstd it first",
        b"\x89hdf": "is HDF5, as written by Keras: only PyTorch weights can be read",
        b"\x93numpy": "is a NumPy array: only PyTorch weights can be read",
    }
    for begin, words in known.items():
        if text.startswith(begin):
            return words
    if head[257:262] == b"ustar":
        return "is a tar archive: unpack it first"
    if not head.strip(b"\0"):
        return "begins with zeros only, perhaps after an interrupted copy: copy or download it again"
    if all(each in b"\t\r\n\f" or 32 <= each < 127 for each in head):
        return "is a text file, not a weights file"
    return "is not a weights file of PyTorch or safetensors"


# safetensors


def _is_safetensors(head: bytes) -> bool:
    return len(head) > 8 and head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] < 100_000_000


@contextlib.contextmanager
def _safetensors(path: Path) -> Iterator[TensorFile]:
    try:
        with safe_open(path, framework="pt") as file:
            keys = list(file.keys())
            if len(keys) > MOST_TENSORS:
                raise FileError(f"holds {len(keys):,} tensors, so it is not this network")
            content = {key: _slice(file, key) for key in keys}
            yield TensorFile(content, file.metadata() or {}, ordered=False)
    except SafetensorError as error:
        raise FileError(f"is not a complete safetensors file ({shortened(str(error))})") from None


def _slice(file: Any, key: str) -> Stored:
    one = file.get_slice(key)
    dtype = _OF_SAFETENSORS.get(one.get_dtype())
    kind = str(dtype).removeprefix("torch.") if dtype else str(one.get_dtype())
    return Stored(tuple(one.get_shape()), kind, lambda: file.get_tensor(key))
