"""What is open, a run or a weights file: what is known of it, and what the header says of it."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from engine.paths import stamp
from engine.request import RequestError
from engine.runs.catalogue import read_note
from engine.runs.folder import RunFolder, RunRecord
from engine.runs.history import RunHistory
from engine.runs.tail import Tail
from engine.training.recipes import recipe_words
from engine.training.requests import Train
from engine.words import percent
from tui.drawing.about import Group, about_run, about_weights, differing
from tui.drawing.fitting import Fact, cut_between_words

if TYPE_CHECKING:
    from engine.network.events import WeightsOpened

# The ranks of the facts of the header: where it is too narrow, those with low ranks go first.
IN_USE, SETTINGS, DEVICE_NAME, PROGRAM, LONG_NAME, VARIANT, SPEED = range(7)
DEVICE, NAME, SEED, EPOCH, ACCURACY, SHORT_NAME = range(7, 13)

LONG, SHORT = 32, 16
"""The widths, in cells, to which a long note or name is cut in the header, one after the other."""

_STAMP = re.compile(r"(\d{4})(\d{2})(\d{2})-(\d{2})(\d{2})(\d{2})-cnn(?:-bn)?(-\d+)?")
"""The name that a run folder gets when it is created."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass
class Opened:
    """The open run or weights file, and what is known about it."""

    what: RunFolder | Path | None = None
    """A run or a weights file; None if nothing is open."""
    history: RunHistory = field(default_factory=RunHistory)
    """The run's history; for a weights file, only its name."""
    variant: str = ""
    bundled: bool = False
    """Whether it ships with the program."""
    waiting: RunFolder | None = None
    """Another run that can be resumed: it was stopped, or its process died."""
    tail: Tail | None = None
    """Follows the event log of the run, which another process may be writing."""
    record: RunRecord | None = None
    """The run's `request.json`; None before it is started, and where that file cannot be read."""
    problem: str = ""
    """Why `request.json` cannot be read, in one line."""
    asked: Train | None = None
    """The request of a run that has not started yet; `what` is then still what was open before."""
    note: str = ""
    """The note on the run."""
    weights: WeightsOpened | None = None
    """The network of the weights file, once it is read."""
    remarks: tuple[str, ...] = ()
    """What reading the weights file had to assume."""
    _noted: tuple[int, ...] = ()
    """The state of the file of the note when it was read."""

    @classmethod
    def of(cls, run: RunFolder) -> Opened:
        """A run on disk, without its history. Raises RequestError where nothing of it can be read."""
        opened = cls(run, bundled=run.bundled)
        try:
            opened.record = run.read_record()
        except RequestError as error:
            if not run.events_file.is_file():
                raise
            opened.problem = str(error).replace(f"{run.path}/", "").partition(": check that")[0]
        opened.variant = opened.record.request.variant if opened.record else ""
        opened.look_at_note()
        return opened

    @property
    def request(self) -> Train | None:
        """The request of the run; None if it is not known."""
        return self.record.request if self.record else self.asked

    def look_at_note(self) -> bool:
        """Read the note on the run again if its file has changed; returns whether it has."""
        if not isinstance(self.what, RunFolder) or self.asked:
            return False
        noted = stamp(self.what.note_file)
        if noted == self._noted:
            return False
        self._noted, self.note = noted, read_note(self.what)
        return True

    # What is said of it

    @property
    def name(self) -> str:
        """What the user calls it: the name that the user gave it, or its note, or when it was started."""
        if self.asked:
            return "new run"
        if isinstance(self.what, Path):
            return self.history.name or self.what.name
        if self.bundled and self.what:
            return self.what.what
        name = self.history.name or (self.what.name if self.what else "")
        return (self.note or short_name(name)) if _STAMP.fullmatch(name) else name

    def facts(self) -> tuple[Fact, ...]:
        """Its name, seed, variant, epoch and accuracy, for the header."""
        if not self.name:
            return ()
        facts = [_named(self.name)]
        history, trained = self.history, not (self.record and self.record.imported)
        if self.request and trained:
            facts.append(Fact(f"seed {self.request.seed}", SEED))
        if self.variant and not self.bundled:
            facts.append(Fact(self.variant, VARIANT))
        if self.weights:
            facts.append(Fact(f"{self.weights.parameters:,} parameters", SETTINGS))
        if self.request and trained and (settings := ", ".join(differing(self.request))):
            named = self.request.recipe != "notebook"
            facts.append(Fact(settings, SETTINGS, Fact(recipe_words(self.request), VARIANT) if named else None))
        if not trained and not history.epochs:
            facts.append(Fact("imported", EPOCH))
        if history.total_epochs:
            facts.append(Fact(f"epoch {history.epoch}/{history.total_epochs}", EPOCH))
        if trained and not history.epochs and history.state in ("stopped", "interrupted", "failed"):
            facts.append(Fact("untrained", EPOCH))
        if history.epochs:
            facts.append(Fact(f"test {percent(history.epochs[-1].test_accuracy)}", ACCURACY))
        return tuple(facts)

    def about(self) -> list[Group]:
        """All that is known of it, as labelled values."""
        if isinstance(self.what, Path) and not self.asked:
            return about_weights(self.what, self.weights, self.remarks)
        if self.asked and not self.record:
            return about_run(self.history, self.asked)
        name = self.history.name or (self.what.name if isinstance(self.what, RunFolder) else "")
        if self.bundled and isinstance(self.what, RunFolder):
            name = self.what.what
        known = (self.history, self.request, self.record)
        return about_run(*known, name=name, note=self.note, problem=self.problem)


def _named(name: str) -> Fact:
    shortest = Fact(cut_between_words(name, SHORT), SHORT_NAME)
    return Fact(name, LONG_NAME, Fact(cut_between_words(name, LONG), NAME, shortest))


def short_name(name: str, today: str = "") -> str:
    """The name of a run without what tells no runs apart: the time of its start, with the day if that is not `today`.

    `today` is a date such as `20261231`, by default this day's. A name that the user gave stays as it is.
    """
    if not (parts := _STAMP.fullmatch(name)):
        return name
    year, month, day, hour, minute, second, again = parts.groups()
    moment = f"{hour}:{minute}:{second}{again or ''}"
    if year + month + day == (today or time.strftime("%Y%m%d")) or not 1 <= int(month) <= 12:
        return moment
    return f"{int(day)} {_MONTHS[int(month) - 1]} {moment}"
