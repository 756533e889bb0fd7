"""settings.toml: where it is, what it says, and what of it cannot be used."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from engine.reading import read_bytes, reason
from engine.request import RequestError
from engine.words import shortened, shown
from tui.settings.values import KEYS, Keys, Settings, check, fields, replaced

VARIABLE = "MNIST_TUI_SETTINGS"
"""The environment variable that names another file."""
PROGRAM = "mnist-tui"
MOST = 1 << 16
"""Maximum size of the file in bytes: twenty times what all settings and keys need."""


class Loaded(Struct, frozen=True):
    """What a file of settings says."""

    path: Path
    settings: Settings = Settings()
    given: frozenset[str] = frozenset()
    """The names of the settings that the file gives, among them the key map."""
    problems: tuple[str, ...] = ()
    """What of it cannot be used, each in one line with its place; the defaults stand in for that."""

    @property
    def notice(self) -> str:
        """The first problem, and how many more there are; empty without any."""
        if not self.problems:
            return ""
        more = len(self.problems) - 1
        return self.problems[0] + (f" (and {more} more: mnist-tui settings lists them)" if more else "")


def settings_path() -> Path:
    """The file of settings: `MNIST_TUI_SETTINGS`, or settings.toml in the platform's folder for them."""
    if given := os.environ.get(VARIABLE):
        return Path(os.path.expanduser(given))  # noqa: PTH111 (pathlib's raises where there is no home)
    from platformdirs import user_config_path

    return user_config_path(PROGRAM, appauthor=False) / "settings.toml"


def load() -> Loaded:
    """What the file of settings says; never raises. Without a file, all settings have their defaults."""
    path = settings_path()
    try:
        text = _read(path)
    except FileNotFoundError:
        return Loaded(path)
    except (OSError, UnicodeDecodeError) as error:
        return Loaded(path, problems=(f"{shown(str(path))} cannot be read: {reason(error)}",))
    return understood(path, text)


def _read(path: Path) -> str:
    return "" if str(path) == os.devnull else read_bytes(path, MOST).decode("utf-8")


def understood(path: Path, text: str) -> Loaded:
    """What `text`, the contents of the file `path`, says."""
    if not text.strip():
        return Loaded(path)
    import tomllib

    try:
        found = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        words = reason(error) if isinstance(error, RecursionError) else str(error)
        return Loaded(path, problems=(f"{shown(str(path))} is not valid TOML: {shown(words)}",))
    values: dict[str, Any] = {}
    wrong = {}
    for name, value in found.items():
        try:
            values[name] = _keys(value) if name == KEYS else _value(name, value)
        except RequestError as error:
            wrong[name] = shown(str(error))
    problems = tuple(_placed(path, text, wrong)) if wrong else ()
    return Loaded(path, replaced(Settings(), values), frozenset(values), problems)


def _placed(path: Path, text: str, wrong: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with names, each with the line of the file that gives it."""
    from tui.settings.edit import places

    lines = places(text)
    for name, words in wrong.items():
        line = f", line {lines[name]}" if name in lines else ""
        yield f"{shown(str(path))}{line}: {words}"


def _value(name: str, value: object) -> object:
    if name not in fields():
        raise RequestError(unknown(name))
    check(name, value)
    return value


def unknown(name: str) -> str:
    """What to say of a setting that does not exist."""
    from difflib import get_close_matches

    near = get_close_matches(name, (*fields(), KEYS), 1)
    return f"there is no setting {shortened(name)!r}" + (f": is it {near[0]}?" if near else "")


def _keys(table: object) -> Keys:
    """The key map in the file: dotted names may be written with or without quotes."""
    if not isinstance(table, dict):
        raise RequestError(f"{KEYS} must be a table of names and keys")
    return dict(_flat(table))


def _flat(table: Mapping[str, object], before: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
    for name, value in table.items():
        full = f"{before}{name}"
        if isinstance(value, dict):
            yield from _flat(value, f"{full}.")
        elif isinstance(value, str):
            yield full, (value,) if value else ()
        elif isinstance(value, list) and all(isinstance(each, str) for each in value):
            yield full, tuple(value)
        else:
            raise RequestError(f"{KEYS}.{shortened(full)} must be a key or a list of keys")


def write(path: Path, text: str) -> None:
    """Replace the file's contents at once; a new file can be read only by its owner, since a webhook is a secret.

    Raises RequestError where it cannot be written. A link stays, and what it points to is replaced.
    """
    import tempfile

    path = path.resolve()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            if not os.access(path, os.W_OK) and path.exists():
                raise PermissionError(13, "it is read-only", str(path))
        handle, name = tempfile.mkstemp(prefix=".settings-", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                with contextlib.suppress(OSError):  # not every file system can
                    os.fsync(file.fileno())
            with contextlib.suppress(OSError):
                Path(name).chmod(path.stat().st_mode & 0o777)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except (OSError, UnicodeEncodeError) as error:
        raise RequestError(f"cannot write {shown(str(path))} ({reason_of(error)})") from None


def reason_of(error: Exception) -> str:
    """Why a file could not be written, in a few words."""
    return reason(error) if isinstance(error, OSError) else "it is not valid text"
