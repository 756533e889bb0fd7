"""A stylesheet that parses each source once per theme."""

from __future__ import annotations

from collections.abc import Mapping

from textual.cache import LRUCache
from textual.css.stylesheet import Stylesheet

SOURCES = 1024
"""Maximum number of parsed sources that are kept: each class of widgets is one, in the colours of the theme in use."""


class LastingStylesheet(Stylesheet):
    """Textual's stylesheet, which keeps what it has parsed.

    Textual parses all sources anew when the app starts, when a screen is shown for the first time, and twice for a
    theme: a hundredth of a second each time. They change only with the variables of the theme.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        super().__init__(variables=dict(variables))
        self._parse_cache = LRUCache(SOURCES)

    def set_variables(self, variables: dict[str, str]) -> None:
        """Use these variables; forget what was parsed if they are others than before."""
        if variables != self._variables:
            super().set_variables(variables)
            self._require_parse = True

    def reparse(self) -> None:
        """Parse the sources that were not parsed with these variables; raises what `parse` does, and changes nothing.

        Raises StylesheetError if a source cannot be parsed, and StylesheetParseError if one is no valid CSS.
        """
        if self._require_parse:
            self.parse()
