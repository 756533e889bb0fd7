"""Steps of a walk, each a line of text, and a generator of random steps.

`keys 6 end enter` presses keys in one burst; `text "abc"` types and `paste "abc"` pastes; `click X Y`,
`drag X Y X Y`, `scroll X Y up` and `move X Y` use the mouse; `resize 80 24` resizes the terminal; `rest` waits until
the lanes are idle.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

from textual.keys import key_to_character

from tui.keys import COMMANDS, SCREENS, commands

MOVES = ("up", "down", "left", "right", "pageup", "pagedown", "home", "end", "h", "j", "k", "l")
EDITS = (
    *("enter", "escape", "tab", "shift+tab", "backspace", "delete", "space", "insert", "ctrl+a", "ctrl+e", "ctrl+k"),
    *("ctrl+u", "ctrl+w", "ctrl+c", "ctrl+v", "ctrl+x", "ctrl+z", "ctrl+left", "ctrl+right", "shift+left", "shift+end"),
    *("ctrl+home", "ctrl+end", "ctrl+up", "ctrl+down", "f1", "f5", "ctrl+l", "ctrl+r", "alt+b"),
)
CHARACTERS = "abcxyzABCXYZ0123456789.,;:-_+*/\\'\"#~<>|(){}[]=&%$!?@äßé日本🙂\u0301\u200d\u202e"
TEXTS = (
    *("", "1", "2", "3", "8", "16", "0", "-1", "1e-3", "0.01", "1e400", "nan", "999999999", "0x10", "٣", "½"),
    *("abc", "a b  c", "[/]", "[b]x", "[red", "\\[", "x" * 60, "日本語", "🙂", "é", "..", "a/b", "/", "~"),
    *("train", "-x", "net.pth", "pretrained:cnn", "#good fine", "val 3", "test 61", "train 199", "train 99999999"),
    *("seeds=2 channels=1,2 epochs=1", "batch-norm=no,yes epochs=1", "seeds=0", "channels=", "=", "epochs=1"),
    *("finished", "cnn-bn", "damaged", "theme", "help", "screenshot", "next", "range", "more", "curve", "view"),
)
PASTES = (*TEXTS, "one\ntwo\r\nthree", "\t\t", "q\nq\n", "\x00\x07", "\x1b[2J", "x" * 5_000, "8xDDD\r")
DIALOGS = (
    *(("8", "slash"), ("8", "N"), ("8", "M"), ("1", "Q"), ("5", "slash"), ("6", "i"), ("7", "i")),
    *(
        ("1", "s", "down", "down", "enter"),
        ("6", "s", "enter"),
        ("7", "s", "s", "s", "enter"),
        ("question_mark",),
        ("ctrl+p",),
    ),
)
"""Keys that lead to a text input."""
LEAVES = ("quit", "answer")
MOST = (250, 80)
"""Columns and rows of the largest terminal."""


def _name(key: str) -> str:
    """The name of a key in a step: the character itself, unless it is a space."""
    character = key_to_character(key)
    return character if character and not character.isspace() else key


MODES = tuple(mode for _, _, mode in SCREENS)
KEYS_OF = {
    mode: tuple(
        _name(key)
        for command in commands(mode)
        if mode in command.screens and command.name not in LEAVES
        for key in command.key.split(",")
    )
    for mode in MODES
}
EVERY_KEY = tuple(sorted({_name(key) for c in COMMANDS if c.name not in LEAVES for key in c.key.split(",")}))
NUMBERS = tuple(key for key, _, _ in SCREENS)


def size_of(step: str) -> int:
    """The number of keys, characters and mouse actions in a step."""
    kind, _, rest = step.partition(" ")
    if kind == "keys":
        return len(rest.split())
    return max(1, len(json.loads(rest))) if kind == "text" else 1


class Steps:
    """An endless sequence of random steps: the same for the same generator, regardless of what the app does."""

    def __init__(self, chance: random.Random, columns: int, rows: int) -> None:
        self.chance, self.columns, self.rows = chance, columns, rows
        self.mode = MODES[0]
        """The screen that is probably in front."""

    def __iter__(self) -> Iterator[str]:
        while True:
            yield from self._some()

    def _some(self) -> Iterator[str]:
        chance = self.chance.random()
        if chance < 0.72:
            yield f"keys {' '.join(self._key() for _ in range(self._burst()))}"
        elif chance < 0.80:
            yield from self._dialog()
        elif chance < 0.83:
            yield f"paste {json.dumps(self.chance.choice(PASTES))}"
        elif chance < 0.90:
            yield self._mouse()
        elif chance < 0.94:
            yield self._resize()
        elif chance < 0.96:
            yield "rest"
        elif chance < 0.997:
            yield f"keys {self._go()}"
        else:
            yield "keys q"

    def _burst(self) -> int:
        chance = self.chance.random()
        return 1 if chance < 0.65 else self.chance.randint(2, 5) if chance < 0.9 else self.chance.randint(6, 25)

    def _key(self) -> str:
        chance = self.chance.random()
        if chance < 0.45:
            return self.chance.choice(KEYS_OF[self.mode] or MOVES)
        if chance < 0.70:
            return self.chance.choice(MOVES)
        if chance < 0.78:
            return self.chance.choice(EVERY_KEY)
        if chance < 0.92:
            return self.chance.choice(EDITS)
        return self._go() if chance < 0.96 else self.chance.choice(CHARACTERS)

    def _go(self) -> str:
        at = self.chance.randrange(len(MODES))
        self.mode = MODES[at]
        return NUMBERS[at]

    def _dialog(self) -> Iterator[str]:
        way = self.chance.choice(DIALOGS)
        if way[0] in NUMBERS:
            self.mode = MODES[NUMBERS.index(way[0])]
        yield f"keys {' '.join(map(_name, way))}"
        for _ in range(self.chance.randint(0, 2)):
            if text := self.chance.choice(TEXTS):
                yield f"text {json.dumps(text)}"
            if self.chance.random() < 0.5:
                yield f"keys {' '.join(self.chance.choices((*MOVES[:8], *EDITS), k=self.chance.randint(1, 4)))}"
        yield f"keys {self.chance.choice(('enter', 'enter', 'escape', 'down enter', 'tab', 'pagedown enter'))}"

    def _place(self) -> str:
        return f"{self.chance.randrange(self.columns)} {self.chance.randrange(self.rows)}"

    def _mouse(self) -> str:
        match self.chance.choice(("click", "click", "click", "drag", "scroll", "scroll", "move")):
            case "drag":
                return f"drag {self._place()} {self._place()}"
            case "scroll":
                return f"scroll {self._place()} {self.chance.choice(('up', 'down', 'left', 'right'))}"
            case kind:
                return f"{kind} {self._place()}"

    def _resize(self) -> str:
        self.columns, self.rows = random_size(self.chance)
        return f"resize {self.columns} {self.rows}"


def random_size(chance: random.Random) -> tuple[int, int]:
    """A terminal size: a common one, a tiny one, or any."""
    match chance.randrange(4):
        case 0:
            return chance.randint(1, MOST[0]), chance.randint(1, MOST[1])
        case 1:
            return chance.randint(1, 20), chance.randint(1, 10)
        case _:
            return chance.choice(((80, 24), (80, 24), (100, 30), (120, 40), (140, 75), MOST, (1, 1)))
