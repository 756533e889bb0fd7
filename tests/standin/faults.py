"""Faults that only show on a GPU, planted one at a time in a copy of the engine. Each must be caught.

They are found by searching the source code, so the list stays up to date when code moves.
"""

from __future__ import annotations

import ast
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import torch
from msgspec import Struct

import engine
from tests.standin import device
from tests.standin.runs import Findings, checked, operation_runs

_ENGINE = Path(engine.__file__).parent
_NOT_OPERATIONS = {"devices.py", "gpu.py"}
"""Files that the stand-in replaces."""


_WORDS = {
    "attacks": ("attack", "robustness", "transfer", "beta"),
    "attribution": ("occlude", "attribute"),
    "inspection": ("evaluate", "activations", "digits", "filters"),
    "report": ("report",),
}
"""Prefixes of the operations that most probably reach a fault in a folder or file of the engine; default: training."""


_FIRST = ("evaluate pretrained:cnn", "evaluate pretrained:cnn-bn")


class Fault(NamedTuple):
    """A piece of source code to remove."""

    file: str
    """Path in the engine's folder."""
    line: int
    start: int
    end: int
    """Byte offsets in the file."""


def faults() -> Iterator[Fault]:
    """All possible faults: a missing `.to(DEVICE)`, `.cpu()` or `device=`."""
    for path in sorted(_ENGINE.rglob("*.py")):
        source = path.read_bytes()
        if path.name in _NOT_OPERATIONS or b"import torch" not in source:
            continue
        starts = [0]
        for line in source.splitlines(keepends=True):
            starts.append(starts[-1] + len(line))
        name = path.relative_to(_ENGINE).as_posix()

        def at(line: int, column: int, starts: list[int] = starts) -> int:
            return starts[line - 1] + column

        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.Call):
                continue
            function = node.func
            if isinstance(function, ast.Attribute) and (function.attr == "cpu" or _moves(node, function)):
                value = function.value
                assert value.end_lineno is not None
                assert value.end_col_offset is not None
                assert node.end_lineno is not None
                assert node.end_col_offset is not None
                begin = source.index(b".", at(value.end_lineno, value.end_col_offset))  # after brackets, if any
                yield Fault(name, node.end_lineno, begin, at(node.end_lineno, node.end_col_offset))
            for keyword in node.keywords:
                if keyword.arg == "device" and _of_torch(function):
                    assert keyword.end_lineno is not None
                    assert keyword.end_col_offset is not None
                    begin = at(keyword.lineno, keyword.col_offset)
                    comma = source.rfind(b",", 0, begin)
                    between = source[comma + 1 : begin].strip()
                    yield Fault(
                        name,
                        keyword.lineno,
                        begin if between else comma,
                        at(keyword.end_lineno, keyword.end_col_offset),
                    )


def _moves(call: ast.Call, function: ast.Attribute) -> bool:
    """Whether `call` is `.to(...)` with a device, or with a tensor to take the device from."""
    if function.attr != "to" or not call.args:
        return False
    first = ast.unparse(call.args[0])
    return "dtype" not in first and not first.startswith("torch.float")


def _of_torch(function: ast.expr) -> bool:
    return isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id == "torch"


class Trial(Struct):
    """The behaviour of a copy of the engine with a fault."""

    place: str
    line: str
    problem: str = ""
    """The failure in one line; empty if there is none."""
    waits: dict[str, int] = {}
    """Number of times the host waits for the device, for each operation that was run."""

    def caught(self, sound: Findings) -> str:
        """How the fault shows in comparison with the engine without it; empty if it does not."""
        usual = {each.name: sum(each.waits.values()) for each in sound.operations}
        slower = (f"{name}: {n - usual[name]} more waits" for name, n in self.waits.items() if n > usual[name])
        return self.problem or next(slower, "")


def trials(count: int) -> list[Trial]:
    """Plant `count` faults, spread evenly over all possible ones.

    Each is tried in a fork of this process, to share PyTorch and the stand-in. This process must not have computed a
    gradient before, because that starts threads, which a fork does not have.
    """
    places = list(faults())
    return [_tried(fault) for fault in places[:: max(1, len(places) // count)][:count]]


def _tried(fault: Fault) -> Trial:
    source = (_ENGINE / fault.file).read_bytes()
    line = source.splitlines()[fault.line - 1].decode().strip()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        shutil.copytree(_ENGINE, root / "engine", ignore=shutil.ignore_patterns("__pycache__", "assets"))
        (root / "assets").symlink_to(_ENGINE.parent / "assets")
        (root / "engine" / fault.file).write_bytes(source[: fault.start] + source[fault.end :])
        trial = Trial(f"{fault.file}:{fault.line}", line)
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            try:
                os.close(reader)
                _try(root, fault.file, trial)
                with os.fdopen(writer, "wb") as said:
                    said.write(msgspec.json.encode(trial))
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as said:
            words = said.read()
        _, status = os.waitpid(child, 0)
    if not words:  # it crashed before it could report why
        trial.problem = f"ended with {os.waitstatus_to_exitcode(status)}"
        return trial
    return msgspec.json.decode(words, type=Trial)


def _try(root: Path, file: str, trial: Trial) -> None:
    """Run everything with the engine under `root` until something fails."""
    for name in list(sys.modules):
        if name.split(".")[0] == "engine":
            del sys.modules[name]
    sys.path.insert(0, str(root))
    try:
        device.take_the_place_of_cuda(torch.device(device.NAME, device.DEVICE_INDEX))
        from tests.standin import operations

        (work := root / "work").mkdir()
        operations.make_small(work)
        words = _WORDS.get(file.partition("/")[0], ("train",))
        # The first operation copies the networks and images to the device and waits for that.
        trial.problem = next((each.problem for each in operation_runs(work, _FIRST) if each.problem), "")
        if trial.problem:
            return
        names = sorted(
            (each.name for each in operations.operations("cpu")), key=lambda name: not name.startswith(words)
        )
        for name in names:
            for each in operation_runs(work, (name,)):
                trial.waits[name] = sum(each.waits.values())
                trial.problem = each.problem
            if trial.problem:
                return
        trial.problem = next((f"{name}: {words}" for name, words in checked(work).items() if words), "")
    except Exception as error:
        trial.problem = f"{type(error).__name__}: {error}".splitlines()[0]
