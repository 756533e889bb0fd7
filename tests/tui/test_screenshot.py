"""The picture of a screen: what tiles is drawn exactly, text keeps its place, and files are written whole."""

from __future__ import annotations

import errno
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from engine.paths import write_whole
from tests.tui.conftest import MakeApp, under_way
from tests.tui.driving import go, settled
from tui.drawing import graphics
from tui.drawing.screenshot import CELL_HEIGHT, CELL_WIDTH, Look, Piece, Screenshot, png, save, screenshot, svg
from tui.drawing.shapes import shape_of
from tui.drawing.terminal import PICTURES
from tui.screens.dialogs import QuitScreen
from tui.screens.digits import DigitsScreen

RED, BLUE, BLACK = (255, 0, 0), (0, 0, 255), (0, 0, 0)


PLAIN = Look(RED, BLUE)


def shot(text: str, look: Look = PLAIN) -> Screenshot:
    """A screen of one line."""
    return Screenshot(len(text), 1, BLACK, (Piece(0, 0, text, look),))


def image(of: Screenshot) -> Image.Image:
    return Image.open(io.BytesIO(png(of))).convert("RGB")


def texts(of: Screenshot) -> list[tuple[str, float, float]]:
    """Each text of the SVG with the column where it begins and its width in cells."""
    found = ElementTree.fromstring(svg(of)).iter("{http://www.w3.org/2000/svg}text")
    return [(e.text or "", int(e.get("x", "")) / CELL_WIDTH, int(e.get("textLength", "")) / CELL_WIDTH) for e in found]


def covered(character: str) -> float:
    """The share of a cell that a character's boxes cover, by their opacity."""
    shape = shape_of(character)
    assert shape is not None
    return sum((b.right - b.left) * (b.bottom - b.top) * b.strength for b in shape.boxes)


@pytest.mark.parametrize(
    ("character", "share"),
    [
        *(("█", 1), ("▀", 0.5), ("▄", 0.5), ("▌", 0.5), ("▐", 0.5), ("░", 0.25), ("▒", 0.5), ("▓", 0.75)),
        *(("▁", 1 / 8), ("▇", 7 / 8), ("▏", 1 / 8), ("▉", 7 / 8), ("▔", 1 / 8), ("▕", 1 / 8), ("▙", 0.75), ("▚", 0.5)),
    ],
)
def test_blocks_cover_their_share_of_a_cell(character: str, share: float) -> None:
    assert covered(character) == pytest.approx(share)


def test_lines_meet_at_the_sides_of_their_cells() -> None:
    for character in "─━│┃┌┐└┘├┤┬┴┼╭╮╰╯═≡╬":
        shape = shape_of(character)
        assert shape is not None, character
        assert all(box.left == 0 or box.right == 1 or box.top == 0 or box.bottom == 1 for box in shape.boxes)
    corner, dashes = shape_of("╭"), shape_of("╌")
    assert corner is not None
    assert dashes is not None
    assert {(box.right, box.bottom) for box in corner.boxes} >= {(1, corner.boxes[-1].bottom)}
    assert max(box.right for box in corner.boxes) == max(box.bottom for box in corner.boxes) == 1
    assert min(box.left for box in corner.boxes) > 0.4
    assert len(dashes.boxes) == 2


def test_braille_has_a_dot_for_each_bit() -> None:
    whole, first, last = (shape_of(character) for character in "⣿⠁⢀")
    assert whole is not None
    assert len(set(whole.dots)) == 8
    assert first is not None
    assert last is not None
    assert first.dots == ((0.25, 0.125),)
    assert last.dots == ((0.75, 0.875),)


def test_all_glyphs_of_pictures_are_shapes() -> None:
    assert all(shape_of(character) for character in PICTURES)
    assert shape_of("a") is shape_of("★") is shape_of("中") is None


def test_a_png_has_each_half_of_a_cell_in_its_colour() -> None:
    drawn = image(shot("▀▄█ "))
    assert drawn.size == (4 * CELL_WIDTH, CELL_HEIGHT)
    for column, (upper, lower) in enumerate([(RED, BLUE), (BLUE, RED), (RED, RED), (BLUE, BLUE)]):
        box = (column * CELL_WIDTH, 0, (column + 1) * CELL_WIDTH, CELL_HEIGHT)
        cell = drawn.crop(box)
        half = CELL_HEIGHT // 2
        assert cell.crop((0, 0, CELL_WIDTH, half)).getcolors() == [(CELL_WIDTH * half, upper)]
        assert cell.crop((0, half, CELL_WIDTH, CELL_HEIGHT)).getcolors() == [(CELL_WIDTH * half, lower)]


def test_letters_stay_in_their_cells() -> None:
    drawn = image(shot("M M"))
    middle = drawn.crop((CELL_WIDTH, 0, 2 * CELL_WIDTH, CELL_HEIGHT))
    assert middle.getcolors() == [(CELL_WIDTH * CELL_HEIGHT, BLUE)]
    letter = drawn.crop((0, 0, CELL_WIDTH, CELL_HEIGHT))
    inked = [letter.getpixel((x, y)) == RED for x in range(CELL_WIDTH) for y in range(CELL_HEIGHT)]
    assert 20 < sum(inked) < len(inked) / 2


def test_an_accent_of_its_own_is_drawn_over_its_letter() -> None:
    accented = shot("e\u0301 x")
    assert [(x, text) for x, _, text, _ in accented.characters()] == [(0, "e\u0301"), (2, "x")]
    assert image(accented).getpixel((CELL_WIDTH + 2, 2)) == BLUE


def test_a_bold_letter_is_heavier() -> None:
    def ink(bold: bool) -> int:
        pixels = image(shot("m", Look((255, 255, 255), BLACK, bold=bold))).convert("L")
        return sum(pixels.getpixel((x, y)) for x in range(CELL_WIDTH) for y in range(CELL_HEIGHT))  # type: ignore[misc]

    assert ink(True) > ink(False)


def test_words_in_an_svg_keep_their_columns() -> None:
    """Also where a viewer collapses blanks, or has another font."""
    assert texts(shot("  two   words▀more <&> ")) == [
        ("two", 2, 3),
        ("words", 8, 5),
        ("more", 14, 4),
        ("<&>", 19, 3),
    ]
    assert texts(shot("中 wide")) == [("中", 0, 2), ("wide", 3, 4)]


def test_an_svg_asks_for_nothing_from_the_web() -> None:
    drawn = svg(shot("text ▀⣿─"))
    assert "url(" not in drawn
    assert "font-face" not in drawn
    assert not set("▀⣿─") & set(drawn)  # they are shapes


def test_both_files_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = save(shot("text"), tmp_path, "screen"), save(shot("text"), tmp_path, "screen")
    assert [path.name for path in (*first, *second)] == ["screen.svg", "screen.png", "screen-2.svg", "screen-2.png"]
    assert first[1].read_bytes() == png(shot("text"))
    assert first[0].read_text(encoding="utf-8") == svg(shot("text"))

    def full(path: Path, write: Callable[[Path], object]) -> None:
        if path.suffix == ".png":
            raise OSError(errno.ENOSPC, "No space left on device")
        write_whole(path, write)

    monkeypatch.setattr("tui.drawing.screenshot.write_whole", full)
    with pytest.raises(OSError, match="No space"):
        save(shot("text"), tmp_path / "other", "screen")
    assert list((tmp_path / "other").iterdir()) == []


async def test_what_is_on_top_is_in_the_picture(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        under_way(app)
        await pilot.press("q")
        await pilot.pause()
        assert isinstance(app.screen, QuitScreen)
        taken = screenshot(app)
    assert (taken.columns, taken.rows) == (80, 24)
    seen = "\n".join(piece.text for piece in taken.pieces)
    assert "╭" in seen  # the dialog's border
    assert "Model" in seen  # the tabs behind it
    assert {y for _, y, _, _ in taken.pieces} == set(range(24))


async def test_without_colour_the_picture_has_none(still_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = still_app()
    async with app.run_test(size=(80, 24)):
        taken = screenshot(app)
    assert all(len(set(colour)) == 1 for piece in taken.pieces for colour in (piece.look.ink, piece.look.paper))


KITTY = ("\x1b_Gi=31;OK\x1b\\", "\x1bP>|kitty(0.39)\x1b\\")
ITERM = ("\x1bP>|iTerm2 3.5.1\x1b\\",)


@pytest.mark.usefixtures("exact_engine")
@pytest.mark.parametrize("terminal_says", [KITTY, ITERM], ids=["by placeholders", "over the text"])
async def test_real_pixels_are_in_the_picture(
    still_app: MakeApp, monkeypatch: pytest.MonkeyPatch, terminal_says: tuple[str, ...]
) -> None:
    monkeypatch.setattr(graphics, "in_tmux", lambda: False)
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        monkeypatch.setattr(app._driver, "ask", lambda _: None, raising=False)
        screen = await go(pilot, "3", DigitsScreen)
        as_text = image(screenshot(app))
        await pilot.press("v", "v", "v")
        for answer in (*terminal_says, "\x1b[6;20;10t", "\x1b[?62;c"):
            app.pixels.hear(answer)
        await settled(pilot, screen)
        assert screen.view.mode == "pixels"
        await pilot.pause()
        taken = screenshot(app)
    assert not any(graphics.PLACEHOLDER in piece.text for piece in taken.pieces)
    drawn, written = image(taken), svg(taken)
    assert written.count('href="data:image/png;base64,') == len(taken.insets) > 1
    for inset in taken.insets:
        left, top = inset.x * CELL_WIDTH, inset.y * CELL_HEIGHT
        box = (left, top, left + inset.columns * CELL_WIDTH, top + inset.rows * CELL_HEIGHT)
        there = Image.open(io.BytesIO(inset.png)).convert("RGB")
        assert drawn.crop(box).tobytes() == there.tobytes()
        # The same digit as in half blocks, finer.
        before = as_text.crop(box).convert("L").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
        after = there.convert("L").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
        assert abs(before - after) < 12  # type: ignore[operator]


def test_pillow_waits_until_a_picture_is_wanted() -> None:
    code = "import sys, tui.app, tui.screens.frame, tui.drawing.screenshot; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
