"""`mnist-tui train --on ray`: several runs at once, in lines for programs, or as a live view and a table for people."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Protocol

import msgspec

from engine.cluster.events import (
    ClusterStarted,
    RunLost,
    RunRefused,
    RunTold,
    SearchAdvanced,
    SearchEnded,
    SweepAdvanced,
    SweepEnded,
)
from engine.cluster.requests import SearchOnRay, TrainOnRay
from engine.event import Event, to_json
from engine.operations import end, perform
from engine.request import DeviceFailed, RequestError
from engine.training.events import EpochFinished, RobustnessCollapsed, RunCancelled, RunFailed, RunFinished, choice
from engine.training.requests import Train
from engine.words import percent, readable, shown
from tui.alerts.alert import of_ended, of_failure, of_sweep
from tui.alerts.ringer import Ringer
from tui.cli import saving
from tui.cli.arguments import TrainOutput
from tui.cli.exit_codes import DONE, FAILED
from tui.cli.runner import Interrupt, Lines, console
from tui.cli.tables.runs import chosen_words, failures, sweep, trials
from tui.drawing.words import counted, duration, robustness
from tui.sweeps import again, capacity, reason_of


class _Printer(Protocol):
    def __enter__(self) -> _Printer: ...

    def __exit__(self, *_: object) -> None: ...

    def print(self, event: Event) -> None: ...


def train_on_ray(runs: Sequence[tuple[str, Train]], output: TrainOutput, ringer: Ringer) -> int:
    """Train `runs`, each with the words that set it apart, on Ray; returns the exit code.

    `ringer` rings for each run that fails, and at the end.

    Raises RequestError where Ray can't be used, or no run can start, all for one reason.
    """
    requests = tuple(each for _, each in runs)
    request = TrainOnRay(runs=requests, address=output.address, parallel=output.parallel, shared=output.shared)
    return _report(request, requests[0], [words for words, _ in runs], output, ringer)


def search_on_ray(experiment: Train, output: TrainOutput, ringer: Ringer) -> int:
    """Search for values of fields of `experiment` on Ray, and train the choice; returns the exit code.

    Raises RequestError where the search is invalid, or as `train_on_ray`.
    """
    assert output.search != "none"
    request = SearchOnRay(
        experiment=experiment,
        method=output.search,
        space=output.search_space,
        **({"trials": output.trials} if output.trials else {}),
        seeds=output.seeds,
        address=output.address,
        parallel=output.parallel,
        shared=output.shared,
    )
    words = [f"seed {experiment.seed + 1 + number}" for number in range(output.seeds)]
    return _report(request, experiment, words, output, ringer)


def _report(
    request: TrainOnRay | SearchOnRay, first: Train, words: Sequence[str], output: TrainOutput, ringer: Ringer
) -> int:
    """Carry out `request`, print its events, ring, and save the figure of its only run, whose request is `first`."""
    saving.check(output)
    interrupt = Interrupt()
    printer: _Printer = _Lines(words) if output.json else _People(words, isinstance(request, SearchOnRay))
    told: list[Event] = []
    refused: list[RunRefused] = []
    ended: SweepEnded | None = None
    with interrupt.caught(), printer:
        work = perform(request, output.runs)
        for event in work:
            printer.print(event)
            if isinstance(event, RunTold | RunRefused) and (reason := reason_of(event)):
                ringer.ring(of_failure(words[event.number], event.run, reason))
            match event:
                case RunTold():
                    told.append(event.event)
                case RunRefused():
                    refused.append(event)
                case SweepEnded():
                    ended = event
            if interrupt.number:
                for last in end(work):
                    printer.print(last)
                return interrupt.code
    ringer.ring(of_ended(ended) if ended else of_sweep(len(words), len(words)))
    if len(refused) == len(words) and len({each.reason for each in refused}) == 1:
        raise (RequestError if refused[0].bad_request else DeviceFailed)(refused[0].reason)
    if ended is None or ended.failed:
        return FAILED
    try:
        for path in saving.save(first, told, output):
            print(f"\nwrote {shown(str(path))}", file=sys.stderr if output.json else sys.stdout)
    except saving.SavingFailed as error:
        print(f"mnist-tui: {shown(str(error))}", file=sys.stderr)
        return FAILED
    return DONE


class _Lines(Lines):
    """One event per line, each with its run."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = words

    def print(self, event: Event) -> None:
        """Print `event`, unless it is progress; those of runs as in their `events.jsonl`, with their run."""
        match event:
            case RunTold():
                self.write(msgspec.json.encode(msgspec.json.decode(to_json(event.event)) | {"run": event.run}))
            case RunRefused():
                of = f"run {event.number + 1} of {len(self._words)}: {self._words[event.number]}"
                print(f"mnist-tui: {of}: {shown(event.reason)}", file=sys.stderr, flush=True)
            case _:
                super().print(event)


class _People:
    """A bar for each run under way and a line for each that ends, or a line per epoch in a file; a table at the end."""

    def __init__(self, words: Sequence[str], searching: bool) -> None:
        """`searching` is whether a search comes before the runs that `words` set apart."""
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bars

        self._words, self._searching = words, searching
        self._console, self._live = console()
        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(30),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[fact]}", markup=False),
            console=self._console,
            transient=True,
            refresh_per_second=4,
            disable=not self._live,
        )
        self._all = self._bars.add_task("starting Ray", total=None, fact="")
        self._of_runs: dict[int, object] = {}
        """The bar of each run under way."""

    def __enter__(self) -> _People:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def print(self, event: Event) -> None:
        """Print `event`, or move the bars."""
        if isinstance(event, SweepAdvanced):
            self._advance(event)
            return
        if isinstance(event, SearchAdvanced):
            fact = f"{counted(event.epochs, 'epoch')}"
            if event.val_loss is not None:
                figure = choice(event.certified_accuracy, event.robust_accuracy, event.val_loss)
                fact += f", {figure} with {chosen_words(event.values)}"
            self._bars.update(self._all, description="trials", completed=event.done, total=event.trials, fact=fact)
            return
        event = readable(event)
        match event:
            case ClusterStarted():
                how = f"joined the Ray cluster at {event.address}" if event.address else "started Ray here"
                machines = "" if event.machines == 1 else f"{counted(event.machines, 'machine')}, "
                work = f"a search, then {len(self._words)}" if self._searching else f"{len(self._words)}"
                runs = f"{work} run{'s' if len(self._words) != 1 else ''}"
                self._say(f"{how} in {event.seconds:.1f} s: {machines}{capacity(event)}, {runs}")
                self._bars.update(self._all, description="waiting for a worker")
            case RunTold():
                self._tell(event)
            case RunLost():
                self._say(f"{self._words[event.number]}: its worker died ({event.reason}): {again(event)}")
            case RunRefused():
                self._say(f"{self._words[event.number]}: {event.reason}")
            case SearchEnded():
                self._console.print(*trials(event), "", sep="\n")
                self._bars.update(self._all, description="waiting for a worker", completed=0, total=None, fact="")
            case SweepEnded():
                self._bars.stop()
                self._table(event)
            case _:
                pass

    def _say(self, words: str) -> None:
        self._console.print(words, soft_wrap=True)

    def _tell(self, told: RunTold) -> None:
        words, event = self._words[told.number], told.event
        match event:
            case EpochFinished() if not self._live:
                self._say(
                    f"{words}: epoch {event.epoch}/{event.epochs}, train loss {event.train_loss:.4f}, val loss "
                    f"{event.val_loss:.4f}, test {percent(event.test_accuracy)}, "
                    f"{event.train_seconds + event.eval_seconds:.1f} s{robustness(event)}"
                )
            case RobustnessCollapsed():
                self._say(f"{words}: {event.words}")
            case RunFinished():
                self._say(
                    f"{words}: finished, best {event.choice} in epoch {event.best_epoch}, "
                    f"test {percent(event.test_accuracy)}"
                )
            case RunCancelled():
                when = f"after epoch {event.epoch}" if event.epoch else "before the end of its first epoch"
                self._say(f"{words}: stopped {when}: mnist-tui resume {told.run} resumes it")
            case RunFailed():
                self._say(f"{words}: failed: {event.reason}")
            case _:
                pass

    def _advance(self, event: SweepAdvanced) -> None:
        if not self._live:
            return
        active = {state.number: state.progress for state in event.active}
        for number in set(self._of_runs) - set(active):
            self._bars.remove_task(self._of_runs.pop(number))  # type: ignore[arg-type]
        for number, now in sorted(active.items()):
            done, total = (now.epoch - 1) * now.steps + now.step, now.epochs * now.steps
            if number not in self._of_runs:
                self._of_runs[number] = self._bars.add_task(self._words[number], total=total, fact="")
            fact = f"epoch {now.epoch}/{now.epochs}  {now.images_per_second:,.0f} img/s"
            self._bars.update(self._of_runs[number], completed=done, total=total, fact=fact)  # type: ignore[arg-type]
        if active or event.ended:
            fact = f"{event.waiting} waiting" if event.waiting else ""
            self._bars.update(
                self._all, description="all runs", completed=event.ended, total=len(self._words), fact=fact
            )

    def _table(self, event: SweepEnded) -> None:
        from rich.console import Console

        own = sum(run.seconds for run in event.runs)
        self._console.print("", *sweep(self._words, event), sep="\n")
        self._say(f"\n{duration(event.seconds)}; the runs' own times add up to {duration(own)}")
        bad = [(self._words[run.number], run.run, run.reason) for run in event.failed if run.outcome != "stopped"]
        if bad:
            errors = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else 160)
            errors.print("", f"{len(bad)} of {len(event.runs)} runs failed:", failures(bad), sep="\n")
