"""Pictures as literal text in each mode, and the colour maps compared with Matplotlib's.

`benchmarks.raster` measures the speed.
"""

from __future__ import annotations

from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pytest
from rich.color import Color, ColorSystem
from rich.style import Style

from engine.figures.requests import ColourMapName
from tui.drawing.cells import Cell
from tui.drawing.raster import (
    BLANK,
    COLOUR_MAPS,
    MODES,
    OUTLINE,
    Mode,
    Palette,
    Span,
    colours_of,
    enlarge,
    frame,
    halve,
    paint,
    palette,
    quantise,
)

ACCENT = Style(color="#56b4e9")
every_map = pytest.mark.parametrize("name", COLOUR_MAPS)


def text(rows: list[list[Cell]]) -> str:
    return "\n".join("".join(character for character, _ in row) for row in rows)


def colours(cell: Cell) -> tuple[str | None, str | None]:
    """Foreground and background as #rrggbb."""
    style = cell[1]
    return tuple(each.get_truecolor().hex if each else None for each in (style.color, style.bgcolor))  # type: ignore[return-value]


def draw(values: object, name: ColourMapName, mode: Mode, zoom: int = 1, *, shades: bool = True) -> list[list[Cell]]:
    array, colour = np.array(values, float), palette(name, mode, ACCENT, shades=shades)
    return paint(enlarge(quantise(array, Span.of(array, name), colour.count), zoom), colour)


def luminance(rgb: tuple[int, int, int]) -> float:
    linear = [(c / 255 / 12.92) if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


# Text


def test_24_bit_colour_is_half_blocks_of_two_pixels() -> None:
    rows = draw([[0, 1], [1, 1], [0.5, np.nan]], "gray", "24-bit")
    assert text(rows) == "▀ \n▀ "
    assert colours(rows[0][0]) == ("#000000", "#ffffff")
    assert colours(rows[0][1]) == (None, "#ffffff")  # equal halves become a space, which takes fewer bytes
    assert colours(rows[1][0]) == ("#828282", None)  # the missing lower pixel has the terminal's background
    assert rows[1][1] == (" ", Style.null())


def test_256_colours_are_those_of_the_cube() -> None:
    rows = draw([[-1, 0], [1, 0.5]], "diverging", "256 colours")
    assert text(rows) == "▀▀"
    assert colours(rows[0][0]) == ("#005f87", "#870000")
    assert colours(rows[0][1]) == ("#eeeeee", "#d78787")


@pytest.mark.parametrize("name", ["gray", "viridis"])
@pytest.mark.parametrize(("shades", "ramp"), [(True, " ░▒▓█"), (False, " .:-=+*#%@")])
def test_glyphs_grow_denser_with_the_value(name: ColourMapName, shades: bool, ramp: str) -> None:
    values = np.linspace(0, 1, len(ramp))[None].repeat(2, axis=0)
    rows = draw(values, name, "glyphs", shades=shades)
    assert text(rows) == ramp
    assert all(style == Style.null() for row in rows for _, style in row)


@pytest.mark.parametrize(("shades", "ramp"), [(True, "≡═─╌ ░▒▓█"), (False, "E=-. ':+#")])
def test_glyphs_of_the_diverging_map_tell_the_sign(shades: bool, ramp: str) -> None:
    values = np.linspace(-1, 1, 9)[None].repeat(2, axis=0)
    assert text(draw(values, "diverging", "glyphs", shades=shades)) == ramp
    # Of two opposite pixels in one cell the stronger is shown, since their mean would be zero.
    pair = text(draw([[-1, 0.25], [0.75, -0.5]], "diverging", "glyphs", shades=shades))
    assert pair == ramp[0] + ramp[2]


@every_map
def test_in_shades_two_pixels_of_one_cell_are_seen(name: ColourMapName) -> None:
    """Where one is much higher than the other, a half block shows which."""
    values = np.array([[1, 0, 0.5, 1], [0, 1, 0.5, 0.75]])
    levels = quantise(values, Span(-1.0 if name == "diverging" else 0.0, 1.0), palette(name, "glyphs", ACCENT).count)
    assert text(paint(levels, palette(name, "glyphs", ACCENT))) == "▀▄▒█"
    odd = np.full((1, 1), levels.max(), np.int16)
    assert text(paint(odd, palette(name, "glyphs", ACCENT))) == "▀"  # nothing is below the last row


@pytest.mark.parametrize(
    ("shades", "rows"),
    [(True, ["▀▀▀▀█▀", "    ▓", "    ▒"]), (False, ["++++@+", "    *", "    -"])],
)
def test_a_digit_as_glyphs(shades: bool, rows: list[str]) -> None:
    seven = np.zeros((6, 6))
    seven[0] = 1
    seven[1:, 4] = [1, 0.8, 0.6, 0.4, 0.2]
    drawn = text(draw(seven, "gray", "glyphs", shades=shades))
    assert [row.rstrip() for row in drawn.splitlines()] == rows


def test_zoom_is_of_nearest_pixels_by_whole_factors() -> None:
    values = np.array([[0, 1], [1, 0]])
    assert text(draw(values, "gray", "glyphs", zoom=1)) == "▄▀"
    assert text(draw(values, "gray", "glyphs", zoom=2)) == "  ██\n██  "
    assert text(draw(values, "gray", "glyphs", zoom=4)) == "\n".join(["    ████"] * 2 + ["████    "] * 2)
    assert enlarge(np.arange(6, dtype=np.int16).reshape(1, 2, 3), 3).shape == (1, 6, 9)


def test_half_the_size_is_the_mean_of_four() -> None:
    values = np.arange(16, dtype=float).reshape(4, 4)
    assert halve(values).tolist() == [[2.5, 4.5], [10.5, 12.5]]
    odd = halve(np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]))
    assert odd.tolist() == [[3, 4.5], [7.5, 9]]
    assert halve(np.ones((5, 28, 28))).shape == (5, 14, 14)


def test_an_odd_height_leaves_the_last_half_blank() -> None:
    rows = draw([[1], [1], [1]], "gray", "24-bit")
    assert text(rows) == " \n▀"
    assert colours(rows[1][0])[1] is None


def test_frames_stay_on_the_picture() -> None:
    levels = np.zeros((4, 4), np.int16)
    frame(levels, -1, 1, 3, 9)
    assert levels.tolist() == [[0, -2, -2, -2], [0, -2, -2, -2], [0, 0, 0, 0], [0, 0, 0, 0]]
    hollow = np.zeros((5, 5), np.int16)
    frame(hollow, 1, 1, 3, 3)
    assert int((hollow == OUTLINE).sum()) == 8
    assert hollow[2, 2] == 0
    frame(hollow, 9, 9, 2, 2)
    assert int((hollow == OUTLINE).sum()) == 8
    shown = paint(np.array([[OUTLINE], [BLANK]], np.int16), palette("gray", "24-bit", ACCENT))
    assert colours(shown[0][0]) == ("#56b4e9", None)
    edge = np.array([[OUTLINE], [3]], np.int16)
    assert paint(edge, palette("gray", "glyphs", ACCENT, shades=False)) == [[(" ", Style(reverse=True))]]
    assert text(paint(edge, palette("gray", "glyphs", ACCENT))) == "╬"  # reversed, a blank would be a full block


@every_map
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shades", [True, False])
def test_every_cell_has_a_style_and_one_character(name: ColourMapName, mode: Mode, shades: bool) -> None:
    colour = Palette(name, mode, ACCENT, shades=shades)
    levels = [BLANK, OUTLINE, *range(colour.count)]
    canvas = np.array(
        [[top for top in levels for _ in levels], [bottom for _ in levels for bottom in levels]], np.int16
    )
    (row,) = paint(canvas, colour)
    assert all(len(character) == 1 and isinstance(style, Style) for character, style in row)
    if mode == "glyphs":
        assert not any(style.color or style.bgcolor for _, style in row)
        if not shades:
            assert "".join(character for character, _ in row).isascii()


# Ranges


def test_a_range_is_fixed_or_its_own() -> None:
    values = np.array([[0.2, 0.4]])
    assert quantise(values, Span(0, 1), 11).tolist() == [[2, 4]]
    assert quantise(values, Span.of(values, "gray"), 11).tolist() == [[0, 10]]
    assert quantise(values, Span(0.3, 0.35), 11).tolist() == [[0, 10]]  # values outside of the range are clipped


def test_the_diverging_range_has_zero_in_its_middle() -> None:
    values = np.array([-0.2, 0.0, 0.8])
    assert Span.of(values, "diverging") == Span(-0.8, 0.8)
    count = palette("diverging", "24-bit", ACCENT).count
    assert quantise(values, Span.of(values, "diverging"), count)[1] == count // 2
    assert count % 2 == palette("diverging", "256 colours", ACCENT).count % 2 == 1


def test_strange_numbers_do_no_harm() -> None:
    values = np.array([np.nan, -np.inf, np.inf, 1.0])
    assert Span.of(values, "gray") == Span(1.0, 1.0)
    assert quantise(values, Span(0, 1), 5).tolist() == [BLANK, 0, 4, 4]
    assert Span.of(np.array([np.nan]), "gray") == Span(0.0, 1.0)
    flat = np.full((2, 2), 3.0)
    assert quantise(flat, Span.of(flat, "gray"), 5).tolist() == [[0, 0], [0, 0]]
    zero = np.zeros((2, 2))
    assert quantise(zero, Span.of(zero, "diverging"), 5).tolist() == [[2, 2], [2, 2]]


@every_map
def test_each_image_in_its_own_range_is_as_if_it_were_alone(name: ColourMapName) -> None:
    images = np.random.default_rng(0).normal(size=(20, 3, 3)) * np.arange(20)[:, None, None]
    images[3, 0, 0], images[4] = np.nan, np.nan
    together = quantise(images, Span.of_each(images, name), 65)
    assert all(np.array_equal(one, quantise(i, Span.of(i, name), 65)) for one, i in zip(together, images, strict=True))


# Colours


@every_map
def test_24_bit_maps_are_matplotlibs(name: ColourMapName) -> None:
    theirs = mpl.colormaps[{"diverging": "RdBu_r"}.get(name, name)]
    ours = np.array(colours_of(name, "24-bit"))
    expected = theirs(np.linspace(0, 1, len(ours)))[:, :3] * 255
    assert np.abs(ours - expected).max() < 8


@pytest.mark.parametrize("mode", MODES[:2])
def test_sequential_maps_grow_brighter(mode: Mode) -> None:
    for name in ("gray", "viridis"):
        steps = [luminance(rgb) for rgb in colours_of(name, mode)]
        assert all(later > earlier for earlier, later in pairwise(steps)), name


@pytest.mark.parametrize("mode", MODES[:2])
@pytest.mark.parametrize("dark", [True, False])
@every_map
def test_a_ramp_begins_at_the_paper(name: ColourMapName, dark: bool, mode: Mode) -> None:
    colours = palette(name, mode, ACCENT)
    steps = [luminance(colours.rgb[colours.from_paper(share, dark=dark)]) for share in np.linspace(0, 1, 21)]
    assert steps == sorted(steps, reverse=not dark)
    assert abs(steps[-1] - steps[0]) > 0.5
    if name == "gray":
        assert steps[0] == pytest.approx(0 if dark else 1)


@pytest.mark.parametrize("mode", MODES[:2])
def test_the_diverging_map_is_brightest_in_its_middle(mode: Mode) -> None:
    steps = [luminance(rgb) for rgb in colours_of("diverging", mode)]
    middle = len(steps) // 2
    assert max(range(len(steps)), key=steps.__getitem__) in range(middle - 1, middle + 2)
    assert colours_of("diverging", mode)[0][2] > colours_of("diverging", mode)[0][0]  # negative is blue
    assert colours_of("diverging", mode)[-1][0] > colours_of("diverging", mode)[-1][2]


@every_map
def test_no_two_steps_become_one_on_a_256_colour_terminal(name: ColourMapName) -> None:
    steps = [Color.from_rgb(*rgb).downgrade(ColorSystem.EIGHT_BIT).number for rgb in colours_of(name, "256 colours")]
    assert len(set(steps)) == len(steps)
