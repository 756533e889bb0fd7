"""Requests run on the command line: JSON lines for programs, a progress bar and tables for people."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Self

from engine.attacks.events import AttackAdvanced, RobustnessPointMeasured
from engine.attribution.events import OcclusionMapAdvanced
from engine.benchmark.events import BenchFinished
from engine.certification.events import CertifiedPointMeasured
from engine.data.events import DownloadAdvanced
from engine.event import Event, Progress, WorkAdvanced, to_json
from engine.inspection.unit_events import PicturesAdvanced, UnitAdvanced
from engine.network.events import DeviceFellBack, NetworkEvent, WeightsRead
from engine.operations import end, perform
from engine.report.events import ReportWritten
from engine.request import Request
from engine.runs.events import Exported, QueueListed, RunsCompared, RunsListed
from engine.training.events import (
    BatchEvaluated,
    BatchTrained,
    EpochFinished,
    LearningRateFound,
    RobustnessCollapsed,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunStarted,
)
from engine.words import percent, readable, shown
from tui.cli import saving
from tui.cli.arguments import Output
from tui.cli.descriptors import output_to_ourselves
from tui.cli.exit_codes import DONE, FAILED, INTERRUPTED
from tui.drawing.terminal import colour_system
from tui.drawing.words import robustness

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars


class Interrupt:
    """The signals that ask the process to stop; work then stops before its next step."""

    def __init__(self, at_once: bool = False) -> None:
        self.number = 0
        self._at_once = at_once

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Record the first signal; `at_once`, also raise KeyboardInterrupt. A second one has its usual effect."""
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.getsignal(number) for number in numbers}

        def note(number: int, _frame: FrameType | None) -> None:
            self.number = number
            for each, handler in before.items():
                signal.signal(each, handler)
            if self._at_once:
                raise KeyboardInterrupt

        for number in numbers:
            if before[number] is not signal.SIG_IGN:  # under nohup, SIGHUP stays ignored
                signal.signal(number, note)
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    @property
    def code(self) -> int:
        """The exit code for the signal."""
        return INTERRUPTED if self.number == signal.SIGINT else 128 + self.number


def report(
    request: Request,
    output: Output,
    results: list[Event] | None = None,
    operation: Callable[[Request, Path], Generator[Event, None, None]] | None = None,
    *,
    at_once: bool = False,
) -> int:
    """Run `request`, by `operation` if given, print its events and save its results; returns the exit code.

    All events but progress are appended to `results`. With `at_once`, a signal ends the work in the middle of a step:
    for work that takes long steps and keeps nothing. Raises RequestError if the request cannot start.
    """
    saving.check(output)
    interrupt = Interrupt(at_once)
    printer = Lines() if output.json else _People(request)
    results = [] if results is None else results
    with interrupt.caught(), printer:
        work = (operation or perform)(request, output.runs)
        try:
            for event in work:
                printer.print(event)
                if not isinstance(event, Progress):
                    results.append(event)
                if interrupt.number:
                    for last in end(work):
                        printer.print(last)
                    break
        except KeyboardInterrupt:
            if not at_once:
                raise
            work.close()
        failed = any(isinstance(event, RunFailed | RunCancelled) for event in results)
        if not failed and not interrupt.number:
            try:
                for path in saving.save(request, results, output):
                    printer.saved(path)
            except saving.SavingFailed as error:
                print(f"mnist-tui: {shown(str(error))}", file=sys.stderr)
                failed = True
    if interrupt.number:
        return interrupt.code
    return FAILED if failed else DONE


def console() -> tuple[Console, bool]:
    """A console on standard output for people, and whether it shows what moves, such as a progress bar."""
    from rich.console import Console

    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # the encoding may lack characters of a name
    # No markup, since names may contain brackets and colons. In a file, tables need not fit a terminal's width.
    on_terminal = sys.stdout.isatty()
    made = Console(
        highlight=False,
        markup=False,
        emoji=False,
        width=None if on_terminal else 160,
        color_system=colour_system() if on_terminal else "auto",
    )
    # FORCE_COLOR and similar variables ask for colour, not for a progress bar in a file.
    return made, on_terminal and made.is_terminal


class Lines:
    """One event per line, as in `events.jsonl`."""

    def __enter__(self) -> Self:
        self._ends = ExitStack()
        self._out = self._ends.enter_context(output_to_ourselves())
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def print(self, event: Event) -> None:
        """Print `event`, unless it is progress."""
        if not isinstance(event, Progress):
            self.write(to_json(event))

    def write(self, line: bytes) -> None:
        """Print one line of JSON."""
        self._out.write(line + b"\n")
        self._out.flush()

    def saved(self, path: Path) -> None:
        """Print nothing, because standard output is only for events."""


class _People:
    """One line per epoch, as the notebook prints it, or the tables of a result, with a progress bar below."""

    def __init__(self, request: Request) -> None:
        self._request = request
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self.console, live = console()
        self.bars: Bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(30),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[fact]}", markup=False),
            console=self.console,
            transient=True,
            disable=not live,
        )
        self.task = self.bars.add_task("loading PyTorch", total=None, fact="")
        self.training = False

    def __enter__(self) -> _People:
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def print(self, event: Event) -> None:  # noqa: PLR0912 (a case for each event)
        """Print `event`, or update the progress bar."""
        if not isinstance(event, BatchTrained):  # there are thousands of these, and they contain no text
            event = readable(event)
        match event:
            case DeviceFellBack():
                self.console.print(event.reason, markup=False, soft_wrap=True)
            case RunStarted():
                self._start(event)
            case Progress():
                self._progress(event)
            case EpochFinished():
                seconds = event.train_seconds + event.eval_seconds
                self.console.print(
                    f"{event.epoch:>5}{event.train_loss:>13.4f}{event.val_loss:>11.4f}"
                    f"{percent(event.val_accuracy):>10}{percent(event.test_accuracy):>11}{seconds:>8.1f} s"
                    f"{robustness(event)}",
                    soft_wrap=True,
                )
            case RobustnessCollapsed():
                self.console.print(event.words, soft_wrap=True)
            case RunFinished():
                self.console.print(
                    f"\nbest {event.choice} in epoch {event.best_epoch}, with test accuracy "
                    f"{percent(event.test_accuracy)} (after the last epoch: {percent(event.last_test_accuracy)})"
                )
            case RunCancelled():
                when = f"after epoch {event.epoch}" if event.epoch else "before the end of its first epoch"
                self.console.print(f"\nstopped {when}: mnist-tui resume {event.run} resumes it")
            case WeightsRead():
                for note in event.notes:
                    self.console.print(f"{event.name}: {note}", markup=False, soft_wrap=True)
            case RobustnessPointMeasured() | CertifiedPointMeasured():
                pass  # one table shows them all in the end
            case RunsListed() | QueueListed() | RunsCompared() | LearningRateFound() | BenchFinished():
                from tui.cli.tables.results import results

                self.console.print(results(event))
            case NetworkEvent():
                from tui.cli.gallery import pictures
                from tui.cli.tables.results import results

                self.console.print(results(event))
                if images := pictures(event, self.console, getattr(self._request, "layer", "conv1")):
                    self.console.print(images)
            case ReportWritten():
                for title, claims in event.observations:
                    lines = "\n".join(f"  {section:<6} {verdict.lower()}" for section, verdict in claims)
                    self.console.print(f"{title}:\n{lines}\n")
                told = f"wrote {event.html} and {event.markdown} with {event.figures} figures in {event.seconds:.0f} s"
                self.console.print(told, soft_wrap=True)
            case Exported():
                self.console.print(f"wrote {event.what} to {event.path}", soft_wrap=True)
            case RunFailed():
                print(f"mnist-tui: {event.reason}", file=sys.stderr)
            case _:
                pass

    def _start(self, event: RunStarted) -> None:
        self.training = True
        for difference in event.differences:
            self.console.print(f"changed since the run started, so last digits may differ: {difference}")
        for caution in event.cautions:
            self.console.print(f"caution: {caution}", soft_wrap=True)
        if event.graph is False:
            self.console.print("slower than usual: a training step could not be captured as a CUDA graph")
        if event.resumed_from is not None:
            done = f"after epoch {event.resumed_from}" if event.resumed_from else "in its first epoch"
            self.console.print(f"resuming {done}")
        self.console.print(
            f"run {event.run} on {event.device} ({event.device_name}), {event.parameters:,} parameters\n"
            f"{event.train_size:,} training, {event.val_size:,} validation and {event.test_size:,} test images "
            f"of {'x'.join(map(str, event.image_shape[1:]))} pixels\n\n"
            "epoch   train loss   val loss   val acc   test acc      time"
        )

    def _progress(self, event: Progress) -> None:
        match event:
            case BatchTrained():
                done = (event.epoch - 1) * event.steps + event.step
                fact = f"{event.images_per_second:,.0f} img/s"
                self._advance(f"epoch {event.epoch}", done, event.epochs * event.steps, fact)
            case BatchEvaluated() if not self.training:
                self._advance(f"evaluating {event.split}", event.done, event.total, "")
            case BatchEvaluated():
                self.bars.update(self.task, fact=f"evaluating {event.split} {event.done:,}")
            case WorkAdvanced():
                self._advance(event.words, event.done, event.total, "")
            case OcclusionMapAdvanced():
                known = event.winners >= 0
                self._advance("occlusion", int(known.sum()), known.size, "")
            case AttackAdvanced():
                self._advance(event.attack, event.done, event.steps, "")
            case PicturesAdvanced():
                self._advance(f"images of {event.layer}", event.done, event.total, "")
            case UnitAdvanced() if event.done < event.settings["steps"]:
                self._advance(f"images of {event.layer}", event.done, event.settings["steps"], "")
            case DownloadAdvanced():
                self._advance(f"downloading {event.file}", event.received, event.total or None, event.dataset)
            case _:
                pass

    def saved(self, path: Path) -> None:
        """Print that a result was written to `path`."""
        self.console.print(f"\nwrote {shown(str(path))}", soft_wrap=True)

    def _advance(self, words: str, done: float, total: float | None, fact: str) -> None:
        self.bars.update(self.task, description=words, completed=done, total=total, fact=fact)
