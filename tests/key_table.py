"""The README's table of keys, made from the registry: `python -m tests.key_table` writes it into README.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from tui.keys import COMMANDS, MOVES, PAGES, SCREENS, Command

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- keys -->\n", "<!-- end of keys -->\n"


def _merged(found: Iterable[Command], pages: tuple[str, ...] = ()) -> Iterator[tuple[str, str, str]]:
    """Keys, pages and help of commands; those that share all three are listed once."""
    seen = set()
    for command in found:
        own = [page for page in pages if page in command.pages]
        row = (command.all_keys, ", ".join(own) if len(own) < len(pages) else "", command.help)
        if row not in seen:
            seen.add(row)
            yield row


def _code(keys: str) -> str:
    return ", ".join(f"`{key}`" if key != "," else "`,`" for key in keys.split(", "))


def table() -> str:
    """The tables, as Markdown: the keys of all screens, then those of each screen."""
    lines = ["| everywhere | |", "|---|---|"]
    lines += [f"| {_code(keys)} | {words} |" for keys, _, words in _merged(c for c in COMMANDS if not c.screens)]
    for number, title, mode in SCREENS:
        lines += ["", f"| {number} {title} | page | |", "|---|---|---|"]
        lines += [f"| {_code(keys)} |  | {words} |" for keys, words in MOVES.get(mode, ())]
        own = (command for command in COMMANDS if mode in command.screens)
        lines += [f"| {_code(keys)} | {pages} | {words} |" for keys, pages, words in _merged(own, PAGES.get(mode, ()))]
    return "\n".join(lines) + "\n"


def replaced(readme: str) -> str:
    """`readme` with today's table."""
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    README.write_text(replaced(README.read_text(encoding="utf-8")), encoding="utf-8")
