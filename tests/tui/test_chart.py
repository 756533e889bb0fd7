"""The arithmetic of charts, and a small chart as literal text."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from textual.app import App, ComposeResult

from engine.runs.finding import pretrained
from engine.runs.history import RunHistory
from tui.drawing.theme import DARK
from tui.widgets.cells import CellWidget
from tui.widgets.chart import Chart, Curve, decimate, labels, log_ticks, ticks
from tui.widgets.traces import AT_ONCE, MOST, RunTraces, Trace


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


def test_log_ticks_span_the_decades() -> None:
    assert log_ticks(0.003, 0.3, 7) == pytest.approx([0.005, 0.01, 0.02, 0.05, 0.1, 0.2])
    assert log_ticks(0.0001, 1.0, 5) == pytest.approx([0.0001, 0.001, 0.01, 0.1, 1.0])


def test_labels_align_at_the_point() -> None:
    assert labels([0.0, 0.05, 0.1]) == ["  0.00", "  0.05", "  0.10"]
    assert labels([98, 100]) == ["    98", "   100"]


def test_decimation_keeps_what_one_sees() -> None:
    ys = [0.0] * 1000
    ys[417], ys[418] = 5.0, -5.0
    xs, kept = decimate(range(1000), ys, 50)
    assert len(xs) <= 100
    assert max(kept) == 5.0
    assert min(kept) == -5.0
    assert xs == sorted(xs)
    assert decimate([1, 2], [3, 4], 50) == ([1, 2], [3, 4])


class ChartApp(App[None]):
    CSS = "Chart { width: 40; height: 8; }"

    def compose(self) -> ComposeResult:
        yield Chart("loss", empty="nothing yet")

    def on_mount(self) -> None:
        self.register_theme(DARK)
        self.theme = DARK.name


def text(widget: CellWidget) -> list[str]:
    """The lines that the widget shows."""
    return ["".join(character for character, _ in row).rstrip() for row in widget._rows]


async def test_a_small_chart() -> None:
    app = ChartApp()
    async with app.run_test() as pilot:
        chart = app.query_one(Chart)
        await pilot.pause()
        assert text(chart)[0] == "─ loss " + "─" * 33
        assert text(chart)[4].strip() == "nothing yet"
        chart.show([Curve("val", "curve-val", [0, 1, 2], [0.0, 0.1, 0.2], "0.2000")], (0, 2), (0, 0.2))
        await pilot.pause()
        assert text(chart)[0] == "─ loss " + "─" * 17 + " ⠒⠒ val 0.2000 ─"
        assert text(chart)[1] == "   0.2┤" + " " * 27 + "⢀⣀⠤⠤⠒⠊"
        assert text(chart)[-1].split() == ["0", "1", "2"]
        assert all(style is not None for row in chart._rows for _, style in row)


async def test_only_the_rows_that_changed_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    app = ChartApp()
    async with app.run_test() as pilot:
        chart = app.query_one(Chart)
        curve = Curve("val", "curve-val", [0, 1, 2], [0.0, 0.1, 0.2], "0.2000")
        chart.show([curve], (0, 2), (0, 0.2))
        await pilot.pause()
        sent: list[tuple[object, ...]] = []
        monkeypatch.setattr(chart, "refresh", lambda *regions, **_: sent.append(regions))
        chart.redraw()
        assert sent == []  # an equal frame sends nothing
        chart.show([Curve("val", "curve-val", [0, 1, 2], [0.0, 0.1, 0.2], "0.3000")], (0, 2), (0, 0.2))
        ((region,),) = sent
        assert region == (34, 0, 1, 1)  # only the digit that changed


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


@pytest.mark.parametrize("logarithmic", [False, True])
@pytest.mark.parametrize("ys", [[0.0] * 3, [0.0, float("nan"), 0.1], [float("nan")] * 3, [float("inf"), 0.1, 0.2]])
async def test_zeros_and_what_is_no_number_leave_a_chart(ys: list[float], logarithmic: bool) -> None:
    app = ChartApp()
    async with app.run_test() as pilot:
        chart = app.query_one(Chart)
        for span in (None, (0.0, 1.0), (min(ys) * 0.8, max(ys) * 1.25)):
            chart.show([Curve("val", "curve-val", [1, 2, 3], ys, "0.1")], (0, 3), span, logarithmic=logarithmic)
            chart.redraw()
            await pilot.pause()
            assert "val 0.1" in text(chart)[0]
            assert all(style is not None for row in chart._rows for _, style in row)
