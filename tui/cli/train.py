"""`mnist-tui train`: one run or several, in this process, in a separate one, or on Ray; and `mnist-tui lr-find`."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from engine.event import Event, to_json
from engine.operations import perform_all
from engine.request import DeviceFailed, RequestError
from engine.runs.sweeps import expand, parse_axis
from engine.training.events import RunCancelled, RunFailed, RunStarted
from engine.training.recipes import NAMES, with_recipe
from engine.training.requests import FindLearningRate, RecipeName, Train
from engine.words import shown
from tui.alerts.alert import of_failure, of_sweep
from tui.alerts.ringer import Ringer
from tui.cli.arguments import ArrayOutput, Output, TrainOutput, parse
from tui.cli.detach import Detached
from tui.cli.exit_codes import DONE, FAILED, INTERRUPTED
from tui.cli.given import key
from tui.cli.ringing import ring_for, ringing
from tui.cli.runner import report
from tui.drawing.words import worded

_BOTH = ["--batch-norm", "both"]


def train(arguments: Sequence[str]) -> int:
    """Run the command line `mnist-tui train ARGUMENTS`; returns the exit code.

    Raises RequestError for invalid arguments, or if no run can start.
    """
    words = list(arguments)
    axes: dict[str, list[Any]] = {}
    at = next((i for i in range(len(words)) if words[i : i + 2] == _BOTH), None)
    if at is not None:  # --batch-norm is a flag that takes no other value
        del words[at : at + 2]
        axes["batch_norm"] = [False, True]
    given = _given(words)
    request, output = parse(Train, TrainOutput, "mnist-tui train", words, with_recipe(Train(), _recipe(given)))
    axes |= dict(map(parse_axis, output.sweep))
    requests = expand(request, output.seeds, axes, given)
    _check(output, len(requests), axes)
    if output.detach:
        return _detached(["train", *(word for word in arguments if word != "--detach")], output, len(requests))
    runs = [(_told(each, axes), each) for each in requests]
    with ringing(output.notify) as ringer:
        if output.on == "ray":
            from tui.cli.on_ray import search_on_ray, train_on_ray

            if output.search != "none":
                return search_on_ray(request, output, ringer)
            return train_on_ray(runs, output, ringer)
        if len(requests) > 1:
            return _sweep(runs, output, ringer)
        events: list[Event] = []
        code = report(requests[0], output, events)
        ring_for(ringer, events)
        return code


def find_learning_rate(arguments: Sequence[str]) -> int:
    """Run the command line `mnist-tui lr-find ARGUMENTS`; returns the exit code.

    Raises RequestError for invalid arguments, or if it cannot start.
    """
    recipe = _recipe(_given(arguments))
    defaults = with_recipe(FindLearningRate(), recipe)
    request, output = parse(FindLearningRate, ArrayOutput, "mnist-tui lr-find", arguments, defaults)
    return report(request, output)


def _recipe(given: Mapping[str, str]) -> RecipeName:
    """The recipe among the options, or the notebook's; the parser refuses others."""
    return next((name for name in NAMES if name == given.get("recipe")), NAMES[0])


def _check(output: TrainOutput, runs: int, axes: Collection[str]) -> None:
    """Raise RequestError where options exclude each other; `axes` are the fields that the `runs` runs differ in."""
    if runs > 1 and output.png:
        raise RequestError("--png draws a single run: draw several with mnist-tui compare --png")
    if output.on == "here" and (output.address or output.parallel or output.shared):
        raise RequestError("--address, --parallel and --shared are for Ray: add --on ray")
    if output.search == "none" and (output.search_space or output.trials):
        raise RequestError("--search-space and --trials are for a search: add --search random or --search halving")
    if output.search != "none":
        if output.on != "ray":
            raise RequestError("a search is done on Ray: add --on ray")
        if axes:
            raise RequestError("a search and a sweep over values exclude each other: drop --sweep or --search")
        if not output.search_space:
            raise RequestError("name the fields to search, for example --search-space learning-rate=1e-4..1e-2")
        if output.detach:
            raise RequestError("a search stays at its terminal: drop --detach, and start it within tmux")
    if output.detach and output.png:
        exports = key("export", "train")
        raise RequestError(f"--png cannot be used with --detach: drop one of them, or press {exports} in the app")


def _given(words: Sequence[str]) -> dict[str, str]:
    """The options on a command line by the names of their fields, with the word after them; the last one counts."""
    found = {}
    for word, following in pairwise([*words, ""]):
        if word.startswith("--"):
            name, equals, value = word.removeprefix("--").removeprefix("no-").partition("=")
            found[name.replace("-", "_")] = value if equals else following
    return found


def _sweep(runs: Sequence[tuple[str, Train]], output: Output, ringer: Ringer) -> int:
    """Train each run, even if earlier ones fail, and list the failures at the end; rings for each of them, and then.

    Output is that of one run after the other, also on a GPU that trains several at once.
    """
    together = perform_all([request for _, request in runs], output.runs)
    failures: list[tuple[str, str, str]] = []

    def note(words: str, run: str, reason: str) -> None:
        failures.append((words, run, reason))
        ringer.ring(of_failure(words, run, reason))

    refused: list[Exception] = []
    code = DONE
    for number, ((words, request), work) in enumerate(zip(runs, together, strict=True), 1):
        of = f"run {number} of {len(runs)}: {words}"
        if not output.json:
            print(f"\n{of}", flush=True)
        events: list[Event] = []
        try:
            code = report(request, output, events, _under_way(work))
        except KeyboardInterrupt:  # between two runs, or a second time during one; `report` handles the first
            code = INTERRUPTED
            break
        except (RequestError, DeviceFailed) as error:
            print(f"mnist-tui: {of}: {shown(str(error))}", file=sys.stderr, flush=True)
            refused.append(error)
            note(words, _folder(events), str(error))
            continue
        except BrokenPipeError:  # nobody reads the output, so all other runs would fail too
            raise
        except Exception as error:
            traceback.print_exc()
            note(words, _folder(events), f"{type(error).__name__}: {error}".splitlines()[0])
            continue
        if code == FAILED:
            last = next((event for event in events if isinstance(event, RunFailed | RunCancelled)), None)
            stopped = "stopped by another process" if last else "its result could not be written"
            note(words, _folder(events), last.reason if isinstance(last, RunFailed) else stopped)
        elif code:
            break
    for index, work in together.stop():  # others that had begun
        if not output.json:
            print(f"\nrun {index + 1} of {len(runs)}: {runs[index][0]}", flush=True)
        report(runs[index][1], output, None, _under_way(work))
    if len(refused) == len(runs) and len(set(map(str, refused))) == 1:
        raise refused[0]  # no run could start, all for the same reason
    _print(failures, len(runs))
    if code in (DONE, FAILED):
        ringer.ring(of_sweep(len(runs), len(failures)))
        code = FAILED if failures else DONE
    return code


def _print(failures: Sequence[tuple[str, str, str]], runs: int) -> None:
    """List the failures of a sweep of so many runs on standard error."""
    if failures:
        from rich.console import Console

        from tui.cli.tables.runs import failures as failures_table

        Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else 160).print(
            "", f"{len(failures)} of {runs} runs failed:", failures_table(failures), sep="\n"
        )


def _under_way(work: Generator[Event, None, None]) -> Callable[..., Generator[Event, None, None]]:
    """The operation that a request is performed by where its events come from `work`."""
    return lambda *_: work


def _folder(events: Sequence[Event]) -> str:
    """The name of the run folder; empty if none was created."""
    return next((event.run for event in events if isinstance(event, RunStarted)), "")


def _told(request: Train, axes: Iterable[str]) -> str:
    changed = [f"{name.replace('_', ' ')} {worded(getattr(request, name))}" for name in axes]
    return ", ".join([*changed, f"seed {request.seed}"])


def _detached(arguments: Sequence[str], output: Output, runs: int) -> int:
    detached = Detached(arguments, output.runs, runs)
    began = detached.wait()
    for line in detached.refused:
        print(line, file=sys.stderr)
    if isinstance(began, str):
        print(f"mnist-tui: {shown(began)}", file=sys.stderr)
        return detached.process.wait() or FAILED
    if output.json:
        sys.stdout.buffer.write(to_json(began) + b"\n")
        return DONE
    folder, later = output.runs / began.run, runs - 1 - len(detached.refused)
    print(
        f"run {began.run} is training in process {detached.process.pid}, which outlives this terminal"
        + (f"; {later} more to follow" if later else "")
        + (f"\nfailures are written to {shown(str(detached.complaints))}" if detached.complaints else "")
        + f"\nmnist-tui {shown(str(folder)) if output.runs != Path('runs') else began.run} shows it"
        f"\nkill {detached.process.pid} stops it, mnist-tui resume {began.run} resumes it"
    )
    return DONE
