"""Command lines parsed into requests: tyro gets the same fields, bounds and help texts as the forms."""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, make_dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import tyro
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructFieldSpec, StructTypeInfo

from engine.request import MORE, Request, RequestError, parameters
from tui.cli.given import runs_folder

R = TypeVar("R", bound=Request)
O = TypeVar("O", bound="Place")  # noqa: E741

File = Annotated[Path | None, tyro.conf.arg(metavar="FILE")]
_WHAT: Any = tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="[WHAT]")]]
_MANY: Any = tyro.conf.Positional[Annotated[tuple[str, ...], tyro.conf.arg(metavar="RUN RUN ...")]]
"""The `what` of a request is positional: `mnist-tui summary pretrained:cnn`. Some requests take more after it."""


@dataclass(frozen=True)
class Place:
    """Where the runs are."""

    runs: Path = dataclasses.field(default_factory=runs_folder)
    """Folder that holds the run folders."""
    settings: File = None
    """Settings to use instead of yours; also the variable MNIST_TUI_SETTINGS."""


@dataclass(frozen=True)
class Output(Place):
    """Where results are written."""

    json: bool = False
    """Print one JSON event per line, and nothing else, on standard output."""


@dataclass(frozen=True)
class FigureOutput(Output):
    """Where results are written."""

    png: File = None
    """File for a figure of the result; an existing file is replaced."""


@dataclass(frozen=True)
class RunOutput(FigureOutput):
    """Where results are written."""

    notify: Annotated[str | None, tyro.conf.arg(metavar="COMMAND")] = None
    """Shell command to run when a run has finished or failed, with the event as JSON on standard input."""


@dataclass(frozen=True)
class TrainOutput(RunOutput):
    """Where results are written."""

    detach: bool = False
    """Train in a separate process that survives the terminal; the app can watch it."""
    seeds: Annotated[int, tyro.conf.arg(metavar="N")] = 1
    """Number of runs with random seeds from --seed upwards: one after the other, on a GPU several at once."""
    sweep: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FIELD=A,B,...")] = ()
    """Train once for each value of a field, such as learning-rate=1e-3,3e-4 or recipe=notebook,fast."""
    on: Literal["here", "ray"] = "here"
    """Train in this process, or on Ray: many runs at once, on all cores and GPUs of this machine or of a cluster."""
    address: Annotated[str, tyro.conf.arg(metavar="ADDRESS")] = ""
    """With --on ray: HOST:PORT or ray://HOST:PORT of a running cluster, or auto (none: start Ray here)."""
    parallel: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """With --on ray: number of runs at once (0: one a core, or as many as the memory of the GPUs holds)."""
    shared: bool = False
    """With --on ray: the machines of the cluster share the folder of --runs, so that they write to it themselves."""
    search: Literal["none", "random", "halving"] = "none"
    """With --on ray: search the fields of --search-space, at random or by successive halving, then train the best."""
    search_space: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FIELD=LOW..HIGH")] = ()
    """Fields to search and their bounds, such as learning-rate=1e-4..1e-2."""
    trials: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """Number of values that a search tries (0: 20)."""


@dataclass(frozen=True)
class ArrayOutput(FigureOutput):
    """Where results are written."""

    npz: File = None
    """File for the arrays of the result, by name; an existing file is replaced."""


def parse(
    request: type[R], output: type[O], program: str, arguments: Sequence[str], defaults: R | None = None
) -> tuple[R, O]:
    """The request and the output options in `arguments`; options that are not given have the values of `defaults`.

    Without `defaults`, these are the request's own. Raises RequestError with a one-line message if they are invalid.
    `--help` prints the help and raises SystemExit(0).
    """
    errors = io.StringIO()
    try:
        with redirect_stderr(errors):
            parsed: Any = tyro.cli(
                together(request, output),
                prog=program,
                args=list(arguments),
                registry=registry(defaults),
                config=(tyro.conf.OmitArgPrefixes,),
            )
    except SystemExit as end:
        if end.code:
            raise RequestError(f"{one_line(errors.getvalue())}: see {program} --help") from None
        raise
    return request(**parsed.experiment), parsed.output


def together(request: type[Request], output: type[Place]) -> Any:
    """The fields of a request and the options of its output, for tyro."""
    both = make_dataclass("Arguments", [("experiment", request), ("output", output)])
    both.__doc__ = request.__doc__
    return both


def registry(defaults: Request | None = None) -> ConstructorRegistry:
    """What tyro needs to know about requests."""
    found = ConstructorRegistry()
    found.struct_rule(partial(_rule, defaults))
    return found


def _rule(defaults: Request | None, info: StructTypeInfo) -> StructConstructorSpec | None:
    if not (isinstance(info.type, type) and issubclass(info.type, Request)):
        return None
    fields = []
    for field in sorted(parameters(info.type), key=lambda field: field.name != "what"):  # before what follows it
        if not field.fixed:
            bounds = f" ({field.bounds})" if field.bounds else ""
            kind: Any = field.type
            if field.optional:  # tyro would call it {None}|STR
                kind = Annotated[field.type | None, tyro.conf.arg(metavar="N" if field.type is int else "TEXT")]
            if field.name == "what":
                kind = _MANY if field.many else _WHAT
            if called := (field.meta.extra or {}).get(MORE):
                kind = tyro.conf.Positional[Annotated[tuple[str, ...], tyro.conf.arg(metavar=called)]]
            default = field.default if defaults is None else getattr(defaults, field.name)
            fields.append(StructFieldSpec(field.name, kind, default, helptext=field.help + bounds))
    # The request itself is made outside of tyro, so that the user sees its own error messages.
    return StructConstructorSpec(instantiate=dict, fields=tuple(fields))


def one_line(message: str) -> str:
    """tyro's error message on one line, without its box, title and advice."""
    blocks: list[list[str]] = [[]]
    for line in message.splitlines():
        text = line.strip("│ \t")
        if re.match(r"[╭╰]|─{3}|-{3}", text):
            blocks.append([])
        elif text:
            blocks[-1].append(text)
    said = [" ".join(block) for block in blocks if block]
    # If tyro assumes an ASCII terminal, it draws no box, and the title is a separate block.
    found = said[0 if "╭" in message or len(said) < 2 else 1] if said else "invalid arguments"
    found = re.sub(r"\s+", " ", found).rstrip(".")
    return found[:1].lower() + found[1:]
