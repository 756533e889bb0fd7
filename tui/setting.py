"""The settings of a page or a form: each with its value, its choices or steps, and what changing it does."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from engine.request import Parameter, RequestError
from tui.drawing.words import worded

UNIT_STEPS = tuple(factor * 10.0**power for power in range(-6, 7) for factor in (1, 2, 5))
"""What numbers without a ladder of their own step through if they have a fraction: 1, 2 or 5 times a power of ten."""


class Setting(msgspec.Struct, frozen=True):
    """A value that the user can change."""

    name: str
    label: str
    value: Any
    apply: Callable[[Any], None]
    """Takes a new value; raises RequestError, with the reason, where it is not possible."""
    choices: Sequence[Any] = ()
    """The values to choose from; empty for a number."""
    step: Callable[[Any, int], Any] | None = None
    """The value after (1) or before (-1) another; None to step through `choices`."""
    parse: Callable[[str], Any] | None = None
    """The value of a typed text, raising RequestError; None where nothing can be typed."""
    show: Callable[[Any], str] = worded
    """The value as shown to the user."""
    help: str = ""
    """One line: a noun phrase with the unit."""

    @property
    def shown(self) -> str:
        """The value as shown to the user."""
        return self.show(self.value)

    @property
    def text(self) -> str:
        """The value as it would be typed, with all its digits."""
        return repr(self.value).removesuffix(".0") if isinstance(self.value, float) else str(self.value)

    def change(self, by: int) -> None:
        """Take the next value (by 1) or the previous one (by -1): choices wrap around, numbers stop at their ends."""
        if self.step:
            new = self.step(self.value, by)
        elif self.value in self.choices:
            new = self.choices[(self.choices.index(self.value) + by) % len(self.choices)]
        else:
            new = self.choices[0]
        if new != self.value:
            self.apply(new)

    def enter(self, text: str) -> None:
        """Take the value of a typed text; raises RequestError where it is invalid, or where nothing can be typed."""
        if self.parse is None:
            raise RequestError(f"{self.label} has choices: left and right step through them")
        self.apply(self.parse(text))


def of_state(
    owner: object,
    state: str,
    label: str,
    choices: Sequence[Any],
    *,
    name: str = "",
    show: Callable[[Any], str] = worded,
    help: str = "",
) -> Setting:
    """The setting of an attribute `state` of a screen or page, with its choices; its name is that of the attribute."""
    apply = partial(setattr, owner, state)
    return Setting(name or state, label, getattr(owner, state), apply, choices, show=show, help=help)


def of_parameter(
    parameter: Parameter,
    value: Any,
    apply: Callable[[Any], None],
    *,
    ladder: Sequence[float] = (),
    label: str = "",
    choices: Sequence[Any] = (),
    show: Callable[[Any], str] = worded,
) -> Setting:
    """The setting of a request's parameter.

    A number steps through `ladder`, or by 1 or through 1, 2, 5, 10 and so on without one.
    """
    choices = choices or parameter.choices
    name, label = parameter.name, label or parameter.label
    if choices:
        return Setting(name, label, value, apply, tuple(choices), show=show, help=parameter.help)
    steps = ladder or (UNIT_STEPS if parameter.type is float else ())

    def step(now: Any, by: int) -> Any:
        new = _further(steps, now, by) if steps else now + by
        try:
            made = msgspec.convert(new, parameter.type, strict=False)
            parameter.check(made)
        except (RequestError, msgspec.ValidationError):
            return now
        return made

    return Setting(name, label, value, apply, step=step, parse=parameter.parse, show=show, help=parameter.help)


def _further(steps: Sequence[float], now: float, by: int) -> float:
    """The next of the ascending `steps` above (by 1) or below (by -1) `now`; `now` itself at either end."""
    at = bisect_right(steps, now) if by > 0 else bisect_left(steps, now) - 1
    return steps[at] if 0 <= at < len(steps) else now
