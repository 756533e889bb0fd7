"""Weights in and out: safetensors, our own; `.pth`, the notebook's."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from engine.geometry import IMAGE_SIZE, GeometryError, block_sizes
from engine.model import CNN
from engine.paths import write_whole
from engine.requests import Architecture, RequestError

State = dict[str, Tensor]

MOST_BYTES = 2 << 30
"""Of a weights file, unpacked: what claims more is refused unread."""


def save_tensors(path: Path, tensors: State, metadata: dict[str, str]) -> None:
    """Write `tensors` as safetensors, whole or not at all; raises OSError."""
    plain = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}

    def write(partial: Path) -> None:
        try:
            save_file(plain, partial, metadata)
        except SafetensorError as error:  # it wraps the disk's own errors
            raise OSError(None, str(error)) from None

    write_whole(path, write)


def save_weights(path: Path, model: CNN) -> None:
    """Write the weights of `model`: `.pth` as the notebook's `torch.save(model.state_dict())`, else safetensors.

    The architecture goes along in the safetensors' metadata. Raises OSError.
    """
    if path.suffix in (".pth", ".pt"):
        state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
        buffer = io.BytesIO()  # torch.save hides the disk's own errors
        torch.save(state, buffer)
        write_whole(path, lambda partial: partial.write_bytes(buffer.getvalue()))
        return
    a = model.architecture
    plain = Architecture(**{name: getattr(a, name) for name in Architecture.__struct_fields__})
    save_tensors(path, model.state_dict(), {"architecture": msgspec.json.encode(plain).decode()})


def save_convolutions(path: Path, model: CNN) -> None:
    """Write weights and biases of both convolutions under their own keys: 38 kB for the notebook's. Raises OSError."""
    keys = [f"conv{block}.0.{name}" for block in (1, 2) for name in ("weight", "bias")]
    state = model.state_dict()
    save_tensors(path, {key: state[key] for key in keys}, {})


def load_tensors(path: Path) -> tuple[State, dict[str, str]]:
    """The tensors and the metadata of a safetensors file; raises RequestError where it cannot be read."""
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except FileNotFoundError:
        raise RequestError(f"there is no file {path}") from None
    except (OSError, SafetensorError) as error:
        raise RequestError(f"{path} is no whole safetensors file ({error})") from None


def load_weights(path: Path) -> CNN:
    """The network in a weights file, on the CPU, in evaluation mode.

    The architecture is read from the metadata, or from the keys and shapes. Raises RequestError, naming the first key
    that does not fit, where the file holds another network or none.
    """
    metadata: dict[str, str] = {}
    _check_size(path)
    if path.suffix in (".pth", ".pt"):
        state = _load_pth(path)
    else:
        state, metadata = load_tensors(path)
    if "architecture" in metadata:
        try:
            architecture = msgspec.json.decode(metadata["architecture"], type=Architecture)
        except msgspec.DecodeError as error:
            raise RequestError(f"{path}: its metadata do not describe a network ({error})") from None
    else:
        architecture = infer_architecture(state, path)
    with torch.device("meta"):  # a file may claim a network that no memory holds
        expected = CNN(architecture).state_dict()
    for key in [*expected, *state]:
        want = tuple(expected[key].shape) if key in expected else None
        have = tuple(state[key].shape) if key in state else None
        # `num_batches_tracked` is missing in files of old PyTorch versions, and nothing depends on it.
        if want != have and not (have is None and key.endswith("num_batches_tracked")):
            raise RequestError(
                f"{path} does not fit the network: {key} is {have or 'missing'}, wanted {want or 'nothing'}"
            )
    model = CNN(architecture)
    model.load_state_dict(model.state_dict() | state)
    return model.eval()


def damaged(model: CNN) -> int:
    """How many weights of `model` are no finite number."""
    return sum(int((~value.isfinite()).sum()) for value in model.state_dict().values())


def _check_size(path: Path) -> None:
    """Refuse what would not fit in memory: a large file, or a small one that unpacks to a large one."""
    try:
        size = path.stat().st_size
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as file:
                size = max(size, sum(each.file_size for each in file.infolist()))
    except Exception:  # a damaged directory of a zip can raise anything
        return  # to read it will say what is wrong
    if size > MOST_BYTES:
        raise RequestError(f"{path} holds {size >> 20:,} MiB: weights of at most {MOST_BYTES >> 20:,} are read")


def _load_pth(path: Path) -> State:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise RequestError(f"there is no file {path}") from None
    except Exception:  # what is no pickle of tensors can raise anything, a KeyError among it
        raise RequestError(f"{path} is no weights file that PyTorch can read without running code") from None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise RequestError(f"{path} holds no state dict: save model.state_dict(), not the model")
    # A view that shows the same few numbers again and again is a large tensor in a small file.
    for key, value in state.items():
        if value.layout != torch.strided or value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise RequestError(f"{path} holds no plain weights: {key} has more numbers than the file")
    return state


def infer_architecture(state: State, path: Path) -> Architecture:
    """The architecture that the keys and shapes of `state` fit; raises RequestError where there is none.

    Stride and padding leave no trace in a single shape: of those that give the first linear layer its width, the
    notebook's (1, 1) is tried first.
    """
    batch_norm = "conv1.1.weight" in state
    try:
        channels, in_channels, kernel_size, _ = state["conv1.0.weight"].shape
        hidden, flat = state["fc.1.weight"].shape
    except (KeyError, ValueError) as error:
        raise RequestError(f"{path} holds another network than ours: {error} is missing or misshapen") from None
    if not 1 <= kernel_size <= IMAGE_SIZE:
        raise RequestError(f"{path} holds another network than ours: its kernels are of {kernel_size} pixels")
    for stride in (1, 2, 3):
        for padding in sorted(range(kernel_size + 1), key=lambda p: p != 1):
            try:
                side = block_sizes(kernel_size, stride, padding)[-1][1]
            except GeometryError:
                continue
            if channels * side * side == flat:
                try:
                    return Architecture(
                        batch_norm=batch_norm,
                        channels=channels,
                        kernel_size=kernel_size,
                        stride=stride,
                        padding=padding,
                        hidden=hidden,
                        in_channels=in_channels,
                    )
                except RequestError as error:
                    raise RequestError(f"{path} holds another network than ours: {error}") from None
    raise RequestError(f"{path} does not fit a 28x28 image: fc.1.weight takes {flat} inputs")
