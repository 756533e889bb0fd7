"""The sweeps on Ray that the app has begun: how they stand, and what is worth telling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from engine.cluster.events import ClusterStarted, RunLost, RunOutcome, RunRefused, RunTold, SweepAdvanced, SweepEnded
from engine.cluster.requests import TrainOnRay
from engine.event import Event, JobFailed
from engine.lab import Job
from engine.training.events import RunFailed, choice, merit
from engine.training.requests import Train
from engine.words import percent
from tui.alerts.alert import Alert, of_ended, of_event, of_failure
from tui.drawing.about import differing
from tui.drawing.words import counted, duration


class News(NamedTuple):
    """What the user is to be told."""

    words: str
    title: str
    severity: Literal["information", "warning", "error"] = "information"


class Sweeps:
    """The sweeps that wait or are under way; one at a time is trained."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self._told_of: set[str] = set()
        """The names of the runs that were told of; also of sweeps that have ended, whose logs are read later."""
        self._now: SweepAdvanced | None = None

    def stop(self) -> None:
        """Stop the runs of all sweeps."""
        for job in self.jobs:
            job.cancel()

    def forget(self, job: Job) -> None:
        """Remove a job that is done, if it is a sweep: one that was stopped before it began tells nothing."""
        if job in self.jobs:
            self.jobs.remove(job)
            self._now = None

    def told(self) -> str:
        """How the runs of the sweep under way stand, as text; empty if there is none."""
        if not self.jobs:
            return ""
        job, now = self.jobs[0], self._now
        if job.cancelled:
            return "on Ray: stopping"
        later = sum(map(_count, self.jobs[1:]))
        if now is None:
            return "on Ray: starting" + (f", {later} waiting" if later else "")
        running = _count(job) - now.waiting - now.ended
        counts = {"waiting": now.waiting + later, "running": running, "ended": now.ended}
        return "on Ray: " + ", ".join(f"{count} {name}" for name, count in counts.items() if count)

    def hear(self, job: Job, event: Event) -> News | None:
        """Take in an event of a sweep; returns what is worth telling, if anything."""
        if isinstance(event, SweepAdvanced):
            self._now = event
            return None
        if isinstance(event, RunTold | RunRefused):
            self._told_of.add(event.run)
        return _news(job, event)

    def has_told_of(self, run: str) -> bool:
        """Whether the end of a run is one of a sweep; only once, since another process may resume the run later."""
        known = run in self._told_of
        self._told_of.discard(run)
        return known

    def alert(self, job: Job, event: Event) -> Alert | None:
        """What is worth ringing for: each run that fails, and the end of a sweep that the user has not stopped."""
        match event:
            case RunRefused() | RunTold(event=RunFailed()) if isinstance(job.request, TrainOnRay):
                return of_failure(_of(job.request.runs[event.number]), event.run, reason_of(event))
            case JobFailed():
                return of_event(event, "", "no sweep on Ray")
            case SweepEnded() if not job.cancelled:
                return of_ended(event)
            case _:
                return None


def _count(job: Job) -> int:
    """The number of runs of a sweep."""
    return len(job.request.runs) if isinstance(job.request, TrainOnRay) else 0


def _news(job: Job, event: Event) -> News | None:
    runs = job.request.runs if isinstance(job.request, TrainOnRay) else ()
    news = None
    match event:
        case ClusterStarted():
            where = f"{counted(len(runs), 'run')} on {capacity(event)}"
            news = News(f"{where}: screen 8 shows them", f"joined {event.address}" if event.address else "Ray started")
        case RunLost():
            news = News(f"{event.reason}: {again(event)}", f"{_of(runs[event.number])} lost", "warning")
        case RunRefused() | RunTold(event=RunFailed()):
            news = News(reason_of(event), f"{_of(runs[event.number])} failed", "error")
        case SweepEnded():
            news = _ending(event, runs)
        case JobFailed():
            news = News(event.reason, "no sweep on Ray", "error")
    return news


def capacity(event: ClusterStarted) -> str:
    """What a cluster trains with, in words."""
    gpus = f", {counted(round(event.gpus), 'GPU')}" if event.gpus else ""
    return f"{counted(round(event.cores), 'core')}{gpus}"


def again(event: RunLost) -> str:
    """What becomes of a run whose worker died, in words."""
    return f"it is {f'resumed after epoch {event.epoch}' if event.epoch else 'begun again'} elsewhere"


def reason_of(event: RunTold | RunRefused) -> str:
    """Why a run failed, in one line; empty for other events."""
    told = event.event if isinstance(event, RunTold) else event
    return told.reason if isinstance(told, RunFailed | RunRefused) else ""


def _of(request: Train) -> str:
    return ", ".join([f"seed {request.seed}", *differing(request)])


def _aim(request: Train) -> tuple[bool, bool, float]:
    """Which figure decides about the merit of a run, and at which epsilon: only the same ones can be compared."""
    clean = request.objective == "clean"
    return clean, request.certifies, 0.0 if clean else request.train_epsilon


def _merit(run: RunOutcome) -> tuple[float, float]:
    return merit(run.certified_accuracy, run.robust_accuracy, run.val_loss or 0.0)


def _ending(event: SweepEnded, runs: Sequence[Train]) -> News:
    names = ("finished", "stopped", "failed", "refused")
    counts = {name: sum(run.outcome == name for run in event.runs) for name in names}
    words = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    done = [run for run in event.runs if run.val_loss is not None and run.outcome == "finished"]
    if done and len({_aim(runs[run.number]) for run in done}) == 1:
        best = max(done, key=_merit)
        figure = choice(best.certified_accuracy, best.robust_accuracy, best.val_loss or 0.0)
        extreme = "lowest" if best.robust_accuracy is None else "highest"
        words += f"; {extreme} {figure} by {best.run}, test {percent(best.test_accuracy or 0)}"
    failed = counts["failed"] + counts["refused"]
    severity: Literal["information", "warning", "error"] = "error" if failed else "information"
    return News(f"{words}, in {duration(event.seconds)}", "the sweep on Ray has ended", severity)
