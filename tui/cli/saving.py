"""Saving of results: arrays with `--npz`, a figure with `--png`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.attacks.events import AttackFinished, BetaSwept, RobustnessMeasured, TransferMeasured, UniversalMade
from engine.attacks.requests import MeasureRobustness
from engine.attribution.events import (
    AttributionsComputed,
    ClassOcclusionReady,
    Faithfulness,
    FaithfulnessMeasured,
    OcclusionMap,
)
from engine.attribution.requests import Attribute, Occlude
from engine.benchmark.requests import Bench
from engine.certification.events import DigitCertified
from engine.certification.requests import Certify
from engine.corruptions.events import CorruptionsMeasured
from engine.corruptions.requests import MeasureCorruptions
from engine.event import Event, arrays
from engine.figures.requests import DrawFigure
from engine.inspection.audit_events import NetworksAudited
from engine.inspection.events import DigitsShown, ImagesPredicted, NetworkSummarised, SplitEvaluated
from engine.inspection.learning_events import LearningShown
from engine.inspection.requests import Predict, ShowActivations, ShowFilters
from engine.inspection.unit_events import UnitShown, UnitsVisualised
from engine.network.events import DeviceFellBack, WeightsRead
from engine.operations import perform
from engine.paths import write_whole
from engine.request import Request, RequestError
from engine.runs.finding import find_run
from engine.runs.history import RunHistory
from engine.runs.requests import Resume
from engine.training.events import LearningRateFound, RunStarted
from engine.training.requests import FindLearningRate, Train
from engine.words import shown
from tui.cli.arguments import ArrayOutput, FigureOutput, Output

if TYPE_CHECKING:
    from engine.event import Array


class SavingFailed(Exception):
    """The request succeeded but its result could not be saved; the message is one line."""


def _files(output: Output) -> tuple[Path | None, Path | None]:
    npz = output.npz if isinstance(output, ArrayOutput) else None
    return npz, output.png if isinstance(output, FigureOutput) else None


def check(output: Output) -> None:
    """Raise RequestError if a file in `output` cannot be written."""
    for option, path in zip(("--npz", "--png"), _files(output), strict=True):
        if path is not None:
            _check(option, path)


def save(request: Request, events: Sequence[Event], output: Output) -> Iterator[Path]:
    """Write the results of `request` to the files in `output` and yield their paths; raises SavingFailed."""
    npz, png = _files(output)
    if npz is not None:
        save_arrays(npz, events)
        yield npz
    if png is not None:
        save_figure(png, request, events, output.runs)
        yield png


def _check(option: str, path: Path) -> None:
    suffix, folder = f".{option.strip('-')}", path.parent
    try:
        if path.suffix != suffix:
            raise RequestError(f"{option} needs a name that ends in {suffix}, not {path}")
        if path.is_dir():
            raise RequestError(f"{path} is a folder: choose another file for {option}")
        if not folder.is_dir():
            raise RequestError(f"there is no folder {folder}: create it, or choose another file for {option}")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise RequestError(f"folder {folder} is not writable: choose another file for {option}")
    except OSError as error:  # such as a name that is too long, or a folder without permission
        raise RequestError(f"cannot write {path} ({error.strerror}): choose another file for {option}") from None


def result_arrays(event: Event) -> dict[str, Array]:  # noqa: PLR0912, PLR0915 (a case for each event)
    """The contents of an event's `.npz` file: its arrays, and its other tables of numbers as arrays."""
    import numpy as np

    tables: dict[str, Array] = {}
    own = arrays(event)
    match event:
        case NetworkSummarised():
            tables = {"layer": np.array([layer.name for layer in event.layers])}
            for name in ("parameters", "running_statistics", "neurons", "multiply_adds", "receptive_field"):
                tables[name] = np.array([getattr(layer, name) for layer in event.layers], np.int64)
        case SplitEvaluated():
            tables = {"confusion": np.array(event.confusion, np.int64)}
        case NetworksAudited():
            tables = {"networks": np.array([each.name for each in event.audits]), "doubtful": np.array(event.doubtful)}
            for name in ("ece", "ece_low", "ece_high", "temperature", "ece_calibrated", "accuracy"):
                tables[name] = np.array([getattr(each, name) for each in event.audits])
            for name in ("precision", "recall", "f1"):
                tables[name] = np.array([[getattr(of, name) for of in each.classes] for each in event.audits])
            for suffix in ("", "_calibrated"):
                for name in ("confidence", "accuracy"):
                    bins = (getattr(each, f"bins{suffix}") for each in event.audits)
                    tables[f"bin_{name}{suffix}"] = np.array([[getattr(of, name) for of in each] for each in bins])
            tables["known"] = np.array([each.index for each in event.known], np.int64)
            tables["probabilities"] = np.array([digit.probabilities for digit in event.digits])
        case DigitsShown():
            for name in ("index", "actual", "predicted"):
                tables[name] = np.array([getattr(digit, name) for digit in event.digits], np.int64)
            tables["probabilities"] = np.array([digit.probabilities for digit in event.digits]).reshape(-1, 10)
        case ImagesPredicted():
            tables = {"files": np.array([shown(file) for file in event.files])}
            tables["predictions"] = np.array(event.predictions, np.int64)
            tables["probabilities"] = np.array(event.probabilities)
        case UnitsVisualised():
            tables = {"unit": np.array(event.numbers, np.int64)}
            tables["activations"] = np.array([each.activation for each in event.units])
            tables["start_activations"] = np.array([each.activations for each in event.units])
            tables["digit_index"] = np.array([each.digit for each in event.units], np.int64)
            tables["digit_activation"] = np.array([each.digit_activation for each in event.units])
        case UnitShown():
            tables = {"activations": np.array(event.activations), "responses": np.array(event.responses)}
            for name in ("index", "actual"):
                tables[f"digit_{name}"] = np.array([getattr(digit, name) for digit in event.digits], np.int64)
            tables["digit_activation"] = np.array([digit.activation for digit in event.digits])
            if event.ablation:
                tables["logit_changes"] = np.array(event.ablation.logits)
        case LearningShown():
            for name in ("epochs", "right", "learned", "forgotten", "by_forgetting"):
                tables[name] = np.array(getattr(event, name), np.int64)
            for name in ("most_forgotten", "last_learned", "never_right"):
                tables[name] = np.array([digit.index for digit in getattr(event, name)], np.int64)
            tables["recognised"] = np.unpackbits(own.pop("right_bits"), axis=1, count=event.count).astype(np.bool_)
        case LearningRateFound():
            for name in ("rates", "losses", "smoothed"):
                tables[name] = np.array(getattr(event, name))
            for name in ("steepest", "rises_from", "suggested"):
                value = getattr(event, name)
                tables[name] = np.array(np.nan if value is None else value)
        case OcclusionMap():
            tables = {"unoccluded_probability": np.array(event.unoccluded_probability)}
        case ClassOcclusionReady():
            tables = {"mean_unoccluded_probability": np.array(event.unoccluded_probability)}
        case AttributionsComputed():
            maps = own.pop("maps")
            names = ["attribution"] if len(maps) == 1 else [method.replace("-", "_") for method in event.methods]
            tables = dict(zip(names, maps, strict=True)) | _curves(event.shares, event.faithfulness)
        case FaithfulnessMeasured():
            found = _curves(event.shares, event.faithfulness)
            for name in ("deletion", "insertion"):
                found[f"{name}_spread"] = np.array([getattr(each, name).spread for each in event.faithfulness])
            found["similarities"] = np.array([each.similarities for each in event.faithfulness if each.similarities])
            tables = {f"mean_{name}": array for name, array in found.items()}
        case AttackFinished():
            for name in ("index", "actual", "target", "before", "success"):
                tables[name] = np.array([getattr(image, name) for image in event.images])
        case BetaSwept():
            for name in ("beta", "success", "l2", "l2_spread", "linf", "linf_spread"):
                tables[name] = np.array([getattr(point, name) for point in event.points])
        case RobustnessMeasured():
            for name in ("name", "attack", "epsilon", "count", "correct", "accuracy", "low", "high"):
                tables[name] = np.array([getattr(point, name) for point in event.points])
            tables["fallen"] = np.array([image.index for image in event.fallen], np.int64)
        case DigitCertified():
            broken = np.nan if event.broken_from is None else event.broken_from
            tables = {"proved": np.array(event.proved), "broken_from": np.array(broken)}
        case UniversalMade():
            tables = {"fooling_rate": np.array(event.fooling_rate), "history": np.array(event.history)}
        case CorruptionsMeasured():
            for name in ("name", "network", "accuracy", "low", "high"):
                tables[name] = np.array([getattr(point, name) for point in event.points])
            tables["predicted"] = np.array(event.predicted, np.int64)
        case TransferMeasured():
            tables = {"networks": np.array(event.networks), "success": np.array(event.success)}
    return own | tables


def _curves(shares: Sequence[float], faithfulness: Sequence[Faithfulness]) -> dict[str, Array]:
    """The curves, one row per method and one for random order at the end, with the names of the methods."""
    import numpy as np

    return {
        "shares": np.array(shares),
        "methods": np.array([each.method for each in faithfulness]),
        "deletion": np.array([each.deletion.values for each in faithfulness]),
        "insertion": np.array([each.insertion.values for each in faithfulness]),
    }


def save_arrays(path: Path, events: Sequence[Event]) -> None:
    """Write the arrays of `events` to a compressed `.npz` file atomically; raises SavingFailed."""
    import numpy as np

    named = {name: array for event in events for name, array in result_arrays(event).items()}

    def write(partial: Path) -> None:
        with partial.open("wb") as file:  # given a path, NumPy would append .npz to it
            np.savez_compressed(file, **named)  # type: ignore[arg-type]

    try:
        write_whole(path, write)
    except OSError as error:
        raise SavingFailed(f"cannot write {path} ({error.strerror})") from None


def save_figure(path: Path, request: Request, events: Sequence[Event], root: Path) -> None:
    """Draw the result of `request` as a PNG in the colours of its screen; raises SavingFailed.

    For a training run, this is a figure of its curves. For a request that ends with a result over many images, it is a
    figure of that result.
    """
    result = next(event for event in events if not isinstance(event, DeviceFellBack | WeightsRead))
    drawing = DrawFigure(subject=result, path=str(path))
    match request:
        case FindLearningRate():
            pass
        case Train():
            drawing = replace(drawing, subject=RunHistory.of("", events))
        case Resume():
            begun = next(event for event in events if isinstance(event, RunStarted))
            drawing = replace(drawing, subject=find_run(request.what or begun.run, root).history())
        case ShowFilters():
            drawing = replace(drawing, layer=request.layer, colours="diverging")
        case ShowActivations():
            drawing = replace(drawing, layer=request.layer)
        case Occlude():
            drawing = replace(drawing, subject=events[-1], colours="viridis")
        case Predict() | MeasureRobustness() | Certify() | MeasureCorruptions() | Bench():
            drawing = replace(drawing, subject=events[-1])
        case Attribute():
            drawing = replace(drawing, subject=events[-1], colours="diverging", shared_range=False)
    try:
        for _ in perform(drawing, root):
            pass
    except RequestError as error:
        raise SavingFailed(str(error)) from None
