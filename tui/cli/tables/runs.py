"""Tables of runs, comparisons and failures."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from engine.cluster.events import SweepEnded
from engine.runs.comparison import differences, sentence
from engine.runs.events import RunsCompared, RunsListed
from engine.words import percent, shown
from tui.cli.tables.layout import NOTHING, table_of
from tui.drawing.terminal import glyphs
from tui.drawing.vocabulary import with_spread
from tui.drawing.words import duration, remark


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
