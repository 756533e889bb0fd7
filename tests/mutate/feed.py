"""Commands that a user would run on a damaged file, and checks of their output."""

from __future__ import annotations

import io
import json
import struct
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.data import datasets as data
from engine.event import JobFailed
from engine.inspection.events import FiltersShown
from engine.inspection.loaded import load_network
from engine.inspection.requests import ShowFilters, Summarise
from engine.network.events import WeightsOpened
from engine.network.requests import OpenWeights
from engine.operations import end, perform
from engine.paths import asset
from engine.request import RequestError
from engine.runs.finding import find_network
from engine.runs.folder import RunFolder
from engine.runs.requests import Resume
from engine.runs.tail import Tail
from engine.training.events import RunFailed, RunStarted
from tests.mutate.material import LABELS, OTHER, SUBJECT, Material
from tui.cli.main import main

STEPS = 12
"""Number of events of a resumed run to wait for."""
_NUMPY = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}

Plain = Counter[tuple[tuple[int, ...], bytes]]
"""Tensors as shapes and single-precision values, regardless of their names."""


class Bad(Exception):
    """An unacceptable result; the message is one line."""


def command(*words: str) -> str:
    """The output of a command. Raises Bad for a traceback, an error of several lines, or control characters."""
    out, errors = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
    code: Any = None
    with redirect_stdout(out), redirect_stderr(errors):
        try:
            main(words)
        except SystemExit as end_:
            code = end_.code
    out.flush()
    errors.flush()
    said, complaint = (stream.buffer.getvalue().decode() for stream in (out, errors))
    if code not in (0, 1, 2):
        raise Bad(f"{' '.join(words)} ended with {code!r}")
    if code == 2 and len(complaint.splitlines()) != 1:
        raise Bad(f"{' '.join(words)} said {len(complaint.splitlines())} lines: {complaint[:200]!r}")
    for character in said + complaint:
        if unicodedata.category(character) == "Cc" and character not in "\n\t":
            raise Bad(f"{' '.join(words)} printed {character!r}")
    return said


def numbers_in(path: Path) -> Plain | None:
    """The tensors in a weights file, read independently of the program; None if that is not possible."""
    if not path.is_file():  # reading from a pipe would block forever
        return None
    try:
        if path.suffix == ".safetensors":
            return Counter(_plain(array) for array in _safetensors(path.read_bytes()).values())
        return Counter(_plain(each) for each in _tensors(torch.load(path, map_location="cpu", weights_only=True)))
    except Exception:
        return None


def _safetensors(content: bytes) -> dict[str, np.ndarray]:
    length = struct.unpack("<Q", content[:8])[0]
    header, body = json.loads(content[8 : 8 + length]), content[8 + length :]
    found = {}
    for name, tensor in header.items():
        if name != "__metadata__" and tensor["dtype"] in _NUMPY:
            start, end_ = tensor["data_offsets"]
            found[name] = np.frombuffer(body[start:end_], _NUMPY[tensor["dtype"]]).reshape(tensor["shape"])
    return found


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _tensors(item)


def _plain(array: Any) -> tuple[tuple[int, ...], bytes]:
    single = torch.as_tensor(np.array(array) if isinstance(array, np.ndarray) else array).detach().to(torch.float32)
    return tuple(single.shape), single.contiguous().numpy().tobytes()


def weights(path: Path, root: Path, unharmed: Plain) -> bool:
    """Open, summarise, evaluate, import and export a weights file."""
    name = path.name
    command("summary", name)
    command("evaluate", name)
    command("export", name, "--to", "again.safetensors")
    command("import", name, "--name", "imported")
    try:
        model = load_network(Summarise(what=name), root).model
    except RequestError:
        return False
    taken = Counter(_plain(value) for key, value in model.state_dict().items() if "num_batches" not in key)
    there = numbers_in(path)
    if taken - (unharmed if there is None else there):
        raise Bad("its network has numbers that the file has not")
    opened = list(perform(OpenWeights(path=name), root))
    finite = all(bool(value.isfinite().all()) for value in model.state_dict().values())
    said = any(isinstance(event, WeightsOpened) and event.damaged for event in opened)
    if not finite and not said:
        raise Bad("numbers that are none were taken without a word")
    if not finite and (root / "imported").exists():
        raise Bad("numbers that are none were imported")
    return True


def run(path: Path, root: Path, unharmed: Plain) -> bool:
    """List, follow, compare, export, evaluate and resume a run."""
    if OTHER not in command("runs") or OTHER not in command("runs", "--json"):
        raise Bad("the other run is not listed")
    find_network("", root)
    folder = RunFolder(root / SUBJECT)
    for words in (("summary", SUBJECT), ("compare", SUBJECT, OTHER), ("export", SUBJECT, "--to", "curves.csv")):
        command(*words)
    try:
        folder.read_record()
        folder.history()
        Tail(folder).more()
    except RequestError:
        pass
    return _resumed(root)


def state(path: Path, root: Path, unharmed: Plain) -> bool:
    """Resume a run whose state is damaged: it must resume only if each tensor has its shape and type."""
    there = numbers_in(path)  # before, since a run that goes on writes it anew
    went_on = _resumed(root)
    if not went_on or there is None:
        return went_on
    shapes, wanted = (Counter(shape for shape, _ in each.elements()) for each in (there, unharmed))
    if wanted - shapes:
        raise Bad(f"it went on, though {dict(wanted - shapes)} are missing from its state")
    return True


def _resumed(root: Path) -> bool:
    """Whether the run resumes; trains a step or two of it."""
    try:
        events = perform(Resume(what=SUBJECT), root)
        some = list(islice(events, STEPS))
        if len(some) == STEPS:
            some += end(events)
    except RequestError:
        return False
    for event in some:
        if isinstance(event, JobFailed | RunFailed) and "Error:" in event.reason:
            raise Bad(event.reason)
    return any(isinstance(event, RunStarted) for event in some)


def epoch(path: Path, root: Path, unharmed: Plain) -> bool:
    """Show the kernels after an epoch."""
    command("filters", SUBJECT, "--epoch", "1")
    command("filters", SUBJECT, "--layer", "conv2", "--epoch", "1")
    command("runs")
    try:
        events = list(perform(ShowFilters(what=SUBJECT, epoch=1), root))
    except RequestError:
        return False
    there = numbers_in(path)
    for event in events:
        if isinstance(event, FiltersShown) and there is not None and _plain(event.weights) not in there:
            raise Bad("kernels are shown that the file has not")
    return True


def images(path: Path, root: Path, unharmed: Plain) -> bool:
    """Read cached data: either the bundled data or nothing is accepted."""
    try:
        found = data.load_mnist_file(LABELS, asset("mnist"), path.parent)
    except RequestError:
        return False
    if Counter([_plain(found.copy())]) != unharmed:
        raise Bad("other data than those that ship with the program were taken")
    return True


FEEDS: dict[str, Callable[[Path, Path, Plain], bool]] = {
    "weights": weights,
    "run": run,
    "state": state,
    "epoch": epoch,
    "data": images,
}


def unharmed_numbers(material: Material, root: Path) -> Plain:
    """The numbers in the undamaged file."""
    path = root / material.path
    if material.kind == "data":
        return Counter([_plain(data.load_mnist_file(LABELS, asset("mnist"), path.parent).copy())])
    return (numbers_in(path) if path.suffix in (".safetensors", ".pth") else None) or Counter()


def feed(material: Material, place: Path, unharmed: Plain) -> bool:
    """Run all commands on the file in `place`; returns whether it was accepted. Raises an exception on failure."""
    taken = FEEDS[material.kind](place / material.path, place / "runs", unharmed)
    if any(place.glob("**/was-run")):
        raise Bad("code was run")
    return taken
