"""The base of all requests: sets of named, typed, bounded parameters, each declared once.

The command line, the forms of the app, the JSON of a run folder and the tests all read a parameter's name, type,
default, bounds and one-line help from its request. Each wing of the engine defines its requests in its `requests.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

OF_FILES = {"of": "files"}
"""Marks, in its Meta, a field of an architecture that is read from a weights file and never set by the user."""
MORE = "more"
"""The key, in the extra of its Meta, of a field whose values follow `what` on the command line, without the name of an
option; its value there is how the usage calls them."""


class RequestError(ValueError):
    """The request is invalid. The message is one line that says what is wrong and what to do."""


class DeviceFailed(Exception):
    """The device failed, not the request. The message is one line that says what happened and what to do."""


class Parameter(Struct, frozen=True):
    """One field of a request, as forms and command lines show it."""

    name: str
    type: Any
    """int, float, bool, str, a tuple of these, or a Literal of the choices."""
    default: Any
    help: str
    """One line: a noun phrase with the unit."""
    meta: Meta
    optional: bool = False
    """Whether None is also allowed."""

    @property
    def label(self) -> str:
        """The name as shown to the user."""
        return self.name.replace("_", " ")

    @property
    def choices(self) -> tuple[Any, ...]:
        """The allowed values if they are few, or examples to offer; else empty."""
        if self.type is bool:
            return (False, True)
        return get_args(self.type) if get_origin(self.type) is Literal else tuple(self.meta.examples or ())

    @property
    def many(self) -> bool:
        """Whether it takes several values."""
        return get_origin(self.type) is tuple

    @property
    def bounds(self) -> str:
        """The bounds as text, for example `from 1 to 100000`; empty where there are none."""
        if self.meta.ge is not None and self.meta.le is not None:
            return f"from {self.meta.ge} to {self.meta.le}"
        low, high = (self.meta.ge, self.meta.gt), (self.meta.le, self.meta.lt)
        words = []
        if low != (None, None):
            words.append(f"at least {low[0]}" if low[0] is not None else f"more than {low[1]}")
        if high != (None, None):
            words.append(f"at most {high[0]}" if high[0] is not None else f"less than {high[1]}")
        return " and ".join(words)

    @property
    def fixed(self) -> bool:
        """Whether the user cannot set it: only one value is allowed, or it is read from a weights file."""
        return (self.meta.ge is not None and self.meta.ge == self.meta.le) or self.meta.extra == OF_FILES

    def check(self, value: Any) -> None:
        """Raise RequestError where `value` has the wrong type or is out of bounds."""
        if self.optional and value is None:
            return
        for one in value if self.many and isinstance(value, list | tuple) else (value,):
            if isinstance(one, float) and not math.isfinite(one):
                raise RequestError(f"{self.label} must be a finite number, not {one}")
        try:
            msgspec.convert(value, Annotated[self.type, self.meta])
        except msgspec.ValidationError:
            if self.meta.title:
                wanted = self.meta.title
            elif self.choices:
                wanted = "one of " + ", ".join(str(choice) for choice in self.choices)
            else:
                kinds: dict[Any, str] = {int: "a whole number", float: "a number", tuple[int, ...]: "whole numbers"}
                kind = kinds.get(self.type, "numbers" if self.type == tuple[float, ...] else "text")
                wanted = f"{kind} {self.bounds}" if self.bounds else kind
            raise RequestError(f"{self.label} must be {wanted}, not {value!r}") from None

    def parse(self, text: str) -> Any:
        """The value of the user's input `text`; raises RequestError, with the reason, where it is invalid."""
        text = text.strip()
        value: Any = text
        if self.type is int:
            try:
                value = int(text.replace("_", "").replace(",", ""))
            except ValueError:
                value = text
        elif self.type is float:
            try:
                value = float(text)
            except ValueError:
                value = text
        self.check(value)
        return value


class Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="request"):
    """The base of all requests. Fields are checked when the request is created, not when it is carried out."""

    def __post_init__(self) -> None:
        for parameter in parameters(type(self)):
            parameter.check(getattr(self, parameter.name))
        self.check_together()

    def check_together(self) -> None:
        """Raise RequestError where fields that are valid on their own are inconsistent."""


@cache
def parameters(request: type[Struct]) -> tuple[Parameter, ...]:
    """The fields of a request, or of another struct that describes its fields alike, in the order that users see."""
    own = request.__annotations__

    def place(parameter: Parameter) -> tuple[bool, bool]:
        # A request's own fields come before inherited ones, except for the one switch that the notebook uses.
        return parameter.name != "batch_norm", parameter.name not in own

    return tuple(sorted(_parameters(request), key=place))


def _parameters(request: type[Struct]) -> Iterator[Parameter]:
    hints = get_type_hints(request, include_extras=True)
    for field in msgspec.structs.fields(request):
        hint = hints[field.name]
        optional = get_origin(hint) is not Annotated
        kind, *notes = get_args(get_args(hint)[0] if optional else hint)
        meta = next(note for note in notes if isinstance(note, Meta))
        yield Parameter(field.name, kind, field.default, meta.description or "", meta, optional)
