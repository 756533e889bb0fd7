"""Screens with several pages, one of which is in front; each is a widget that is mounted when first shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, cast

from textual.containers import Container
from textual.screen import Screen
from textual.widget import Widget

from engine.figures.requests import DrawFigure
from tui.screens.frame import LabScreen
from tui.screens.state import State, draw_on_change
from tui.setting import Setting
from tui.workspace import Workspace


class Page(Container):
    """A page: its requests and answers, its settings, its drawing, its status line, its figure, its keys' handlers."""

    page: ClassVar[str]
    """Its name in the registry of commands."""
    title: ClassVar[str]
    """Its title above the page."""

    def __init__(self, desk: PagedScreen) -> None:
        super().__init__(id=f"{self.page}-page", classes="desk page")
        self.desk = desk

    def on_mount(self) -> None:
        draw_on_change(self, self.desk.update)

    @property
    def workspace(self) -> Workspace:
        """The workspace of its screen."""
        return self.desk.workspace

    def key(self, name: str) -> str:
        """The key of a command on this page, in front or not, as it is shown to the user."""
        return self.workspace.key_map.key(name, self.desk.mode, self.page)

    def settings(self) -> Sequence[Setting]:
        """Its settings."""
        return ()

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
    at: State[str] = State("")
    """The name of the page in front."""

    def __init__(self) -> None:
        super().__init__()
        self.pages = {kind.page: kind(self) for kind in self.page_types}
        self.first = next(iter(self.pages))
        self.set_reactive(cast("State[str]", PagedScreen.at), self.first)
        self.add_class(f"-{self.mode}")

    def below(self) -> Iterable[Widget]:
        """The widgets below the page."""
        return ()

    def body(self) -> Iterable[Widget]:
        """The first page; the others are mounted when first shown."""
        yield self.page
        yield from self.below()

    @property
    def front(self) -> str:
        return self.at

    @property
    def page(self) -> Page:
        """The page in front."""
        return self.pages[self.at]

    def page_titles(self) -> dict[str, str]:
        return {name: page.title for name, page in self.pages.items()}

    def settings(self) -> Sequence[Setting]:
        return self.page.settings()

    async def turn_to(self, name: str) -> None:
        """Switch to a page."""
        if name == self.at:
            return
        if not self.pages[name].is_attached:
            await self.mount(self.pages[name], after=self.pages[self.first])
        self.turned(name)
        self.at = name

    def turned(self, target: str) -> None:
        """Called before `target` replaces the page in front."""

    def draw(self) -> None:
        for page in self.pages.values():
            page.set_class(page is self.page, "-front")
        self.page.draw()

    def figure(self) -> DrawFigure | None:
        return self.page.figure()

    # Keys

    def unused(self) -> set[str]:
        return self.page.unused()

    def handler(self, name: str) -> Widget | Screen[None]:
        return self.page if hasattr(self.page, f"action_{name}") else self

    async def action_back(self) -> None:
        """Return to the first page."""
        await self.turn_to(self.first)
