"""Tables of runs, comparisons and failures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from engine.cluster.events import SearchEnded, SweepEnded
from engine.runs.comparison import differences, measures, sentence
from engine.runs.events import QueueListed, RunsCompared, RunsListed
from engine.training.events import Robustness
from engine.words import percent, shown
from tui.cli.given import key
from tui.cli.tables.layout import NOTHING, table_of
from tui.drawing.about import told
from tui.drawing.terminal import glyphs
from tui.drawing.vocabulary import with_spread
from tui.drawing.words import counted, duration, joules, megabytes, remark

FORMS: dict[str, Callable[[float], str]] = {"energy": joules, "memory": megabytes}
"""What runs used, as text."""
MOST_TRIALS = 10
"""Number of trials of a search that are listed."""


def runs(event: RunsListed) -> list[RenderableType]:
    """All runs, one per line."""
    if not event.runs:
        return [f"no runs in {event.folder} yet: start one with mnist-tui train"]
    recipes = any(run.recipe for run in event.runs)
    names = ("run", "variant", *["recipe"] * recipes)
    used = {"energy": any(run.energy is not None for run in event.runs)}
    used["memory"] = any(run.memory is not None for run in event.runs)
    extra = [name for name, known in used.items() if known]
    table = table_of(*names, "seed", "state", "epoch", "val loss", "test", "time", *extra, "note", left=len(names))
    for run in event.runs:
        loss = NOTHING if run.val_loss is None else f"{run.val_loss:.4f}"
        accuracy = NOTHING if run.test_accuracy is None else percent(run.test_accuracy)
        of_recipe = [run.recipe or "notebook"] * recipes
        row = (run.name, run.variant, *of_recipe, str(run.seed), run.state, f"{run.epoch}/{run.epochs}", loss, accuracy)
        of_devices = {"energy": run.energy, "memory": run.memory}
        told = [FORMS[name](value) if (value := of_devices[name]) is not None else NOTHING for name in extra]
        table.add_row(*row, duration(run.seconds), *told, remark(run))
    return [table]


def queue(event: QueueListed) -> list[RenderableType]:
    """The experiments that wait, one per line, and who trains them."""
    if not event.experiments:
        return ["the queue is empty: mnist-tui queue --add 'seeds=5 batch-norm=no,yes' adds experiments"]
    table = table_of("", "variant", "seed", "experiment", "state", left=5)
    for each in event.experiments:
        place, state = (str(each.place), "waits") if each.place else (NOTHING, f"starting in {each.taken_by}")
        words = ", ".join(told(each.request, usual=False, without=("batch_norm", "seed"))) or "as in the notebook"
        table.add_row(place, each.request.variant, str(each.request.seed), words, state)
    if event.trained_by:
        return [table, "", f"trained by {', '.join(event.trained_by)}"]
    return [table, "", f"{key('start_queue', 'train')} in mnist-tui starts the queue"]


def failures(failed: Sequence[tuple[str, str, str]]) -> Table:
    """The failed runs of a sweep: what each run was, its folder, and the reason."""
    table = table_of("run", "folder", "reason", left=3)
    for words, folder, reason in failed:
        table.add_row(*(Text(shown(cell)) for cell in (words, folder or NOTHING, reason)))
    return table


def sweep(words: Sequence[str], event: SweepEnded) -> list[RenderableType]:
    """The runs of a sweep that has ended: what each was, by `words`, its folder, how it ended, and its results."""
    resumed = any(run.losses for run in event.runs)
    robust = _robust(event.runs)
    heads = ("val loss", "test", *robust, "time", *["resumed"] * resumed)
    table = table_of("run", "folder", "state", "epochs", *heads, left=3)
    for run in event.runs:
        loss = NOTHING if run.val_loss is None else f"{run.val_loss:.4f}"
        accuracy = NOTHING if run.test_accuracy is None else percent(run.test_accuracy)
        names = (Text(shown(words[run.number])), Text(shown(run.run) or NOTHING), run.outcome)
        times = [str(run.losses) if run.losses else NOTHING] * resumed
        table.add_row(*names, str(run.epochs), loss, accuracy, *_shares(run, robust), duration(run.seconds), *times)
    return [table]


def trials(event: SearchEnded) -> list[RenderableType]:
    """The best trials of a search, and what was chosen."""
    names = list(event.chosen)
    robust = _robust(event.trials)
    table = table_of(*(name.replace("_", " ") for name in names), "epochs", "val loss", *robust, "time")
    for trial in event.trials[:MOST_TRIALS]:
        loss = NOTHING if trial.val_loss is None else f"{trial.val_loss:.4f}"
        values = (f"{trial.values[name]:g}" for name in names)
        table.add_row(*values, str(trial.epochs), loss, *_shares(trial, robust), duration(trial.seconds))
    more = len(event.trials) - MOST_TRIALS
    worse = "a lower accuracy" if robust else "a higher loss"
    rest = f", and {counted(more, 'trial')} with {worse}" if more > 0 else ""
    cost = f"{counted(len(event.trials), 'trial')}, {counted(event.epochs, 'epoch')}, {duration(event.seconds)}"
    said = f"chosen: {chosen_words(event.chosen)}; {cost} of training in {duration(event.elapsed)}{rest}"
    return ["", table, "", Text(said)]


def _robust(found: Sequence[Robustness]) -> list[str]:
    """Which of robust and certified accuracy at least one of `found` has."""
    return [name for name in ("robust", "certified") if any(_share(each, name) is not None for each in found)]


def _shares(of: Robustness, names: Sequence[str]) -> list[str]:
    values = (_share(of, name) for name in names)
    return [NOTHING if value is None else percent(value) for value in values]


def _share(of: Robustness, name: str) -> float | None:
    return of.robust_accuracy if name == "robust" else of.certified_accuracy


def chosen_words(values: Mapping[str, float]) -> str:
    """Fields and their values as text: `learning rate 0.0012, batch size 128`."""
    return ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in values.items())


def compared(event: RunsCompared) -> list[RenderableType]:
    """Groups of runs, how they differ, and the contrasts between them."""
    names = measures(event)
    table = table_of("group", "runs", "epochs", *names, left=1)
    for group in event.groups:
        row = (group.label, str(len(group.runs)), str(group.epochs[-1]))
        told = (with_spread(name, group.results[name]) if name in group.results else NOTHING for name in names)
        table.add_row(*row, *told)
    asked = table_of("differs in", *(group.label for group in event.groups), left=1)
    for name, values in differences(event):
        asked.add_row(name, *values)
    both: list[RenderableType] = [table, "", asked] if asked.row_count else [table]
    mean = f"mean {glyphs().spread} standard deviation over seeds"
    notes = [f"{mean}; test accuracy is from the best epoch, which validation images choose"]
    return [*both, "", *map(Text, [*notes, "", *map(sentence, event.contrasts)])]
