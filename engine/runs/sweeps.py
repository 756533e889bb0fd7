"""Sweeps: several experiments from one, over seeds and over the values of any field."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import product
from typing import Any

from msgspec.structs import replace

from engine.request import RequestError, parameters
from engine.training.recipes import changed, filling
from engine.training.requests import Train

MOST = 1000
"""Maximum number of runs of a sweep."""


def expand(
    request: Train, seeds: int = 1, values: Mapping[str, Sequence[Any]] | None = None, given: Collection[str] = ()
) -> list[Train]:
    """`request` with each combination of `values` by field, and with `seeds` seeds starting from its own.

    A recipe among the values fills its fields, except for other fields of `values`, those that differ from the recipe
    of `request`, and those in `given`, which the user has set. The seed varies fastest, so that an early stop leaves
    complete groups. Raises RequestError where a field does not exist, a value is invalid, or there are more than MOST
    runs.
    """
    if seeds < 1:
        raise RequestError(f"seeds must be at least 1, not {seeds}")
    axes = dict(values or {})
    known = {parameter.name for parameter in parameters(Train) if not parameter.fixed}
    for name, choices in axes.items():
        if name not in known or name == "seed":
            raise RequestError(unknown_field(name))
        if not choices:
            raise RequestError(f"no values are given for {name}")
    count = seeds
    for choices in axes.values():
        count *= len(choices)
    if count > MOST:
        raise RequestError(f"the sweep has {count:,} runs: reduce it to at most {MOST:,}")
    kept = {*given, *axes, *changed(request)}
    return [
        replace(request, **_filled(dict(zip(axes, chosen, strict=True)), kept), seed=request.seed + number)
        for chosen in product(*axes.values())
        for number in range(seeds)
    ]


def _filled(chosen: dict[str, Any], kept: Collection[str]) -> dict[str, Any]:
    """The chosen values and, where a recipe is among them, the values that it gives to fields that are not `kept`."""
    if "recipe" not in chosen:
        return chosen
    return {name: value for name, value in filling(chosen["recipe"]).items() if name not in kept} | chosen


def sweep(request: Train, text: str) -> list[Train]:
    """The sweep of `request` for a line such as `seeds=5 batch-norm=no,yes`; raises RequestError if it is invalid."""
    seeds, axes = 1, {}
    for word in text.split():
        name, _, value = word.partition("=")
        if name == "seeds":
            if not value.isdecimal():
                raise RequestError(f"seeds must be a whole number, for example seeds=5, not {word}")
            seeds = int(value)
        else:
            field, values = parse_axis(word)
            axes[field] = values
    return expand(request, seeds, axes)


def unknown_field(name: str) -> str:
    """Why a sweep has no axis of this name."""
    if name in ("on", "parallel", "address", "shared"):
        return f"{name} is for a sweep on Ray: use mnist-tui train --on ray, or the line of the queue in the app"
    fields = sorted(field.name.replace("_", "-") for field in parameters(Train) if not field.fixed)
    choices = ", ".join(field for field in fields if field != "seed")
    return f"{name.replace('_', '-')} is no field to sweep over: choose from {choices}; for seeds, seeds=5 or --seeds 5"


def parse_axis(text: str) -> tuple[str, list[Any]]:
    """The field and the values of `FIELD=A,B,C`; raises RequestError where it is invalid."""
    name, equals, choices = text.partition("=")
    name = name.strip().replace("-", "_")
    parameter = next((parameter for parameter in parameters(Train) if parameter.name == name), None)
    if not equals or not name:
        raise RequestError(f"a sweep must be FIELD=A,B,..., for example learning-rate=1e-3,3e-4, not {text}")
    if parameter is None:
        raise RequestError(unknown_field(name))
    words = [word.strip() for word in choices.split(",") if word.strip()]
    if parameter.type is bool:
        meanings = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}
        unknown = next((word for word in words if word.lower() not in meanings), None)
        if unknown:
            raise RequestError(f"{parameter.label} must be yes or no, not {unknown}")
        return name, [meanings[word.lower()] for word in words]
    return name, [parameter.parse(word) for word in words]
