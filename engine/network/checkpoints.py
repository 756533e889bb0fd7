"""Reading and writing weights: safetensors, the notebook's `.pth`, and third-party files of this network."""

from __future__ import annotations

import errno
import io
import math
import os
import re
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch
from msgspec.structs import replace
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from engine.geometry import GeometryError, block_sizes
from engine.network.matching import MOST_NAMED, Match, NoMatch, StateDict, match, state_dicts
from engine.network.model import CNN
from engine.network.requests import NOTEBOOKS_NORMS, Architecture, Reading
from engine.network.stored import OURS
from engine.network.tensorfiles import opened
from engine.paths import write_whole
from engine.reading import open_regular
from engine.request import RequestError
from engine.words import shortened

State = dict[str, Tensor]

MOST_STRIDE = MOST_PADDING = 14
"""The largest stride and padding of a network."""


def save_tensors(path: Path, tensors: State, metadata: dict[str, str]) -> None:
    """Write `tensors` as safetensors, atomically; raises OSError."""
    plain = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}

    def write(partial: Path) -> None:
        try:
            save_file(plain, partial, metadata)
        except SafetensorError as error:  # it wraps the system's errors, with their number in its message
            number = int(found[1]) if (found := re.search(r"\(os error (\d+)\)", str(error))) else errno.EIO
            raise OSError(number, os.strerror(number) if found else str(error)) from None

    write_whole(path, write)


def save_weights(path: Path, model: CNN) -> None:
    """Write the weights of `model`: `.pth` as the notebook's `torch.save(model.state_dict())`, else safetensors.

    The architecture is included: in the metadata of the safetensors file, or for `.pth` in those of the state dict,
    where `load_state_dict` only looks up the names of modules. Raises OSError.
    """
    whole = model.state_dict()
    if path.suffix.lower() in (".pth", ".pt"):
        state = OrderedDict((key, value.detach().cpu().contiguous()) for key, value in whole.items())
        vars(state)["_metadata"] = {**vars(whole)["_metadata"], OURS: _described(model.architecture)}
        buffer = io.BytesIO()  # torch.save hides the system's errors
        torch.save(state, buffer)
        write_whole(path, lambda partial: partial.write_bytes(buffer.getvalue()))
        return
    save_state(path, model.architecture, whole)


def save_state(path: Path, architecture: Architecture, state: State) -> None:
    """Write `state`, the state dict of a network of `architecture`, as safetensors. Raises OSError."""
    save_tensors(path, state, _described(architecture))


def _described(architecture: Architecture) -> dict[str, str]:
    """The metadata from which a file's network is built again."""
    plain = Architecture(**{name: getattr(architecture, name) for name in Architecture.__struct_fields__})
    return {"architecture": msgspec.json.encode(plain).decode()}


def save_convolutions(path: Path, state: State) -> None:
    """Write weights and biases of both convolutions under their own keys: 38 kB by default. Raises OSError.

    `state` is the state dict of the network.
    """
    keys = [f"conv{block}.0.{name}" for block in (1, 2) for name in ("weight", "bias")]
    save_tensors(path, {key: state[key] for key in keys}, {})


def load_tensors(path: Path) -> tuple[State, dict[str, str]]:
    """The tensors and the metadata of a safetensors file; raises RequestError where it cannot be read."""
    try:
        open_regular(path).close()  # the library would block on a pipe
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except FileNotFoundError:
        raise RequestError(f"there is no file {path}") from None
    except (OSError, SafetensorError) as error:
        raise RequestError(f"{path} is not a complete safetensors file ({error})") from None


@dataclass(frozen=True, eq=False)
class Weights:
    """The network in a weights file."""

    model: CNN
    """On the CPU, in evaluation mode."""
    ours: bool
    """Whether the file describes its network, as files of this program do."""
    notes: tuple[str, ...]
    """How a third-party file was read: a line each."""


def load_weights(path: Path) -> CNN:
    """The network in a weights file, on the CPU, in evaluation mode. Raises RequestError as `read_weights` does."""
    return read_weights(path).model


def read_weights(path: Path, reading: Reading | None = None) -> Weights:
    """The network in a weights file, also a third-party one, whatever its suffix and the names of its layers.

    The architecture is as recorded in the file, or else inferred from its shapes; `reading` takes precedence. Raises
    RequestError, with what was found and what is expected, where the file holds a different network or none.
    """
    reading = reading or Reading()
    with opened(path) as file:
        state, found = _only(state_dicts(file), path)
        notes = []
        if not found.named_as_here():
            notes.append(found.described() + (f" (from {shortened(state.name)})" if state.name else ""))
        if written := state.metadata.get("architecture"):
            try:
                architecture = msgspec.json.decode(written, type=Architecture)
            except (ValueError, RecursionError) as error:
                why = shortened(str(error))
                raise RequestError(f"{path}: its metadata does not describe a network ({why})") from None
            architecture = _otherwise(architecture, reading, path)
        else:
            architecture, choice = _inferred(found, reading, path)
            notes += choice
        model = _filled(architecture, state, found, path)
    return Weights(model.eval(), bool(written), tuple(notes))


def _only(states: list[StateDict], path: Path) -> tuple[StateDict, Match]:
    """The only state dict of this network, and which tensor is which."""
    found, reasons = [], []
    for state in states:
        try:
            found.append((state, match(state)))
        except NoMatch as error:
            reasons.append(str(error))
    if len(found) > 1:
        names = ", ".join(shortened(state.name or "the whole file") for state, _ in found[:MOST_NAMED])
        raise RequestError(f"{path} holds this network {len(found)} times ({names}): save only one of them")
    if not found:
        reason = reasons[0] if reasons else "holds no state dict: save model.state_dict()"
        raise RequestError(f"{path} {reason}")
    return found[0]


def _otherwise(architecture: Architecture, reading: Reading, path: Path) -> Architecture:
    """`architecture` with the values of `reading` where they are given."""
    said = {name: value for name, value in msgspec.structs.asdict(reading).items() if value is not None}
    try:
        return replace(architecture, **said)
    except RequestError as error:
        raise RequestError(f"{path} cannot be read with these settings: {error}") from None


def _inferred(found: Match, reading: Reading, path: Path) -> tuple[Architecture, list[str]]:
    """The architecture that fits the shapes, and a note where stride and padding are ambiguous."""
    fits = geometries(found.kernel_size, found.channels, found.flat)
    wanted = [each for each in fits if reading.stride in (None, each[0]) and reading.padding in (None, each[1])]
    if not wanted:
        why = f"{found.kernel_size}-pixel kernels and {found.channels} channels cannot give {found.flat} features"
        asked = f" with stride {reading.stride} and padding {reading.padding}" if fits else ""
        raise RequestError(f"{path} does not fit a 28x28 image: {why}{asked}".replace("stride None and ", ""))
    # With padding as wide as the kernel, some outputs would see only zeros: plausible only if nothing else fits.
    sensible = [each for each in wanted if each[1] < found.kernel_size] or wanted
    sensible.sort(key=lambda each: each[1] > found.kernel_size // 2)
    stride, padding = sensible[0]
    if padding > found.kernel_size // 2 and reading.padding is None:
        # Most such files hold a different network, for example one that pools once.
        raise RequestError(
            f"{path} fits only with stride {stride} and padding {padding}, which is more than half of its "
            f"{found.kernel_size}-pixel kernels, so it may hold a different network: "
            f"if not, give --stride {stride} --padding {padding}"
        )
    notes = []
    usual = (1, 1), (1, (found.kernel_size - 1) // 2)
    if len(sensible) == 1 and sensible[0] not in usual and None in (reading.stride, reading.padding):
        notes.append(f"stride {stride} and padding {padding} are assumed, as the most likely that fit its shapes")
    if len(sensible) > 1:
        others = ", ".join(f"{stride}/{padding}" for stride, padding in sensible[1:6])
        notes.append(
            f"stride {stride} and padding {padding} are assumed, but its shapes fit {others} too: "
            "change them with --stride and --padding, best on import, since the run then keeps them"
        )
    try:
        architecture = Architecture(
            batch_norm=found.norm_layers == NOTEBOOKS_NORMS,
            norm_layers=() if found.norm_layers == NOTEBOOKS_NORMS else found.norm_layers,
            channels=found.channels,
            kernel_size=found.kernel_size,
            stride=stride,
            padding=padding,
            hidden=found.hidden,
        )
    except RequestError as error:
        raise RequestError(f"{path} holds a different network: {error}") from None
    return _otherwise(architecture, reading, path), notes


def geometries(kernel_size: int, channels: int, flat: int) -> list[tuple[int, int]]:
    """Strides and paddings with which the second block's maps have `flat` values, the most likely first.

    Nothing else depends on them. The notebook's padding of 1 comes first, then one that keeps the size of a map.
    """
    side = math.isqrt(flat // channels)
    found = []
    for stride in range(1, MOST_STRIDE + 1):
        for padding in sorted(range(MOST_PADDING + 1), key=lambda p: (p != 1, p != (kernel_size - 1) // 2, p)):
            try:
                fits = block_sizes(kernel_size, stride, padding)[-1][1] == side
            except GeometryError:
                continue
            if fits and channels * side * side == flat:
                found.append((stride, padding))
    return found


def _filled(architecture: Architecture, state: StateDict, found: Match, path: Path) -> CNN:
    """The network with the weights of the file, in single precision."""
    with torch.device("meta"):  # a file may describe a network that does not fit in memory
        model = CNN(architecture)
    weights: State = {}
    for key, expected in model.state_dict().items():
        source = found.sources.get(key)
        want, have = tuple(expected.shape), state.tensors[source].shape if isinstance(source, str) else ()
        if source is None or (isinstance(source, str) and have != want):
            named = shortened(source) if isinstance(source, str) else key
            raise RequestError(f"{path} does not fit the network: {named} is {have or 'missing'}, expected {want}")
        if isinstance(source, str):
            # Copied, since tensors in a file may not be aligned, and kernels sum unaligned values in another order.
            weights[key] = torch.empty(want, dtype=expected.dtype).copy_(state.tensors[source].load())
        else:
            weights[key] = torch.full(want, source, dtype=expected.dtype)
    if surplus := [key for key in found.sources if key not in weights]:
        raise RequestError(f"{path} does not fit the network: {surplus[0]} is unexpected")
    model.load_state_dict(weights, assign=True)
    return model


def damaged(model: CNN) -> int:
    """The number of weights of `model` that are not finite."""
    return sum(int((~value.isfinite()).sum()) for value in model.state_dict().values())
