"""The results of attacks: the notebook's figures of section 3, and curves over many digits."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from engine.attacks.events import (
    CERTIFIED,
    AttackFinished,
    BetaSwept,
    RobustnessMeasured,
    TransferMeasured,
    UniversalMade,
)
from engine.attacks.requests import ATTACK_TITLES
from engine.figures.drawing.mosaic import BAR, Mosaic, colour_bar, show
from engine.figures.drawing.page import BLUE, FAINT, GREEN, SERIES, SMALL, VERMILLION, WIDTH, page, panel, small_print
from engine.words import percent

_DASHES = {"pgd": "-", "cw": "-", "apgd": "-", "autoattack": "-", "certified": "-", "fgsm": "--", "square": "--"}
_DASHES |= {"deepfool": "-.", "fab": "-.", "random": ":"}
NORMS = {"linf": "L∞", "l2": "L2"}
_TITLES = {
    "noise": "From noise: images that the network classifies as a given class",
    "targeted": "Targeted adversarial attack: logit ascent with a squared-error penalty",
}
_MOST = 10
"""Maximum number of images in a row."""


def attack_figure(event: AttackFinished) -> Figure:
    """For noise, each image beside its cost history; for digits, original, adversarial image and difference."""
    return _noise(event) if event.attack == "noise" else _gallery(event)


def _settings(event: AttackFinished) -> str:
    parts, at_digit = [], event.settings.get("start") == "digit"
    for name, value in event.settings.items():
        if (name, value) in (("precision", "double"), ("loss", "ce")):
            continue
        if (name in ("target", "confidence") and value in (-1, 0.0)) or (at_digit and name in ("start", "seed")):
            continue
        words = {"optimizer": "", "start": "from "}.get(name, f"{name.replace('_', ' ')} ")
        parts.append(f"{words}{f'{value:g}' if isinstance(value, float) else value}")
    return ", ".join(parts)


def _noise(event: AttackFinished) -> Figure:
    """The notebook's figure of section 3.1, two classes per line."""
    image, chart, line = 1.0, 1.9, 1.5
    rows = math.ceil(len(event.images) / 2)
    figure = page(rows * line + 0.15, _TITLES["noise"], small_print(event, _settings(event)))
    for number, (made, history) in enumerate(zip(event.images, event.history, strict=True)):
        row, column = divmod(number, 2)
        left, top = 0.15 + column * (WIDTH / 2), 0.3 + row * line
        axes = panel(figure, left, top, image, image)
        show(axes, event.adversarial[number], (0.0, 1.0), "gray")
        final = float(event.probabilities[number, made.index])
        axes.set_title(f"Target: {made.index}\nFinal Prob: {final:.4f}", fontsize=7)
        axes = panel(figure, left + image + 0.45, top, chart, image)
        axes.plot(range(len(history)), history, color=BLUE, linewidth=1)
        axes.set_title(f"Cost History for Target {made.index}", fontsize=7)
        axes.tick_params(labelsize=6)
        axes.set_ylabel("Logit Score", fontsize=6)
        axes.set_xlim(0, len(history) - 1)
        ticks = MaxNLocator(4, integer=True).tick_values(0, len(history) - 1)
        axes.set_xticks([tick for tick in ticks if 0 <= tick < len(history)])
        axes.grid(True)
        if row == rows - 1:
            axes.set_xlabel("Iteration", fontsize=6)
    return figure


def _gallery(event: AttackFinished) -> Figure:
    """The notebook's gallery of section 3.2, with the originals and the differences, which it leaves out."""
    count = min(len(event.images), _MOST)
    difference = event.adversarial[:count] - event.original[:count]
    label, width = 0.34, WIDTH - 0.9
    tile = width / max(count, 5) * count - 0.08
    images = (event.original[:count], event.adversarial[:count], difference)
    mosaics = [Mosaic(each, count, tile, label, gap=0.1) for each in images]
    height = sum(mosaic.height + label for mosaic in mosaics) + BAR + 0.1
    title = _TITLES.get(event.attack, ATTACK_TITLES.get(event.attack, event.attack))
    success = f"{event.successes} of {len(event.images)} fooled"
    left_out = f", {count} shown" if count < len(event.images) else ""
    notes = (event.source, success + left_out, _settings(event))
    figure = page(height, title, small_print(event, *notes))
    most = float(np.abs(difference).max()) or 1.0
    top, left = label, 0.75
    spans = (((0.0, 1.0), "gray"), ((0.0, 1.0), "gray"), ((-most, most), "diverging"))
    for mosaic, (span, colours), name in zip(mosaics, spans, ("original", "adversarial", "difference"), strict=True):
        axes, shown = mosaic.draw(figure, (left, top), span, colours)  # type: ignore[arg-type]
        for i, made in enumerate(event.images[:count]):
            if name == "original":
                text, colour = f"{made.index}: actual {made.actual}\npredicted {made.before}", "black"
            elif name == "adversarial":
                text = f"predicted {made.predicted}\n{percent(made.probability)}"
                colour = VERMILLION if made.success else "black"
            else:
                text, colour = f"L∞ {made.linf:.3f}\nL2 {made.l2:.3f}", FAINT
            mosaic.write(axes, i, text, 5.5, above=0.03, colour=colour)
        figure.text(0.1 / WIDTH, 1 - (0.45 + top + mosaic.height / 2) / (height + 0.75), name, fontsize=7, va="center")
        top += mosaic.height + label
    colour_bar(figure, shown, top - label, "difference of pixel values")
    return figure


def _robustness_title(event: RobustnessMeasured) -> str:
    proved = " and proved" if any(event.unknown(network) for network in event.networks) else ""
    return f"Accuracy under attack{proved}, in the {NORMS[event.norm]} norm"


def robustness_figure(event: RobustnessMeasured) -> Figure:
    """Accuracy by epsilon with 95 % intervals, and below it the images that were fooled first.

    Between what the strongest attack leaves and what is proved, the unknown is hatched. A point is hollow where a
    weaker attack, or a smaller epsilon, fools more.
    """
    fallen = event.fallen
    chart, tile = 2.6, 0.62
    height = chart + 0.65 + (tile + 0.65 if fallen else 0.0)
    count = event.points[0].count
    notes = [f"{count:,} images", "bands: 95 % intervals (Wilson)"]
    if any(point.beaten_by for point in event.points):
        notes.append("hollow: a weaker attack or a smaller epsilon fools more")
    figure = page(height, _robustness_title(event), small_print(event, *notes))
    axes = panel(figure, 0.6, 0.1, 4.4, chart)
    numbers = event.colours
    enough = max(numbers.values()) < len(SERIES)  # if not, a colour for each network: their curves differ in dashes
    for (network, attack), number in numbers.items():
        points = event.curve(network, attack)
        colour = SERIES[(number if enough else event.networks.index(network)) % len(SERIES)]
        across = [point.epsilon for point in points]
        words, thin = f"{network}, {ATTACK_TITLES[attack]}", 0.5 if event.thin(attack) else 1.0
        heights = [100 * p.accuracy for p in points]
        axes.plot(across, heights, _DASHES[attack], color=colour, linewidth=1.2 * thin, label=words)
        bands = [100 * p.low for p in points], [100 * p.high for p in points]
        axes.fill_between(across, *bands, color=colour, alpha=0.12, linewidth=0)
        for point in points:
            face = "white" if point.beaten_by else colour
            place = point.epsilon, 100 * point.accuracy
            axes.plot(*place, "o", color=colour, markerfacecolor=face, markersize=3 * thin, zorder=3)
        if attack == CERTIFIED and (between := event.unknown(network)):
            above, below = ([100 * pair[side].accuracy for pair in between] for side in (0, 1))
            across = [attacked.epsilon for attacked, _ in between]
            axes.fill_between(
                across, below, above, facecolor="none", edgecolor=colour, hatch="////", linewidth=0, alpha=0.35,
                label=f"{network}, unknown",
            )  # fmt: skip
    most = max(point.epsilon for point in event.points) or 1.0
    axes.set(xlabel=f"epsilon ({NORMS[event.norm]}, pixel values)", ylabel="Accuracy (%)", ylim=(-2, 102))
    axes.set_xlim(-0.03 * most, 1.03 * most)
    axes.set_xticks([tick for tick in MaxNLocator(7).tick_values(0, most) if 0 <= tick <= 1.001 * most])
    axes.set_yticks(range(0, 101, 20))
    axes.grid(True)
    figure.legend(loc="upper left", bbox_to_anchor=(5.05 / WIDTH, 1 - 0.5 / (height + 0.75)), fontsize=6)
    medians = [f"median L2, {name}: {value:.3f}" for name, value in event.median_l2.items() if not math.isnan(value)]
    figure.text(5.1 / WIDTH, (0.3 + height - chart) / (height + 0.75), "\n".join(medians), fontsize=SMALL, color=FAINT)
    if fallen:
        left, top = 0.15, chart + 0.95
        mosaic = Mosaic(event.fallen_images, len(fallen), len(fallen) * (tile + 0.06) - 0.06, 0.0, gap=0.1)
        axes, _ = mosaic.draw(figure, (left, top), (0.0, 1.0), "gray")
        for i, each in enumerate(fallen):
            mosaic.write(axes, i, f"{each.index}: {each.actual} → {each.taken_for}\nε {each.epsilon:.3g}", 5.5)
        words = f"Fooled first: {event.networks[0]} under {ATTACK_TITLES[event.fallen_by]}"
        figure.text(left / WIDTH, 1 - (0.45 + chart + 0.68) / (height + 0.75), words, fontsize=SMALL + 0.5)
    return figure


def beta_figure(event: BetaSwept) -> Figure:
    """Success rate, L2 and L-infinity norm by penalty weight."""
    notes = (
        f"{event.averaged} images towards {event.target}",
        f"{event.steps} steps of {event.step_size:g}",
        "bars: standard deviation over images",
    )
    figure = page(2.6, "Does the squared-error penalty keep the image close?", small_print(event, *notes))
    places = range(len(event.points))
    names = ["0", *(f"1e{round(math.log10(point.beta))}" for point in event.points[1:])]
    panels = (("success", "Success (%)", VERMILLION), ("l2", "L2", BLUE), ("linf", "L∞", GREEN))
    for number, (field, label, colour) in enumerate(panels):
        axes = panel(figure, 0.55 + number * 2.25, 0.25, 1.75, 1.8)
        values = [getattr(point, field) * (100 if field == "success" else 1) for point in event.points]
        spread = [getattr(point, f"{field}_spread", 0.0) for point in event.points]
        axes.errorbar(places, values, spread, color=colour, marker="o", capsize=2, elinewidth=0.7)
        axes.set_xticks(places, labels=names, rotation=60, fontsize=6)
        axes.set(xlabel="beta", title=label)
        axes.set_ylim(0, 104 if field == "success" else None)
        axes.grid(True)
    return figure


def transfer_figure(event: TransferMeasured) -> Figure:
    """The share of images made for the network of a row that fool the network of a column."""
    size = 0.75
    count = len(event.networks)
    bound = "" if event.epsilon is None else f", {NORMS[event.norm]} {event.epsilon:g}"
    title = f"Transfer of adversarial images: {ATTACK_TITLES[event.attack]}{bound}"
    notes = (f"{event.averaged:,} images that all classify correctly", "rows: made for, columns: tested on")
    figure = page(count * size + 0.7, title, small_print(event, *notes))
    axes = panel(figure, (WIDTH - count * size) / 2, 0.45, count * size, count * size)
    axes.imshow(event.success, cmap="viridis", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(np.array(event.success)):
        axes.text(
            column, row, f"{100 * share:.1f} %", fontsize=8, color="white" if share < 0.6 else "black",
            ha="center", va="center",
        )  # fmt: skip
    axes.set_xticks(range(count), labels=event.networks, fontsize=6)
    axes.set_yticks(range(count), labels=event.networks, fontsize=6)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    return figure


def universal_figure(event: UniversalMade) -> Figure:
    """The perturbation, and below it some of the images that it was tested on, without it and with it."""
    count, side, label = len(event.originals), 1.6, 0.34
    width = WIDTH - 0.9
    tile = width / max(count, 5) * count - 0.08
    rows = [Mosaic(images, count, tile, label, gap=0.1) for images in (event.originals, event.adversarial)]
    wanted = "prediction changed" if event.target < 0 else f"predicted as {event.target}"
    notes = (
        f"fitted to {event.made_of:,} training images",
        f"L∞ {event.epsilon:g}, {event.steps} steps of {event.step_size:g}",
    )
    height = side + 0.2 + sum(row.height + label for row in rows)
    figure = page(height, "One perturbation for many images", small_print(event, *notes))
    left, top = 0.75, side + 0.2 + label
    most = float(np.abs(event.perturbation).max()) or 1.0
    axes = panel(figure, left, 0.1, side, side)
    show(axes, event.perturbation, (-most, most), "diverging")
    facts = (
        f"the perturbation: from {event.perturbation.min():.3f} to {event.perturbation.max():.3f}\n"
        f"{wanted} for {percent(event.fooling_rate)} of {event.averaged:,} images that it was not fitted to\n"
        f"(for {percent(event.by_chance)} with a random perturbation of the same size)\n"
        f"accuracy {percent(event.accuracy_before)} without it, {percent(event.accuracy)} with it"
    )
    figure.text((left + side + 0.2) / WIDTH, 1 - (0.45 + side / 2) / (height + 0.75), facts, fontsize=7, va="center")
    for row, name, predicted in zip(rows, ("original", "adversarial"), (event.before, event.predicted), strict=True):
        axes, _ = row.draw(figure, (left, top), (0.0, 1.0), "gray")
        for i in range(count):
            colour = VERMILLION if name == "adversarial" and event.fooled[i] else "black"
            row.write(axes, i, f"actual {event.actual[i]}\npredicted {predicted[i]}", 5.5, above=0.03, colour=colour)
        figure.text(0.1 / WIDTH, 1 - (0.45 + top + row.height / 2) / (height + 0.75), name, fontsize=7, va="center")
        top += row.height + label
    return figure
