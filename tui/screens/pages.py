"""Screens with several pages, one of which is in front; each is a widget that is mounted when first shown."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from typing import ClassVar, NamedTuple, cast

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


class LaterPage(NamedTuple):
    """A page whose module is imported when it is first turned to, so that the first frame does not wait for it."""

    page: str
    """Its name in the registry of commands."""
    title: str
    """Its title above the page."""
    target: str
    """Its class, as `module:class`."""

    def made(self, desk: PagedScreen) -> Page:
        """The page, for its screen."""
        module, _, name = self.target.partition(":")
        kind: type[Page] = getattr(importlib.import_module(module), name)
        return kind(desk)


class PagedScreen(LabScreen):
    """The base of screens with pages: switches between them, and passes keys to the page in front."""

    page_types: ClassVar[tuple[type[Page], ...]]
    """The types of the pages; the first one is in front initially."""
    later_pages: ClassVar[tuple[LaterPage, ...]] = ()
    """The pages after these, each made when it is first turned to."""
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
        titles = {kind.page: kind.title for kind in self.page_types}
        return titles | {each.page: each.title for each in self.later_pages}

    def page_named(self, name: str) -> Page:
        """The page of that name, which is made if it is one of `later_pages` and has not been yet."""
        if name not in self.pages:
            self.pages[name] = next(each for each in self.later_pages if each.page == name).made(self)
        return self.pages[name]

    def settings(self) -> Sequence[Setting]:
        return self.page.settings()

    async def turn_to(self, name: str) -> None:
        """Switch to a page."""
        if name == self.at:
            return
        if not (page := self.page_named(name)).is_attached:
            await self.mount(page, after=self.pages[self.first])
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
