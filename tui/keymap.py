"""The user's keys: the registry of commands with other keys, and the conflicts that these would cause."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import combinations

from msgspec import Struct
from msgspec.structs import replace
from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import KEY_NAME_REPLACEMENTS, Keys, _character_to_key, key_to_character

from engine.request import RequestError
from engine.words import shortened
from tui.keys import COMMANDS, PAGES, SCREENS, Command, bindings, commands, shown_key

MOVING = frozenset({"up", "down", "left", "right", "h", "j", "k", "l", "pageup", "pagedown", "home", "end"})
"""Keys that move the cursor."""
TAKEN = dict.fromkeys(MOVING, "moving the cursor") | {"ctrl+c": "copying", "ctrl+q": "quitting"}
"""Keys that no command can have, and what they are for."""
NAMED = frozenset(key.value for key in Keys if not key.value.startswith("<")) | {*KEY_NAME_REPLACEMENTS.values()}
"""The names of keys that type no character, with and without modifiers, and Textual's own names of those that do."""
ALIASES = {"esc": "escape", "return": "enter", "del": "delete", "page_up": "pageup", "page_down": "pagedown"}


class KeyMap(Struct, frozen=True):
    """The commands with their keys."""

    registry: tuple[Command, ...] = COMMANDS

    def commands(self, screen: str, *, looking: bool = False) -> tuple[Command, ...]:
        """As `tui.keys.commands`."""
        return commands(screen, self.registry, looking=looking)

    def key(self, name: str, screen: str = "", page: str = "") -> str:
        """The key of a command of a screen, on one of its pages, as it is shown to the user.

        For a command that the user has left without a key: the one of the palette, with the title to look for.
        """
        named = [each for each in self.commands(screen) if each.name == name]
        found = next((each for each in named if each.on_page(page)), named[0])
        if found.bound or name == "command_palette":
            return found.keys
        return f"{self.key('command_palette')} {found.title}".strip()

    def rebind(self, node: DOMNode, screen: str = "") -> None:
        """Give the keys of the map to a screen, or to the app, whose class has those of the registry."""
        if self.registry is COMMANDS:
            return
        bound = node._bindings.key_to_bindings
        for binding in _bindings(screen, COMMANDS):
            kept = [each for each in bound.pop(binding.key, []) if each.action != binding.action]
            if kept:
                bound[binding.key] = kept
        for binding in _bindings(screen, self.registry):
            bound.setdefault(binding.key, []).insert(0, binding)


def _bindings(screen: str, registry: Sequence[Command]) -> Iterator[Binding]:
    return (each for each in bindings(screen, registry) if isinstance(each, Binding))


def key_map(changes: Mapping[str, Sequence[str]]) -> KeyMap:
    """The registry with other keys for the commands that `changes` names; no key takes a command's keys away.

    A name is that of a command (for all screens that have it), `screen.command` or `screen.page.command`; the more it
    says, the more it counts. Raises RequestError, one line, where there is no such command or key, or where two
    commands of a page would have the same key.
    """
    if not changes:
        return KeyMap()
    registry: list[Command] = list(COMMANDS)
    for name in sorted(changes, key=lambda each: each.count(".")):
        if name not in all_names():
            raise RequestError(_unknown(name))
        key = ",".join(map(key_name, changes[name]))
        registry = [part for command in registry for part in _changed(command, name.split("."), key)]
    found = KeyMap(tuple(registry))
    _check(found)
    return found


def names(command: Command) -> Iterator[str]:
    """All names that a key map can have for a command, the shortest first."""
    yield command.name
    for screen in command.screens:
        yield f"{screen}.{command.name}"
    for screen in command.screens:
        for page in _pages(command, screen):
            yield f"{screen}.{page}.{command.name}"


@cache
def all_names() -> frozenset[str]:
    """The names of all commands, in every form that `names` has."""
    return frozenset(each for command in COMMANDS for each in names(command))


def _pages(command: Command, screen: str) -> tuple[str, ...]:
    return tuple(page for page in PAGES.get(screen, ()) if command.on_page(page))


def _changed(command: Command, path: Sequence[str], key: str) -> Iterator[Command]:
    """`command` with another key where the path names it: on all its screens, on one, or on a page of one."""
    where = path[:-1]
    if command.name != path[-1] or ".".join(path) not in names(command):
        yield command
        return
    if not where:
        yield replace(command, key=key)
        return
    screen, page = where[0], where[1] if len(where) > 1 else ""
    if rest := tuple(each for each in command.screens if each != screen):
        yield replace(command, screens=rest)
    here = replace(command, screens=(screen,))
    if page:
        if others := tuple(each for each in _pages(command, screen) if each != page):
            yield replace(here, pages=others)
        here = replace(here, pages=(page,))
    yield replace(here, key=key)


def _unknown(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, all_names(), 1)
    return f"there is no command {shortened(name)!r}" + (f": is it {near[0]}?" if near else "")


def key_name(text: str) -> str:
    """Textual's name of a key that the user wrote as a character, as `ctrl+r`, `^r`, `F5` or `page_up`.

    Raises RequestError, one line, where it is no key or one that no command can have.
    """
    name = f"ctrl+{text[1:]}" if len(text) > 1 and text.startswith("^") else text
    *modifiers, last = name.split("+") if len(name) > 1 and not name.endswith("+") else [name]
    typed = len(last) == 1 and last.isprintable()
    if typed:
        last = "space" if last == " " else _character_to_key(last.lower() if modifiers else last)
    else:
        last = ALIASES.get(last.lower(), last.lower())
    name = "+".join([*(each.lower() for each in modifiers), last])
    known = typed or name in NAMED or last in NAMED or (len(last) > 1 and key_to_character(last) is not None)
    if not known or not set(modifiers) <= {"ctrl", "shift", "alt", "super"}:
        raise RequestError(f"{shortened(text)!r} is no key: write it as r, R, ?, f5, ctrl+r or enter")
    if name in TAKEN:
        raise RequestError(f"{shown_key(name)} is for {TAKEN[name]}: choose another key")
    return name


def _check(found: KeyMap) -> None:
    """Raise RequestError where two commands of a page have the same key."""
    for screen in (mode for _, _, mode in SCREENS):
        by_key: dict[str, list[Command]] = {}
        for command in found.commands(screen):
            for key in command.bound:
                by_key.setdefault(key, []).append(command)
        for key, sharing in by_key.items():
            for one, other in combinations(sharing, 2):
                apart = one.pages and other.pages and not {*_pages(one, screen)} & {*_pages(other, screen)}
                if one.name != other.name and not apart:
                    raise RequestError(
                        f"{shown_key(key)} would be both {_full(one, screen)} and {_full(other, screen)}"
                    )


def _full(command: Command, screen: str) -> str:
    return f"{screen}.{command.name}" if command.screens else command.name


def table(found: KeyMap) -> Iterable[tuple[str, str, str]]:
    """The name of each command in a key map, its keys and its help, the app's first."""
    for command in found.registry:
        if not command.screens:
            yield command.name, command.all_keys, command.help
    for _, _, screen in SCREENS:
        for command in found.registry:
            if screen in command.screens:
                own = _pages(command, screen)
                pages = "" if len(own) == len(PAGES.get(screen, ())) else f" ({', '.join(own)})"
                yield f"{screen}.{command.name}{pages}", command.all_keys, command.help
