"""Pictures of real pixels: in a terminal that shows them, in one that lies, and in those that do not answer."""

from __future__ import annotations

import io
import re
import sys
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip

from tests.graphics_terminal import GraphicsTerminal
from tui import answers
from tui.answers import Answers
from tui.drawing import graphics, pixels
from tui.drawing.graphics import PLACEHOLDER, PLACES, Facts, placeholders, question, removal, through_tmux, transmission
from tui.drawing.overlay import Part, blanked, for_iterm, for_sixel, parts_of, touches
from tui.drawing.pixels import BURST, Pixels
from tui.drawing.png import Bitmap, bitmap_of
from tui.drawing.raster import BLANK, OUTLINE, paint, palette

ACCENT = Style.parse("#ff8800")
FINE = palette("gray", "pixels", ACCENT)
NOISE = np.random.default_rng(0)


# Answers


def test_without_a_question_the_input_stays_as_it_is() -> None:
    text = "a\x1b[?62;c\x1b_Gi=31;OK\x1b\\"
    assert Answers().take(text) == (text, [])


def test_answers_are_taken_out_of_the_keys_wherever_they_are_cut() -> None:
    found = ["\x1b_Gi=31;OK\x1b\\", "\x1bP>|kitty(0.39.1)\x1b\\", "\x1b[6;20;10t", "\x1b[4;800;1200t", "\x1b[?62;c"]
    text = "q\x1b[A".join(["", *found, ""])
    for cut in range(len(text) + 1):
        taker = Answers()
        taker.asked = True
        parts = [taker.take(part) for part in (text[:cut], text[cut:])]
        assert "".join(keys for keys, _ in parts) == "q\x1b[A" * (len(found) + 1)
        assert [each for _, told in parts for each in told] == found


def test_the_key_esc_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("tui.answers.time.monotonic", lambda: now[0])
    taker = Answers()
    taker.asked = True
    assert taker.take("\x1b") == ("", [])
    assert taker.take("") == ("", [])
    now[0] = answers.SOON
    assert taker.take("") == ("\x1b", [])
    assert taker.patience is None
    assert taker.take("\x1b_Gi=3") == ("", [])
    now[0] += answers.SOON
    assert taker.take("") == ("", [])  # this can be no key: the rest may be late
    now[0] += answers.LATER
    assert taker.take("") == ("", [])
    assert taker.take("q") == ("q", [])


def test_what_the_answers_say() -> None:
    facts = Facts()
    assert facts.cell_of(120, 40) is None
    for answer in ("\x1b_Gi=31;OK\x1b\\", "\x1b[4;880;1200t", "\x1bP>|ghostty 1.2\x1b\\"):
        assert facts.hear(answer) == ""
    assert facts.placeholders
    assert facts.cell_of(120, 40) == (10, 22)
    facts.hear("\x1b[6;21;11t")
    assert facts.cell_of(120, 40) == (11, 21)
    assert not facts.complete
    facts.hear("\x1b[?62;c")
    assert facts.complete
    assert facts.hear("\x1b_Gi=7;ENOTSUP:no\x1b\\") == "ENOTSUP"
    assert facts.hear("\x1b_Gi=7;OK\x1b\\") == ""
    for name, graphics_too in (("WezTerm 2024", True), ("kitty(0.39)", False)):
        assert not Facts(graphics=graphics_too, name=name).placeholders


# What is sent


@pytest.mark.parametrize("shape", [(1, 1), (7, 9), (280, 140)])
def test_png(shape: tuple[int, int]) -> None:
    colours = [(n, 255 - n, n // 2) for n in range(200)]
    drawn = NOISE.integers(0, 200, shape)
    image = Image.open(io.BytesIO(Bitmap(drawn.astype(np.uint8), colours, clear=3).png())).convert("RGBA")
    expected = [(*colours[index], 0 if index == 3 else 255) for index in drawn.ravel().tolist()]
    assert np.array(image).reshape(-1, 4).tolist() == [list(each) for each in expected]


@pytest.mark.parametrize("finer", [1, 2])
def test_a_picture_has_the_pixels_of_its_cells(finer: int) -> None:
    levels = NOISE.integers(0, FINE.count, (6 * finer, 3 * finer)).astype(np.int16)
    levels[0, 0], levels[0, 1] = BLANK, OUTLINE
    image = np.array(Image.open(io.BytesIO(bitmap_of(levels, FINE, (3, 4), finer, (8, 16)).png())).convert("RGBA"))
    assert image.shape == (64, 24, 4)
    side = 8 // finer
    middle = image[side // 2 :: side, side // 2 :: side]
    assert middle[0, 0, 3] == 0
    assert tuple(middle[0, 1]) == (0xFF, 0x88, 0, 255)
    assert tuple(middle[1, 2, :3]) == FINE.rgb[levels[1, 2]]
    assert not middle[6 * finer :, :, 3].any()  # the fourth row of cells has no pixels


def test_without_a_painter_the_mode_is_half_blocks_of_the_same_size() -> None:
    levels = NOISE.integers(0, FINE.count, (28, 28)).astype(np.int16)
    assert [len(row) for row in paint(levels, FINE)] == [28] * 14
    assert [len(row) for row in paint(levels, FINE, 2)] == [14] * 7


def test_placeholders_tell_number_row_and_column() -> None:
    assert len(PLACES) == len(set(PLACES)) == 297
    rows = placeholders(0x10203, 3, 2)
    assert [[text for text, _ in row] for row in rows] == [
        [f"{PLACEHOLDER}{PLACES[row]}{PLACES[column]}" for column in range(3)] for row in range(2)
    ]
    colour = rows[1][2][1].color
    assert colour is not None
    assert colour.name == "#010203"


def test_long_pictures_are_sent_in_parts() -> None:
    sent = transmission(9, NOISE.bytes(5000), 3, 2, tmux=False).split("\x1b\\")[:-1]
    assert [part.partition(";")[0] for part in sent] == [
        "\x1b_Ga=T,U=1,q=1,f=100,i=9,c=3,r=2,m=1",
        "\x1b_Gq=1,m=0",
    ]
    assert max(map(len, sent)) < 4200


def test_tmux_passes_on_what_is_wrapped() -> None:
    assert through_tmux("\x1b_Ga\x1b\\") == "\x1bPtmux;\x1b\x1b_Ga\x1b\x1b\\\x1b\\"
    assert question(tmux=True).startswith("\x1bPtmux;\x1b\x1b_Gi=31")
    assert removal([3], tmux=True) == through_tmux(removal([3], tmux=False))


class StubApp:
    """What pictures need of an app, with a clock of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.sent: list[tuple[float, str]] = []
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.size = (120, 40)
        self._driver = SimpleNamespace(ask=self.write, write=self.write)
        monkeypatch.setattr("tui.drawing.pixels.time.monotonic", lambda: self.now)
        monkeypatch.setattr(graphics, "in_tmux", lambda: False)

    def write(self, text: str) -> None:
        self.sent.append((self.now, text))

    def set_timer(self, seconds: float, work: Callable[[], None]) -> None:
        self.timers.append((self.now + seconds, work))

    def ready(self) -> Pixels:
        shown = Pixels(cast("Any", self))
        shown.ask()
        for answer in ("\x1b_Gi=31;OK\x1b\\", "\x1bP>|kitty(0.39)\x1b\\", "\x1b[6;20;10t", "\x1b[?62;c"):
            shown.hear(answer)
        assert shown.state == "ready"
        self.sent.clear()
        return shown

    def advance(self, seconds: float) -> None:
        """Let time pass, with the timers that come due."""
        end = self.now + seconds
        while due := sorted((at, n) for n, (at, _) in enumerate(self.timers) if at <= end):
            at, number = due[0]
            _, work = self.timers.pop(number)
            self.now = max(self.now, at)
            work()
        self.now = end


class Widget:
    """Draws pictures."""


def drawn(shown: Pixels, owner: object, *pictures: np.ndarray) -> list[Any]:
    with shown.drawing(owner):
        return [paint(picture, FINE) for picture in pictures]


def noise(side: int = 28) -> np.ndarray:
    return NOISE.integers(0, FINE.count, (side, side)).astype(np.int16)


def test_only_what_changed_is_sent_and_what_is_gone_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    app, owner = StubApp(monkeypatch), Widget()
    shown = app.ready()
    first, second = noise(), noise()
    cells = drawn(shown, owner, first, second)
    assert len(app.sent) == 2
    assert drawn(shown, owner, first, second) == cells
    assert len(app.sent) == 2
    assert drawn(shown, owner, first, noise()) == cells  # the number stays, so no cell is sent again
    assert len(app.sent) == 3
    assert "i=65537" in app.sent[-1][1]
    drawn(shown, owner, first)
    assert app.sent[-1][1] == removal([65537], tmux=False)
    shown.close()
    assert app.sent[-1][1] == removal([65536], tmux=False)
    assert len(app.sent) == 5


def test_at_most_200_kb_are_sent_in_any_second_and_the_latest_comes_at_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """An attack may change every picture of a page ten times a second."""
    app, owner = StubApp(monkeypatch), Widget()
    shown = app.ready()
    for _ in range(50):
        pictures = [noise() for _ in range(12)]
        drawn(shown, owner, *pictures)
        app.advance(0.1)
    for at, _ in app.sent:
        assert sum(len(text) for then, text in app.sent if at <= then < at + 1) <= 200_000
    assert sum(len(text) for _, text in app.sent) > 5 * 100_000  # the rate is used
    app.advance(3)
    latest = {each.number: each.shows[0] for each in shown._places[owner]}  # type: ignore[index]
    assert list(latest.values()) == [picture.tobytes() for picture in pictures]
    last = app.sent[-1][0]
    app.advance(60)
    assert app.sent[-1][0] == last
    assert not any(each.waiting for each in shown._places[owner])
    assert BURST + pixels.RATE <= 200_000


def test_a_terminal_that_takes_no_picture_gets_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    app, owner, states = StubApp(monkeypatch), Widget(), []
    shown = app.ready()
    shown.changed = lambda: states.append((shown.state, shown.offered))
    drawn(shown, owner, noise())
    shown.hear("\x1b_Gi=65536;ENOSPC:full\x1b\\")
    assert states == [("refused", False)]
    assert shown.reason == "the terminal shows no pictures after all (ENOSPC)"
    sent = len(app.sent)
    assert PLACEHOLDER not in drawn(shown, owner, noise())[0][0][0][0]
    assert len(app.sent) == sent


def test_a_picture_with_more_cells_than_the_protocol_numbers_is_half_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    app = StubApp(monkeypatch)
    ((row, *_),) = drawn(app.ready(), Widget(), noise(300))
    assert row[0][0] != ""
    assert PLACEHOLDER not in row[0][0]
    assert app.sent == []


# Over the text


def test_the_protocol_is_the_best_that_the_terminal_knows() -> None:
    iterm, both = Facts(name="iTerm2 3.5", sixel=True), Facts(graphics=True, name="Konsole 24", sixel=True)
    assert iterm.protocol(tmux=False) == "iterm"
    assert iterm.protocol(tmux=True) == both.protocol(tmux=False) == "sixel"
    assert Facts(graphics=True, name="kitty(0.39)", sixel=True).protocol(tmux=True) == "kitty"
    assert Facts(graphics=True, name="WezTerm 2024").protocol(tmux=False) == "iterm"
    assert Facts(graphics=True, name="Konsole 22").protocol(tmux=False) is None
    facts = Facts()
    facts.hear("\x1b[?64;22;4c")
    assert facts.sixel
    facts.hear("\x1b[?4;22c")  # the first number is the kind of terminal
    assert not facts.sixel


def strips(*lines: list[tuple[str, Style]]) -> list[Strip]:
    return [Strip([Segment(text, style) for text, style in line]) for line in lines]


def test_the_parts_of_pictures_that_are_to_be_seen() -> None:
    def row(number: int, row: int, first: int, last: int) -> tuple[str, Style]:
        cells = placeholders(number, 4, 3)[row][first:last]
        return "".join(text for text, _ in cells), cells[0][1]

    words = ("ab", Style.parse("red"))
    screen = strips(
        [words, row(70000, 0, 0, 4), row(70001, 0, 0, 4)],
        [words, row(70000, 1, 0, 4), row(70001, 1, 0, 2), words],
        [words, row(70000, 2, 0, 4), row(70001, 2, 0, 2), words],
    )
    parts = parts_of(screen)
    assert parts == {
        70000: (Part(2, 0, 0, 0, 4, 3),),
        70001: (Part(6, 0, 0, 0, 4, 1), Part(6, 1, 0, 1, 2, 2)),
    }
    assert touches([Region(5, 2, 1, 1)], parts[70000])
    assert not touches([Region(0, 0, 2, 3), Region(6, 0, 9, 9)], parts[70000])
    assert blanked(f"a{row(70000, 0, 0, 4)[0]}b") == "a    b"


def test_a_picture_for_iterm() -> None:
    bitmap = Bitmap(NOISE.integers(0, 9, (60, 40)).astype(np.uint8), [(n, n, n) for n in range(9)])
    sent = for_iterm(bitmap, Part(0, 0, 0, 0, 4, 3))
    keys, _, data = sent.removeprefix("\x1b]1337;File=").removesuffix("\x07").partition(":")
    assert {"inline=1", "width=4", "height=3"} <= set(keys.split(";"))
    assert np.array(Image.open(io.BytesIO(b64decode(data)))).tolist() == bitmap.pixels.tolist()


def sixel_pixels(text: str) -> np.ndarray:
    """The colours (H, W, 3) of sixels, in percent."""
    head, body = re.fullmatch(r'\x1bP[\d;]*q"1;1;(\d+;\d+)(.*)\x1b\\', text, re.DOTALL).groups()  # type: ignore[union-attr]
    width, height = map(int, head.split(";"))
    drawn, registers = np.zeros((height + 6, width, 3), int), dict[int, list[int]]()
    x = y = colour = 0
    for register, rgb, count, sixel, move in re.findall(r"#(\d+)(?:;2;([\d;]+))?|(?:!(\d+))?([?-~])|([$-])", body):
        if register:
            colour = int(register)
            if rgb:
                registers[colour] = [int(share) for share in rgb.split(";")]
        elif sixel:
            for bit in range(6):
                if ord(sixel) - 63 >> bit & 1:
                    drawn[y + bit, x : x + int(count or 1)] = registers[colour]
            x += int(count or 1)
        else:
            x, y = 0, y + 6 * (move == "-")
    return drawn[:height]


def test_a_picture_as_sixels() -> None:
    levels = NOISE.integers(0, FINE.count, (10, 9)).astype(np.int16)
    levels[0, 0] = BLANK
    bitmap = bitmap_of(levels, FINE, (9, 5), 1, (7, 15), ground=(0, 0, 255)).cut(7, 15, 50, 47)
    colours = np.array(bitmap.colours)[bitmap.pixels]
    assert np.abs(sixel_pixels(for_sixel(bitmap, Part(0, 0, 1, 1, 7, 3))) - colours / 2.55).max() <= 1


def test_without_the_library_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "textual_image", None)
    monkeypatch.setitem(sys.modules, "textual_image._sixel", None)
    shown = Pixels(cast("Any", StubApp(monkeypatch)))
    shown.ask()
    for answer in ("\x1b[6;20;10t", "\x1b[?62;4c"):
        shown.hear(answer)
    assert shown.reason.endswith("pip install 'mnist-tui[pixels]'")


def test_a_busy_program_waits_longer_for_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    app = StubApp(monkeypatch)
    shown = Pixels(cast("Any", app))
    shown.ask()
    ((due, time_out),) = app.timers
    app.timers.clear()
    app.now = due + 3
    time_out()
    assert shown.state == "asked"
    app.advance(1)
    assert shown.state == "refused"


def test_sixels_need_the_size_of_a_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Pixels(cast("Any", StubApp(monkeypatch)))
    shown.ask()
    shown.hear("\x1b[?62;4c")
    assert "does not tell the size of its cells" in shown.reason


def test_another_font_size_draws_the_pictures_again(monkeypatch: pytest.MonkeyPatch) -> None:
    app, owner = StubApp(monkeypatch), Widget()
    shown, picture = app.ready(), noise()

    def draw() -> None:
        drawn(shown, owner, picture)

    shown.changed = draw
    draw()
    shown.resized()
    assert app.sent[-1][1] == "\x1b[16t"
    shown.hear("\x1b[6;20;10t")
    assert len(app.sent) == 2
    shown.hear("\x1b[6;24;12t")
    assert "i=65536" in app.sent[-1][1]
    assert len(app.sent) == 3


# The app


def gone(app: GraphicsTerminal) -> bool:
    return not app.pictures and not app.placed()


def whole(app: GraphicsTerminal) -> bool:
    """Whether the screen shows all pictures that the terminal has, each with all its cells."""
    placed = app.placed()
    return bool(placed) and all(
        number in app.pictures and len(cells) == app.pictures[number].columns * app.pictures[number].rows
        for number, cells in placed.items()
    )


def test_kitty_and_then_a_liar(tmp_path: Path) -> None:
    with GraphicsTerminal("kitty", cwd=tmp_path, columns=80, rows=24) as app:
        app.wait_for("quit")
        app.send("3")
        app.wait_for("accuracy 99", 60)
        assert app.sent == 0
        app.send("vvv")
        app.wait_for(lambda _: whole(app) and "pixels" in app.text)
        pictures = [each for each in app.pictures.values() if each.rows > 1]
        assert len(pictures) >= 7
        for each in pictures:
            assert each.image.size == (10 * each.columns, 20 * each.rows)
            low, high = cast("tuple[int, int]", each.image.convert("L").getextrema())
            assert low < 10
            assert high > 200
        before = app.placed()
        sent = app.sent
        app.send("a")  # other digits, in the same places
        app.wait_for(lambda _: app.sent > sent)
        assert app.placed() == before
        app.send("?")
        app.wait_for("look closer")
        app.send("?")
        app.wait_for(lambda _: whole(app) and app.placed() == before)
        app.send("1")
        app.wait_for(lambda _: not app.placed())
        app.send("3")
        app.wait_for(lambda _: whole(app))
        app.kind = "liar"
        app.send("a")
        app.wait_for("(ENOTSUP)")
        app.wait_for(lambda _: gone(app))
        app.wait_for("▀▀▀")
        app.send("q")
        assert app.wait() == 0


def test_no_answer_in_time_means_no_and_a_late_one_is_no_key(tmp_path: Path) -> None:
    with GraphicsTerminal("late", cwd=tmp_path) as app:
        app.wait_for("quit")
        app.send("3")
        app.wait_for("others")
        app.send("vvv")
        app.wait_for("this terminal shows no real pixels")
        assert len(app.late) == 5
        app.answer(*app.late)
        app.send("8")
        app.wait_for("no run yet")
        assert "paste" not in app.text
        assert app.sent == 0
        app.send("q")
        assert app.wait() == 0


def test_pictures_over_the_text(tmp_path: Path) -> None:
    """They follow the text: covered, moved, removed and drawn again as it is."""
    with GraphicsTerminal("sixel", cwd=tmp_path, columns=80, rows=24) as app:
        app.wait_for("quit")
        app.send("3")
        app.wait_for("accuracy 99", 60)
        app.send("vvv")
        app.wait_for("pixels")
        digits = 10 * 7 * 14
        app.wait_for(lambda _: sum(row < 20 for row, _ in app.over.covered) == digits)
        covered = set(app.over.covered)
        assert all(app.screen.buffer[row][column].data == " " for row, column in covered)
        sent = app.sent
        app.send("a")  # other digits, in the same places
        app.wait_for(lambda _: app.sent >= sent + 10)
        assert set(app.over.covered) == covered
        app.send("?")
        app.wait_for(lambda _: not app.over.covered and "look closer" in app.text)
        app.send("?")
        app.wait_for(lambda _: set(app.over.covered) == covered)
        app.send("1")
        app.wait_for(lambda _: not app.over.covered)
        app.send("3")
        app.wait_for(lambda _: set(app.over.covered) == covered)
        app.send("v")
        app.wait_for(lambda _: not app.over.covered and "▀▀▀" in app.text)
        app.send("q")
        assert app.wait() == 0
