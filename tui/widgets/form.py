"""A form generated from a request type: one row per parameter, validated while the user types."""

from __future__ import annotations

from typing import Any

from engine.request import Parameter, Request, RequestError, parameters
from tui.drawing.cells import Cell, cells, clipped
from tui.drawing.fitting import wrapped
from tui.drawing.theme import ink
from tui.setting import Setting, of_parameter
from tui.widgets.cells import title_row
from tui.widgets.fields import Fields

LABEL = 15
"""Width of the names, in cells, unless one is longer."""
LADDERS: dict[str, tuple[float, ...]] = {
    "epochs": (1, 2, 3, 4, 5, 10, 15, 20, 30, 50, 100, 200, 500, 1000),
    "batch_size": (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096),
    "train_size": (640, 1280, 5000, 10_000, 20_000, 50_000, 60_000, 100_000, 240_000, 1_000_000),
}
"""The values that left and right step through; other whole numbers change by 1, other numbers through 1, 2, 5, 10."""


class RequestForm(Fields):
    """The fields of a request, filled in with its defaults, then the help on the selected one or what is wrong."""

    DEFAULT_CSS = "RequestForm { height: 1fr; }"

    def __init__(
        self, request: type[Request], title: str, first: Request | None = None, *, id: str | None = None
    ) -> None:
        """`first` is what it is filled in with; by default, with the defaults of `request`."""
        super().__init__(id=id)
        self.kind, self.title = request, title
        self.fields = [field for field in parameters(request) if not field.fixed]
        """Those that are shown."""
        self.values: dict[str, Any] = {
            field.name: getattr(first, field.name) if first else field.default for field in self.fields
        }
        self._top = 0
        """Index of the first visible field."""
        self.settings = self._settings()

    def _settings(self) -> list[Setting]:
        return [self.setting(field) for field in self.fields]

    def setting(self, field: Parameter) -> Setting:
        """The setting of a field."""
        value = self.values[field.name]
        choices = field.choices
        if choices and value not in choices:
            choices = (*choices, value)  # from a run of another version
        return of_parameter(
            field, value, lambda new: self.apply(field.name, new), ladder=LADDERS.get(field.name, ()), choices=choices
        )

    def apply(self, name: str, value: Any) -> None:
        """Take a new value of a field."""
        self.values[name] = value
        self.take(self._settings())

    def request(self) -> Request:
        """The request with the values of the form; raises RequestError where they are inconsistent."""
        if self.editing and not self._enter():
            raise RequestError(self.problem)
        return self.kind(**self.values)

    def fill(self, request: Request) -> None:
        """Put the values of `request` into the fields."""
        self._stop()
        self.values = {name: getattr(request, name) for name in self.values}
        self.take(self._settings())

    def check(self) -> str:
        """The first problem with the values together, in one line; empty if there is none."""
        try:
            self.kind(**self.values)
        except RequestError as error:
            return str(error)
        return ""

    # Drawing

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """The title, the fields around the selected one, and the help, or what is wrong, in the last lines."""
        quiet = ink(self.app, "quiet")
        problem = self.problem or self.check()
        said = problem or (self._help() if self.has_focus else "")
        words = wrapped(said, width - 1)[: max(0, height - 4)] if said else []
        room = height - 1 - (len(words) + 1 if words else 0)
        self._top = min(max(0, self.at - room // 2), max(0, len(self.fields) - room))
        hidden = max(0, len(self.fields) - room)
        rows = [title_row(self, self.title, cells((f" {hidden} more ", quiet)) if hidden else [], width)]
        size = max([LABEL, *(len(setting.label) for setting in self.settings)])
        for number in range(self._top, min(self._top + room, len(self.fields))):
            here = number == self.at and self.has_focus
            name = cells((f" {self.settings[number].label:<{size}}", ink(self.app, "foreground" if here else "quiet")))
            rows.append(clipped(name + self.value_cells(number), width, quiet))
        style = ink(self.app, "error" if problem else "quiet")
        return rows + ([[], *(cells((f" {line}", style)) for line in words)] if words else [])

    def _help(self) -> str:
        field = self.fields[self.at]
        if self.editing:
            return f"{field.help}; enter takes it, esc does not"
        how = "enter or a digit edits it" if self.settings[self.at].parse else "left and right change it"
        return f"{field.help}; {how}"

    def field_at(self, x: int, y: int) -> int | None:
        number = y - 1 + self._top
        return number if 0 <= number < len(self.fields) and y >= 1 else None
