"""`mnist-tui completions`: scripts for shells, made by tyro from the same fields as the command lines."""

from __future__ import annotations

import importlib
import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args

import tyro

from engine.request import RequestError
from tui.cli.arguments import registry, together
from tui.cli.exit_codes import DONE

Shell = Literal["bash", "zsh", "fish"]
HOW: dict[Shell, str] = {
    "bash": 'eval "$(mnist-tui completions bash)"                        # in ~/.bashrc',
    "zsh": "mnist-tui completions zsh > ~/.zfunc/_mnist-tui           # with ~/.zfunc in fpath",
    "fish": "mnist-tui completions fish > ~/.config/fish/completions/mnist-tui.fish",
}
FILES_IN_BASH = """
# Where nothing matches, names of files: of weights, and of run folders.
_mnist_tui() {
  _tyro_mnist_tui "$@"
  [[ -n "${COMPREPLY[*]}" ]] || COMPREPLY=()
}
complete -o default -F _mnist_tui mnist-tui
"""
USAGE = f"""\
usage: mnist-tui completions {{bash,zsh,fish}}

Print a script that completes commands, options and choices. To have it in all shells:

  {chr(10).join(HOW.values()).replace(chr(10), chr(10) + "  ")}
"""


def completions(arguments: Sequence[str]) -> int:
    """Run the command line `mnist-tui completions ARGUMENTS`; returns the exit code. Raises RequestError."""
    if {"-h", "--help"} & set(arguments):
        print(USAGE, end="")
        return DONE
    if len(arguments) != 1 or arguments[0] not in get_args(Shell):
        raise RequestError(f"name a shell: {', '.join(get_args(Shell))}; see mnist-tui completions --help")
    print(script(arguments[0]), end="")
    return DONE


def script(shell: str) -> str:
    """The script for a shell."""
    out = io.StringIO()
    with redirect_stdout(out):
        try:
            tyro.cli(
                _program(),
                prog="mnist-tui",
                args=["--tyro-print-completion", shell],
                registry=registry(),
                config=(tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes),
            )
        except SystemExit as end:
            if end.code:
                raise
    return out.getvalue() + (FILES_IN_BASH if shell == "bash" else "")


@dataclass
class _Nothing:
    """A command without options that are known here."""


def _program() -> Any:
    """All command lines as one type."""
    from tui.cli.main import COMMANDS, PROGRAM_COMMANDS, output_of

    kinds: dict[str, Any] = {
        name: together(command.request, output_of(command.request)) for name, command in COMMANDS.items()
    }
    for name in PROGRAM_COMMANDS:
        kind = getattr(importlib.import_module(f"tui.cli.{name}"), "Arguments", _Nothing)
        kinds[name] = Annotated[kind, tyro.conf.FlagCreatePairsOff]
    kinds["completions"] = _one_of("shell", dict.fromkeys(get_args(Shell), _Nothing))
    attacks = {name.removeprefix("attack "): kinds.pop(name) for name in COMMANDS if name.startswith("attack ")}
    kinds["attack"] = _one_of("kind", attacks)
    program = _one_of("command", kinds)
    options = [("runs", Path), ("notify", str), ("settings", Path), ("version", tyro.conf.FlagCreatePairsOff[bool])]
    return make_dataclass("Program", [*((name, kind) for name, kind in options)], bases=(program,), kw_only=True)


def _one_of(name: str, kinds: dict[str, Any]) -> Any:
    """A type whose field `name` is one of `kinds`, which the first word says."""
    parts = (Annotated[kind, tyro.conf.subcommand(name=each, prefix_name=False)] for each, kind in kinds.items())
    return make_dataclass(name.title(), [(name, Union[tuple(parts)])])  # noqa: UP007 (made of a tuple)
