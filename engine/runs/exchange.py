"""Import and export of weights and curves in the formats of other programs."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.event import Event
from engine.network.checkpoints import damaged, read_weights, save_convolutions, save_weights
from engine.network.devices import versions
from engine.network.model import count_parameters
from engine.network.pixels import told
from engine.network.requests import Architecture
from engine.paths import write_whole
from engine.request import RequestError
from engine.runs.catalogue import rename, write_note
from engine.runs.events import Exported
from engine.runs.finding import WEIGHTS_SUFFIXES, find_network
from engine.runs.folder import RunFolder, RunRecord
from engine.runs.history import ROBUST_FIELDS, RunHistory
from engine.runs.requests import Export, Import
from engine.telemetry.usage import columns
from engine.training.events import KINDS, EpochFinished, Insides
from engine.training.requests import Train
from engine.words import shown

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter

_NO_COLUMNS = ("epochs", "running_loss", "usage", "insides", "test_wrong", *ROBUST_FIELDS)
COLUMNS = tuple(name for name in EpochFinished.__struct_fields__ if name not in _NO_COLUMNS)
"""The columns of a CSV file of curves, which has a line per epoch; after them come robust and certified accuracy, where
there are any, what was measured of the layers, and what was used."""
_CURVES = ("train_loss", "val_loss", "val_accuracy", "test_accuracy", "images_per_second")
_BOARD_FILE = "events.out.tfevents."
"""The prefix of the names of TensorBoard's files."""
_BOARD_MARK = ".mnist-tui."
"""The mark before the run's name in the names of files written here."""


def export(request: Export, root: Path) -> Generator[Event, None, None]:
    """Write what `request.what` names to `request.to`, in the format of its suffix; an existing file is replaced.

    Raises RequestError where the network or run does not exist, the format is unknown, or writing fails.
    """
    found, to = find_network(request.what, root), Path(request.to)
    try:
        if _names_a_folder(request.to):
            to, what = _tensorboard(_run(found), to)
        elif to.suffix.lower() in WEIGHTS_SUFFIXES:
            what = yield from _weights(found, to, request)
        elif to.suffix == ".csv":
            what = _csv(_history(found), to)
        else:
            raise RequestError(
                f"{to} must end in .pth, .safetensors or .csv; a folder for TensorBoard must end in / or exist already"
            )
    except OSError as error:
        raise RequestError(f"cannot write {to} ({error.strerror or error}): choose another path with --to") from None
    yield Exported(path=str(to), what=what)


def import_weights(request: Import, root: Path) -> Generator[Event, None, None]:
    """Make a run folder from a weights file: its network, without a training history.

    Raises RequestError where the file does not exist, holds no supported network or weights that are not finite, the
    name is taken, or writing fails.
    """
    file = Path(request.what)
    weights = read_weights(file, request.reading)
    model = weights.model
    yield from told(weights, file.name)
    if count := damaged(model):
        raise RequestError(f"{file} is damaged: {count:,} of its weights are not finite")
    folder = RunFolder.create(root, model.architecture.variant)
    try:
        fields = {name: getattr(model.architecture, name) for name in Architecture.__struct_fields__}
        folder.write_record(RunRecord(Train(**fields), versions(), "cpu", "", 0))
        save_weights(folder.model_file, model)
        save_convolutions(folder.convolutions_file(0), model.state_dict())
        write_note(folder, f"imported from {shown(file.name)}")
        folder = rename(folder, request.name) if request.name else folder
    except BaseException as error:
        shutil.rmtree(folder.path, ignore_errors=True)
        if isinstance(error, OSError):
            raise RequestError(f"cannot write to {folder.path} ({error.strerror})") from None
        raise
    what = f"{count_parameters(model):,} weights of {file}"
    yield Exported(path=str(folder.path), what=what)


def _weights(found: RunFolder | Path, to: Path, request: Export) -> Generator[Event, None, str]:
    if isinstance(found, RunFolder):
        file = found.best_file if request.weights == "best" else found.model_file
        if not file.is_file():
            raise RequestError(f"run {found.name} has no {request.weights} weights yet: there is no file {file.name}")
    else:
        file = found
    weights = read_weights(file, request.reading)
    yield from told(weights, file.name)
    save_weights(to, weights.model)
    return f"{count_parameters(weights.model):,} weights of {file}"


def _run(found: RunFolder | Path) -> RunFolder:
    if not isinstance(found, RunFolder):
        raise RequestError(f"{found} is a weights file, which has no curves: name a run")
    return found


def _history(found: RunFolder | Path) -> RunHistory:
    history = _run(found).history()
    if not history.epochs:
        raise RequestError(f"run {history.name} has no finished epoch yet, so there are no curves")
    return history


def _csv(history: RunHistory, to: Path) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    used = [_scalars(epoch) | (columns(epoch.usage) if epoch.usage else {}) for epoch in history.epochs]
    known = list(dict.fromkeys(name for each in used for name in each))
    writer.writerow([*COLUMNS, *known])
    for epoch, each in zip(history.epochs, used, strict=True):
        writer.writerow([*(getattr(epoch, name) for name in COLUMNS), *(each.get(name, "") for name in known)])
    write_whole(to, lambda path: path.write_text(text.getvalue(), encoding="utf-8"))
    return f"{len(history.epochs)} epochs of {history.name}"


def _robust(epoch: EpochFinished) -> dict[str, float]:
    """Robust and certified accuracy of an epoch, as far as it has them."""
    return {name: value for name in ROBUST_FIELDS if (value := getattr(epoch, name)) is not None}


def _scalars(epoch: EpochFinished) -> dict[str, float]:
    """All numbers that only some epochs have: accuracies of robust objectives, and what was measured of the layers."""
    return _robust(epoch) | {name.replace("/", "_"): value for name, value in _insides(epoch.insides).items()}


def _insides(insides: Insides | None) -> dict[str, float]:
    """The numbers about the layers, without their histograms, by TensorBoard's tags, as far as there are any."""
    if insides is None:
        return {}
    found: dict[str, float | None] = {}
    for layer in insides.layers:
        for name in ("weight_norm", "gradient_norm", "update_norm", "update_ratio", "dead"):
            found[f"{layer.layer}/{name}"] = getattr(layer, name)
    for name in ("gradient_square", "gradient_variance", "noise_scale"):
        found[name] = getattr(insides, name)
    return {name: value for name, value in found.items() if value is not None}


def _write_histograms(writer: SummaryWriter, insides: Insides, epoch: int, at: float) -> None:
    """Write the histograms of all layers; means and squares are those of the middles of the bins."""
    for layer in insides.layers:
        for kind in KINDS:
            bins = layer.histogram(kind).bins()
            middles = [((low + high) / 2, count) for low, high, count in bins]
            filled = [(low, high) for low, high, count in bins if count] or [(0.0, 0.0)]
            writer.add_histogram_raw(
                f"{layer.layer}/{kind}",
                filled[0][0],
                filled[-1][1],
                sum(count for _, count in middles),
                sum(middle * count for middle, count in middles),
                sum(middle * middle * count for middle, count in middles),
                [high for _, high, _ in bins],
                [count for _, _, count in bins],
                epoch,
                at,
            )


def _names_a_folder(to: str) -> bool:
    """Whether `to` is a folder for TensorBoard: `tb`, `tb/`, `lr-0.001`, or an existing folder of any name.

    Raises RequestError for `-`.
    """
    if to == "-":
        raise RequestError("export cannot write to standard output: give --to a file, or a folder for TensorBoard")
    path = Path(to)
    # Suffixes of files have no digits; `.001` and `.v2` are parts of a name.
    return to.endswith("/") or path.is_dir() or not path.suffix or any(map(str.isdigit, path.suffix))


def _of_run(file: Path) -> str:
    """The run whose curves a TensorBoard file holds; empty if this program did not write it."""
    return file.name.partition(_BOARD_MARK)[2]


def _tensorboard(run: RunFolder, to: Path) -> tuple[Path, str]:
    """Write the curves of `run` into `to`, or into a subfolder if `to` holds other curves.

    TensorBoard treats all files of a folder as one run, and would draw two as a zigzag. Earlier files of the same run
    are replaced. Returns the folder, and what was written as text.
    """
    history = _history(run)
    try:
        from torch.utils.tensorboard.writer import SummaryWriter
    except ImportError:
        raise RequestError("TensorBoard is not installed: pip install tensorboard") from None
    if any(_of_run(file) != run.name for file in to.glob(f"{_BOARD_FILE}*")):
        to /= run.name
    before = [file for file in to.glob(f"{_BOARD_FILE}*") if _of_run(file) == run.name]
    begun = run.began()
    request = msgspec.json.format(msgspec.json.encode(run.read_record()), indent=2).decode()
    with SummaryWriter(str(to), filename_suffix=f"{_BOARD_MARK}{run.name}") as writer:
        writer.add_text("request", f"```\n{request}\n```", 0, begun)
        for epoch in history.epochs:
            begun += epoch.train_seconds + epoch.eval_seconds
            for name in (*_CURVES, *_robust(epoch)):
                kind, _, measure = name.partition("_")
                tag = f"{measure}/{kind}" if measure in ("loss", "accuracy") else name
                writer.add_scalar(tag, getattr(epoch, name), epoch.epoch, begun)
            for tag, value in _insides(epoch.insides).items():
                writer.add_scalar(tag, value, epoch.epoch, begun)
            if epoch.insides:
                _write_histograms(writer, epoch.insides, epoch.epoch, begun)
    for file in before:
        file.unlink()
    return to, f"{len(history.epochs)} epochs of {history.name} for TensorBoard"
