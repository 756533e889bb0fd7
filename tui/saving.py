"""Results in files: the arrays of `--npz`, the figure of `--png`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from engine.events import Array, DigitsShown, Event, NetworkSummarised, SplitEvaluated, arrays
from engine.history import RunHistory
from engine.lab import perform
from engine.paths import write_whole
from engine.requests import DrawFigure, Request, RequestError, Train


def check(option: str, path: Path | None) -> None:
    """Raise RequestError where `path`, given with `option` (`--png`), is nothing that a result can be written to."""
    if path is None:
        return
    suffix, folder = f".{option.strip('-')}", path.parent
    try:
        if path.suffix != suffix:
            raise RequestError(f"{option} needs a name that ends in {suffix}, not {path}")
        if path.is_dir():
            raise RequestError(f"{path} is a folder: give {option} another name")
        if not folder.is_dir():
            raise RequestError(f"there is no folder {folder}: make it, or give {option} another place")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise RequestError(f"nothing can be written in {folder}: give {option} another place")
    except OSError as error:  # a name that is too long, a folder that nobody may look into
        raise RequestError(f"cannot write {path} ({error.strerror}): give {option} another place") from None


def result_arrays(event: Event) -> dict[str, Array]:
    """What the `.npz` of an event holds: its arrays, and as arrays what else of it is a table of numbers."""
    import numpy as np

    tables: dict[str, Array] = {}
    match event:
        case NetworkSummarised():
            tables = {"layer": np.array([layer.name for layer in event.layers])}
            for name in ("parameters", "running_statistics", "neurons", "multiply_adds", "receptive_field"):
                tables[name] = np.array([getattr(layer, name) for layer in event.layers], np.int64)
        case SplitEvaluated():
            tables = {"confusion": np.array(event.confusion, np.int64)}
        case DigitsShown():
            for name in ("index", "actual", "predicted"):
                tables[name] = np.array([getattr(digit, name) for digit in event.digits], np.int64)
            tables["probabilities"] = np.array([digit.probabilities for digit in event.digits]).reshape(-1, 10)
    return arrays(event) | tables


def save_arrays(path: Path, events: Sequence[Event]) -> None:
    """Write what `events` hold as a compressed `.npz`, whole or not at all; raises OSError that names `path`."""
    import numpy as np

    named = {name: array for event in events for name, array in result_arrays(event).items()}

    def write(partial: Path) -> None:
        with partial.open("wb") as file:  # to a name that it does not know NumPy would add an ending
            np.savez_compressed(file, **named)  # type: ignore[arg-type]

    try:
        write_whole(path, write)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def save_figure(path: Path, request: Request, events: Sequence[Event], root: Path) -> None:
    """Draw what came of `request` as a PNG: of a training run its curves. Raises OSError that names `path`."""
    subject = RunHistory.of("", events) if isinstance(request, Train) else events[0]
    layer = getattr(request, "layer", "conv1")
    for _ in perform(DrawFigure(subject=subject, path=str(path), layer=layer), root):
        pass
