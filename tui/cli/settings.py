"""`mnist-tui settings`: where the settings are, what they are, and changes of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from engine.reading import read_bytes, reason
from engine.request import RequestError
from engine.words import shown
from tui.cli.exit_codes import BAD_INPUT, DONE
from tui.settings.edit import Value, changed
from tui.settings.file import MOST, VARIABLE, Loaded, load, settings_path, understood, unknown, write
from tui.settings.state import LOOKS, recall, state_path, writable
from tui.settings.values import KEYS, Settings, choices, fields, parse, shown_value

USAGE = f"""\
usage: mnist-tui settings [NAME=VALUE ...] [--unset NAME ...] [--keys] [--json] [--settings FILE]

Print the settings, their file and where each value comes from, or change them.
Comments and everything else in the file stay as they are.

  mnist-tui settings theme=nord pictures=256
  mnist-tui settings runs=~/runs notify='notify-send "$MNIST_TUI_TITLE"'
  mnist-tui settings keys.run=g keys.runs.list.open=f3   other keys, on all screens or on a page
  mnist-tui settings --unset theme keys.run              back to the defaults

settings:
{{fields}}
  keys.COMMAND         keys of a command, with commas between them; --keys lists the commands

options:
  --unset NAME     remove a setting, also of a key, from the file
  --keys           list all commands with their keys
  --json           print all of it as JSON
  --settings FILE  another file; also the variable {VARIABLE}
"""


@dataclass
class Arguments:
    """The options, for the completion of command lines."""

    unset: str = ""
    """remove a setting, also of a key, from the file"""
    keys: bool = False
    """list all commands with their keys"""
    json: bool = False
    """print all of it as JSON"""
    settings: Path = Path("settings.toml")
    """another file"""


def settings(arguments: Sequence[str]) -> int:
    """Run the command line `mnist-tui settings ARGUMENTS`; returns the exit code.

    Raises RequestError for invalid arguments, and where the file cannot be changed.
    """
    if {"-h", "--help"} & set(arguments):
        print(USAGE.format(fields="\n".join(_fields())), end="")
        return DONE
    flags = {word for word in arguments if word in ("--json", "--keys")}
    if changes := dict(_changes([word for word in arguments if word not in flags])):
        _change(changes)
    loaded = _checked(load())
    if "--keys" in flags:
        return _print_keys(loaded)
    if "--json" in flags:
        sys.stdout.buffer.write(msgspec.json.encode(_everything(loaded)) + b"\n")
        sys.stdout.flush()
    else:
        print("\n".join(_lines(loaded)))
    for problem in loaded.problems:
        print(f"mnist-tui: {shown(problem)}", file=sys.stderr)
    return BAD_INPUT if loaded.problems else DONE


def _changes(words: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Names with their new values, None to remove them: `NAME=VALUE`, and the names after `--unset`."""
    unsetting = False
    for word in words:
        name, equals, value = word.partition("=")
        if name == "--unset":
            unsetting = True
            if equals:
                yield _known(value), None
            elif word == words[-1]:
                raise RequestError("--unset needs the name of a setting: mnist-tui settings lists them")
        elif word.startswith("-"):
            raise RequestError(f"unknown option {word}: see mnist-tui settings --help")
        elif equals:
            yield _known(name), value
        elif unsetting:
            yield _known(word), None
        else:
            raise RequestError(f"{_known(word)} needs a value: write {word}=VALUE, or --unset {word}")


def _known(name: str) -> str:
    """`name` itself; raises RequestError where it is no setting."""
    if name not in fields() and not (name.startswith(f"{KEYS}.") and len(name) > len(KEYS) + 1):
        raise RequestError(unknown(name))
    return name


def _fields() -> Iterator[str]:
    for name, field in fields().items():
        of = ", ".join(choices(name)) if field.type is not bool else ""
        default = shown_value(field.default)
        yield f"  {name:<20} {field.help} ({of + '; ' if of else ''}default: {default})"


def _checked(loaded: Loaded) -> Loaded:
    """`loaded` with the problems that only the front end knows: unknown themes, commands and keys, and conflicts."""
    from tui.keymap import key_map

    problems = list(loaded.problems)
    found, given = loaded.settings, loaded.given
    try:
        if "theme" in loaded.given:
            _check_theme(found.theme)
    except RequestError as error:
        problems.append(f"{loaded.path}: {error}")
        found, given = msgspec.structs.replace(found, theme=Settings().theme), given - {"theme"}
    try:
        key_map(found.keys)
    except RequestError as error:
        problems.append(f"{loaded.path}: {KEYS}: {error}")
        found, given = msgspec.structs.replace(found, keys={}), given - {KEYS}
    return msgspec.structs.replace(loaded, settings=found, given=given, problems=tuple(problems))


def _check_theme(name: str) -> None:
    from textual.theme import BUILTIN_THEMES

    from tui.drawing.theme import THEMES, no_theme

    known = {*BUILTIN_THEMES, *(theme.name for theme in THEMES)}
    if name not in known:
        raise RequestError(no_theme(name, known))


def _change(changes: dict[str, str | None]) -> None:
    """Write the changes to the file, all of them or, where one is invalid, none; raises RequestError."""
    path = settings_path()
    try:
        text = read_bytes(path, MOST).decode("utf-8")
    except FileNotFoundError:
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path} cannot be read ({reason(error)}): it is left as it is") from None
    before = understood(path, text)
    if before.problems and not before.given and " is not valid TOML" in before.problems[0]:
        raise RequestError(f"{before.problems[0]}: it is left as it is")
    for name, value in changes.items():
        if name in fields():
            new = None if value is None else parse(name, value)
            if name == "theme" and value is not None:
                _check_theme(value)
            text = changed(text, (name,), new)  # type: ignore[arg-type]
        else:
            text = changed(text, _key_path(text, name.removeprefix(f"{KEYS}.")), _key_value(value))
    if any(name not in fields() for name in changes):  # else a conflict that was there before stays, and is told
        from tui.keymap import key_map

        key_map(understood(path, text).settings.keys)
    write(path, text)


def _key_path(text: str, name: str) -> tuple[str, ...]:
    """Where the file has the keys of a command: under a quoted name with dots, or else in tables."""
    import tomllib

    table: Any = tomllib.loads(text).get(KEYS, {})
    parts = name.split(".")
    if isinstance(table, dict) and name not in table and len(parts) > 1:
        for part in parts:
            table = table.get(part) if isinstance(table, dict) else None
        if table is not None:
            return (KEYS, *parts)
    return (KEYS, name)


def _key_value(text: str | None) -> Value | None:
    if text is None or text in ("", ","):
        return text
    keys = [each.strip() for each in text.split(",")]
    return keys[0] if len(keys) == 1 else keys


def _origin(loaded: Loaded, name: str) -> str:
    """Where a value comes from."""
    if name in loaded.given:
        return "file"
    state = recall(loaded)
    if name in LOOKS and getattr(state, name) and getattr(state, name) != getattr(Settings(), name):
        return "last session"
    return "default"


def _value(loaded: Loaded, name: str) -> object:
    """The value that counts at the next start; what is remembered of several screens or terminals is not shown."""
    if _origin(loaded, name) == "last session" and name in ("theme", "screen"):
        return getattr(recall(loaded), name)
    return getattr(loaded.settings, name)


def _everything(loaded: Loaded) -> dict[str, object]:
    return {
        "type": "Settings",
        "path": shown(str(loaded.path)),
        "exists": loaded.path.is_file(),
        "state": shown(str(state_path())),
        "values": {
            name: {"value": _value(loaded, name), "default": field.default, "from": _origin(loaded, name)}
            for name, field in fields().items()
        },
        KEYS: {name: list(keys) for name, keys in loaded.settings.keys.items()},
        "problems": list(loaded.problems),
    }


def _lines(loaded: Loaded) -> Iterator[str]:
    """The path, then a line for each value; a star marks those that differ from their default."""
    there = "" if _is_there(loaded.path) else " (there is none yet)"
    yield f"settings    {shown(str(loaded.path))}{there}"
    yield f"remembered  {shown(str(state_path()))}{'' if writable() else ' (cannot be written)'}"
    yield ""
    for name, field in fields().items():
        value, origin = _value(loaded, name), _origin(loaded, name)
        mark = "*" if value != field.default else " "
        source = "" if origin == "default" else origin
        yield f"{mark} {name:<20} {shown(shown_value(value)):<24} {source}".rstrip()
    for name, keys in loaded.settings.keys.items():
        yield f"* {shown(f'{KEYS}.{name}'):<20} {shown(', '.join(keys)) or 'no key':<24} file"


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _print_keys(loaded: Loaded) -> int:
    from tui.keymap import key_map, table

    for name, keys, words in table(key_map(loaded.settings.keys)):
        print(f"{name:<44} {keys or '-':<12} {words}")
    return DONE
