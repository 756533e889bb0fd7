"""What the panel of a lesson shows."""

from __future__ import annotations

from msgspec import Struct


class Hint(Struct, frozen=True):
    """A key and what it does."""

    key: str
    words: str


class Card(Struct, frozen=True):
    """A step of a lesson, as it stands."""

    title: str
    place: str
    """`step 2 of 6`."""
    text: str
    next: Hint
    """The key that leads on, as the user has it."""
    others: tuple[Hint, ...]
    """Keys of the lesson, those that can be left out first at the end."""
    answer: str = ""
    """What was measured, or how the measurement stands."""
    tone: str = "foreground"
    """Of the answer, by its name in the theme."""
