"""Pages with a request whose parameters are their settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from engine.request import Parameter, Request, RequestError, parameters
from tui.drawing.vocabulary import NORMS
from tui.screens.inspect_pages import InspectPage
from tui.screens.pages import PagedScreen
from tui.screens.state import State
from tui.setting import Setting, of_parameter
from tui.workspace import Notice

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
    "queries": (100, 500, 1000, 2000, 5000, 10_000, 20_000),
    "restarts": (1, 2, 3, 5, 10, 20),
    "count": (10, 50, 100, 200, 500, 1000, 2000, 5000, 10_000),
    "made_of": (10, 50, 100, 200, 500, 1000, 2000, 5000, 10_000),
}
"""The values that left and right step through; other numbers change by 1."""
EPSILONS = {"linf": 0.2, "l2": 2.0}
"""What a change of the norm sets epsilon to, since epsilons of different norms are not comparable."""


class OptionsPage(InspectPage):
    """The base of the pages of the attacks screen."""

    hidden: ClassVar[frozenset[str]] = frozenset({"indices", "others", "exact"})
    """Parameters that cannot be changed here."""
    chosen: State[Mapping[str, Any]] = State({})
    """The parameters that were set, by name; the others have their defaults."""

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
        """The parameters that can be changed here, in display order."""
        own = self.kind.__annotations__
        return [p for p in parameters(self.kind) if p.name in own and p.name not in self.hidden]

    def settings(self) -> list[Setting]:
        """The parameters of the request."""
        return [self._setting(parameter) for parameter in self.options()]

    def _setting(self, parameter: Parameter) -> Setting:
        name = parameter.name
        return of_parameter(
            parameter,
            self.chosen.get(name, parameter.default),
            partial(self._change, name),
            ladder=LADDERS.get(name, ()),
            label=SHORT.get(name, ""),
            choices=_choices(parameter),
            show=partial(_shown, name),
        )

    def _change(self, name: str, value: Any) -> None:
        """Set a parameter, and others that depend on it; raises RequestError where they are inconsistent."""
        chosen = {**self.chosen, name: value}
        if name == "norm" and "epsilon" in {p.name for p in self.options()}:
            chosen["epsilon"] = EPSILONS[value]
        if name == "random_start" and not value:
            chosen.pop("restarts", None)
        self.request(chosen)
        self.anew()
        self.chosen = chosen

    def unused(self) -> set[str]:
        """The keys of the target, if the request has none."""
        return set() if self._target() else {"next_class", "previous_class"}

    def _target(self) -> Setting | None:
        return next((each for each in self.settings() if each.name in ("target", "classes")), None)

    # Keys

    def action_next_class(self) -> None:
        """Choose the next target: any other class and 0 to 9; from noise, all classes and 0 to 9."""
        self._step_target(1)

    def action_previous_class(self) -> None:
        self._step_target(-1)

    def _step_target(self, by: int) -> None:
        if target := self._target():
            try:
                target.change(by)
            except RequestError as error:
                self.workspace.tell(Notice(str(error), severity="warning"))


def _choices(parameter: Parameter) -> Sequence[Any]:
    """The choices of a parameter that is no plain number; empty for the others."""
    if parameter.name == "classes":
        return ["0123456789", *"0123456789"]
    if parameter.name == "target":
        return range(int(parameter.meta.ge or 0), 10)
    return ()


def _shown(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "target" and value == -1:
        return "any other"
    if name == "classes" and len(value) == 10:
        return "all"
    if name == "step_size" and value == 0:
        return "auto"
    if name == "norm":
        return NORMS[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
