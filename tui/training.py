"""`mnist-tui train`: one run, several one after the other, or one in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from engine.events import to_json
from engine.requests import RequestError, Train
from engine.sweeps import expand, parse_axis
from engine.words import shown
from tui.arguments import Output, TrainOutput, parse
from tui.cli import DONE, FAILED
from tui.detach import Detached
from tui.output import report

_BOTH = ["--batch-norm", "both"]


def train(arguments: Sequence[str]) -> int:
    """Carry out the command line `mnist-tui train ARGUMENTS`; returns the exit code.

    Raises RequestError where it cannot begin.
    """
    words = list(arguments)
    axes: dict[str, list[Any]] = {}
    at = next((i for i in range(len(words)) if words[i : i + 2] == _BOTH), None)
    if at is not None:  # a flag that takes a value in this case alone
        del words[at : at + 2]
        axes["batch_norm"] = [False, True]
    request, output = parse(Train, TrainOutput, "mnist-tui train", words)
    axes |= dict(map(parse_axis, output.sweep))
    requests = expand(request, output.seeds, axes)
    if len(requests) > 1 and output.png:
        raise RequestError("--png is for one run: mnist-tui compare draws several")
    if output.detach:
        if output.png:
            raise RequestError("--png needs somebody to wait for the run: leave --detach, or press e in the app")
        return _detached(["train", *(word for word in arguments if word != "--detach")], output, len(requests))
    for number, each in enumerate(requests, 1):
        if len(requests) > 1 and not output.json:
            print(f"\nrun {number} of {len(requests)}: {_told(each, axes)}", flush=True)
        if code := report(each, output):
            return code
    return DONE


def _told(request: Train, axes: Iterable[str]) -> str:
    changed = [f"{name.replace('_', ' ')} {getattr(request, name)}" for name in axes]
    return ", ".join([*changed, f"seed {request.seed}"])


def _detached(arguments: Sequence[str], output: Output, runs: int) -> int:
    detached = Detached(arguments, output.runs)
    began = detached.wait()
    if isinstance(began, str):
        print(f"mnist-tui: {shown(began)}", file=sys.stderr)
        return detached.process.wait() or FAILED
    if output.json:
        sys.stdout.buffer.write(to_json(began) + b"\n")
        return DONE
    folder = output.runs / began.run
    print(
        f"run {began.run} trains in process {detached.process.pid}, also when this terminal closes"
        + (f"; {runs - 1} more come after it" if runs > 1 else "")
        + f"\nmnist-tui {shown(str(folder)) if output.runs != Path('runs') else began.run} watches it"
        f"\nkill {detached.process.pid} stops it, mnist-tui resume {began.run} goes on"
    )
    return DONE
