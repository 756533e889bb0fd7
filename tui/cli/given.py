"""What a command line and the settings say together: which file of settings, and which folder of runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from engine.request import RequestError
from tui.settings.file import VARIABLE, Loaded, load

_OPTION = "--settings"


@contextmanager
def settings_option(words: Sequence[str]) -> Iterator[list[str]]:
    """Within this context, the file that `--settings` names counts; yields `words` without the option.

    The variable MNIST_TUI_SETTINGS carries it, also to processes that are started meanwhile. Raises RequestError where
    there is no such file, unless it is the command `settings` that will write it.
    """
    rest: list[str] = []
    file = ""
    following = iter(words)
    for word in following:
        name, equals, value = word.partition("=")
        if name == _OPTION:
            file = value if equals else next(following, "")
            if not file:
                raise RequestError("--settings needs a file")
        else:
            rest.append(word)
    if not file:
        yield rest
        return
    path = Path(os.path.abspath(file))  # noqa: PTH100 (links stay)
    if rest[:1] != ["settings"] and not os.path.exists(path):  # noqa: PTH110 (pathlib's raises for some names)
        raise RequestError(f"there is no file {file}: create it with mnist-tui settings {_OPTION} {file} NAME=VALUE")
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(path)
    try:
        yield rest
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


def runs_folder(loaded: Loaded | None = None) -> Path:
    """The folder of runs in the settings, by default those of the user; relative to the working directory."""
    return Path(os.path.expanduser((loaded or load()).settings.runs))  # noqa: PTH111 (pathlib's raises where there is no home)


def key(name: str, screen: str) -> str:
    """The user's key of a command of a screen of the app, as it is shown; that of the registry where keys conflict."""
    from tui.keymap import KeyMap, key_map  # Textual comes with it

    try:
        found = key_map(load().settings.keys)
    except RequestError:  # which the app, and `mnist-tui settings`, tell
        found = KeyMap()
    return found.key(name, screen)


def warn() -> None:
    """Say on standard error what of the settings cannot be used; the defaults stand in for that."""
    if words := load().notice:
        print(f"mnist-tui: {words}", file=sys.stderr)
