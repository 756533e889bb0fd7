"""What there is to tell when a run, or a sweep, has ended."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from engine.cluster.events import SweepEnded
from engine.event import Event, JobFailed, to_json
from engine.training.events import DIVERGED, RunFailed, RunFinished
from engine.words import percent, shown

Outcome = Literal["finished", "failed", "diverged"]


class Alert(Struct, frozen=True):
    """The end of a run or of a sweep, in words and as the event that told it."""

    outcome: Outcome
    title: str
    """One line, such as `run 12:05:31 finished`."""
    words: str
    """One line: the result, or why it failed."""
    run: str = ""
    """The name of the run folder; empty where there is none."""
    event: dict[str, object] = {}
    """The event as plain values, by the names of its fields."""

    @property
    def json(self) -> bytes:
        """The event as one line of JSON, with `outcome`, `title` and, of both in one line, `text`."""
        told = {"outcome": self.outcome, "title": self.title, "text": f"{self.title}: {self.words}"}
        return msgspec.json.encode(self.event | told)


def of_event(event: Event, name: str, title: str = "", words: str = "") -> Alert | None:
    """The alert for the end of the run `name`; None for an event that is no end, or one that the user asked for.

    By default, `title` and `words` are made from the event.
    """
    match event:
        case RunFinished():
            outcome: Outcome = "finished"
            default = f"test accuracy {percent(event.test_accuracy)}, best {event.choice} in epoch {event.best_epoch}"
        case RunFailed():
            outcome, default = ("diverged" if event.reason.startswith(DIVERGED) else "failed"), event.reason
        case JobFailed():
            outcome, default = "failed", event.reason
        case _:
            return None
    title = title or (f"run {name} {outcome}" if name else f"a run {outcome}")
    return Alert(outcome, _line(title), _line(words or default), name, _plain(event))


def of_failure(words: str, run: str, reason: str) -> Alert:
    """The alert for a run of a sweep that failed; `words` set it apart, and `run` is empty where it has no folder."""
    alert = of_event(RunFailed(run=run, reason=reason), run, f"{words} failed", reason)
    assert alert
    return alert


def of_sweep(runs: int, failed: int, stopped: int = 0) -> Alert:
    """The alert for the end of a sweep of so many runs, of which some failed, and the user stopped others."""
    outcome: Outcome = "failed" if failed else "finished"
    words = f"all {runs} runs finished"
    if failed:
        words = f"{failed} of {runs} runs failed"
    elif stopped:
        words = f"{runs - stopped} of {runs} runs finished, {stopped} stopped"
    event: dict[str, object] = {"type": "SweepFinished", "runs": runs, "failed": failed}
    return Alert(outcome, "sweep done", words, "", event)


def of_ended(event: SweepEnded) -> Alert:
    """The alert for the end of a sweep on Ray."""
    stopped = sum(run.outcome == "stopped" for run in event.runs)
    return of_sweep(len(event.runs), len(event.failed) - stopped, stopped)


def _plain(event: Event) -> dict[str, object]:
    found: dict[str, object] = msgspec.json.decode(to_json(event))
    return found


def _line(words: str) -> str:
    """`words` on one line, without control characters."""
    return shown("; ".join(filter(None, (line.strip() for line in words.splitlines()))))
