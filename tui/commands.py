"""The one registry of actions: key bindings, key bar, help and palette all come from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from textual.binding import Binding, BindingType
from textual.command import DiscoveryHit, Hit, Hits, Provider

if TYPE_CHECKING:
    from textual.screen import Screen

    from tui.app import MnistTui


@dataclass(frozen=True)
class Command:
    """Something that one key does: the handler is `action_NAME` of its screen, or of the app."""

    key: str
    name: str
    """Of the handler, and the word in the palette."""
    label: str
    """On the key bar; empty where the key is not shown there."""
    help: str
    """One line."""
    screen: str = ""
    """The screen it belongs to; empty for all."""
    shown_key: str = ""
    """How the key is written where its name is not what is printed on it."""

    @property
    def keys(self) -> str:
        """The key as people write it."""
        return self.shown_key or self.key.replace("ctrl+", "^")

    def binding(self) -> Binding:
        """For Textual; the key bar is our own, so it is shown nowhere else."""
        return Binding(self.key, self.name, self.label or self.name, show=False)


COMMANDS = (
    Command("r", "run", "run", "train the experiment of the form in a new run folder", "train"),
    Command("space", "pause", "pause", "pause the run, or go on with it", "train"),
    Command("x", "cancel", "cancel", "stop the run; the weights of its last epoch are kept", "train"),
    Command("f", "form", "form", "go to the experiment form (fold it away on a narrow terminal)", "train"),
    Command("y", "log_axis", "log loss", "draw the loss on a logarithmic axis, or a linear one", "train"),
    Command("escape", "leave", "", "leave the form", "train", shown_key="esc"),
    Command("1", "train", "", "the Train screen"),
    Command("t", "theme", "", "light or dark theme"),
    Command("question_mark", "help", "help", "every key of this screen", shown_key="?"),
    Command("ctrl+p", "command_palette", "palette", "every action by name"),
    Command("q", "quit", "quit", "leave (asks while a run is under way)"),
)

SCREENS = (("1", "Train", "train"),)
"""Key, title and mode of each screen, as on the tab line."""


def commands(screen: str) -> tuple[Command, ...]:
    """The commands of a screen: its own, then those of the app."""
    own = [command for command in COMMANDS if command.screen == screen]
    return (*own, *(command for command in COMMANDS if not command.screen))


def bindings(screen: str = "") -> list[BindingType]:
    """The bindings that belong to `screen`, or to the app."""
    return [command.binding() for command in COMMANDS if command.screen == screen]


class Palette(Provider):
    """The registry, for Textual's command palette."""

    def _entries(self) -> Iterable[tuple[str, str, str]]:
        for command in commands(_mode(self.screen)):
            if command.name not in ("command_palette", "leave"):
                title = f"{command.name.replace('_', ' ')}  ({command.keys})"
                yield title, command.name, command.help

    async def discover(self) -> Hits:
        """All of them, before anything is typed."""
        for title, name, explanation in self._entries():
            yield DiscoveryHit(title, partial(self._perform, name), help=explanation)

    async def search(self, query: str) -> Hits:
        """Those whose name or explanation matches."""
        matcher = self.matcher(query)
        for title, name, explanation in self._entries():
            if (score := matcher.match(f"{title} {explanation}")) > 0:
                yield Hit(score, matcher.highlight(title), partial(self._perform, name), help=explanation)

    async def _perform(self, name: str) -> None:
        app: MnistTui = self.app  # type: ignore[assignment]
        await app.run_action(name, app.screen if hasattr(app.screen, f"action_{name}") else app)


def _mode(screen: Screen[object]) -> str:
    return getattr(screen, "mode", "")
