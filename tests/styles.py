"""A cache for style sheets: Textual parses all of them for each app, and again at the first visit of each screen."""

from __future__ import annotations

import unittest.mock
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from textual.css.stylesheet import Stylesheet


@contextmanager
def parsed_once() -> Iterator[None]:
    """Cache the rules of each style sheet in this context."""
    parse, kept = Stylesheet._parse_rules, {}

    def parsed(self: Stylesheet, css: str, read_from: Any, **options: Any) -> list[Any]:
        key = css, read_from, tuple(sorted(options.items())), tuple(sorted(self._variables.items()))
        if key not in kept:
            kept[key] = parse(self, css, read_from, **options)
        return kept[key]

    with unittest.mock.patch.object(Stylesheet, "_parse_rules", parsed):
        yield
