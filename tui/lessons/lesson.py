"""What a lesson is made of: steps, the keys that they ask for, and claims with their sentences."""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args

from msgspec import Struct

from engine.attribution.requests import Explain
from engine.claims.events import ClaimChecked
from engine.claims.requests import COMPARING, AnyCheck, Unit
from engine.data.requests import PartName
from engine.request import parameters
from engine.words import percent
from tui.workspace import images_in

KeyOf = Callable[[str], str]
"""The key, as it is shown, of a command by its full name, such as `attacks.attack.next_attack`."""

MEASURES: dict[str, type[AnyCheck]] = {kind.claim: kind for kind in get_args(AnyCheck)}
"""The requests that check claims, by the names that lessons use."""
OF_THE_NETWORK = {"what", "device", "mean", "std", "padding"}
"""Fields of such requests that say which network is measured and how it is read: that is not the lesson's to say."""
NOTHING = "Here {network} has nothing to measure."
"""What is said where a value is NaN and the lesson does not say what that means."""


class Check(Struct, frozen=True):
    """A claim, and what is said of it once it is measured."""

    measure: type[AnyCheck]
    fields: dict[str, Any]
    """The fields of the request that the lesson sets."""
    yes: str
    """The sentence if the value is above the threshold, or if there is none."""
    no: str = ""
    above: float | str | None = None
    """The threshold, in the unit of the value (a share from 0 to 1), or the name of another value."""
    compare: str = "value"
    """The name of the value that decides."""
    none: str = NOTHING
    """The sentence if there is nothing to measure."""

    def request(self, what: str, digit: tuple[PartName, int]) -> AnyCheck:
        """The request for the network `what`; it is about the current digit unless the lesson names one."""
        about: dict[str, Any] = {}
        if "index" in {each.name for each in parameters(self.measure)} and "index" not in self.fields:
            about = {**images_in(digit[0]), "index": digit[1]}
        return self.measure(what=what, **about | self.fields)

    def given(self, request: AnyCheck) -> dict[str, str]:
        """What the lesson itself says of the measurement, by the names of placeholders."""
        found = {name: _written(getattr(request, name)) for name in parameter_names(self.measure)}
        if isinstance(self.above, float):
            unit = self.measure.says[self.compare]
            found["above"] = f"{100 * self.above:g} %" if unit == "share" else written(self.above, unit)
        return found

    def answer(self, request: AnyCheck, event: ClaimChecked, key: KeyOf) -> str:
        """What the measurement says of the claim, in one sentence or two."""
        values = event.values
        told = self.given(request) | {"network": event.name, "other": event.other}
        told |= {name: written(values[name], unit) for name, unit in self.measure.says.items()}
        value, above = values[self.compare], values[self.above] if isinstance(self.above, str) else self.above
        if math.isnan(value) or (above is not None and math.isnan(above)):
            return filled(self.none, told, key)
        return filled(self.yes if above is None or value > above else self.no, told, key)


class Step(Struct, frozen=True):
    """One step: a line or two of text, and what leads to the next one."""

    say: str
    go: tuple[str, str] | None = None
    """The screen, and its page (empty for any), to go to; the step is over when it is in front."""
    press: tuple[str, str, str] | None = None
    """The screen, the page (empty for any that has it) and the name of a command; the step is over once it is used."""
    check: Check | None = None


class Lesson(Struct, frozen=True):
    """A lesson."""

    name: str
    """How the command line calls it."""
    title: str
    about: str
    """What it is about, in one line."""
    steps: tuple[Step, ...]
    section: str = ""
    """Of the notebook; empty if it is about none."""


def parameter_names(measure: type[AnyCheck]) -> list[str]:
    """The fields of a check that a lesson can set, and name in its sentences."""
    found = [each.name for each in parameters(measure) if each.name not in OF_THE_NETWORK]
    return found if issubclass(measure, Explain) else [name for name in found if name != "stride"]


def placeholders(measure: type[AnyCheck], *, measured: bool) -> set[str]:
    """What a sentence can name in braces; with `measured`, also what is known only after the measurement."""
    known = {*parameter_names(measure), "above"}
    if not measured:
        return known
    return known | {*measure.says, "network"} | ({"other"} if measure.claim in COMPARING else set())


def fields_of(text: str) -> Iterator[str]:
    """What `text` names in braces, as it is written there; raises ValueError where its braces do not match."""
    return (name for _, name in _parts(text) if name is not None)


def _parts(text: str) -> Iterator[tuple[str, str | None]]:
    for before, name, form, conversion in string.Formatter().parse(text):
        full = f"{name}{f'!{conversion}' if conversion else ''}{f':{form}' if form else ''}"
        yield before, None if name is None else full


def filled(text: str, told: Mapping[str, str], key: KeyOf) -> str:
    """`text` with what is `told` in place of the names in braces, and keys in place of those of commands."""
    return "".join(
        before + ("" if name is None else told[name] if name in told else key(name)) for before, name in _parts(text)
    )


def written(value: float, unit: Unit) -> str:
    """A value with its unit."""
    if math.isnan(value):
        return "-"
    match unit:
        case "share":
            return f"{value:.0%}".replace("%", " %") if value in (0, 1) else percent(value)
        case "points":
            return f"{100 * value:.2f} percentage points"
        case "count":
            return f"{value:,.0f}"
        case "class":
            return f"{value:.0f}"
        case "number":
            return f"{value:.3g}"


def _written(value: object) -> str:
    """A parameter as a sentence has it."""
    if isinstance(value, tuple):
        return ", ".join(map(_written, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
