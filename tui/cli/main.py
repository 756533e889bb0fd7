"""The command line: `mnist-tui` opens the app, `mnist-tui COMMAND` runs one command. Imports nothing heavy."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.attacks.requests import (
    AttackApgd,
    AttackCarliniWagner,
    AttackDeepFool,
    AttackFab,
    AttackFgsm,
    AttackNoise,
    AttackPgd,
    AttackSquare,
    AttackTargeted,
    AttackUniversal,
    MeasureRobustness,
    MeasureTransfer,
    SweepBeta,
)
from engine.attribution.requests import Attribute, Occlude
from engine.benchmark.requests import Bench
from engine.certification.requests import Certify
from engine.corruptions.requests import MeasureCorruptions
from engine.event import Event
from engine.inspection.requests import (
    Audit,
    Evaluate,
    Predict,
    ShowActivations,
    ShowDigits,
    ShowFilters,
    ShowLearning,
    Summarise,
)
from engine.libraries import not_loaded
from engine.paths import BUNDLED
from engine.report.requests import Report
from engine.request import DeviceFailed, Request, RequestError
from engine.runs.requests import CompareRuns, EditQueue, Export, Import, ListRuns, Resume
from engine.training.requests import FindLearningRate, Train
from engine.words import shown, shown_lines
from tui.cli.exit_codes import BAD_INPUT, DONE, FAILED, INTERRUPTED
from tui.cli.given import runs_folder, settings_option, warn
from tui.cli.hidden import hidden
from tui.cli.serve import Serve
from tui.settings.file import Loaded, load
from tui.settings.state import copied, recall, remember

if TYPE_CHECKING:
    from tui.cli.arguments import Place
    from tui.lessons.lesson import Lesson

USAGE = """\
usage: mnist-tui [WHAT] [--runs FOLDER]      open the app
       mnist-tui COMMAND [WHAT] [options]    run one command

A laboratory for a small convolutional network, in the terminal.

WHAT is a run folder or its name, a .pth or .safetensors file, or
{bundled}; default: the most
recent run, or else a bundled network.

commands:
{commands}

options:
  --runs FOLDER     folder that holds the run folders (default: runs)
  --notify COMMAND  shell command to run when a run has finished or failed
  --settings FILE   settings to use instead of yours; also the variable MNIST_TUI_SETTINGS
  --version         print the version and exit
  -h, --help        print this help, or the help of a command

exit codes: 0 done, 1 the work failed, 2 invalid input, 130 interrupted
"""


class CliCommand(msgspec.Struct, frozen=True):
    """A subcommand of `mnist-tui`."""

    request: type[Request]
    help: str


COMMANDS = {
    "train": CliCommand(Train, "train the network and write a run folder"),
    "resume": CliCommand(Resume, "resume a run that was stopped or whose process died"),
    "lr-find": CliCommand(FindLearningRate, "find a learning rate in a few seconds: loss against learning rate"),
    "runs": CliCommand(ListRuns, "list all runs with their state, best loss, accuracy and note"),
    "queue": CliCommand(EditQueue, "list the experiments that wait to be trained; add, remove or move some"),
    "compare": CliCommand(CompareRuns, "compare runs, with confidence intervals over random seeds"),
    "report": CliCommand(Report, "redo the whole notebook on one to four networks, as Markdown and HTML"),
    "import": CliCommand(Import, "import a weights file, such as the notebook's .pth, as a run"),
    "export": CliCommand(Export, "export weights as .pth or .safetensors, curves as .csv or for TensorBoard"),
    "summary": CliCommand(Summarise, "list layers, shapes, parameters and neurons"),
    "evaluate": CliCommand(Evaluate, "compute loss, accuracy and confusion matrix on a split"),
    "audit": CliCommand(Audit, "measure scores by class and calibration, and find labels in doubt"),
    "learned": CliCommand(ShowLearning, "show when a run learned each test digit, and how often it forgot it"),
    "digits": CliCommand(ShowDigits, "show digits with their actual and predicted class"),
    "predict": CliCommand(Predict, "recognise digits in your own PNG, JPEG or .npy images"),
    "filters": CliCommand(ShowFilters, "show the kernels of a convolution, at any epoch of a run"),
    "activations": CliCommand(ShowActivations, "show the feature maps of both convolution blocks for an image"),
    "occlude": CliCommand(Occlude, "map the probability of a class with a patch at each position"),
    "attribute": CliCommand(Attribute, "attribute a class to pixels, and measure how faithful that is"),
    "attack noise": CliCommand(AttackNoise, "turn noise into images predicted as a class"),
    "attack targeted": CliCommand(AttackTargeted, "raise another class's logit, with a squared-error penalty"),
    "attack fgsm": CliCommand(AttackFgsm, "fast gradient sign method: one step of size epsilon"),
    "attack pgd": CliCommand(AttackPgd, "projected gradient descent: many steps within epsilon"),
    "attack apgd": CliCommand(AttackApgd, "PGD that finds its own step size, within epsilon"),
    "attack deepfool": CliCommand(AttackDeepFool, "cross the nearest decision boundary, in L2"),
    "attack fab": CliCommand(AttackFab, "FAB: minimise the perturbation, in L-infinity or L2"),
    "attack cw": CliCommand(AttackCarliniWagner, "Carlini and Wagner: minimise the L2 perturbation"),
    "attack square": CliCommand(AttackSquare, "random squares, without gradients, within epsilon"),
    "attack universal": CliCommand(AttackUniversal, "find one perturbation that fools many digits"),
    "beta": CliCommand(SweepBeta, "measure whether the targeted attack's penalty keeps images close"),
    "robustness": CliCommand(MeasureRobustness, "measure accuracy under attack, by epsilon"),
    "transfer": CliCommand(MeasureTransfer, "measure whether adversarial images transfer between networks"),
    "corruptions": CliCommand(MeasureCorruptions, "measure accuracy on noisy, blurred, moved or covered digits"),
    "certify": CliCommand(Certify, "prove what no perturbation can change, by epsilon or for one digit"),
    "serve": CliCommand(Serve, "open the app in a browser, for one or many visitors"),
    "bench": CliCommand(Bench, "measure how fast this machine is, beside the notebook's own code"),
}


LAST_CALL = 2.0
"""Seconds for which the app stays for a webhook that is being called when it ends; a command goes on by itself."""
PROGRAM_COMMANDS = {
    "learn": "walk through a lesson in the app, on the network that is open",
    "settings": "print the settings and where they are, or change them",
    "completions": "print a script that completes commands and options in bash, zsh or fish",
}
"""Commands that are no requests, each in a module of its own name beside this one."""


def main(argv: Sequence[str] | None = None) -> None:
    """The entry point of `mnist-tui`; exits the process."""
    _open_standard_streams()
    try:
        with settings_option([_at_home(word) for word in (sys.argv[1:] if argv is None else argv)]) as words:
            code = run(words)
    except RequestError as error:
        print(f"mnist-tui: {shown_lines(str(error))}", file=sys.stderr)
        code = BAD_INPUT
    except DeviceFailed as error:
        print(f"mnist-tui: {error}", file=sys.stderr)
        code = FAILED
    except KeyboardInterrupt:
        print("mnist-tui: interrupted", file=sys.stderr)
        code = INTERRUPTED
    except Exception as error:
        if reason := not_loaded(error):
            print(f"mnist-tui: {shown_lines(reason)}", file=sys.stderr)
        elif isinstance(error, OSError):
            if not isinstance(error, BrokenPipeError):  # the reader closed the pipe on purpose
                print(f"mnist-tui: {shown(str(error.filename or 'output'))}: {error.strerror}", file=sys.stderr)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the interpreter flushes once more on exit
        else:
            raise
        code = FAILED
    sys.exit(code)


def _open_standard_streams() -> None:
    """Replace closed standard streams (`>&-`) with the null device.

    Python sets closed streams to None, and the next file to be opened would get their descriptor.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            setattr(sys, name, os.fdopen(number, "r" if name == "stdin" else "w", encoding="utf-8", closefd=False))


def _at_home(word: str) -> str:
    """`word` with a leading `~` expanded, also in `--runs=~/x`, which shells leave alone."""
    option, equals, path = word.partition("=") if word.startswith("--") else ("", "", word)
    return option + equals + (os.path.expanduser(path) if path == "~" or path.startswith("~/") else path)  # noqa: PTH111


def run(argv: list[str]) -> int:
    """Run a command line and return the exit code; raises RequestError for invalid input."""
    word = " ".join(argv[:2]) if argv[:1] == ["attack"] else argv[0] if argv else ""
    if word in PROGRAM_COMMANDS:
        code: int = getattr(importlib.import_module(f"tui.cli.{word}"), word)(argv[1:])
        return code
    if word not in COMMANDS and not {"-h", "--help"}.isdisjoint(argv):
        helps = {name: command.help for name, command in COMMANDS.items()} | PROGRAM_COMMANDS
        lines = (f"  {name:<16} {told}" for name, told in helps.items())
        print(USAGE.format(bundled=BUNDLED, commands="\n".join(lines)), end="")
        return DONE
    if word == "--version":
        from importlib.metadata import version
        from platform import python_version

        libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "textual"))
        print(f"mnist-tui {version('mnist-tui')} (Python {python_version()}, {libraries})")
        return DONE
    if word in COMMANDS:
        return _command(word, argv[len(word.split()) :])
    if argv[:1] == ["attack"]:
        kinds = ", ".join(name.removeprefix("attack ") for name in COMMANDS if name.startswith("attack "))
        raise RequestError(f"name an attack: {kinds}; for example mnist-tui attack pgd pretrained:cnn")
    return _open(argv)


def output_of(request: type[Request]) -> type[Place]:
    """The options of a command beside those of its request."""
    from tui.cli import arguments as found

    kinds: dict[type[Request], type[Place]] = {
        **dict.fromkeys((ListRuns, EditQueue, Import, Export, Report), found.Output),
        **dict.fromkeys((CompareRuns, Bench), found.FigureOutput),
        Serve: found.Place,
        Train: found.TrainOutput,
        Resume: found.RunOutput,
    }
    return kinds.get(request, found.ArrayOutput)


def _command(word: str, arguments: list[str]) -> int:
    from tui.cli.arguments import Output, RunOutput, parse

    warn()
    wanted = COMMANDS[word].request
    if wanted is Train:
        from tui.cli.train import train

        return train(arguments)
    if wanted is FindLearningRate:
        from tui.cli.train import find_learning_rate

        return find_learning_rate(arguments)
    if wanted is Bench:
        from tui.cli.bench import bench

        return bench(arguments)
    if wanted is Serve:
        from tui.cli.serve import serve

        return serve(arguments)
    request, output = parse(wanted, output_of(wanted), f"mnist-tui {word}", arguments)
    assert isinstance(output, Output)
    from tui.cli.runner import report

    if isinstance(output, RunOutput):
        from tui.cli.ringing import ring_for, ringing

        events: list[Event] = []
        with ringing(output.notify) as ringer:
            code = report(request, output, events)
            ring_for(ringer, events)
        return code
    return report(request, output)


def _open(arguments: list[str]) -> int:
    """Open the app on the run or file that the arguments name."""
    loaded, words = load(), []
    root = runs_folder(loaded)
    rest = iter(arguments)
    notify: str | None = None
    for word in rest:
        name, equals, value = word.partition("=")
        if name in ("--runs", "--notify"):
            given = value if equals else next(rest, None)
            if given is None or (name == "--runs" and not given):
                raise RequestError(f"{name} needs a {'folder' if name == '--runs' else 'command'}")
            root, notify = (Path(given), notify) if name == "--runs" else (root, given)
        elif word.startswith("-"):
            raise RequestError(f"unknown option {word}: see mnist-tui --help")
        else:
            words.append(word)
    if len(words) > 1:
        raise RequestError(f"the app opens one run or file, not {' '.join(words)}: see mnist-tui --help")
    return run_app(root, words[0] if words else None, loaded, notify)


def run_app(
    root: Path,
    what: str | None,
    loaded: Loaded,
    notify: str | None = None,
    *,
    lesson: Lesson | None = None,
    choose: bool = False,
) -> int:
    """Open the app on the run or file `what`, in a lesson or with the list of them; returns the exit code.

    Raises RequestError where there is no such network, or no terminal.
    """
    from engine.runs.finding import find_network
    from engine.runs.folder import RunFolder

    found = find_network(what or "", root)
    # Textual draws on standard error. A closed stream is None.
    if not all(stream and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise RequestError("the app needs a terminal: run a command instead (see mnist-tui --help)")
    with hidden("ssl"):
        import asyncio  # noqa: F401
    from tui import garbage
    from tui.cli.descriptors import terminal_to_ourselves
    from tui.drawing.terminal import prepare

    prepare(sys.stderr.fileno())
    garbage.do_without()
    with terminal_to_ourselves():
        from tui.app import MnistTui

        run, file = (found, None) if isinstance(found, RunFolder) else (None, found)
        state = recall(loaded)
        before = copied(state)
        app = MnistTui(root, run, file, loaded=loaded, state=state, notify=notify, lesson=lesson, choose_lesson=choose)
        code = app.run()
        app.ringer.finish(LAST_CALL)
        forgotten = remember(before, state, loaded.settings)
        garbage.forget()
        finished = app.workspace.close()
    if forgotten:
        with contextlib.suppress(OSError):  # the terminal was closed
            print(f"mnist-tui: {shown(forgotten)}", file=sys.stderr, flush=True)
    code = (app.return_code or 0) if code is None else code
    if not finished:
        # A thread is busy with something that cannot be interrupted, such as importing PyTorch. Shutting down the
        # interpreter would abort the process. Everything that must be saved is saved.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code
