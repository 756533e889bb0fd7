"""The command palette: every action of every screen, every screen, every run, any digit."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol, cast, get_args, runtime_checkable

import msgspec
from textual.await_complete import AwaitComplete
from textual.command import CommandList, CommandPalette, DiscoveryHit, Hit, Hits, Provider

from engine.data.requests import PartName
from engine.event import Event
from engine.lab import Job
from engine.request import RequestError
from engine.runs.events import RunsListed, RunSummary
from engine.runs.finding import pretrained
from engine.runs.folder import RunFolder
from engine.runs.requests import BrowseRuns
from engine.words import shown
from tui.keys import ACTIVATIONS, DIGITWISE, ONE_DIGIT, SCREENS, Command
from tui.opened import short_name
from tui.workspace import Notice, Workspace

DIGIT = re.compile(r"(?:digit\s+)?(?:(train|val|test|drawings)\s+)?(\d{1,9})")
"""What a search for a digit looks like: `2130`, `digit 2130`, `train 61`."""
PATIENCE = 2.0
"""Seconds to wait for the list of runs: a file server may not answer."""
SPLITS: tuple[PartName, ...] = get_args(PartName)


class Stage(Protocol):
    """What the palette needs of a screen."""

    mode: str
    front: str

    def page_titles(self) -> dict[str, str]:
        """The titles of its pages, by name."""

    async def turn_to(self, name: str) -> None:
        """Switch to a page."""

    def unused(self) -> set[str]:
        """The names of commands that currently do nothing."""


@runtime_checkable
class Digitwise(Protocol):
    """A screen about the current digit."""

    def go_to(self, digit: tuple[PartName, int]) -> None:
        """Make the digit at this split and index the current one."""

    def digits_in_split(self) -> int:
        """The number of digits in the split; 0 while unknown."""


class Entry(msgspec.Struct, frozen=True):
    """Something to choose."""

    title: str
    help: str
    perform: Callable[[], object]


class Palette(Provider):
    """Provides everything that can be chosen to Textual's command palette."""

    _runs: tuple[RunSummary, ...] = ()
    _listed: asyncio.Event
    """Set once the runs are known, or cannot be."""

    @property
    def _workspace(self) -> Workspace:
        return cast(Workspace, getattr(self.app, "workspace"))  # noqa: B009 (an attribute of our app)

    @property
    def _mode(self) -> str:
        return str(getattr(self.screen, "mode", ""))

    async def startup(self) -> None:
        """Ask for the list of runs, and do not wait: Textual would cancel that with the next character."""
        self._listed = listed = asyncio.Event()

        def heard(_job: Job, event: Event) -> None:
            if isinstance(event, RunsListed):
                self._runs = event.runs
            listed.set()

        try:
            self._workspace.ask(BrowseRuns(), heard)
        except RequestError:
            listed.set()  # without runs, the rest can still be chosen

    def _own(self) -> Iterator[Entry]:
        """The actions of the screen behind the palette, and of the program."""
        for command in self._workspace.key_map.commands(self._mode, looking=self._workspace.looking):
            if command.name not in ("command_palette", "leave", "back", *(mode for _, _, mode in SCREENS)):
                yield self._action(command, self._mode, f"{command.title}  ({command.all_keys})")

    def _rest(self) -> Iterator[Entry]:
        """The screens, and the actions of the other screens."""
        for key, title, mode in SCREENS:
            yield Entry(f"screen {key} {title}", f"go to {title}", partial(self.app.switch_mode, mode))
        for name in sorted(self.app.available_themes):
            yield Entry(f"theme {name}", "use this theme", partial(setattr, self.app, "theme", name))
        for key, title, mode in SCREENS:
            own = self._workspace.key_map.commands(mode, looking=self._workspace.looking)
            for command in own if mode != self._mode else ():
                if command.screens and command.name not in ("leave", "back", "settings", "next_page", "previous_page"):
                    yield self._action(command, mode, f"{key} {title}: {command.title}  ({command.all_keys})")

    def _all_runs(self) -> Iterator[Entry]:
        """The runs and the bundled networks, by name, start and note."""
        for run in self._runs:
            note = f"  {run.note}" if run.note else ""
            words = f"run {shown(run.name)}  {short_name(run.name)}{shown(note)}"
            yield Entry(words, "open this run on all screens", partial(self._open, run))

    def _action(self, command: Command, mode: str, title: str) -> Entry:
        return Entry(title, command.help, partial(self._perform, command, mode))

    async def discover(self) -> Hits:
        """The actions of the screen, before anything is typed."""
        for entry in self._own():
            yield DiscoveryHit(entry.title, entry.perform, help=entry.help)

    async def search(self, query: str) -> Hits:
        """What matches by name or help; a number is a digit."""
        if found := DIGIT.fullmatch(query.strip().lower()):
            split = next((name for name in SPLITS if name == found[1]), self._workspace.digit[0])
            index = int(found[2])
            yield Hit(
                1.0,
                f"digit {split} {index}",
                lambda: self._go_to(split, index),
                help="make it the current digit",
            )
        matcher = self.matcher(query)
        for own, find in ((1.0, self._own), (0.9, self._rest), (0.9, self._all_runs)):
            if find == self._all_runs:  # last, since a file server may be slow
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._listed.wait(), PATIENCE)
            for entry in find():
                if (score := matcher.match(f"{entry.title} {entry.help}")) > 0:
                    words = matcher.highlight(entry.title)
                    yield Hit(score * own, words, entry.perform, help=entry.help)

    async def _perform(self, command: Command, mode: str) -> None:
        if not command.screens:
            await self.app.run_action(command.action_on(""), self.app)
            return
        elsewhere = mode != self._mode
        if elsewhere:
            await self.app.switch_mode(mode)
        screen = self.app.screen
        stage = cast(Stage, screen)
        pages = [name for name in stage.page_titles() if name in command.pages]
        if command.pages and stage.front not in command.pages and pages:
            await stage.turn_to(pages[0])
        if elsewhere and command.effect == "changes":  # what it would change was not in view
            self._workspace.tell(Notice(f"{command.keys} here: {command.help}", command.title))
        elif command.name in stage.unused():
            self._workspace.tell(Notice(f"{command.title} does nothing here now", severity="warning"))
        else:
            await self.app.run_action(command.action_on(mode), screen)

    def _open(self, run: RunSummary) -> None:
        workspace, name = self._workspace, run.name.removeprefix("pretrained:")
        folder = pretrained(name) if run.state == "bundled" else RunFolder(workspace.root / run.name)
        workspace.attempt(lambda: workspace.open(folder))

    async def _go_to(self, split: PartName, index: int) -> None:
        if self._mode not in DIGITWISE:
            await self.app.switch_mode(ACTIVATIONS)
        stage = cast(Stage, self.app.screen)
        if stage.front not in ONE_DIGIT:
            await stage.turn_to(next(iter(stage.page_titles())))
        screen = self.app.screen
        if isinstance(screen, Digitwise):
            count = screen.digits_in_split() if split == self._workspace.digit[0] else 0
            if count and index >= count:
                has = "there are drawings" if split == "drawings" else f"the {split} split has digits"
                self._workspace.tell(Notice(f"{has} 0 to {count - 1}", severity="warning"))
            else:
                screen.go_to((split, index))


class PaletteScreen(CommandPalette):
    """Textual's command palette, safe for keys that arrive before it is displayed or after it has closed."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Ignore keys for the list before it exists and has a size on the screen."""
        lists = self.query(CommandList)
        there = any(each.scrollable_content_region for each in lists) if action == "command_list" else bool(lists)
        return self.is_mounted and there and super().check_action(action, parameters)

    def dismiss(self, result: None = None) -> AwaitComplete:
        """Close only once: a second choice in a burst of keys must not close the screen behind the palette."""
        return super().dismiss(result) if self.is_active else AwaitComplete()
