"""CUDA GPUs: whether one is usable, its precision, and its errors in plain words."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterator
from functools import cache
from typing import Literal, cast

import torch
from torch.nn.functional import conv2d

from engine.network.requests import PrecisionName
from engine.request import DeviceFailed, RequestError

ENOUGH = 1_200
"""Free memory, in MB, that `auto` requires of a GPU: a data set takes 220, a run about 800."""

_AMPERE = (8, 0)
"""The first compute capability with TF32."""

_OUT_OF_MEMORY = re.compile(r"(CUDA|HIP).*out of memory|(CUBLAS|CUDNN)\w*_(ALLOC_FAILED|NOT_INITIALIZED)")
"""Out of memory: CUDA's libraries, which need memory to initialise, each report it differently."""
_OF_CUDA = re.compile(r"CUDA|CUDNN|cuDNN|CUBLAS|NVIDIA")

_lost: list[str] = []
"""The error after which this process can no longer use a GPU; empty where there was none."""


@cache
def count() -> tuple[int, str]:
    """The number of GPUs that PyTorch sees, and why it sees none although there is one, in one line; else empty."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    why = f"PyTorch cannot use the GPU ({_first_sentence(caught[-1].message)})" if caught and not found else ""
    return found, why


def probe(device: torch.device) -> str:
    """Why `device` cannot be used, in one line; empty where a convolution works forward and backward.

    PyTorch also sees GPUs that it has no kernels for, that are full, or that another process uses exclusively. Reasons
    that may be temporary are checked again each time.
    """
    try:
        return _tried(device)
    except RuntimeError as error:
        return _meaning(error, device)


@cache
def _tried(device: torch.device) -> str:
    """As `probe`, but raises RuntimeError where the reason may be temporary."""
    try:
        with warnings.catch_warnings(), torch.inference_mode(False), torch.enable_grad():
            warnings.simplefilter("ignore")  # the line that is returned is shorter
            image = torch.ones((1, 1, 8, 8), device=device, requires_grad=True)
            maps = conv2d(image, torch.ones((2, 1, 3, 3), device=device))
            (gradient,) = torch.autograd.grad(maps.sum(), image)
            gradient.sum().item()
    except RuntimeError as error:
        if out_of_memory(error) or _taken(error):
            raise
        return _meaning(error, device) or f"{device} failed ({_first_sentence(error)})"
    return ""


def short_of_memory(device: torch.device) -> str:
    """That `device` has too little free memory, in one line; empty where it has enough."""
    free = _free(device)
    return f"{device} has only {free:,} MB free" if free is not None and free < ENOUGH else ""


def failure(error: BaseException) -> str:
    """What an `error` of this thread's GPU means and what to do, in one line; empty for other errors.

    If it leaves the process without a GPU, `check_not_lost` raises from then on.
    """
    if not isinstance(error, RuntimeError) or not (
        isinstance(error, torch.OutOfMemoryError | torch.AcceleratorError) or _OF_CUDA.search(str(error))
    ):
        return ""
    meaning = _meaning(error, _current())
    if meaning:
        return f"{meaning}: use --device cpu" + (", or free some memory" if out_of_memory(error) else "")
    _lost[:] = [_first_sentence(error)]
    return _lost_words()


def out_of_memory(error: BaseException) -> bool:
    """Whether a GPU ran out of memory."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and _OUT_OF_MEMORY.search(str(error)) is not None
    )


def check_not_lost() -> None:
    """Raise DeviceFailed where an earlier error left this process without a GPU."""
    if _lost:
        raise DeviceFailed(_lost_words())


def compute_exactly() -> None:
    """Use true single precision, and deterministic algorithms.

    By default, cuDNN uses TF32 for convolutions and whichever algorithm is fastest.
    """
    _set_precision("ieee")
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False


def tf32(name: PrecisionName) -> contextlib.AbstractContextManager[None]:
    """A context in which a GPU computes products and convolutions of float32 in TF32 if `name` is that.

    TF32 keeps 10 of the 23 mantissa bits of the factors. The setting is global, so only one thread at a time may
    compute.
    """
    return _tf32() if name == "tf32" else contextlib.nullcontext()


def autocast(name: PrecisionName, device: torch.device) -> contextlib.AbstractContextManager[None]:
    """A context in which a GPU computes the forward pass in bf16 if `name` is that: factors of 7 mantissa bits.

    The backward pass, outside of it, has the precision of the forward pass. On a CPU nothing changes: its kernels are
    told the precision.
    """
    if name == "bf16" and device.type != "cpu":
        return cast(contextlib.AbstractContextManager[None], torch.autocast(device.type, torch.bfloat16))
    return contextlib.nullcontext()


def bf16_pays(device: torch.device) -> bool:
    """Whether bf16 is faster than fp32 on `device`: elsewhere it is emulated, up to hundreds of times slower."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= _AMPERE
    return "AVX512" in torch.backends.cpu.get_cpu_capability()


@contextlib.contextmanager
def as_pytorch_does(device: torch.device) -> Iterator[None]:
    """PyTorch's own choice of precision and algorithms on a GPU, for the code of others that is measured."""
    if device.type != "cuda":
        yield
        return
    torch.backends.cudnn.conv.fp32_precision = "tf32"  # type: ignore[attr-defined]
    torch.backends.cudnn.deterministic = False
    try:
        yield
    finally:
        compute_exactly()


def check_precision(name: PrecisionName, device: torch.device) -> None:
    """Raise RequestError where `device` cannot compute in `name`."""
    if name == "tf32" and (
        device.type == "cpu" or (device.type == "cuda" and torch.cuda.get_device_capability(device) < _AMPERE)
    ):
        raise RequestError(f"tf32 needs an NVIDIA GPU from 2020 or later, not {device}: use --precision fp32")


def precision_modes(name: PrecisionName = "fp32") -> dict[str, str]:
    """CUDA's modes for float32 in a run whose precision is `name`: `ieee`, `tf32`, or `none` for its default."""
    with tf32(name):
        return {
            "cuda products": torch.backends.cuda.matmul.fp32_precision,
            "cudnn convolutions": torch.backends.cudnn.conv.fp32_precision,  # type: ignore[attr-defined]
        }


@contextlib.contextmanager
def _tf32() -> Iterator[None]:
    _set_precision("tf32")
    try:
        yield
    finally:
        _set_precision("ieee")


def _set_precision(mode: Literal["ieee", "tf32"]) -> None:
    torch.backends.cuda.matmul.fp32_precision = mode
    torch.backends.cudnn.conv.fp32_precision = mode  # type: ignore[attr-defined]


def _meaning(error: RuntimeError, device: torch.device) -> str:
    """What `error` means for `device`, without advice; empty where it leaves the process without a GPU."""
    words = str(error)
    if out_of_memory(error):
        free = _free(device)
        return f"{device} is out of memory" + (f": {free:,} MB are free" if free is not None else "")
    if "no kernel image" in words or "ARCH_MISMATCH" in words:
        return f"{device} is too {_age(device)} for this PyTorch"
    if _taken(error):
        return f"{device} is used exclusively by another process"
    if isinstance(error, torch.AcceleratorError) or "CUDA error" in words:
        return ""
    return f"{device} cannot be used ({_first_sentence(error)})"


def _taken(error: RuntimeError) -> bool:
    """Whether another process uses the GPU exclusively."""
    return "busy or unavailable" in str(error)


def _lost_words() -> str:
    return f"the GPU failed ({_lost[0]}) and this process cannot use it any more: restart, or use --device cpu"


def _first_sentence(error: object) -> str:
    """The part of PyTorch's message that says what happened, without its advice."""
    return re.split(r"\n|(?<=[\w)])\. ", str(error).strip())[0].rstrip(".")


def _current() -> torch.device:
    with contextlib.suppress(RuntimeError, AssertionError):
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cuda", 0)


def _age(device: torch.device) -> str:
    """`old` or `new`, compared with the GPUs that this PyTorch has kernels for."""
    with contextlib.suppress(RuntimeError, AssertionError):
        major, minor = torch.cuda.get_device_capability(device)
        known = [int(number) for each in torch.cuda.get_arch_list() if (number := re.sub(r"\D", "", each))]
        return "new" if known and 10 * major + minor > max(known) else "old"
    return "old"


def _free(device: torch.device) -> int | None:
    """MB free on `device`; None where even the query needs more than is free."""
    with contextlib.suppress(RuntimeError, AssertionError):
        return int(torch.cuda.mem_get_info(device)[0]) >> 20
    return None
