"""The benchmark: how many times faster than its peers, what the machine can do, and the app while it trains."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from engine.benchmark.events import REACHED, BenchFinished, Measurement, three_digits
from engine.figures.drawing.page import BLUE, FAINT, SERIES, SMALL, VERMILLION, WIDTH, joined, page, panel

COLOURS = {"cnn": BLUE, "cnn-bn": VERMILLION}
LINE = 0.3
"""Height of a comparison, which has both variants, in inches."""
BAR = 0.2
"""Height of a rate, in inches."""
LABELS, CHART = 2.2, 2.75
"""Width of the names of the comparisons, and of their chart, in inches."""
PEERS = {"notebook": "the notebook"}
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def benchmark_figure(event: BenchFinished) -> Figure:
    """How many times faster, with the range over rounds, above; the machine's rates and the app's figures below."""
    compared = [row for row in event.rows if row.ratio is not None]
    names = list(dict.fromkeys(_named(row) for row in compared))
    bars = _bars(event.rows)
    app = [row for row in event.rows if row.section == "app"]
    upper, lower = LINE * len(names), BAR * max(len(bars), len(app) + 1)
    machine = (event.machine.get("processor", ""), event.device_name, f"PyTorch {event.versions.get('torch', '')}")
    notes = (*machine, "medians, bars: range over rounds", *(("quick",) if event.quick else ()))
    figure = page(upper + lower + 1.15, "Speed beside the notebook's own code", joined(*notes))
    _comparisons(panel(figure, LABELS, 0.1, CHART, upper), compared, names)
    if bars:
        _rates(panel(figure, LABELS, upper + 0.8, CHART, BAR * len(bars)), bars)
    if app:
        total = float(figure.get_size_inches()[1])
        left, top = (LABELS + CHART + 0.5) / WIDTH, 1 - (0.45 + upper + 0.72) / total
        figure.text(left, top, "The app", fontsize=8.5, va="center")
        for number, row in enumerate(app, 1):
            words = f"{row.name}: {three_digits(row.median)} {row.unit}"
            figure.text(left, top - (0.04 + number * BAR) / total, words, fontsize=SMALL, va="center")
    return figure


def _named(row: Measurement) -> str:
    """The name of a comparison, without its variant."""
    return ", ".join(filter(None, (row.name, row.precision))) + f"\nagainst {PEERS.get(row.peer, row.peer)}"


def _comparisons(axes: Axes, rows: Sequence[Measurement], names: Sequence[str]) -> None:
    """A point for each variant of each comparison, with its range, and the two medians beside it."""
    variants = list(COLOURS)
    ends = []
    for row in rows:
        assert row.ratio is not None
        assert row.ratio_low is not None
        assert row.ratio_high is not None
        assert row.peer_median is not None
        ends += [row.ratio_low, row.ratio_high]
        colour = COLOURS.get(row.variant, FAINT)
        place = names.index(_named(row)) + (0.2 if variants.index(row.variant) else -0.2)
        spread = [[row.ratio - row.ratio_low], [row.ratio_high - row.ratio]]
        axes.errorbar([row.ratio], [place], xerr=spread, fmt="o", color=colour, elinewidth=0.9, capsize=1.5)
        words = f"{row.ratio:.1f}×   {three_digits(row.peer_median)} → {three_digits(row.median)} {row.unit}"
        axes.text(1.03, place, words, transform=axes.get_yaxis_transform(), fontsize=6, va="center", color=colour)
    for variant, colour in COLOURS.items():
        axes.plot([], [], "o", color=colour, label=variant)
    axes.axvline(1, color=FAINT, linewidth=0.6)
    axes.set_xscale("log")
    low, high = min(*ends, 1) / 1.15, max(*ends, 2) * 1.15
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in TICKS if low <= tick <= high]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda tick, _: f"{tick:g}×")
    axes.set(xlim=(low, high), ylim=(len(names) - 0.5, -0.5), xlabel="times faster")
    axes.set_yticks(range(len(names)), labels=names, fontsize=6.5, linespacing=1.0)
    axes.tick_params(axis="y", length=0)
    axes.grid(True, axis="x")
    axes.set_axisbelow(True)
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, handletextpad=0.1, borderaxespad=0.1)
    axes.text(
        1.03, -0.62, "peer → this program", transform=axes.get_yaxis_transform(), fontsize=6, color=FAINT, va="center"
    )


def _bars(rows: Sequence[Measurement]) -> list[tuple[str, float, float, float, str]]:
    """Name, rate, its range and colour of each bar: the machine's rates and those of the training steps, in GFLOP/s."""
    found = [
        (f"{row.name}, {row.precision}", row.median, row.low, row.high, "#8C8C8C")
        for row in rows
        if row.unit == "GFLOP/s"
    ]
    for row in (each for each in rows if each.name == REACHED):
        best = max(each.median for each in rows if each.unit == "GFLOP/s" and each.precision == row.precision) / 100
        name = f"training step, {row.variant}, {row.precision}"
        found.append((name, best * row.median, best * row.low, best * row.high, COLOURS.get(row.variant, SERIES[0])))
    return found


def _rates(axes: Axes, bars: Sequence[tuple[str, float, float, float, str]]) -> None:
    most = max(high for *_, high, _ in bars)
    for number, (_, rate, low, high, colour) in enumerate(bars):
        axes.barh(number, rate, height=0.62, color=colour)
        axes.plot([low, high], [number, number], color="black", linewidth=0.8)
        axes.text(high + 0.02 * most, number, three_digits(rate), fontsize=6, va="center")
    axes.set_yticks(range(len(bars)), labels=[name for name, *_ in bars], fontsize=6.5)
    axes.tick_params(axis="y", length=0)
    axes.set(ylim=(len(bars) - 0.5, -0.5), xlim=(0, 1.12 * most), title="What this machine computes (GFLOP/s)")
