"""State of a screen or page, which is redrawn when it changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from textual.dom import DOMNode
from textual.reactive import var

T = TypeVar("T")


class State(var[T]):
    """A field of a screen or page that its drawing depends on."""

    def __init__(self, default: T) -> None:
        super().__init__(default, init=False)


def draw_on_change(node: DOMNode, draw: Callable[[], None]) -> None:
    """Call `draw` whenever a `State` of `node`, which must be mounted, changes."""
    for name, field in node._reactives.items():
        if isinstance(field, State):
            node.watch(node, name, draw, init=False)
