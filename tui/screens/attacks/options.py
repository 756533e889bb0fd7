"""Pages with a request whose parameters can be changed by keys: `o` selects a parameter, `p` changes its value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from engine.request import Parameter, Request, RequestError, parameters
from tui.screens.inspect_pages import InspectPage
from tui.screens.pages import PagedScreen
from tui.screens.state import State
from tui.widgets.settings import Settings

SHORT = {"step_size": "step size", "total_variation": "smooth", "random_start": "random start", "count": "digits"} | {
    "binary_search_steps": "searches"
}
"""Short names of parameters whose field has a long one."""
LADDERS: dict[str, tuple[float, ...]] = {
    "steps": (1, 2, 5, 10, 25, 40, 50, 100, 250, 500, 1000, 1500, 3000, 5000, 10_000),
    "step_size": (0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 1000),
    "beta": (0, *(10.0**power for power in range(-5, 9))),
    "epsilon": (0, 0.01, 0.02, *(round(0.05 * n, 2) for n in range(1, 9)), 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 4, 5, 10),
    "total_variation": (0, 0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 10),
    "l2": (0, 0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 10),
    "overshoot": (0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1),
    "confidence": (0, 1, 2, 5, 10, 20, 50, 100),
    "restarts": (1, 2, 3, 5, 10, 20),
    "count": (10, 50, 100, 200, 500, 1000, 2000, 5000, 10_000),
    "made_of": (10, 50, 100, 200, 500, 1000, 2000, 5000, 10_000),
}
"""The values that a key steps through; other numbers change by 1."""
EPSILONS = {"linf": 0.2, "l2": 2.0}
"""What a change of the norm sets epsilon to, since epsilons of different norms are not comparable."""


class OptionsPage(InspectPage):
    """The base of the pages of the attacks screen."""

    hidden: ClassVar[frozenset[str]] = frozenset({"indices", "others"})
    """Parameters that cannot be changed by keys here."""
    chosen: State[Mapping[str, Any]] = State({})
    """The parameters that were set, by name; the others have their defaults."""
    option: State[int] = State(0)
    """The index of the selected parameter."""

    def __init__(self, desk: PagedScreen) -> None:
        super().__init__(desk)
        self._last: Request | None = None
        """The most recent request; None if there is none, or its settings were invalid."""

    @property
    def kind(self) -> type[Request]:
        """The type of the page's request."""
        raise NotImplementedError

    @property
    def asking(self) -> bool:
        """Whether the page wants an answer in its current state."""
        raise NotImplementedError

    def headings(self) -> tuple[Sequence[str], int]:
        """The titles on the first line of the settings, and the index of the current one."""
        raise NotImplementedError

    def request(self, chosen: Mapping[str, Any]) -> Request:
        """The page's request with these settings; raises RequestError where they are inconsistent."""
        raise NotImplementedError

    def anew(self) -> None:
        """Reset the page for another request, which what is in view does not answer."""
        raise NotImplementedError

    def wanted(self) -> list[Request]:
        if not self.asking:
            return []
        try:
            self._last = self.request(self.chosen)
        except RequestError as error:  # settings that are valid on their own but inconsistent
            self.desk.inquiry.refusal, self._last = str(error), None
            return []
        return [self._last]

    def kept(self) -> list[Request]:
        return [self._last] if self._last else []

    def options(self) -> list[Parameter]:
        """The parameters that can be changed by keys, in display order."""
        own = self.kind.__annotations__
        return [p for p in parameters(self.kind) if p.name in own and p.name not in self.hidden]

    def draw(self) -> None:
        """Draw the settings, above what a subclass draws."""
        values = [(SHORT.get(p.name, p.label), _shown(p.name, self._value(p))) for p in self.options()]
        titles, at = self.headings()
        self.desk.query_one(Settings).show(titles, at, values, self.option)

    def _value(self, parameter: Parameter) -> Any:
        return self.chosen.get(parameter.name, parameter.default)

    def unused(self) -> set[str]:
        """The keys of the target, if the request has none."""
        targeted = any(p.name in ("target", "classes") for p in self.options())
        return set() if targeted else {"next_target", "previous_target"}

    # Keys

    def action_next_option(self) -> None:
        self.option = (self.option + 1) % len(self.options())

    def action_previous_option(self) -> None:
        self.option = (self.option - 1) % len(self.options())

    def action_more(self) -> None:
        self._change(self.options()[self.option], 1)

    def action_less(self) -> None:
        self._change(self.options()[self.option], -1)

    def action_next_target(self) -> None:
        self._change_target(1)

    def action_previous_target(self) -> None:
        self._change_target(-1)

    def _change_target(self, by: int) -> None:
        """Step through any other class and 0 to 9; from noise, all classes and 0 to 9."""
        if target := next((p for p in self.options() if p.name in ("target", "classes")), None):
            self._change(target, by)

    def _change(self, parameter: Parameter, by: int) -> None:
        now = self._value(parameter)
        new = _next(parameter, now, by)
        if new == now:
            return
        chosen = {**self.chosen, parameter.name: new}
        if parameter.name == "norm" and "epsilon" in {p.name for p in self.options()}:
            chosen["epsilon"] = EPSILONS[new]
        if parameter.name == "random_start" and not new:
            chosen.pop("restarts", None)
        try:
            self.request(chosen)
        except RequestError as error:
            self.notify(str(error), severity="warning", markup=False)
            return
        self.anew()
        self.chosen = chosen


def _shown(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "target" and value == -1:
        return "any other"
    if name == "classes" and len(value) == 10:
        return "all"
    if name == "step_size" and value == 0:
        return "auto"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _next(parameter: Parameter, now: Any, by: int) -> Any:
    """The value after or before `now`: choices wrap around, numbers stop at their bounds."""
    if parameter.name == "classes":
        choices = ["0123456789", *"0123456789"]
    elif parameter.name == "target":
        choices = list(range(int(parameter.meta.ge or 0), 10))
    else:
        choices = list(parameter.choices)
    if choices:
        return choices[(choices.index(now) + by) % len(choices)]
    ladder = LADDERS.get(parameter.name)
    if ladder is None:
        new = now + by
    else:
        further = [value for value in ladder if (value > now if by > 0 else value < now)]
        new = (further[0] if by > 0 else further[-1]) if further else now
    try:
        value = msgspec.convert(new, parameter.type, strict=False)
        parameter.check(value)
    except RequestError:
        return now
    return value
