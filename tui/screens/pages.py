"""Screens of several pages: one in front, each a widget of its own that is made when somebody first turns to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, cast

from textual.containers import Container
from textual.widget import Widget

from engine.figures.requests import DrawFigure
from tui.commands import Command
from tui.screens.frame import LabScreen
from tui.screens.state import State, draw_on_change
from tui.workspace import Workspace


class Page(Container):
    """A page owns its request, its answer, its drawing, its sentence, its figure, and the handlers of its keys."""

    page: ClassVar[str]
    """Its name in the registry of commands; the command of that name turns to it."""

    def __init__(self, desk: PagedScreen) -> None:
        super().__init__(id=f"{self.page}-page", classes="desk page")
        self.desk = desk

    def on_mount(self) -> None:
        draw_on_change(self, self.desk.update)

    @property
    def workspace(self) -> Workspace:
        """What its screen is about."""
        return self.desk.workspace

    def draw(self) -> None:
        """Draw what was kept, or that there is nothing."""
        raise NotImplementedError

    def sentence(self) -> str:
        """What the page says in words at its bottom, when nothing is under way."""
        return ""

    def figure(self) -> DrawFigure | None:
        """The figure behind what is shown; None where there is none yet."""
        raise NotImplementedError

    def unused(self) -> set[str]:
        """The names of commands that do nothing now."""
        return set()


class PagedScreen(LabScreen):
    """The base of screens with pages: it turns them, goes back to the first, and hands keys to the one in front."""

    page_types: ClassVar[tuple[type[Page], ...]]
    """The first of them is in front to begin with."""
    front: State[str] = State("")
    """The name of the page in front."""

    def __init__(self) -> None:
        super().__init__()
        self.pages = {kind.page: kind(self) for kind in self.page_types}
        self.first = next(iter(self.pages))
        self.set_reactive(cast("State[str]", PagedScreen.front), self.first)
        self.add_class(f"-{self.mode}")

    def above(self) -> Iterable[Widget]:
        """What stands above the page, whichever is in front."""
        return ()

    def below(self) -> Iterable[Widget]:
        """What stands below it."""
        return ()

    def body(self) -> Iterable[Widget]:
        """The first page; the others are mounted when somebody turns to them."""
        yield from self.above()
        yield self.page
        yield from self.below()

    @property
    def page(self) -> Page:
        """The page in front."""
        return self.pages[self.front]

    async def turn_to(self, name: str) -> None:
        """Bring a page to the front; the one that is there gives way to the first."""
        target = self.first if name == self.front else name
        if not self.pages[target].is_attached:
            await self.mount(self.pages[target], after=self.pages[self.first])
        self.turned(target)
        self.front = target

    def turned(self, target: str) -> None:
        """Take leave of the page in front, before `target` is."""

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
        """Whether a command is one of the page in front."""
        return any(each.name == name and self._belongs(each) for each in super().live_commands())

    async def action_act(self, name: str) -> None:
        """Do what a command says: a page's name turns to it, else the page in front has the handler, or the screen.

        A key of another page does nothing; it is not left to the app, whose key it may be too.
        """
        if not self.offers(name):
            return
        if name in self.pages:
            await self.turn_to(name)
        else:
            await self.app.run_action(name, self.page if hasattr(self.page, f"action_{name}") else self)

    async def action_back(self) -> None:
        """To the first page."""
        if self.front != self.first:
            await self.turn_to(self.first)
