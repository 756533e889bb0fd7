"""Recipes: named sets of the fields of a training request, to begin from or to keep."""

from __future__ import annotations

from typing import Any, get_args

from msgspec.structs import replace

from engine.request import parameters
from engine.training.requests import RecipeName, Train

RECIPES: dict[RecipeName, dict[str, Any]] = {
    "notebook": {},
    "fast": {
        "batch_norm": True,
        "epochs": 2,
        "batch_size": 256,
        "learning_rate": 0.01,
        "precision": "bf16",
        "schedule": "one-cycle",
        "shift": 1,
    },
    "accurate": {
        "batch_norm": True,
        "epochs": 60,
        "batch_size": 256,
        "learning_rate": 0.01,
        "precision": "bf16",
        "schedule": "one-cycle",
        "shift": 2,
        "rotate": 10.0,
        "scale": 0.1,
        "elastic": 1.0,
    },
}
"""The fields that a recipe sets; all others that any recipe sets have their defaults, the notebook's."""

FIELDS = tuple(
    parameter.name for parameter in parameters(Train) if any(parameter.name in fields for fields in RECIPES.values())
)
"""The fields that recipes set, in the order of the form."""


def with_recipe(request: Train, name: RecipeName) -> Train:
    """`request` with the fields of a recipe; its seed, data, device and other fields stay."""
    defaults = {each.name: each.default for each in parameters(Train) if each.name in FIELDS}
    return replace(request, recipe=name, **(defaults | RECIPES[name]))


def changed(request: Train) -> tuple[str, ...]:
    """The fields of `request` that differ from those of its recipe."""
    recipe = with_recipe(request, request.recipe)
    return tuple(name for name in FIELDS if getattr(request, name) != getattr(recipe, name))


def recipe_words(request: Train) -> str:
    """The recipe of `request` as shown to the user: `fast`, or `fast, changed`."""
    return f"{request.recipe}, changed" if changed(request) else request.recipe


NAMES: tuple[RecipeName, ...] = get_args(RecipeName)
"""The names of all recipes."""
