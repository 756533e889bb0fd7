"""Comparison of runs: their settings, their results, and whether the differences are significant.

Runs that differ only in their seed are a group. Two groups are compared with Welch's interval; a single run gives none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Generator, Sequence
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from statistics import fmean, median, stdev

import numpy as np
from msgspec.structs import replace

from engine.event import Event
from engine.request import RequestError, parameters
from engine.runs.events import Contrast, RunGroup, RunsCompared, Spread
from engine.runs.finding import find_run
from engine.runs.folder import RunFolder
from engine.runs.history import FIELDS, ROBUST_FIELDS, RunHistory
from engine.runs.origin import read_origin
from engine.runs.requests import CompareRuns
from engine.telemetry.events import Usage
from engine.training.events import EpochFinished
from engine.training.recipes import FIELDS as FIELDS_OF_RECIPES
from engine.training.recipes import changed, recipe_words
from engine.training.requests import Train, without_effect

MEASURES: dict[str, Callable[[RunHistory], float]] = {
    "test accuracy": lambda run: _best(run).test_accuracy,
    "highest test accuracy": lambda run: max(epoch.test_accuracy for epoch in run.epochs),
    "validation loss": lambda run: _best(run).val_loss,
    "seconds per epoch": lambda run: median(epoch.train_seconds + epoch.eval_seconds for epoch in run.epochs),
}
"""The measures that are compared. The first is that of the best epoch, chosen on validation images, so no choice
depends on test images. For the second it does: it is often quoted, but too high.
"""
USAGES: dict[str, Callable[[RunHistory], float | None]] = {
    "joules per epoch": lambda run: median(found) if (found := _used(run, lambda usage: usage.energy)) else None,
    "peak memory": lambda run: max(_used(run, lambda usage: usage.device_memory), default=None),
}
"""What runs used of the device that they were trained on, GPU or CPU, which not all of them know; memory in MB."""
MOST = 2000
"""Maximum number of epochs in a curve: more than a terminal or a page can resolve."""


def _best(run: RunHistory) -> EpochFinished:
    best = run.best
    assert best is not None
    return best


def _used(run: RunHistory, value: Callable[[Usage], float | None]) -> list[float]:
    """A value of each epoch that knows it."""
    return [known for epoch in run.epochs if epoch.usage and (known := value(epoch.usage)) is not None]


def _robustness(epsilon: float) -> dict[str, Callable[[RunHistory], float | None]]:
    """Robust and certified accuracy on validation images, of the best epoch, by names that tell `epsilon`.

    So that those at another epsilon are not taken for the same measure.
    """
    return {
        f"robust accuracy at {epsilon:g}": lambda run: _best(run).robust_accuracy,
        f"certified accuracy at {epsilon:g}": lambda run: _best(run).certified_accuracy,
    }


def _measured(request: Train, histories: Sequence[RunHistory]) -> dict[str, tuple[float, ...]]:
    """The results of each run by the name of the measure; without those that a run does not know."""
    found = {name: tuple(measure(history) for history in histories) for name, measure in MEASURES.items()}
    for name, measure in (_robustness(request.train_epsilon) | USAGES).items():
        values = [known for history in histories if (known := measure(history)) is not None]
        if len(values) == len(histories):
            found[name] = tuple(values)
    return found


def compare_runs(request: CompareRuns, root: Path) -> Generator[Event, None, None]:
    """Compare the runs that `request` names. Raises RequestError where one does not exist or has no finished epoch."""
    folders = [find_run(what, root) for what in request.what]
    yield compare(folders)


def compare(folders: Sequence[RunFolder]) -> RunsCompared:
    """Compare runs, grouping those that differ only in their seed. Raises RequestError where one has no epoch yet."""
    members: dict[Train, dict[int, tuple[RunFolder, RunHistory]]] = {}
    seen: set[Path] = set()
    for folder in folders:
        if (place := folder.path.resolve()) in seen:
            continue
        seen.add(place)
        asked, history = folder.read_record().request, folder.history()
        if not history.epochs:
            raise RequestError(f"run {folder.name} has no finished epoch to compare yet: leave it out")
        group = members.setdefault(replace(asked, seed=0, insides=True), {})  # the latter changes no result
        # The same seed again is not an independent sample: of two such runs, the longer one counts.
        if asked.seed not in group or group[asked.seed][1].epoch < history.epoch:
            group[asked.seed] = (folder, history)
    requests = list(members)
    differing = [p.name for p in parameters(Train) if len({getattr(request, p.name) for request in requests}) > 1]
    epochs = told_epochs([history.epoch for runs in members.values() for _, history in runs.values()])
    implied = _implied(requests, differing)
    groups = [_group(request, list(runs.values()), differing, implied, epochs) for request, runs in members.items()]
    return RunsCompared(
        groups=tuple(groups),
        differing=tuple(differing),
        contrasts=tuple(contrast for other in groups[1:] for contrast in _contrasts(groups[0], other)),
    )


def told_epochs(lengths: Sequence[int]) -> list[int]:
    """The epochs, from 1, that curves show: all, or for more than MOST every second, every fourth and so on.

    The first, and the last of each run, are always included.
    """
    last, stride = max(lengths), 1
    while last // stride > MOST:
        stride *= 2
    return sorted({1, *lengths, *range(stride, last + 1, stride)})


def _group(
    request: Train,
    runs: Sequence[tuple[RunFolder, RunHistory]],
    differing: Sequence[str],
    implied: Collection[str],
    epochs: Sequence[int],
) -> RunGroup:
    histories = [history for _, history in runs]
    settings = {name: getattr(request, name) for name in differing}
    if "recipe" in settings:
        settings["recipe"] = recipe_words(request)
    names = tuple(folder.what if folder.bundled else folder.name for folder, _ in runs)
    silent = {*implied, *without_effect(request.objective)}
    named = sorted(settings.keys() - silent, key=lambda name: (name != "recipe", differing.index(name)))
    label = ", ".join(setting_words(name, getattr(request, name)) for name in named)
    numbered = [{epoch.epoch: epoch for epoch in history.epochs} for history in histories]
    values = _measured(request, histories)
    known = [name for name in ROBUST_FIELDS if all(name in history.fields for history in histories)]
    told = [n for n in epochs if any(n in each for each in numbered)]  # the line of an epoch may have been lost
    ends = [
        dict(zip(each, accumulate(e.train_seconds + e.eval_seconds for e in each.values()), strict=True))
        for each in numbered
    ]
    return RunGroup(
        label=label or names[0],
        runs=names,
        seeds=tuple(folder.read_record().request.seed for folder, _ in runs),
        settings=settings,
        epochs=tuple(told),
        seconds=tuple(fmean(each[n] for each in ends if n in each) for n in told),
        curves={
            field: tuple(spread([getattr(each[n], field) for each in numbered if n in each]) for n in told)
            for field in (*FIELDS, *known)
        },
        results={name: spread(found) for name, found in values.items()},
        values=values,
        search=next((origin.words for folder, _ in runs if (origin := read_origin(folder))), ""),
    )


def _implied(requests: Sequence[Train], differing: Sequence[str]) -> set[str]:
    """The differing fields that follow from the recipes alone, where these differ."""
    if "recipe" not in differing:
        return set()
    return set(FIELDS_OF_RECIPES).difference(*map(changed, requests))


def setting_words(name: str, value: object) -> str:
    """A field and its value as text: `with batch norm`, `learning rate 0.001`."""
    words = name.replace("_", " ")
    if isinstance(value, bool):
        return f"with {words}" if value else f"without {words}"
    return f"{words} {value:g}" if isinstance(value, float) else f"{words} {value}"


def spread(values: Sequence[float]) -> Spread:
    """Mean, standard deviation and 95 % interval of the mean (Student's t); all but the mean NaN for one value."""
    n, mean = len(values), fmean(values)
    if n < 2:
        return Spread(count=n, mean=mean, deviation=math.nan, low=math.nan, high=math.nan)
    deviation = stdev(values)
    half = t_quantile(n - 1) * deviation / math.sqrt(n)
    return Spread(count=n, mean=mean, deviation=deviation, low=mean - half, high=mean + half)


def _contrasts(first: RunGroup, second: RunGroup) -> list[Contrast]:
    return [
        Contrast(measure=name, first=first.label, second=second.label, **welch(first.values[name], second.values[name]))
        for name in first.values
        if name in second.values
    ]


def measures(event: RunsCompared) -> list[str]:
    """The measures that at least one group knows, those of the devices last."""
    known = list(dict.fromkeys(name for group in event.groups for name in group.results))
    return sorted(known, key=lambda name: (name in USAGES, name not in MEASURES))


def welch(first: Sequence[float], second: Sequence[float]) -> dict[str, float]:
    """The difference of means, second minus first, and its 95 % interval (Welch 1947, unequal variances)."""
    difference = fmean(second) - fmean(first)
    if min(len(first), len(second)) < 2:
        return {"difference": difference, "low": math.nan, "high": math.nan}
    parts = [stdev(values) ** 2 / len(values) for values in (first, second)]
    if not sum(parts):
        return {"difference": difference, "low": difference, "high": difference}
    # Satterthwaite's degrees of freedom
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(values) - 1) for part, values in zip(parts, (first, second), strict=True)
    )
    half = t_quantile(freedom) * math.sqrt(sum(parts))
    return {"difference": difference, "low": difference - half, "high": difference + half}


@lru_cache(maxsize=1000)
def t_quantile(freedom: float, share: float = 0.95) -> float:
    """The t such that `share` of Student's distribution is between -t and t, for `freedom` > 0 degrees of freedom."""
    log_norm = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - 0.5 * math.log(freedom * math.pi)

    def inside(t: float) -> float:
        # In terms of an angle, the tail for few degrees of freedom is no longer than the middle.
        angles = np.linspace(0.0, math.atan(t / math.sqrt(freedom)), 4001)
        heights = np.cos(angles) ** (freedom - 1)
        return 2 * math.exp(log_norm) * math.sqrt(freedom) * float(np.trapezoid(heights, angles))

    low, high = 0.0, 1e4
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if inside(middle) < share else (low, middle)
    return (low + high) / 2


def differences(event: RunsCompared) -> list[tuple[str, tuple[str, ...]]]:
    """Each field in which the requests of the groups differ, and its value in each group as text.

    Where a search has chosen the settings of one, also by what those of each were chosen.
    """
    rows = [
        (name.replace("_", " "), tuple(_value(group.settings[name]) for group in event.groups))
        for name in event.differing
    ]
    if any(group.search for group in event.groups):
        rows.append(("chosen by", tuple(group.search or "hand" for group in event.groups)))
    return rows


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def sentence(contrast: Contrast) -> str:
    """A contrast as a sentence."""
    about, number = contrast.measure, abs(contrast.difference)
    if "accuracy" in about:
        size, span = f"{100 * number:.2f} points", f"{100 * contrast.low:+.2f} to {100 * contrast.high:+.2f}"
    elif about == "seconds per epoch":
        size, span = f"{number:.2f} s", f"{contrast.low:+.2f} to {contrast.high:+.2f}"
    elif about in USAGES:
        unit = "J" if about == "joules per epoch" else "MB"
        size, span = f"{number:,.1f} {unit}", f"{contrast.low:+,.1f} to {contrast.high:+,.1f}"
    else:
        size, span = f"{number:.4f}", f"{contrast.low:+.4f} to {contrast.high:+.4f}"
    way = "higher" if contrast.difference > 0 else "lower"
    start = f"{about}: {contrast.second} {size} {way} than {contrast.first}"
    if math.isnan(contrast.low):
        return f"{start}; a single run gives no interval, so this is only an anecdote"
    if contrast.low <= 0 <= contrast.high:
        return f"{start} (95 % interval {span}): no significant difference"
    return f"{start} (95 % interval {span}): a significant difference"
