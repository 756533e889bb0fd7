"""What is known of a run or a weights file, as labelled values: its request, the machine, and how long it took."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from engine.network.requests import Architecture
from engine.request import Parameter, parameters
from engine.runs.folder import RunRecord
from engine.runs.history import RunHistory
from engine.training.recipes import BEYOND, recipe_words
from engine.training.requests import ROBUST, Train, without_effect
from tui.drawing.words import counted, duration, worded

if TYPE_CHECKING:
    from engine.network.events import WeightsOpened

Tone = Literal["plain", "usual", "unusual", "wrong"]
"""Of a parameter: whether it has its default value. `wrong` is for what could not be read."""


class Known(msgspec.Struct, frozen=True):
    """A value and what it is of."""

    label: str
    """Empty where the value speaks for itself."""
    value: str
    tone: Tone = "plain"
    brief: bool = False
    """Whether it may be cut to one line: it stands elsewhere in full."""


_TOLD = ("batch_norm", "seed", "epochs", "device", "threads", "insides")

Group = list[Known]
"""Values that belong together."""


def told(request: Train, *, usual: bool, without: Sequence[str] = ()) -> list[str]:
    """The parameters at their defaults (`usual`), or the others, such as `learning rate 0.0003`.

    Those that the notebook does not have are told only where they are used.
    """
    omitted = (*without, *BEYOND) if usual else without
    fields = (field for field in parameters(Train) if field.name not in omitted and not (usual and field.fixed))
    return [
        f"{field.label} {_value(field, request)}"
        for field in fields
        if (getattr(request, field.name) == field.default) is usual
    ]


def _value(field: Parameter, request: Train) -> str:
    """The value of a field as text; of the recipe, also whether it was changed."""
    return recipe_words(request) if field.name == "recipe" else worded(getattr(request, field.name))


def differing(request: Train) -> list[str]:
    """The parameters that are not at their defaults.

    Without those that are told anyway, and those that do not matter to the result.
    """
    return told(request, usual=False, without=_TOLD)


def train_loss_name(request: Train | None) -> str:
    """The name of the training loss in a legend, with what sets it apart from the validation loss."""
    return f"train ({request.loss_note})" if request and request.loss_note else "train"


def about_request(request: Train, record: RunRecord | None) -> list[Group]:
    """The parameters of training, then those of the network, as in the form.

    Fields that the notebook does not have are told where they are used, those of a robust objective also at their
    defaults. With the `record` of a run, device and threads are those that it had. Imported weights were not trained
    here, so only their network is known.
    """
    had = {"device": record.device, "threads": record.threads} if record else {}
    training, network = Group(), Group()
    for field in parameters(Train):
        value = getattr(request, field.name)
        if field.name == "threads" and record and record.device == "cpu" and record.device_name:
            continue  # its name says how many
        of_network = field.name in Architecture.__struct_fields__
        used = field.name in ROBUST and field.name not in without_effect(request.objective)
        silent = (field.fixed or field.name in BEYOND) and not used
        if (silent and value == field.default) or (record and record.imported and not of_network):
            continue
        tone: Tone = "usual" if value == field.default else "unusual"
        group = network if of_network and field.name != "batch_norm" else training
        words = worded(had[field.name]) if field.name in had else _value(field, request)
        group.append(Known(field.label, words, tone))
    return [training, network]


def about_run(
    history: RunHistory,
    request: Train | None,
    record: RunRecord | None = None,
    *,
    name: str = "",
    note: str = "",
    problem: str = "",
) -> list[Group]:
    """All that is known of a run: of a damaged one, what its events tell.

    `record` is None for a run that has just been asked for; `request`, too, where it cannot be read, and `problem` says
    why.
    """
    groups = [[Known("", name)] if name else [], [Known("", note, brief=True)] if note else []]
    groups.append([Known("", problem, "wrong")] if problem else [])
    started = history.started
    groups += about_request(request, record) if request else [_told(history)]
    if started:
        groups[-1].append(Known("parameters", f"{started.parameters:,}"))
    if ran := record or started:
        programs = [Known(program, version) for program, version in ran.versions.items()]
        groups.append([*([Known("", ran.device_name)] if ran.device_name else []), *programs])
    groups.append(_course(history))
    return [group for group in groups if group]


def _told(history: RunHistory) -> Group:
    """What the events of a run tell of its request."""
    known = [Known("epochs", worded(history.total_epochs))] if history.total_epochs else []
    if started := history.started:
        known += [Known("train size", worded(started.train_size)), Known("device", started.device)]
    return known


def _course(history: RunHistory) -> Group:
    known = []
    if history.begun:
        known.append(Known("started", history.begun[:16].replace("T", " ")))
    if history.epochs:
        known.append(Known("took", f"{duration(history.seconds)} for {counted(len(history.epochs), 'epoch')}"))
        known.append(Known("speed", f"{history.epochs[-1].images_per_second:,.0f} img/s"))
    return known


def about_weights(file: Path, opened: WeightsOpened | None, notes: Iterable[str]) -> list[Group]:
    """All that is known of a weights file: its network and its size, and what reading it had to assume."""
    groups = [[Known("", str(file))]]
    if opened:
        groups.append([Known("network", opened.variant), Known("parameters", f"{opened.parameters:,}")])
        if opened.damaged:
            groups.append([Known("", f"{counted(opened.damaged, 'weight')} not finite", "wrong")])
        groups.append([Known("", "a weights file: how it was trained is not recorded", "usual")])
    return [*groups, *([Known("", note)] for note in notes)]
