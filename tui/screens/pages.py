"""Screens with several pages, one of which is in front; each is a widget that is mounted when first shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, cast

from textual.containers import Container
from textual.widget import Widget

from engine.figures.requests import DrawFigure
from tui.keys import Command
from tui.screens.frame import LabScreen
from tui.screens.state import State, draw_on_change
from tui.workspace import Workspace


class Page(Container):
    """A page: its requests and answers, its drawing, its status line, its figure, and the handlers of its keys."""

    page: ClassVar[str]
    """Its name in the registry of commands; the command of that name switches to it."""

    def __init__(self, desk: PagedScreen) -> None:
        super().__init__(id=f"{self.page}-page", classes="desk page")
        self.desk = desk

    def on_mount(self) -> None:
        draw_on_change(self, self.desk.update)

    @property
    def workspace(self) -> Workspace:
        """The workspace of its screen."""
        return self.desk.workspace

    def draw(self) -> None:
        """Draw the latest answer, or an empty page if there is none."""
        raise NotImplementedError

    def sentence(self) -> str:
        """The text of the status line while no work is in progress."""
        return ""

    def figure(self) -> DrawFigure | None:
        """The figure of what is shown; None if there is none yet."""
        raise NotImplementedError

    def unused(self) -> set[str]:
        """The names of commands that currently do nothing."""
        return set()


class PagedScreen(LabScreen):
    """The base of screens with pages: switches between them, and passes keys to the page in front."""

    page_types: ClassVar[tuple[type[Page], ...]]
    """The types of the pages; the first one is in front initially."""
    front: State[str] = State("")
    """The name of the page in front."""

    def __init__(self) -> None:
        super().__init__()
        self.pages = {kind.page: kind(self) for kind in self.page_types}
        self.first = next(iter(self.pages))
        self.set_reactive(cast("State[str]", PagedScreen.front), self.first)
        self.add_class(f"-{self.mode}")

    def above(self) -> Iterable[Widget]:
        """The widgets above the page, whichever is in front."""
        return ()

    def below(self) -> Iterable[Widget]:
        """The widgets below the page."""
        return ()

    def body(self) -> Iterable[Widget]:
        """The first page; the others are mounted when first shown."""
        yield from self.above()
        yield self.page
        yield from self.below()

    @property
    def page(self) -> Page:
        """The page in front."""
        return self.pages[self.front]

    async def turn_to(self, name: str) -> None:
        """Switch to a page, or to the first one if that page is already in front."""
        target = self.first if name == self.front else name
        if not self.pages[target].is_attached:
            await self.mount(self.pages[target], after=self.pages[self.first])
        self.turned(target)
        self.front = target

    def turned(self, target: str) -> None:
        """Called before `target` replaces the page in front."""

    def draw(self) -> None:
        for page in self.pages.values():
            page.set_class(page is self.page, "-front")
        self.page.draw()

    def figure(self) -> DrawFigure | None:
        return self.page.figure()

    # Keys

    def live_commands(self) -> tuple[Command, ...]:
        unused = self.page.unused()
        return tuple(each for each in super().live_commands() if self._belongs(each) and each.name not in unused)

    def _belongs(self, command: Command) -> bool:
        return not command.pages or self.front in command.pages

    def offers(self, name: str) -> bool:
        """Whether a command belongs to the page in front."""
        return any(each.name == name and self._belongs(each) for each in super().live_commands())

    async def action_act(self, name: str) -> None:
        """Carry out a command: switch to the page of that name, or call the handler of the page in front or the screen.

        A key of another page does nothing; it is not passed to the app, which may use the same key.
        """
        if not self.offers(name):
            return
        if name in self.pages:
            await self.turn_to(name)
        else:
            await self.app.run_action(name, self.page if hasattr(self.page, f"action_{name}") else self)

    async def action_back(self) -> None:
        """Return to the first page."""
        if self.front != self.first:
            await self.turn_to(self.first)
