"""Matching a third-party state dict to this network by layer types, order and shapes, whatever the layers' names."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.geometry import CLASSES, IMAGE_SIZE
from engine.network.pickles import MOST_STEPS, Made
from engine.network.requests import NormedLayer
from engine.network.stored import FLOATS, MOST_TENSORS, FileError, Stored, TensorFile, metadata_of
from engine.words import shortened

MOST_NAMED = 24
"""Maximum number of tensors that an error about a different network lists."""


@dataclass(frozen=True)
class StateDict:
    """A dict of tensors in a file."""

    name: str
    """The keys that lead to it in the file, joined by dots; empty for the whole file."""
    tensors: dict[str, Stored]
    """In the order of the file."""
    ordered: bool
    """Whether that is the order in which the layers were created."""
    metadata: dict[str, str]
    """Metadata that this program has stored with it."""
    strangers: dict[str, Made]
    """Other values in it, which cannot be read without running code."""


_WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
"""The usual keys of the weights in a training checkpoint."""
_SLOTS: tuple[NormedLayer, ...] = ("conv1", "conv2", "fc1", "logits")
_NOTHING = Stored((), "")
_OF_NORM = ("weight", "bias", "running_mean", "running_var")
_WANTED = (
    "conv1.weight (C, 1, k, k), conv1.bias (C,), conv2.weight (C, C, k, k), conv2.bias (C,), fc1.weight (H, F), "
    f"fc1.bias (H,), fc2.weight ({CLASSES}, H), fc2.bias ({CLASSES},), batch norm after any of them"
)


class NoMatch(ValueError):
    """A state dict is of a different network; the message says what it has and what is expected."""


@dataclass(eq=False)
class _Layer:
    """The tensors whose names share everything but the last part."""

    stem: str
    tensors: dict[str, Stored]

    @property
    def weight(self) -> Stored:
        return self.tensors.get("weight", _NOTHING)

    @property
    def outputs(self) -> int:
        """The number of its outputs."""
        shape = self.tensors["running_mean"].shape if "running_mean" in self.tensors else self.weight.shape
        return shape[0] if shape else 0

    def key(self, name: str) -> str:
        return f"{self.stem}.{name}" if self.stem else name


@dataclass(frozen=True)
class Match:
    """Which tensor of a state dict is which of this network."""

    layers: dict[NormedLayer, str]
    """The names in the file of the convolutions and fully connected layers."""
    norms: dict[NormedLayer, str]
    """The names in the file of the batch norms, by the layers that they follow."""
    sources: dict[str, str | float]
    """By the key in this network: the key in the file, or the constant that fills a missing tensor."""
    channels: int
    kernel_size: int
    hidden: int
    flat: int
    """Number of inputs of the first fully connected layer."""

    @property
    def norm_layers(self) -> tuple[NormedLayer, ...]:
        """The layers that batch norm follows, in order."""
        return tuple(slot for slot in _SLOTS if slot in self.norms)

    def named_as_here(self) -> bool:
        """Whether each tensor has the same name as in this network."""
        return all(ours == theirs for ours, theirs in self.sources.items() if isinstance(theirs, str))

    def described(self) -> str:
        """How the names were matched, in one line."""
        ours = modules(self.norm_layers)
        pairs = [(ours[slot][0], stem) for slot, stem in self.layers.items()]
        pairs += [(ours[slot][1], stem) for slot, stem in self.norms.items()]
        made = [key for key, source in self.sources.items() if not isinstance(source, str) and "num_b" not in key]
        words = "read as " + ", ".join(f"{here} <- {shortened(stem)}" for here, stem in sorted(pairs))
        return words + (f"; missing in the file and given no effect: {', '.join(made)}" if made else "")


def state_dicts(file: TensorFile) -> list[StateDict]:
    """The state dicts in a file: those under the usual keys of a model's weights, or else all but an optimizer's.

    Raises FileError where there are too many.
    """
    found, looked_at = [], 0
    for content, name in _dicts(file.content):
        looked_at += 1 + len(content)
        tensors = {key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Stored)}
        # A pickle with more entries than instructions has dicts that contain themselves.
        if looked_at > MOST_STEPS or len(tensors) > MOST_TENSORS:
            raise FileError("holds endlessly nested dicts or too many tensors, so it is not this network")
        if tensors:
            strangers = {str(key): value for key, value in content.items() if isinstance(value, Made)}
            metadata = metadata_of(content) | file.metadata
            found.append(StateDict(name, tensors, file.ordered, metadata, strangers))
    usual = [each for each in found if not each.name or each.name.rpartition(".")[2] in _WRAPPERS]
    return usual or [each for each in found if "optim" not in each.name.lower()]


def _dicts(content: Any, name: str = "", depth: int = 4) -> Iterator[tuple[dict[Any, Any], str]]:
    """The dicts in `content`, each with the keys that lead to it."""
    if not isinstance(content, dict) or not depth:
        return
    yield content, name
    for key, value in content.items():
        if isinstance(key, str):
            yield from _dicts(value, f"{name}.{key}".lstrip("."), depth - 1)


def match(state: StateDict) -> Match:
    """Which tensor of `state` is which of this network; raises NoMatch where it is of a different network.

    Only an unambiguous match is accepted: if shapes, names and order allow two readings, it is refused.
    """
    layers = _layers(state)
    convolutions = [layer for layer in layers if len(layer.weight.shape) == 4]
    linears = [layer for layer in layers if len(layer.weight.shape) == 2]
    norms = [layer for layer in layers if "running_mean" in layer.tensors]
    if len(convolutions) != 2 or len(linears) != 2:
        raise NoMatch(_another(state, f"{len(convolutions)} convolutions and {len(linears)} fully connected layers"))
    if len(norms) > len(_SLOTS):
        raise NoMatch(_another(state, f"{len(norms)} batch norms, for only {len(_SLOTS)} layers"))
    conv1, conv2 = _in_order(convolutions, _are_convolutions, state)
    fc1, fc2 = _in_order(linears, _are_linears, state)
    named: dict[NormedLayer, _Layer] = {"conv1": conv1, "conv2": conv2, "fc1": fc1, "logits": fc2}
    for layer in layers:
        if layer not in norms and layer not in named.values():
            half = " (of a batch norm, running_mean is missing)" if "bias" in layer.tensors else ""
            raise NoMatch(
                _another(state, f"{shortened(layer.key(next(iter(layer.tensors))))} belongs to no expected layer{half}")
            )
        _check_parts(layer, state)
    placed = _placed(norms, named, layers, state)
    twins: dict[NormedLayer, _Layer] = {"conv1": conv2, "conv2": conv1, "fc1": fc2, "logits": fc1}
    for slot, twin in twins.items():  # a bias may be missing before batch norm, or in both layers of a kind
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
    """The name in this network of each layer, and of the batch norm after it."""
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
            f"has {shortened(key)} among its weights, which is made by {shortened(str(made.callee))} and "
            "cannot be read without running code: save model.state_dict()"
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
                f"holds no plain weights: {shortened(key)} is {shortened(value.kind)}, expected one of {wanted}"
            )
        layers.setdefault(stem, _Layer(stem, {})).tensors[name] = value
    return list(layers.values())


def _another(state: StateDict, why: str) -> str:
    """What a file of a different network holds, and what is expected."""
    found = [f"{shortened(key)} {value.shape}" for key, value in itertools.islice(state.tensors.items(), MOST_NAMED)]
    more = f" and {len(state.tensors) - MOST_NAMED} more" if len(state.tensors) > MOST_NAMED else ""
    return f"holds a different network: {why}. It has {', '.join(found) or 'nothing'}{more}; expected are {_WANTED}"


def _by_numbers(layer: _Layer) -> list[Any]:
    """A key for sorting names naturally, 10 after 2: text and numbers alternate."""
    return [int(part) if place % 2 else part for place, part in enumerate(re.split(r"([0-9]{1,9})", layer.stem))]


def _in_order(
    pair: Sequence[_Layer], misfits: Callable[[_Layer, _Layer], list[str]], state: StateDict
) -> tuple[_Layer, _Layer]:
    """A pair of layers in the order of the network; raises NoMatch where no order fits, or both do."""
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
    """Why these are not conv1 and conv2; empty where they are."""
    (maps, depth, *kernel), (more, taken, *other) = first.weight.shape, second.weight.shape
    one, two = _shown(first), _shown(second)
    reasons = {
        f"{one} has {depth} input channels instead of 1": depth == 1,
        f"{two} has {taken} input channels, but {one} has {maps} output channels": taken == maps,
        f"{one} has {maps} output channels and {two} has {more}, which should be equal": more == maps,
        f"{one} and {two} have kernels of different sizes, which should be equal": kernel == other,
        f"{one} does not have square kernels of 1 to {IMAGE_SIZE} pixels": kernel[0] == kernel[1] <= IMAGE_SIZE,
        f"{one} is empty": 0 not in first.weight.shape,
    }
    return [words for words, fits in reasons.items() if not fits]


def _are_linears(first: _Layer, second: _Layer) -> list[str]:
    """Why these are not the two fully connected layers; empty where they are."""
    (hidden, _), (classes, taken) = first.weight.shape, second.weight.shape
    one, two = _shown(first), _shown(second)
    reasons = {
        f"{two} has {classes} outputs instead of {CLASSES}": classes == CLASSES,
        f"{two} has {taken} inputs, but {one} has {hidden} outputs": taken == hidden,
        f"{one} is empty": 0 not in first.weight.shape,
    }
    return [words for words, fits in reasons.items() if not fits]


def _check_parts(layer: _Layer, state: StateDict) -> None:
    """Raise NoMatch where a layer has tensors of unexpected names or shapes, or too few."""
    norm = "running_mean" in layer.tensors
    size = layer.outputs
    for name, value in layer.tensors.items():
        if name not in (_OF_NORM if norm else ("weight", "bias")) and name != "num_batches_tracked":
            raise NoMatch(_another(state, f"{shortened(layer.key(name))} belongs to no expected layer"))
        if name != "num_batches_tracked" and (norm or name != "weight") and value.shape != (size,):
            raise NoMatch(_another(state, f"{shortened(layer.key(name))} is {value.shape}, expected {(size,)}"))
    if norm:
        needed = {"running_var"} | ({"weight", "bias"} if {"weight", "bias"} & {*layer.tensors} else set())
        if missing := needed - {*layer.tensors}:
            raise NoMatch(_another(state, f"{shortened(layer.key(min(missing)))} is missing"))


def _placed(
    norms: Sequence[_Layer], named: Mapping[NormedLayer, _Layer], layers: Sequence[_Layer], state: StateDict
) -> dict[NormedLayer, _Layer]:
    """The layer that each batch norm follows; raises NoMatch where that is ambiguous."""
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
            raise NoMatch(_another(state, f"batch norm {words} may follow {places}"))
    return placed


def _behind(
    norm: _Layer, named: Mapping[NormedLayer, _Layer], layers: Sequence[_Layer], ordered: bool
) -> NormedLayer | None:
    """The layer that `norm` follows, according to its name, or to its name and the order of the file."""
    parent, _, number = norm.stem.rpartition(".")
    if number.isdecimal():  # in a Sequential, where numbers are the order of the layers
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
