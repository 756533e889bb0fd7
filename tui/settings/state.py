"""What the app remembers by itself: the theme, screen, picture mode and colour maps that were in use last."""

from __future__ import annotations

import contextlib
import copy
import os
from pathlib import Path

import msgspec
from msgspec import Struct

from engine.paths import write_whole
from engine.reading import read_json
from engine.request import RequestError
from engine.training.requests import Train
from tui.settings.file import PROGRAM, Loaded
from tui.settings.values import Settings

LOOKS = ("theme", "screen", "pictures", "colours")
"""What is remembered unless the settings give it."""


class State(Struct):
    """What is remembered from the last session; empty where nothing is."""

    theme: str = ""
    screen: str = ""
    pictures: dict[str, str] = {}
    """The picture mode that was chosen, by the best one that the terminal reported: another terminal may do less."""
    colours: dict[str, str] = {}
    """The colour map that was chosen, by screen."""
    experiment: dict[str, object] | None = None
    """The experiment that was trained or queued last."""

    def train(self) -> Train | None:
        """The experiment; None if there is none, or if it is not one of this version."""
        if self.experiment is None:
            return None
        try:
            return msgspec.convert(self.experiment, Train)
        except (msgspec.ValidationError, RequestError):
            return None


def state_path() -> Path:
    """The file that the app remembers its state in."""
    from platformdirs import user_state_path

    return user_state_path(PROGRAM, appauthor=False) / "state.json"


def recall(loaded: Loaded) -> State:
    """What is remembered, without what the settings give; nothing where that is not wanted, or cannot be read."""
    found = State() if _of_all() else _read()
    settings = loaded.settings
    kept = State() if not settings.remember else found
    for name in LOOKS:
        if name in loaded.given:
            setattr(kept, name, getattr(State(), name))
    kept.experiment = found.experiment if settings.remember_experiment else None
    return kept


def _of_all() -> bool:
    """Whether this app is one of many on a page in the browser: what its visitor likes is nothing to the others."""
    return bool(os.environ.get("TEXTUAL_DRIVER"))


def _read() -> State:
    with contextlib.suppress(RequestError, OSError, RuntimeError):
        return read_json(state_path(), State)
    return State()


def remember(before: State, after: State, settings: Settings) -> str:
    """Write what has changed from `before` to `after`, of what is wanted; what other sessions have written stays.

    Returns why it could not be written, in one line; empty where it was, or where nothing has changed. Never raises.
    """
    names = [*(LOOKS if settings.remember else ()), *(("experiment",) if settings.remember_experiment else ())]
    if _of_all() or all(getattr(before, name) == getattr(after, name) for name in names):
        return ""
    kept = _read()
    for name in names:
        old, new = getattr(before, name), getattr(after, name)
        if old == new:
            continue
        if isinstance(new, dict) and name != "experiment":
            others = {key: value for key, value in getattr(kept, name).items() if key in new or key not in old}
            new = others | {key: value for key, value in new.items() if old.get(key) != value}
        setattr(kept, name, new)
    try:
        path = state_path()
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda file: file.write_bytes(msgspec.json.encode(kept)))
    except (OSError, RuntimeError, UnicodeEncodeError) as error:
        return f"cannot remember the state of the app: {error}"
    return ""


def writable() -> bool:
    """Whether the state can be written."""
    folder = state_path()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK)


def copied(state: State) -> State:
    """A copy that does not change with the state."""
    return copy.deepcopy(state)
