"""The settings: each with its type, bounds, default and one line of help, as the fields of requests are declared."""

from __future__ import annotations

import re
from functools import cache
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from engine.figures.requests import ColourMapName
from engine.request import Parameter, RequestError, parameters
from tui.drawing.terminal import PictureName

ScreenName = Literal["train", "model", "digits", "filters", "activations", "occlusion", "attacks", "runs", "draw"]
ColourSetting = Literal["auto", ColourMapName]

LONGEST = 4096
"""Maximum length of a command, an address or a folder, in characters."""

Keys = dict[str, tuple[str, ...]]
"""The keys of commands by their names in the key map, such as `run` or `runs.list.open`."""


class Settings(Struct, frozen=True):
    """What the user can set for all sessions."""

    theme: Annotated[
        str, Meta(description="theme: mnist-dark, mnist-light, or any of Textual's, such as nord", max_length=100)
    ] = "mnist-dark"
    colours: Annotated[ColourSetting, Meta(description="colour map of all pictures; auto: each screen's own")] = "auto"
    pictures: Annotated[
        PictureName, Meta(description="how pictures are drawn; auto: the best that the terminal reports")
    ] = "auto"
    screen: Annotated[ScreenName, Meta(description="screen that the app starts with")] = "train"
    remember: Annotated[
        bool, Meta(description="start with the theme, colour maps, picture mode and screen of the last session")
    ] = True
    remember_experiment: Annotated[
        bool, Meta(description="start with the experiment in the form that was trained or queued last")
    ] = False
    runs: Annotated[str, Meta(description="folder that holds the run folders", min_length=1, max_length=LONGEST)] = (
        "runs"
    )
    bell: Annotated[bool, Meta(description="ring the terminal's bell when a run has finished or failed")] = True
    osc9: Annotated[bool, Meta(description="notify by OSC 9: iTerm2, WezTerm, ghostty, Windows Terminal")] = False
    osc777: Annotated[bool, Meta(description="notify by OSC 777: foot, urxvt, WezTerm, ghostty, VTE")] = False
    notify: Annotated[
        str,
        Meta(description="shell command to run then, with the event as JSON on standard input", max_length=LONGEST),
    ] = ""
    webhook: Annotated[
        str, Meta(description="http or https address to which the event is sent then, as JSON", max_length=LONGEST)
    ] = ""
    keys: Annotated[Keys, Meta(description="other keys for commands")] = {}


KEYS = "keys"
"""The table of the key map in the file."""


@cache
def fields() -> dict[str, Parameter]:
    """The settings with one value each, by name; the key map is apart."""
    return {field.name: field for field in parameters(Settings) if field.name != KEYS}


def check(name: str, value: object) -> None:
    """Raise RequestError, one line, where `value` is not one that the setting `name`, one of `fields`, can have.

    Whether there is a theme of that name is not checked here: Textual's would have to be imported.
    """
    field = fields()[name]
    if field.type is bool and not isinstance(value, bool):
        raise RequestError(f"{name} must be true or false, not {value!r}")
    if field.type is str and not isinstance(value, str):
        raise RequestError(f"{name} must be text, not {value!r}")
    if isinstance(value, str) and (field.type is str) and not _fits(field, value):
        raise RequestError(f"{name} must be text of 1 to {field.meta.max_length} characters")
    field.check(value)
    if name == "webhook" and value and not re.match(r"https?://[^/?#\s]+[^\s]*$", str(value)):
        raise RequestError("webhook must be an address that begins with http:// or https://")


def _fits(field: Parameter, text: str) -> bool:
    return (field.meta.min_length or 0) <= len(text) <= (field.meta.max_length or LONGEST) and "\0" not in text


def parse(name: str, text: str) -> object:
    """The value of a typed text for the setting `name`, one of `fields`; raises RequestError where it is invalid."""
    field = fields()[name]
    if field.type is bool:
        words = {
            "true": True,
            "yes": True,
            "on": True,
            "1": True,
            "false": False,
            "no": False,
            "off": False,
            "0": False,
        }
        if text.strip().lower() not in words:
            raise RequestError(f"{name} must be true or false, not {text!r}")
        return words[text.strip().lower()]
    check(name, text)
    return text


def shown_value(value: object) -> str:
    """A value as it is shown: `true`, `"nord"`, `""`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if value != "" else '""'


def choices(name: str) -> tuple[str, ...]:
    """The values of a setting that has few, as they are typed."""
    field = fields()[name]
    return ("true", "false") if field.type is bool else get_args(field.type)


def replaced(settings: Settings, values: dict[str, object]) -> Settings:
    """`settings` with other values, which were checked."""
    return msgspec.structs.replace(settings, **values)
