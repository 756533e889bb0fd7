"""The form of an experiment: a recipe fills its fields."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from engine.request import Parameter, parameters
from engine.training.recipes import filling, words_of
from engine.training.requests import Train, without_effect
from tui.setting import Setting
from tui.widgets.form import RequestForm


class ExperimentForm(RequestForm):
    """The fields of a training request. Choosing a recipe fills them; it is shown as changed while they differ.

    Those that the chosen objective does not use are not shown.
    """

    def __init__(self, title: str, first: Train | None = None, *, id: str | None = None) -> None:
        """`first` is what it is filled in with; by default, with the defaults."""
        super().__init__(Train, title, first, id=id)

    def setting(self, field: Parameter) -> Setting:
        """The setting of a field; that of the recipe says whether it was changed."""
        setting = super().setting(field)
        if field.name != "recipe":
            return setting
        return replace(setting, show=lambda name: words_of(name, self.values))

    def _settings(self) -> list[Setting]:
        hidden = without_effect(self.values["objective"])
        self.fields = [field for field in parameters(self.kind) if not field.fixed and field.name not in hidden]
        return super()._settings()

    def apply(self, name: str, value: Any) -> None:
        """Take a new value; a recipe also fills its fields."""
        if name == "recipe":
            self.values |= filling(value)
        super().apply(name, value)
