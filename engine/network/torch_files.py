"""Files of torch.save: zip archives, and the format before PyTorch 1.6. Code in a file is never run."""

from __future__ import annotations

import io
import math
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.network.pickles import Made, Named, PickleError, read_pickle
from engine.network.stored import MOST_BYTES, MOST_LISTED, MOST_SIDES, MOST_UNPACKED, FileError, Stored, TensorFile
from engine.words import shortened

_STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
}

_ODD = {
    "_rebuild_sparse_tensor": "sparse",
    "_rebuild_sparse_csr_tensor": "sparse",
    "_rebuild_qtensor": "quantised",
    "_rebuild_nested_tensor": "nested",
    "_rebuild_meta_tensor_no_storage": "meta",
}
"""Tensors that are not plain weights, by the function that would make them."""

_MAGIC = 0x1950A86A20F9469CFC6C
"""The magic number of torch.save's format before zip archives."""


@dataclass(eq=False)
class _Storage:
    """A contiguous array of numbers in the file."""

    dtype: torch.dtype | None
    """None for bytes whose data type the tensor defines."""
    count: int
    """Number of elements, or of bytes if it has no data type."""
    read: Callable[[], bytearray | memoryview]
    swapped: bool = False
    """Whether the byte order differs from that of this machine."""


_DTYPES = {name: value for name, value in vars(torch).items() if isinstance(value, torch.dtype)}
"""All data types by name, including those without a storage class, such as float8."""


def _tensor(arguments: tuple[Any, ...], dtype: torch.dtype | None = None) -> Stored:
    """The tensor that `_rebuild_tensor_v2` would make of its arguments."""
    storage, offset, shape, strides = arguments[:4]
    if not isinstance(storage, _Storage):
        raise PickleError("is damaged")
    dtype = dtype or storage.dtype
    if dtype is None:
        raise PickleError("is damaged")
    if len(shape) > MOST_SIDES or len(strides) > MOST_SIDES:
        raise PickleError("holds a tensor of too many dimensions")
    numbers = (offset, *shape, *strides)
    if len(shape) != len(strides) or not all(isinstance(each, int) and 0 <= each < 1 << 40 for each in numbers):
        raise PickleError("is damaged")
    count = storage.count if storage.dtype else storage.count // dtype.itemsize
    extent = offset + sum((side - 1) * step for side, step in zip(shape, strides, strict=True)) + 1
    kind = str(dtype).removeprefix("torch.")
    # A view that repeats the same few numbers would be a large tensor in a small file.
    if math.prod(shape) > count or (math.prod(shape) and extent > count):
        kind = "larger than its data in the file"

    def load() -> Tensor:
        data = storage.read()
        if len(data) < count * dtype.itemsize:
            raise FileError("is cut off: it holds fewer numbers than it declares")
        if len(data) > storage.count * (storage.dtype.itemsize if storage.dtype else 1):
            raise FileError("is damaged: it holds more numbers than it declares")
        if not count or not math.prod(shape):
            return torch.empty(shape, dtype=dtype)
        numbers = torch.frombuffer(data, dtype=torch.uint8, count=count * dtype.itemsize)
        if storage.swapped:
            numbers = numbers.view(-1, dtype.itemsize).flip(1).contiguous().view(-1)
        return numbers.view(dtype).as_strided(shape, strides, offset).clone(memory_format=torch.contiguous_format)

    return Stored(tuple(shape), kind, load)


def _call(callee: Named, arguments: tuple[Any, ...]) -> Any:
    """The replacement of a call in a pickle of torch.save."""
    found: Any = NotImplemented
    match callee.module, callee.name:
        case "torch", "Size":
            (found,) = arguments
        case "torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2":
            found = _tensor(arguments)
        case "torch._utils", "_rebuild_tensor_v3":
            found = _tensor(arguments, _DTYPES.get(arguments[6].name))
        case "torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state":
            found = arguments[0]
        case "torch._tensor", "_rebuild_from_type_v2":
            found = _call(arguments[0], arguments[2])
        case "torch._utils" | "torch._tensor", name if name in _ODD:
            found = Stored((), _ODD[name])
        case _:
            pass
    return found


def _content(value: Any) -> TensorFile:
    """The contents of a pickle of torch.save; raises FileError where it is not a collection of tensors."""
    if isinstance(value, Made):
        if isinstance(value.state, dict) and "_modules" in value.state:
            raise FileError(
                f"holds a whole model ({shortened(str(value.callee))}), which cannot be read without running code: "
                "where its code is available, save its weights with torch.save(model.state_dict(), 'weights.pth')"
            )
        raise FileError(
            f"holds an object of {shortened(str(value.callee))}, which cannot be read without running code: "
            "save only model.state_dict()"
        )
    return TensorFile(value)


class InPieces(io.BufferedReader):
    """A file that refuses large reads, which zipfile only makes for the list of contents."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as from any file. Raises FileError where `size` exceeds that of a list of contents."""
        if size is not None and size > MOST_LISTED:
            raise FileError("is a zip archive with too many parts")
        return super().read(size)


class _Archive:
    """A zip archive with a limit on what is read from it."""

    def __init__(self, file: InPieces) -> None:
        try:
            self.zip = zipfile.ZipFile(file)
        except FileError:
            raise
        except Exception:  # a damaged list of contents can raise anything
            raise FileError("is cut off or damaged: it begins like a zip archive but does not end like one") from None
        self.names = self.zip.namelist()
        self._read = self._unpacked = 0

    def read(self, name: str, most: int = MOST_BYTES) -> bytearray:
        """The part `name`; raises FileError where it is missing, damaged, or larger than `most`."""
        found = bytearray()
        try:
            info = self.zip.getinfo(name)
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                # zipfile unpacks these without limit.
                raise FileError(
                    "is compressed in a way that torch.save never uses: unpack it, and pack it with deflate"
                )
            with self.zip.open(info) as part:
                while chunk := part.read(1 << 20):
                    found += chunk
                    self._read += len(chunk)
                    self._unpacked += len(chunk) if info.compress_type != zipfile.ZIP_STORED else 0
                    if self._read > MOST_BYTES or self._unpacked > MOST_UNPACKED or len(found) > most:
                        raise FileError(
                            f"unpacks to more than {min(most, MOST_UNPACKED) >> 20:,} MiB, too large for this network"
                        )
        except (FileError, MemoryError):
            raise
        except Exception:  # errors of zipfile and zlib, and others for nonsensical data
            raise FileError(f"is damaged: its part {shortened(name)} cannot be read") from None
        return found


def zip_archive(file: InPieces) -> TensorFile:
    """The contents of a zip archive, the format of torch.save since PyTorch 1.6. Raises FileError or PickleError."""
    archive = _Archive(file)
    names = archive.names
    root = next((name.removesuffix("data.pkl") for name in names if name.rpartition("/")[2] == "data.pkl"), None)
    if any(name.startswith(f"{root}code/") or name == f"{root}constants.pkl" for name in names):
        raise FileError(
            "is TorchScript, a program with its weights: save only these, with "
            "torch.save(torch.jit.load(file).state_dict(), 'weights.pth')"
        )
    if root is None:
        if names and all(name.endswith(".npy") for name in names):
            raise FileError("is an archive of NumPy arrays: only PyTorch weights can be read")
        raise FileError("is a zip archive, but not one of PyTorch")
    order = bytes(archive.read(f"{root}byteorder", 1 << 10)) if f"{root}byteorder" in names else b"little"

    def storage(name: Any) -> _Storage:
        match name:
            case ("storage", Named(name=kind), str(key), _, int(count)) if count >= 0:
                return _Storage(
                    _STORAGES.get(kind), count, lambda: archive.read(f"{root}data/{key}"), order.strip() == b"big"
                )
            case _:
                raise PickleError("is damaged")

    return _content(read_pickle(io.BytesIO(archive.read(f"{root}data.pkl", MOST_LISTED * 4)), _call, storage))


def legacy(file: io.BytesIO) -> TensorFile:
    """The format of torch.save before PyTorch 1.6: four pickles, then the data of the tensors."""
    storages: dict[str, _Storage] = {}
    places: dict[str, tuple[int, int]] = {}
    data = file.getbuffer()

    def storage(name: Any) -> _Storage | Named:
        match name:
            case ("storage", Named(name=kind), str(key), _, int(count), *_) if count >= 0 and kind in _STORAGES:
                return storages.setdefault(key, _Storage(_STORAGES[kind], count, lambda: at(key)))
            case ("module", Named() as code, *_):  # a class with its source code
                return code
            case _:
                raise PickleError("is damaged")

    def at(key: str) -> memoryview:
        start, length = places.get(key, (0, 0))
        return data[start : start + length]

    def nothing(_: Any) -> Any:
        raise PickleError("is damaged")

    first = read_pickle(file, _call, nothing)
    if first != _MAGIC or isinstance(first, bool):
        if isinstance(first, Made | dict | list):
            return _no_torch(first)
        raise FileError("is a pickle of something other than weights")
    for _ in range(2):  # the version, and properties of the machine
        read_pickle(file, _call, nothing)
    value = read_pickle(file, _call, storage)
    keys = read_pickle(file, _call, nothing)
    if not isinstance(keys, list):
        raise PickleError("is damaged")
    for key in keys:
        size = file.read(8)
        if not isinstance(key, str) or key not in storages or len(size) < 8:
            raise PickleError("is cut off")
        one = storages[key]
        assert one.dtype is not None, "storages in this format have a data type"
        length = struct.unpack("<q", size)[0] * one.dtype.itemsize
        if length < 0 or file.tell() + length > len(data):
            raise PickleError("is cut off")
        places[key] = file.tell(), length
        file.seek(length, io.SEEK_CUR)
    return _content(value)


def _no_torch(value: Any) -> TensorFile:
    """The contents of a pickle that torch.save did not write."""
    if isinstance(value, Made):
        return _content(value)
    raise FileError("is a plain pickle, not a file of torch.save: save it with torch.save(model.state_dict(), ...)")
