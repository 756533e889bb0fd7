"""A state dict of anybody's made this network's: matched by kinds, order and shapes, whatever its layers are called."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.geometry import CLASSES, IMAGE_SIZE
from engine.network.pickles import MOST_STEPS, Made
from engine.network.requests import NormedLayer
from engine.network.tensorfiles import FLOATS, MOST_TENSORS, FileError, Stored, TensorFile, metadata_of
from engine.words import shortened

MOST_NAMED = 24
"""Tensors of another network that a refusal lists."""


@dataclass(frozen=True)
class StateDict:
    """Tensors by name, somewhere in a file."""

    name: str
    """What it stands under in the file; empty for the whole."""
    tensors: dict[str, Stored]
    """In the order of the file."""
    ordered: bool
    """Whether that is the order in which layers were made."""
    metadata: dict[str, str]
    """What stands beside it of ours."""
    strangers: dict[str, Made]
    """What else is in it that only code could make."""


_WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
"""Under which a training checkpoint keeps its weights, as most people call it."""
_SLOTS: tuple[NormedLayer, ...] = ("conv1", "conv2", "fc1", "logits")
_NOTHING = Stored((), "")
_OF_NORM = ("weight", "bias", "running_mean", "running_var")
_WANTED = (
    "conv1.weight (C, 1, k, k), conv1.bias (C,), conv2.weight (C, C, k, k), conv2.bias (C,), fc1.weight (H, F), "
    f"fc1.bias (H,), fc2.weight ({CLASSES}, H), fc2.bias ({CLASSES},), batch norm behind any of them"
)


class NoMatch(ValueError):
    """A state dict is of another network; the message says what it has, and what is wanted."""


@dataclass(eq=False)
class _Layer:
    """The tensors under one name, without the last part of their own."""

    stem: str
    tensors: dict[str, Stored]

    @property
    def weight(self) -> Stored:
        return self.tensors.get("weight", _NOTHING)

    @property
    def outputs(self) -> int:
        """What it makes, or normalises."""
        shape = self.tensors["running_mean"].shape if "running_mean" in self.tensors else self.weight.shape
        return shape[0] if shape else 0

    def key(self, name: str) -> str:
        return f"{self.stem}.{name}" if self.stem else name


@dataclass(frozen=True)
class Match:
    """Which tensor is which."""

    layers: dict[NormedLayer, str]
    """The name in the file of the convolutions and the fully connected layers."""
    norms: dict[NormedLayer, str]
    """The names of the batch norms, by what they stand behind."""
    sources: dict[str, str | float]
    """By the key of this network: the key in the file, or the number that all of a tensor's values are."""
    channels: int
    kernel_size: int
    hidden: int
    flat: int
    """Inputs of the first fully connected layer."""

    @property
    def norm_layers(self) -> tuple[NormedLayer, ...]:
        """What batch norm stands behind, in order."""
        return tuple(slot for slot in _SLOTS if slot in self.norms)

    def named_as_here(self) -> bool:
        """Whether each tensor has the very name that it has here."""
        return all(ours == theirs for ours, theirs in self.sources.items() if isinstance(theirs, str))

    def described(self) -> str:
        """Which name became which, in one line."""
        ours = modules(self.norm_layers)
        pairs = [(ours[slot][0], stem) for slot, stem in self.layers.items()]
        pairs += [(ours[slot][1], stem) for slot, stem in self.norms.items()]
        made = [key for key, source in self.sources.items() if not isinstance(source, str) and "num_b" not in key]
        words = "read as " + ", ".join(f"{here} <- {shortened(stem)}" for here, stem in sorted(pairs))
        return words + (f"; not in the file, so without effect: {', '.join(made)}" if made else "")


def state_dicts(file: TensorFile) -> list[StateDict]:
    """The state dicts in a file: those that stand where a model's weights usually do, else all but an optimizer's.

    Raises FileError where there is no end of them.
    """
    found, looked_at = [], 0
    for content, name in _dicts(file.content):
        looked_at += 1 + len(content)
        tensors = {key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Stored)}
        # A pickle that has more than it has instructions has dicts in themselves.
        if looked_at > MOST_STEPS or len(tensors) > MOST_TENSORS:
            raise FileError("holds dicts in each other without end, or too many tensors: no network of ours")
        if tensors:
            strangers = {str(key): value for key, value in content.items() if isinstance(value, Made)}
            metadata = metadata_of(content) | file.metadata
            found.append(StateDict(name, tensors, file.ordered, metadata, strangers))
    usual = [each for each in found if not each.name or each.name.rpartition(".")[2] in _WRAPPERS]
    return usual or [each for each in found if "optim" not in each.name.lower()]


def _dicts(content: Any, name: str = "", depth: int = 4) -> Iterator[tuple[dict[Any, Any], str]]:
    """The dicts in `content`, each with what it stands under."""
    if not isinstance(content, dict) or not depth:
        return
    yield content, name
    for key, value in content.items():
        if isinstance(key, str):
            yield from _dicts(value, f"{name}.{key}".lstrip("."), depth - 1)


def match(state: StateDict) -> Match:
    """Which tensor of `state` is which of this network's; raises NoMatch where it is another network's.

    Only what is certain counts: where shapes, names and order leave two ways to read it, it is refused.
    """
    layers = _layers(state)
    convolutions = [layer for layer in layers if len(layer.weight.shape) == 4]
    linears = [layer for layer in layers if len(layer.weight.shape) == 2]
    norms = [layer for layer in layers if "running_mean" in layer.tensors]
    if len(convolutions) != 2 or len(linears) != 2:
        raise NoMatch(_another(state, f"{len(convolutions)} convolutions and {len(linears)} fully connected layers"))
    if len(norms) > len(_SLOTS):
        raise NoMatch(_another(state, f"{len(norms)} batch norms, and there are {len(_SLOTS)} layers to stand behind"))
    conv1, conv2 = _in_order(convolutions, _are_convolutions, state)
    fc1, fc2 = _in_order(linears, _are_linears, state)
    named: dict[NormedLayer, _Layer] = {"conv1": conv1, "conv2": conv2, "fc1": fc1, "logits": fc2}
    for layer in layers:
        if layer not in norms and layer not in named.values():
            half = " (half a batch norm: running_mean is missing)" if "bias" in layer.tensors else ""
            raise NoMatch(
                _another(state, f"{shortened(layer.key(next(iter(layer.tensors))))} is of no layer of ours{half}")
            )
        _check_parts(layer, state)
    placed = _placed(norms, named, layers, state)
    twins: dict[NormedLayer, _Layer] = {"conv1": conv2, "conv2": conv1, "fc1": fc2, "logits": fc1}
    for slot, twin in twins.items():  # without a bias is what batch norm makes of it, or a choice for both of a kind
        if "bias" not in named[slot].tensors and "bias" in twin.tensors and slot not in placed:
            raise NoMatch(_another(state, f"{shortened(named[slot].key('bias'))} is missing"))
    return Match(
        {slot: layer.stem for slot, layer in named.items()},
        {slot: layer.stem for slot, layer in placed.items()},
        _sources(named, placed),
        channels=conv1.weight.shape[0],
        kernel_size=conv1.weight.shape[2],
        hidden=fc1.weight.shape[0],
        flat=fc1.weight.shape[1],
    )


def modules(norm_layers: Sequence[NormedLayer]) -> dict[NormedLayer, tuple[str, str]]:
    """The name in this network of each layer, and of the batch norm behind it."""
    last = 3 + ("fc1" in norm_layers)
    return {
        "conv1": ("conv1.0", "conv1.1"),
        "conv2": ("conv2.0", "conv2.1"),
        "fc1": ("fc.1", "fc.2"),
        "logits": (f"fc.{last}", f"fc.{last + 1}"),
    }


def _sources(named: Mapping[NormedLayer, _Layer], placed: Mapping[NormedLayer, _Layer]) -> dict[str, str | float]:
    found: dict[str, str | float] = {}
    for slot, (module, norm) in modules(tuple(placed)).items():
        parts = [(module, named[slot], {"weight": 0.0, "bias": 0.0})]
        if slot in placed:
            usual = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0, "num_batches_tracked": 0.0}
            parts.append((norm, placed[slot], usual))
        for here, layer, values in parts:
            for name, value in values.items():
                found[f"{here}.{name}"] = layer.key(name) if name in layer.tensors else value
    return found


def _layers(state: StateDict) -> list[_Layer]:
    """The layers, in the order of the file."""
    if state.strangers:
        key, made = next(iter(state.strangers.items()))
        raise NoMatch(
            f"has {shortened(key)} among its weights, which {shortened(str(made.callee))} would make: "
            "that cannot be read without running code"
        )
    layers: dict[str, _Layer] = {}
    for key, value in state.tensors.items():
        stem, _, name = key.rpartition(".")
        if name == "num_batches_tracked":  # nothing depends on it
            if value.kind != "int64" or value.shape:
                continue
        elif not value.plain:
            wanted = ", ".join(str(each).removeprefix("torch.") for each in FLOATS)
            raise NoMatch(
                f"holds no plain weights: {shortened(key)} is {shortened(value.kind)}, wanted is one of {wanted}"
            )
        layers.setdefault(stem, _Layer(stem, {})).tensors[name] = value
    return list(layers.values())


def _another(state: StateDict, why: str) -> str:
    """What is in a file of another network, and what is wanted."""
    found = [f"{shortened(key)} {value.shape}" for key, value in itertools.islice(state.tensors.items(), MOST_NAMED)]
    more = f" and {len(state.tensors) - MOST_NAMED} more" if len(state.tensors) > MOST_NAMED else ""
    return f"holds another network than ours: {why}. It has {', '.join(found) or 'nothing'}{more}; wanted are {_WANTED}"


def _by_numbers(layer: _Layer) -> list[Any]:
    """A name as people order it, 10 after 2: text and numbers by turns."""
    return [int(part) if place % 2 else part for place, part in enumerate(re.split(r"([0-9]{1,9})", layer.stem))]


def _in_order(
    pair: Sequence[_Layer], misfits: Callable[[_Layer, _Layer], list[str]], state: StateDict
) -> tuple[_Layer, _Layer]:
    """A pair of layers, the one that comes first in front; raises NoMatch where none can be, or either."""
    one, other = pair
    here, there = misfits(one, other), misfits(other, one)
    if here and there:
        raise NoMatch(_another(state, min(here, there, key=len)[0]))
    if here or there:
        return (other, one) if here else (one, other)
    first, second = sorted(pair, key=_by_numbers)
    if state.ordered and first is not one:
        raise NoMatch(_another(state, f"{_shown(one)} and {_shown(other)} fit in either order"))
    return first, second


def _shown(layer: _Layer) -> str:
    return f"{shortened(layer.key('weight'))} {layer.weight.shape}"


def _are_convolutions(first: _Layer, second: _Layer) -> list[str]:
    """Why these are not conv1 and conv2; nothing where they are."""
    (maps, depth, *kernel), (more, taken, *other) = first.weight.shape, second.weight.shape
    one, two = _shown(first), _shown(second)
    reasons = {
        f"{one} takes {depth} channels, and images here have 1": depth == 1,
        f"{two} takes {taken} channels, and {one} makes {maps}": taken == maps,
        f"{one} makes {maps} channels and {two} makes {more}: here both make as many": more == maps,
        f"{one} and {two} have kernels of different sizes: here both have the same": kernel == other,
        f"{one} has no square kernels of 1 to {IMAGE_SIZE} pixels": kernel[0] == kernel[1] <= IMAGE_SIZE,
        f"{one} is empty": 0 not in first.weight.shape,
    }
    return [words for words, fits in reasons.items() if not fits]


def _are_linears(first: _Layer, second: _Layer) -> list[str]:
    """Why these are not the two fully connected layers; nothing where they are."""
    (hidden, _), (classes, taken) = first.weight.shape, second.weight.shape
    one, two = _shown(first), _shown(second)
    reasons = {
        f"{two} answers {classes} classes, and digits are of {CLASSES}": classes == CLASSES,
        f"{two} takes {taken} numbers, and {one} makes {hidden}": taken == hidden,
        f"{one} is empty": 0 not in first.weight.shape,
    }
    return [words for words, fits in reasons.items() if not fits]


def _check_parts(layer: _Layer, state: StateDict) -> None:
    """Raise NoMatch where a layer has tensors of other names or shapes than it must, or too few."""
    norm = "running_mean" in layer.tensors
    size = layer.outputs
    for name, value in layer.tensors.items():
        if name not in (_OF_NORM if norm else ("weight", "bias")) and name != "num_batches_tracked":
            raise NoMatch(_another(state, f"{shortened(layer.key(name))} is of no layer of ours"))
        if name != "num_batches_tracked" and (norm or name != "weight") and value.shape != (size,):
            raise NoMatch(_another(state, f"{shortened(layer.key(name))} is {value.shape}, wanted is {(size,)}"))
    if norm:
        needed = {"running_var"} | ({"weight", "bias"} if {"weight", "bias"} & {*layer.tensors} else set())
        if missing := needed - {*layer.tensors}:
            raise NoMatch(_another(state, f"{shortened(layer.key(min(missing)))} is missing"))


def _placed(
    norms: Sequence[_Layer], named: Mapping[NormedLayer, _Layer], layers: Sequence[_Layer], state: StateDict
) -> dict[NormedLayer, _Layer]:
    """What each batch norm stands behind; raises NoMatch where that is not certain."""
    placed: dict[NormedLayer, _Layer] = {}
    for size in dict.fromkeys(norm.outputs for norm in norms):
        group = [norm for norm in norms if norm.outputs == size]
        slots = [slot for slot, layer in named.items() if layer.outputs == size]
        behind = {slot: norm for norm in group if (slot := _behind(norm, named, layers, state.ordered)) in slots}
        numbered = sorted(group, key=_by_numbers)
        if len(behind) == len(group):
            placed |= behind
        elif len(group) == len(slots) and (not state.ordered or numbered == group):
            placed |= dict(zip(slots, numbered, strict=True))
        else:
            words = ", ".join(f"{shortened(norm.stem)} ({size},)" for norm in group)
            places = " or ".join(_shown(named[slot]) for slot in slots) or "nothing"
            raise NoMatch(_another(state, f"batch norm {words} may stand behind {places}"))
    return placed


def _behind(
    norm: _Layer, named: Mapping[NormedLayer, _Layer], layers: Sequence[_Layer], ordered: bool
) -> NormedLayer | None:
    """The layer that `norm` stands behind as its name, or the file's order together with it, say."""
    parent, _, number = norm.stem.rpartition(".")
    if number.isdecimal():  # of a Sequential, in which numbers are the order of the work
        mates = [each for each in layers if (pair := each.stem.rpartition("."))[0] == parent and pair[2].isdecimal()]
        mates.sort(key=_by_numbers)
        before = mates[max(0, mates.index(norm) - 1)]
        if found := next((slot for slot, layer in named.items() if layer is before), None):
            return found
    if not ordered:
        return None
    before = layers[max(0, layers.index(norm) - 1)]
    same_number = re.findall(r"[0-9]+", norm.stem)[-1:] == re.findall(r"[0-9]+", before.stem)[-1:]
    found = next((slot for slot, layer in named.items() if layer is before), None)
    return found if same_number or found in ("conv1", "fc1") else None
