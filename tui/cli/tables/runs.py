"""Tables of runs, comparisons and failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from engine.cluster.events import SearchEnded, SweepEnded
from engine.runs.comparison import differences, sentence
from engine.runs.events import RunsCompared, RunsListed
from engine.words import percent, shown
from tui.cli.tables.layout import NOTHING, table_of
from tui.drawing.terminal import glyphs
from tui.drawing.vocabulary import with_spread
from tui.drawing.words import counted, duration, remark

MOST_TRIALS = 10
"""Number of trials of a search that are listed."""


def runs(event: RunsListed) -> list[RenderableType]:
    """All runs, one per line."""
    if not event.runs:
        return [f"no runs in {event.folder} yet: start one with mnist-tui train"]
    recipes = any(run.recipe for run in event.runs)
    names = ("run", "variant", *["recipe"] * recipes)
    table = table_of(*names, "seed", "state", "epoch", "val loss", "test", "time", "note", left=len(names))
    for run in event.runs:
        loss = NOTHING if run.val_loss is None else f"{run.val_loss:.4f}"
        accuracy = NOTHING if run.test_accuracy is None else percent(run.test_accuracy)
        of_recipe = [run.recipe or "notebook"] * recipes
        row = (run.name, run.variant, *of_recipe, str(run.seed), run.state, f"{run.epoch}/{run.epochs}", loss, accuracy)
        table.add_row(*row, duration(run.seconds), remark(run))
    return [table]


def failures(failed: Sequence[tuple[str, str, str]]) -> Table:
    """The failed runs of a sweep: what each run was, its folder, and the reason."""
    table = table_of("run", "folder", "reason", left=3)
    for words, folder, reason in failed:
        table.add_row(*(Text(shown(cell)) for cell in (words, folder or NOTHING, reason)))
    return table


def sweep(words: Sequence[str], event: SweepEnded) -> list[RenderableType]:
    """The runs of a sweep that has ended: what each was, by `words`, its folder, how it ended, and its results."""
    resumed = any(run.losses for run in event.runs)
    table = table_of("run", "folder", "state", "epochs", "val loss", "test", "time", *["resumed"] * resumed, left=3)
    for run in event.runs:
        loss = NOTHING if run.val_loss is None else f"{run.val_loss:.4f}"
        accuracy = NOTHING if run.test_accuracy is None else percent(run.test_accuracy)
        names = (Text(shown(words[run.number])), Text(shown(run.run) or NOTHING), run.outcome)
        times = [str(run.losses) if run.losses else NOTHING] * resumed
        table.add_row(*names, str(run.epochs), loss, accuracy, duration(run.seconds), *times)
    return [table]


def trials(event: SearchEnded) -> list[RenderableType]:
    """The best trials of a search, and what was chosen."""
    names = list(event.chosen)
    table = table_of(*(name.replace("_", " ") for name in names), "epochs", "val loss", "time")
    for trial in event.trials[:MOST_TRIALS]:
        loss = NOTHING if trial.val_loss is None else f"{trial.val_loss:.4f}"
        values = (f"{trial.values[name]:g}" for name in names)
        table.add_row(*values, str(trial.epochs), loss, duration(trial.seconds))
    more = len(event.trials) - MOST_TRIALS
    rest = f", and {counted(more, 'trial')} with a higher loss" if more > 0 else ""
    cost = f"{counted(len(event.trials), 'trial')}, {counted(event.epochs, 'epoch')}, {duration(event.seconds)}"
    said = f"chosen: {chosen_words(event.chosen)}; {cost} of training in {duration(event.elapsed)}{rest}"
    return ["", table, "", Text(said)]


def chosen_words(values: Mapping[str, float]) -> str:
    """Fields and their values as text: `learning rate 0.0012, batch size 128`."""
    return ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in values.items())


def compared(event: RunsCompared) -> list[RenderableType]:
    """Groups of runs, how they differ, and the contrasts between them."""
    table = table_of("group", "runs", "epochs", *event.groups[0].results, left=1)
    for group in event.groups:
        row = (group.label, str(len(group.runs)), str(group.epochs[-1]))
        table.add_row(*row, *(with_spread(name, value) for name, value in group.results.items()))
    asked = table_of("differs in", *(group.label for group in event.groups), left=1)
    for name, values in differences(event):
        asked.add_row(name, *values)
    both: list[RenderableType] = [table, "", asked] if asked.row_count else [table]
    mean = f"mean {glyphs().spread} standard deviation over seeds"
    notes = [f"{mean}; test accuracy is from the epoch with the lowest validation loss"]
    return [*both, "", *map(Text, [*notes, "", *map(sentence, event.contrasts)])]
