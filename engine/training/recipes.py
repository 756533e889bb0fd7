"""Recipes: named sets of the fields of a training request, to begin from or to keep.

Test accuracy after the last epoch, and seconds from the first step to the last without evaluation: mean, standard
deviation and 95 % interval of the mean over seeds from 0 on. Two cores of an AMD EPYC (Zen 4), PyTorch 2.14:

`train --recipe fast --seeds 10`: 99.234 % (0.056; 99.194 to 99.274), 6.96 s (0.53; 6.58 to 7.34).
`train --recipe accurate --seeds 5`: 99.606 % (0.024; 99.576 to 99.636), 314 s (50; 252 to 375).

Every choice was made on the validation images. With label smoothing the validation loss is lowest before the end, so
the latest weights of `accurate` are better than those that it chooses (99.494 %, 0.099).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from msgspec.structs import replace

from engine.request import parameters
from engine.training.requests import ROBUST, RecipeName, Train

RECIPES: dict[RecipeName, dict[str, Any]] = {
    "notebook": {},
    "fast": {
        "batch_norm": True,
        "epochs": 1,
        "batch_size": 128,
        "learning_rate": 0.006,
        "precision": "bf16",
        "schedule": "one-cycle",
        "label_smoothing": 0.1,
    },
    "accurate": {
        "batch_norm": True,
        "epochs": 40,
        "batch_size": 256,
        "learning_rate": 0.01,
        "precision": "bf16",
        "schedule": "one-cycle",
        "label_smoothing": 0.1,
        "shift": 1,
        "rotate": 8.0,
        "scale": 0.08,
        "elastic": 0.4,
    },
}
"""The fields that a recipe sets; all others of FIELDS have their defaults, the notebook's."""


BEYOND = (
    "recipe", "schedule", "weight_decay", "label_smoothing", "shift", "rotate", "scale", "elastic", "average",
    "objective", *ROBUST, "insides",
)  # fmt: skip
"""Fields that the notebook's loop does not have: where they have their defaults, what is told of a run omits them. The
first is not filled by a recipe, nor is the last, which does not change results."""

_OF_ANY = {"batch_norm", "epochs", "batch_size", "learning_rate", "precision", *BEYOND[1:-1]}.union(*RECIPES.values())
FIELDS = tuple(parameter.name for parameter in parameters(Train) if parameter.name in _OF_ANY)
"""The fields that recipes fill, in the order of the form."""


def filling(name: RecipeName) -> dict[str, Any]:
    """The values of FIELDS that the recipe gives."""
    return {each.name: each.default for each in parameters(Train) if each.name in FIELDS} | RECIPES[name]


def with_recipe(request: Train, name: RecipeName) -> Train:
    """`request` with the fields of a recipe; its seed, data, device and other fields stay.

    Raises RequestError where they do not fit together, such as a batch larger than the training set.
    """
    return replace(request, recipe=name, **filling(name))


def changed_values(name: RecipeName, values: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields that differ from those of the recipe, in `values` by field, which may be inconsistent."""
    return tuple(field for field, value in filling(name).items() if values[field] != value)


def changed(request: Train) -> tuple[str, ...]:
    """The fields of `request` that differ from those of its recipe."""
    return changed_values(request.recipe, _values(request))


def _values(request: Train) -> dict[str, Any]:
    return {field: getattr(request, field) for field in FIELDS}


def words_of(name: RecipeName, values: Mapping[str, Any]) -> str:
    """The recipe as shown to the user, `fast`, or `fast, changed` where `values` by field differ from it."""
    return f"{name}, changed" if changed_values(name, values) else name


def recipe_words(request: Train) -> str:
    """The recipe of `request` as shown to the user: `fast`, or `fast, changed`."""
    return words_of(request.recipe, _values(request))


NAMES: tuple[RecipeName, ...] = get_args(RecipeName)
"""The names of all recipes."""
