"""Charts: their geometry, their drawing, their legend, their cursor."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from msgspec.structs import replace as changed_plot
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.theme import Theme

from engine.figures.drawing.page import ROLES, SERIES
from engine.runs.finding import pretrained
from engine.runs.history import RunHistory
from tests.tui.driving import words
from tui.drawing import theme
from tui.drawing.axis import DOWN, LABEL_WIDTH, Across, Scale, labels, marks, power, scale, ticks
from tui.drawing.braille import BLANK, line
from tui.drawing.plot import Band, Curve, Mote, Plot, decimate, drawing
from tui.drawing.theme import DARK, THEMES
from tui.widgets.chart import Chart
from tui.widgets.traces import AT_ONCE, MOST, RunTraces, Trace

QUICK = settings(derandomize=True, max_examples=80, deadline=None)
VALUES = st.floats(-1e12, 1e12, allow_subnormal=False)
POSITIVE = st.floats(1e-12, 1e12, allow_subnormal=False)
ROWS = st.integers(2, 60)


# Geometry


def rounded(value: float) -> bool:
    """Whether it is 1, 2 or 5 times a power of ten."""
    return f"{abs(value):.6e}".partition("e")[0] in ("1.000000", "2.000000", "5.000000")


def true(axis: Scale, low: float, high: float) -> None:
    """Check an axis of `low` to `high`."""
    assert 0 <= axis.dot(high) <= axis.dot(low) < axis.rows * DOWN  # the range is in view
    assert len(axis.ticks) >= 2
    rows = [axis.row(tick) for tick in axis.ticks]
    assert rows == sorted(set(rows), reverse=True)  # each in a row of its own, the highest at the top
    assert all(0 <= row < axis.rows for row in rows)
    # No tick is at the edge of its cell, half a cell away from where its number is written.
    assert all(axis.dot(tick) % DOWN != DOWN - 1 for tick in axis.ticks)


@QUICK
@given(VALUES, VALUES, ROWS)
@example(0.0, 100.0, 18)
@example(0.0, 1.0, 2)
@example(98.63, 99.31, 9)
@example(1e9, 1e9 + 1e-3, 9)
@example(0.0, 0.0, 2)
@example(-1e308, 1e308, 7)
def test_linear_ticks_stand_beside_their_values(one: float, other: float, rows: int) -> None:
    low, high = sorted((one, other))
    axis = scale(low, high, rows)
    if abs(high) < 1e100:
        true(axis, low, high)
    steps = {f"{after - before:.6e}" for before, after in pairwise(axis.ticks)}
    assert len(steps) == 1
    assert rounded(float(steps.pop()))
    spaces = {before - after for before, after in pairwise(axis.ticks)}
    apart = [axis.dot(before) - axis.dot(after) for before, after in pairwise(axis.ticks)]
    assert len(set(apart)) == 1, spaces
    assert apart[0] % DOWN == 0


@QUICK
@given(POSITIVE, POSITIVE, ROWS)
@example(0.003, 0.11, 11)
@example(0.03, 0.036, 12)
@example(0.5, 0.5, 2)
@example(1e-9, 1.0, 8)
def test_logarithmic_ticks_stand_beside_their_values(one: float, other: float, rows: int) -> None:
    low, high = sorted((one, other))
    axis = scale(low, high, rows, logarithmic=True)
    true(axis, low, high)
    assert all(map(rounded, axis.ticks))
    assert axis.dot(0.0) >= rows * DOWN  # below the axis


@QUICK
@given(VALUES, VALUES, st.lists(st.floats(0, 1), min_size=2, max_size=20), ROWS, st.booleans())
def test_higher_values_are_never_lower(
    one: float, other: float, shares: list[float], rows: int, logarithmic: bool
) -> None:
    if logarithmic:
        one, other = math.exp(one / 1e11), math.exp(other / 1e11)
    low, high = sorted((one, other))
    axis = scale(low, high, rows, logarithmic=logarithmic)
    dots = [axis.dot(low + share * (high - low)) for share in sorted(shares)]
    assert dots == sorted(dots, reverse=True)


@QUICK
@given(st.floats(90, 99.9), ROWS)
def test_no_tick_beyond_what_there_is(low: float, rows: int) -> None:
    assert max(scale(low, 100.0, rows, limits=(0.0, 100.0)).ticks) <= 100.0
    probabilities = scale(0.0, 1.0, rows, limits=(0.0, 1.0)).ticks
    assert (probabilities[0], probabilities[-1]) == (0.0, 1.0)


@QUICK
@given(st.lists(st.one_of(VALUES, POSITIVE), min_size=1, max_size=1), st.integers(-9, 9), st.integers(1, 9))
def test_numbers_have_equal_decimals(start: list[float], exponent: int, count: int) -> None:
    first = round(start[0] / 10.0**exponent)
    assume(abs(first) < 1e9)
    values = [float(f"{(first + n) * 10.0**exponent:.12g}") for n in range(count)]
    texts = labels(values)
    assert len({len(text.partition(".")[2].partition("e")[0]) for text in texts}) == 1
    assert {len(text) for text in texts} == {max(LABEL_WIDTH, *(len(text.strip()) for text in texts))}
    assert [float(text) for text in texts] == pytest.approx(values, rel=1e-8)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.05, 0.1], ["  0.00", "  0.05", "  0.10"]),
        ([98, 100], ["    98", "   100"]),
        ([0.0, 2e-7, 4e-7], ["   0e0", "  2e-7", "  4e-7"]),
        ([1e-5, 1.0], ["  1e-5", "   1e0"]),
        ([0.0, 5e6], ["   0e0", "   5e6"]),
        ([], []),
    ],
)
def test_labels(values: list[float], expected: list[str]) -> None:
    assert labels(values) == expected


@QUICK
@given(st.integers(1, 5000), st.integers(15, 200))
def test_the_last_epoch_has_a_number(epochs: int, cells: int) -> None:
    axis = Across(0.0, float(epochs), cells)
    found = marks(axis, "epoch {}", whole=True, before=LABEL_WIDTH)
    assert found[-1].text == f"epoch {epochs}"
    assert found[-1].cell == cells - 1
    assert found[-1].start + len(found[-1].text) <= cells
    for mark in found:
        assert mark.cell == axis.dot(mark.value) // 2
        assert mark.value == int(mark.value)
    assert all(one.start + len(one.text) < other.start for one, other in pairwise(found))


def test_numbers_of_the_horizontal_axis() -> None:
    def texts(low: float, high: float, cells: int, unit: str, **options: object) -> list[str]:
        return [mark.text for mark in marks(Across(low, high, cells), unit, **options)]  # type: ignore[arg-type]

    assert texts(0, 0.3, 60, "epsilon {}") == ["0.00", "0.05", "0.10", "0.15", "0.20", "epsilon 0.30"]
    assert texts(0, 15, 40, "epoch {}", whole=True) == ["0", "5", "10", "epoch 15"]
    assert texts(0, 3, 30, "beta {}", names=["0", "1e-5", "1e-4", "1e-3"]) == ["0", "1e-5", "beta 1e-3"]
    assert texts(0, 117.3, 60, "{} s") == ["0", "20", "40", "60", "80", "100 s"]


@pytest.mark.parametrize(
    ("low", "high", "count", "expected"),
    [
        (0.0, 0.2, 4, [0.0, 0.05, 0.1, 0.15, 0.2]),
        (98.3, 99.3, 4, [98.5, 99.0]),
        (0.0, 15.0, 8, [0, 2, 4, 6, 8, 10, 12, 14]),
        (3.0, 3.0, 4, [3.0]),
        (0.0, float("nan"), 4, [0.0]),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, count: int, expected: list[float]) -> None:
    assert ticks(low, high, count) == pytest.approx(expected)


# Drawing


def characters(rows: list[list[Mote]]) -> list[str]:
    return ["".join(character for character, _, _ in row) for row in rows]


def inks(
    rows: list[list[Mote]], wanted: Callable[[str], bool] = lambda c: ord(c) > BLANK
) -> dict[tuple[int, int], str]:
    """The ink of each cell with dots: by row and column."""
    return {
        (y, x): name
        for y, row in enumerate(rows)
        for x, (character, name, _) in enumerate(row)
        if wanted(character) and name != "quiet"
    }


def lowest(character: str) -> int:
    """The lowest row of dots in a braille character, and so that of a point: its marker extends upwards."""
    bits = ord(character) - BLANK
    return max(row for row, mask in enumerate((0x09, 0x12, 0x24, 0xC0)) if bits & mask)


@QUICK
@given(st.floats(1e-6, 1e6), st.floats(0, 1), st.tuples(st.integers(30, 160), st.integers(4, 50)), st.booleans())
@example(1.0, 1.0, (80, 20), False)
def test_what_is_drawn_is_beside_its_number(
    high: float, share: float, size: tuple[int, int], logarithmic: bool
) -> None:
    """A value anywhere, and one at each tick: where it is drawn is where the axis says."""
    width, height = size
    plot = Plot(y_range=(high / 50, high) if logarithmic else (0.0, high), x_range=(0.0, 4.0), logarithmic=logarithmic)
    axis = scale(*plot.span(plot.x_range), height - 2, logarithmic=logarithmic)
    numbers = labels(axis.ticks)
    for value in (high / 50 + share * (high - high / 50), *axis.ticks):
        rows = drawing(changed_plot(plot, curves=[Curve("one", "curve-val", [2.0], [value])]), width, height)
        assert {len(row) for row in rows[:-1]} == {width}
        (((y, x), _),) = inks(rows).items()
        assert y == axis.row(value)
        assert y * DOWN + lowest(rows[y][x][0]) in (axis.dot(value), max(axis.dot(value), DOWN * y + 1))
        if value in axis.ticks:
            assert characters(rows)[y].startswith(numbers[axis.ticks.index(value)] + "┤")
    beside = {y: text[: len(numbers[0])] for y, text in enumerate(characters(rows)[:-2]) if "┤" in text}
    assert beside == {axis.row(tick): text for tick, text in zip(axis.ticks, numbers, strict=True)}


def two(layer: str = "middle") -> Plot:
    """Two curves: one rises, one falls."""
    return Plot(
        [
            Curve("up", "curve-train", [0, 1], [0.0, 1.0], layer=layer),  # type: ignore[arg-type]
            Curve("down", "curve-val", [0, 1], [1.0, 0.0]),
        ],
        y_range=(0.0, 1.0),
    )


def cells_of(plot: Plot, name: str, width: int = 60, height: int = 20) -> set[tuple[int, int]]:
    """The cells of one curve of `plot`, drawn alone on the same axes."""
    alone = [curve for curve in plot.curves if curve.name == name]
    return set(inks(drawing(changed_plot(plot, curves=alone, y_range=plot.span(plot.x_range)), width, height)))


def test_the_curve_in_front_is_whole_and_the_one_in_the_back_gives_way() -> None:
    plot = two("front")
    found = inks(drawing(plot, 60, 20))
    whole = cells_of(plot, "up")
    assert {spot for spot, name in found.items() if name == "curve-train"} == whole
    assert {spot for spot, name in found.items() if name == "curve-val"} == cells_of(plot, "down") - whole
    found = inks(drawing(two("back"), 60, 20))
    assert {spot for spot, name in found.items() if name == "curve-val"} == cells_of(plot, "down")


@pytest.mark.parametrize("ys", [[0.5, 0.5], [0.0, 1.0], [1.0, 0.0], [0.0, 0.1]], ids=["flat", "up", "down", "slow"])
@pytest.mark.parametrize("count", [2, 3])
def test_equal_curves_take_turns(ys: list[float], count: int) -> None:
    names = theme.SERIES[:count]
    curves = [Curve(name, name, [0, 1], ys) for name in names]
    found = inks(drawing(Plot(curves, y_range=(0.0, 1.0)), 60, 20))
    shown = [found[spot] for spot in sorted(found, key=lambda spot: spot[1])]
    counts = {name: shown.count(name) for name in names}
    assert max(counts.values()) - min(counts.values()) <= 2  # the ends are marked, and take turns among themselves
    longest = max(len(run) for name in names for run in "".join("x" if s == name else " " for s in shown).split())
    assert longest <= 2


@QUICK
@given(st.lists(st.lists(st.floats(0, 1), min_size=6, max_size=6), min_size=2, max_size=4))
def test_no_curve_disappears(many: list[list[float]]) -> None:
    curves = [Curve(name, name, range(6), ys) for name, ys in zip(theme.SERIES, many, strict=False)]
    found = set(inks(drawing(Plot(curves, (0.0, 5.0), (0.0, 1.0)), 80, 20)).values())
    assert found == {curve.ink for curve in curves}


def test_few_points_are_marked_and_many_are_not() -> None:
    def thick(count: int) -> int:
        xs = [float(x) for x in range(count)]
        rows = drawing(Plot([Curve("flat", "curve-val", xs, [0.5] * count)], (0.0, count - 1.0), (0.0, 1.0)), 67, 20)
        return sum(
            (ord(character) - BLANK).bit_count() >= 4
            for row in rows
            for character, _, _ in row
            if ord(character) > BLANK
        )

    assert thick(5) == 5
    assert thick(50) == 0


@QUICK
@given(st.lists(st.tuples(st.integers(-500, 500), st.integers(-500, 500)), max_size=8))
def test_a_line_stays_inside_and_is_unbroken(points: list[tuple[int, int]]) -> None:
    dots = line(points, 20, 10)
    assert all(0 <= x < 20 and 0 <= y < 10 for x, y in dots)
    inside = [(x, y) for x, y in points if 0 <= x < 40 and 0 <= y < 40]
    assert all((x // 2, y // 4) in dots for x, y in inside)
    if len(inside) == len(points):
        for x, y in dots:  # each cell touches another one
            assert len(dots) == 1 or any((x + i, y + j) in dots for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j)


def test_bands_are_shaded_behind_the_curves() -> None:
    band = Band("curve-train", [0, 1], [0.25, 0.25], [0.75, 0.75])
    plot = Plot([Curve("mean", "curve-train", [0, 1], [0.5, 0.5])], y_range=(0.0, 1.0), bands=[band])
    rows = drawing(plot, 60, 22)
    axis = scale(0.0, 1.0, 20)
    for y, row in enumerate(rows[:-2]):
        grounds = {ground for _, _, ground in row[LABEL_WIDTH + 1 :]}
        inside = axis.row(0.75) < y < axis.row(0.25)
        edge = y in (axis.row(0.75), axis.row(0.25))
        assert edge or grounds == ({"curve-train"} if inside else {""})
    assert {ground for row in rows for character, _, ground in row if ord(character) > BLANK} == {"curve-train"}
    plain = characters(drawing(plot, 60, 22, colour=False, tints=False))
    assert all(
        ("░" in text) == (axis.row(0.75) <= y <= axis.row(0.25) and y != axis.row(0.5)) for y, text in enumerate(plain)
    )


@pytest.mark.parametrize("middle", [0.5, 0.51, 0.53, 0.55])
def test_a_band_thinner_than_a_cell_still_shows(middle: float) -> None:
    band = Band("curve-train", [0, 1], [middle - 0.001] * 2, [middle + 0.001] * 2)
    plot = Plot([Curve("mean", "curve-val", [0, 1], [middle, middle])], y_range=(0.0, 1.0), bands=[band])
    assert {ground for row in drawing(plot, 60, 22) for _, _, ground in row} == {"", "curve-train"}


def test_a_band_behind_others_fills_what_they_leave() -> None:
    front = Band("curve-train", [0, 1], [0.5, 0.5], [0.9, 0.9])
    behind = Band("quiet", [0, 1], [0.1, 0.1], [0.7, 0.7], behind=True)
    line = Curve("mean", "curve-train", [0, 1], [0.95, 0.95])
    for bands in ((front, behind), (behind, front)):
        rows = drawing(Plot([line], y_range=(0.0, 1.0), bands=bands), 60, 22)[:-2]
        axis = scale(0.0, 1.0, 20)
        column = [row[40][2] for row in rows]
        assert set(column[axis.row(0.9) + 1 : axis.row(0.5)]) == {"curve-train"}
        assert set(column[axis.row(0.5) + 1 : axis.row(0.1)]) == {"quiet"}
        assert column[axis.row(0.5)] in ("curve-train", "quiet", "curve-train quiet")  # not a gap between the two
        plain = characters(drawing(Plot([line], y_range=(0.0, 1.0), bands=bands), 60, 22, colour=False, tints=False))
        assert "░" in plain[axis.row(0.7)]
        assert "·" in plain[axis.row(0.3)]


def test_a_thin_curve_is_dotted_and_has_no_markers() -> None:
    dots = {}
    for thin in (False, True):
        curve = Curve("mean", "curve-val", [0, 0.5, 1], [0.3, 0.4, 0.6], thin=thin)
        rows = drawing(Plot([curve], y_range=(0.0, 1.0)), 60, 22)
        dots[thin] = sum((ord(c) - BLANK).bit_count() for row in rows for c, _, _ in row if ord(c) > BLANK)
    assert 0 < dots[True] < 0.7 * dots[False]


def test_values_outside_the_range_are_not_drawn_at_its_edge() -> None:
    plot = Plot([Curve("high", "curve-val", [0, 1, 2], [5.0, 5.0, 0.5])], (0.0, 2.0), (0.0, 1.0))
    columns = [x for _, x in inks(drawing(plot, 60, 20))]
    assert min(columns) > 33  # only from where it comes into the range


def test_without_colour_letters_and_points_tell_curves_apart() -> None:
    plot = Plot(
        [
            Curve("one", "curve-train", [0, 1], [0.2, 0.2], letter="A"),
            Curve("two", "curve-val", [0, 1], [0.8, 0.8], scattered=True),
        ],
        y_range=(0.0, 1.0),
    )
    rows = characters(drawing(plot, 60, 20, colour=False, tints=False))
    axis = scale(0.0, 1.0, 18)
    assert rows[axis.row(0.2)].partition("┤")[2] or "A" * 50 in rows[axis.row(0.2)]
    assert sum(ord(character) > BLANK for character in rows[axis.row(0.8)]) == 2
    assert [curve.sample(colour=False) for curve in plot.curves] == ["A", "⠶"]


# Zoom


@QUICK
@given(st.integers(1, 3000), st.integers(0, 14), st.none() | st.floats(0, 1))
def test_zoom_contains_the_cursor(epochs: int, zoom: int, share: float | None) -> None:
    cursor = None if share is None else float(round(share * epochs))
    plot = Plot(x_range=(0.0, float(epochs)))
    low, high = plot.view(cursor, zoom)
    assert 0 <= low < high <= epochs
    assert low == int(low)
    assert high == int(high)
    assert low <= (epochs if cursor is None else cursor) <= high
    assert high - low <= max(epochs / 2 ** min(zoom, plot.deepest) + 1, 2)


def test_the_vertical_axis_is_that_of_the_curves_in_view() -> None:
    curve = Curve("loss", "curve-val", range(11), [2.0, *([0.5] * 9), 0.4])
    running = Curve("running", "curve-running", [0.1, 9.5], [9.0, 9.0], layer="back")
    plot = Plot([running, curve], (0.0, 10.0))
    assert plot.span((0.0, 10.0)) == (0.4, 2.0)
    assert plot.span((5.0, 10.0)) == (0.4, 0.5)
    assert changed_plot(plot, from_zero=True).span((5.0, 10.0)) == (0.0, 0.5)
    assert Plot([running], (0.0, 10.0)).span((0.0, 10.0)) == (9.0, 9.0)


def test_decimation_keeps_what_one_sees() -> None:
    ys = [0.0] * 1000
    ys[417], ys[418] = 5.0, -5.0
    xs, kept = decimate(range(1000), ys, 50)
    assert len(xs) <= 100
    assert max(kept) == 5.0
    assert min(kept) == -5.0
    assert list(xs) == sorted(xs)
    assert decimate([1, 2], [3, 4], 50) == ([1, 2], [3, 4])


# Colours


def _hue(colour: str) -> tuple[float, float]:
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    hue, _, saturation = colorsys.rgb_to_hls(red, green, blue)
    return 360 * hue, saturation


@pytest.mark.parametrize("look", THEMES, ids=lambda each: each.name)
def test_a_curve_has_one_colour_on_screen_and_in_figures(look: Theme) -> None:
    roles = [(theme.CURVE_INKS.get(role, f"curve-{role}"), printed) for role, printed in ROLES.items()]
    pairs = [*zip(theme.SERIES, SERIES, strict=True), *roles]
    for name, printed in pairs:
        (hue, vivid), (other, printed_vivid) = _hue(look.variables[name]), _hue(printed)
        if printed_vivid < 0.1:  # black, which is white on black, and gray
            assert vivid < 0.2, name
        else:
            assert min(abs(hue - other), 360 - abs(hue - other)) < 20, name
    assert len({look.variables[name] for name in theme.SERIES}) == len(SERIES)
    assert [ROLES[role] for role in ("train", "val", "test")] == ["#0072B2", "#D55E00", "#009E73"]


# The widget


class ChartApp(App[None]):
    CSS = "Chart { width: 40; height: 8; }"

    def compose(self) -> ComposeResult:
        yield Chart("loss", empty="nothing yet")

    def on_mount(self) -> None:
        self.register_theme(DARK)
        self.theme = DARK.name


def text(chart: Chart) -> list[str]:
    """The lines that the chart shows."""
    return [line.rstrip() for line in words(chart).split("\n")]


VAL = Curve("val", "curve-val", [0, 1, 2], [0.0, 0.1, 0.2], form="{:.4f}")


async def test_a_small_chart() -> None:
    app = ChartApp()
    async with app.run_test() as pilot:
        chart = app.query_one(Chart)
        await pilot.pause()
        assert text(chart)[0] == "─ loss " + "─" * 33
        assert text(chart)[4].strip() == "nothing yet"
        chart.show(Plot([VAL], (0, 2), (0, 0.2), unit="epoch {}"))
        await pilot.pause()
        assert text(chart)[0] == "─ loss " + "─" * 17 + " ⠒⠒ val 0.2000 ─"
        assert text(chart)[1].startswith("   0.2┤")
        assert text(chart)[-1].split() == ["0", "1", "epoch", "2"]
        assert all(style is not None for row in chart._rows for _, style in row)


async def test_only_the_rows_that_changed_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    app = ChartApp()
    async with app.run_test() as pilot:
        chart = app.query_one(Chart)
        plot = Plot([VAL], (0, 2), (0, 0.2))
        chart.show(plot)
        await pilot.pause()
        sent: list[tuple[object, ...]] = []
        monkeypatch.setattr(chart, "refresh", lambda *regions, **_: sent.append(regions))
        chart.redraw()
        chart.show(changed_plot(plot))
        assert sent == []  # an equal frame sends nothing
        chart.show(changed_plot(plot, curves=[changed_plot(VAL, latest="0.3000")]))
        ((region,),) = sent
        assert region == (34, 0, 1, 1)  # only the digit that changed


async def test_powers_are_read_at_the_cursor() -> None:
    app = ChartApp()
    exponents = [-6.0, -4.5, -3.0]
    losses = Curve("loss", "curve-train", exponents, [3.0, 2.0, 1.0])
    mark = Curve("suggested", "curve-test", [-4.5], [2.0], latest="3.2e-5")
    async with app.run_test(size=(80, 24)) as pilot:
        chart = app.query_one(Chart)
        await pilot.pause()
        chart.show(Plot([losses, mark], (-6.0, -3.0), whole=False, powers=True, unit="rate {}", stops=exponents))
        assert "loss 1 " in words(chart)
        assert "rate 1e-3" in words(chart)
        chart.move_cursor(-3)
        assert "rate 1e-6" in words(chart)
        assert "loss 3 " in words(chart)
        assert "suggested 3.2e-5" in words(chart)  # a single point is nowhere else


def test_an_exponent_is_told_as_a_power_of_ten() -> None:
    for exponent, text in (
        (-6.0, "1e-6"),
        (0.0, "1e0"),
        (-2.5, "3.2e-3"),
        (-2.00001, "1e-2"),
        (math.log10(0.96), "9.6e-1"),
    ):
        assert power(exponent) == text
        assert float(text) == pytest.approx(10**exponent, rel=0.05)
    across = Across(-6.0, 0.0, 100)
    assert [mark.text for mark in marks(across, "rate {}", powers=True)] == [
        *("1e-6", "1e-5", "1e-4", "1e-3", "1e-2", "1e-1", "rate 1e0")
    ]
    near = [mark.text for mark in marks(Across(-3.0, -2.0, 100), powers=True)]
    assert len(near) > 2
    assert near[-1] == "1e-2"


@pytest.mark.parametrize("width", [24, 40, 80, 120])
async def test_the_legend_names_every_curve(width: int) -> None:
    app = ChartApp()
    names = [f"curve number {n}" for n in range(6)]
    curves = [Curve(name, ink, [0, 1], [0.1, 0.2]) for name, ink in zip(names, theme.SERIES, strict=False)]
    others = [Curve("2 others", "curve-running", [0, 1], [0.3, y], layer="back", form="") for y in (0.1, 0.2)]
    band = Band("curve-train", [0, 1], [0.1, 0.1], [0.2, 0.2], "95 % interval")
    async with app.run_test(size=(200, 60)) as pilot:
        chart = app.query_one(Chart)
        chart.styles.width, chart.styles.height = width, 30
        await pilot.pause()
        chart.show(Plot([*others, *curves], bands=[band]))
        shown = " ".join(words(chart).split())
        for name in (*names, "95 % interval"):
            assert name in shown
        assert shown.count("2 others") == 1
        assert any("┤" in line for line in text(chart))
        chart.styles.height = 3  # no room for curves, but for what there is to say
        await pilot.pause()
        assert not any("┤" in line for line in text(chart))


async def reader(pilot: Pilot[None]) -> Chart:
    chart = pilot.app.query_one(Chart)
    chart.styles.width = 100
    await pilot.pause()
    train = Curve("train", "curve-train", [1, 2, 3, 4], [0.4, 0.3, 0.2, 0.1], form="{:.4f}")
    short = Curve("short", "curve-test", [1, 2], [0.7, 0.6], form="{:.4f}")
    running = Curve("running", "curve-running", [0.5, 1.5, 2.5, 3.5], [9, 8, 7, 6], form="{:.1f}", layer="back")
    chart.show(Plot([running, train, short], (0, 40), unit="epoch {}"))
    return chart


async def test_a_cursor_reads_off_every_curve() -> None:
    app = ChartApp()
    async with app.run_test(size=(120, 40)) as pilot:
        chart = await reader(pilot)
        assert "epoch 4 " not in text(chart)[0]
        assert "running 6.0  ⠒⠒ train 0.1000  ⠒⠒ short 0.6000" in text(chart)[0]
        for by, place, values in [
            (-1, "epoch 4", ("6.0", "0.1000", "-")),
            (-2, "epoch 2", ("8.0", "0.3000", "0.6000")),
            (-9, "epoch 1", ("9.0", "0.4000", "0.7000")),
            (1, "epoch 2", ("8.0", "0.3000", "0.6000")),
        ]:
            chart.move_cursor(by)
            head = text(chart)[0]
            assert place in head
            expected = zip(("running", "train", "short"), values, strict=True)
            assert all(f"{name} {value}" in head for name, value in expected)
        chart.move_cursor(9)  # beyond the last point: the latest values
        assert chart.cursor is None
        assert "epoch" not in text(chart)[0]


async def test_zoom_is_around_the_cursor() -> None:
    app = ChartApp()
    async with app.run_test(size=(120, 40)) as pilot:
        chart = await reader(pilot)
        chart.move_cursor(-3)
        chart.zoom_in()
        chart.zoom_in()
        assert text(chart)[0].startswith("─ loss zoom 4x ")
        assert text(chart)[-1].split()[-2:] == ["epoch", "10"]
        for _ in range(20):
            chart.zoom_in()
        assert chart.zoom == chart.plot.deepest
        assert text(chart)[-1].split() == ["1", "2", "epoch", "3"]
        chart.zoom_out()
        assert chart.zoom == chart.plot.deepest - 1
        chart.zoom_reset()
        assert text(chart)[-1].split()[-2:] == ["epoch", "40"]
        assert "zoom" not in text(chart)[0]
        chart.zoom_out()
        assert chart.zoom == 0


@pytest.mark.parametrize("logarithmic", [False, True])
@pytest.mark.parametrize("ys", [[0.0] * 3, [0.0, float("nan"), 0.1], [float("nan")] * 3, [float("inf"), 0.1, 0.2]])
async def test_zeros_and_what_is_no_number_leave_a_chart(ys: list[float], logarithmic: bool) -> None:
    app = ChartApp()
    async with app.run_test() as pilot:
        chart = app.query_one(Chart)
        for span in (None, (0.0, 1.0), (min(ys) * 0.8, max(ys) * 1.25)):
            bands = [Band("curve-val", [1, 2, 3], ys, [y + 1 for y in ys])]
            curves = [Curve("val", "curve-val", [1, 2, 3], ys, "0.1"), Curve("", "curve-val", [1.0], [0.1])]
            chart.show(Plot(curves, (0, 3), span, bands, logarithmic=logarithmic))
            chart.redraw()
            await pilot.pause()
            assert "val 0.1" in text(chart)[0]
            assert all(style is not None for row in chart._rows for _, style in row)


# Growing curves


def test_a_trace_of_few_points_is_those_points() -> None:
    trace = Trace()
    for x in range(MOST):
        trace.add(x, -x)
    trace.add(MOST, float("nan"))
    assert trace.points() == (list(range(MOST)), [-x for x in range(MOST)])


def test_a_trace_of_many_keeps_what_one_sees() -> None:
    trace = Trace()
    for x in range(10 * MOST):
        trace.add(x, {7777: 9.0, 7778: -9.0}.get(x, x % 3))
    xs, ys = trace.points()
    assert len(xs) <= 2 * MOST + 1
    assert xs == sorted(set(xs))
    assert (ys[xs.index(7777)], ys[xs.index(7778)]) == (max(ys), min(ys)) == (9.0, -9.0)
    assert xs[-1] == 10 * MOST - 1


def test_traces_follow_a_run_that_trains_an_epoch_again() -> None:
    history, traces = pretrained("cnn").history(), RunTraces()
    assert traces.follow(history)
    assert traces.fields["val_loss"].points()[1] == [epoch.val_loss for epoch in history.epochs]
    assert traces.running.points()[1] == [loss for epoch in history.epochs for loss in epoch.running_loss]
    history.add(replace(history.epochs[9], val_loss=0.5))
    assert traces.follow(history)
    assert traces.fields["val_loss"].points()[1] == [*(epoch.val_loss for epoch in history.epochs[:9]), 0.5]


def test_the_curves_of_a_long_run_are_taken_in_by_parts() -> None:
    epoch = pretrained("cnn").history().epochs[0]
    history, traces = RunHistory(), RunTraces()
    for n in range(1, AT_ONCE + 2):
        history.add(replace(epoch, epoch=n, running_loss=(0.3, 0.2, 0.1, 0.2)))
    assert not traces.follow(history)
    assert traces.follow(history)
    assert traces.fields["test_accuracy"].points()[0][-1] == AT_ONCE + 1
    xs, ys = traces.running.points()
    assert (min(ys), max(ys), xs[-1]) == (0.1, 0.3, AT_ONCE + 0.5)
