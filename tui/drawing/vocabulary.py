"""Wording of results that screens and tables share."""

from __future__ import annotations

import math

from engine.attacks.events import BetaSwept, RobustnessMeasured
from engine.attacks.requests import ATTACK_TITLES
from engine.certification.events import DigitCertified
from engine.inspection.audit_events import DisputedLabel
from engine.inspection.unit_events import Ablation
from engine.runs.events import Spread
from engine.words import percent
from tui.drawing.terminal import glyphs
from tui.drawing.words import counted

BASELINES = {"zero": "0", "mean": "its mean", "one": "1"}
"""What a patch is filled with, by the name of the baseline; other names, and grays, as they are."""
NORMS = {"linf": "L-inf", "l2": "L2"}
"""The norms as people write them."""
UNITS = {"seconds per epoch": (2, " s"), "joules per epoch": (1, " J"), "peak memory": (0, " MB")}
"""Decimals and unit of measures that are neither shares nor losses."""
NO_NUMBERS = "the network outputs no finite numbers: its weights are damaged"


def with_spread(measure: str, value: Spread) -> str:
    """A mean and, for several runs, the standard deviation, in the unit of `measure`."""
    factor, digits, unit = (100.0, 2, " %") if "accuracy" in measure else (1.0, 4, "")
    if measure in UNITS:
        digits, unit = UNITS[measure]
    mean = f"{factor * value.mean:,.{digits}f}"
    if math.isnan(value.deviation):
        return f"{mean}{unit}"
    return f"{mean} {glyphs().spread} {factor * value.deviation:,.{digits}f}{unit}"


def patch_words(size: int, baseline: str, stride: int) -> str:
    """A patch as in `8x8, filled with 0, stride 1`."""
    return f"{size}x{size}, filled with {BASELINES.get(baseline, baseline)}, stride {stride}"


def answered(title: str, answer: int, actual: int) -> str:
    """A title with the predicted class, after an arrow if it is wrong: `fog 8`, `stripe→5`."""
    return f"{title}{' ' if answer == actual else glyphs().arrow}{answer}"


def digit_answer(event: DigitCertified) -> str:
    """How far a digit is safe, as in `proved to 0.0830, broken from 0.121, unknown between`."""
    if event.predicted != event.actual:
        return f"misclassified as {event.predicted} as it is, so nothing can be proved"
    proved, broken = event.limits
    if not broken:
        return f"proved to {proved}, broken by no attack, unknown beyond"
    return f"proved to {proved}, broken from {broken}, unknown between"


def sure(probability: float) -> str:
    """A probability as short text; only values from 0.9995 up are rounded to 100 %."""
    return "100 %" if probability >= 0.9995 else f"{probability * 100:.1f} %"


def votes(label: DisputedLabel) -> str:
    """What raters said of a label, as in `0 say 8, 5 say 9`, or `0 say 6, 2 say 1, 3 neither`."""
    neither = f", {label.for_neither} neither" if label.for_neither else ""
    return f"{label.for_label} say {label.label}, {label.for_other} say {label.other}{neither}"


def starts_answer(event: RobustnessMeasured) -> str:
    """How many random starts attacks had, as in `PGD (dlr) from 5 starts, AutoAttack from 10`; empty without any."""
    found = {(p.attack, p.loss, p.starts) for p in event.points if p.starts}
    order = [attack for _, attack in event.curves]
    parts: list[str] = []
    for attack, loss, starts in sorted(found, key=lambda each: order.index(each[0])):
        name = ATTACK_TITLES[attack] + (f" ({loss})" if loss not in ("", "ce") else "")
        parts.append(f"{name} from {f'{starts:,}' if parts else counted(starts, 'start')}")
    return ", ".join(parts)


def beta_answer(event: BetaSwept) -> list[str]:
    """The sweep's verdict on the notebook's claim, in sentences."""
    if len(event.points) == 1:
        return ["the attack already fails without a penalty (beta 0): there is nothing to compare"]
    notebooks, free = event.points[1], event.points[0]
    change = abs(notebooks.closer) / free.l2 if free.l2 else 0.0
    nothing = ": it does nothing" if change < event.CLEAR else ""
    works = "no beta keeps" if event.works_from is None else f"beta {event.works_from:g} or more keeps"
    fails = "" if event.fails_from is None else f"; {event.fails_from:g} or more stops the attack"
    return [
        f"the notebook's beta of 1e-5 changes L2 by {100 * change:.1g} %{nothing}",
        f"{works} the image closer{fails}",
    ]


def number_of_times(ratio: float) -> str:
    """How many times something is another, as in `2.4x`; a dash for NaN."""
    return "-" if math.isnan(ratio) else f"{ratio:.1f}x"


def unit_title(layer: str, unit: int) -> str:
    """A unit as in `conv2 unit 17`, `hidden neuron 4`."""
    return f"{layer} {'neuron' if layer == 'hidden' else 'unit'} {unit}"


def ablation_words(ablation: Ablation) -> str:
    """What is lost without a unit, as a line."""
    without, before = percent(ablation.accuracy_without), percent(ablation.accuracy)
    return f"without it {without} accuracy, not {before}; {counted(ablation.changed, 'prediction')} changed"
