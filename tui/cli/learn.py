"""`mnist-tui learn`: a lesson on the program's own screens, or the list of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.request import RequestError
from tui.cli.exit_codes import DONE
from tui.cli.given import runs_folder
from tui.settings.file import load

USAGE = """\
usage: mnist-tui learn [LESSON] [WHAT] [--list] [--runs FOLDER]

Walk through a lesson in the app, on its own screens: it says what to do next, and what it claims is measured on the
network that is open. Without LESSON, choose one of the list.

  mnist-tui learn occlusion                    by its name or number
  mnist-tui learn fgsm pretrained:cnn-robust   on a run, a weights file or a bundled network
  mnist-tui learn my-lesson.toml               one of your own: see .github/LESSONS.md

lessons:
{lessons}

options:
  --list           print the lessons, or the steps of LESSON, and do not open the app
  --runs FOLDER    folder that holds the run folders (default: runs)
  --settings FILE  settings to use instead of yours; also the variable MNIST_TUI_SETTINGS
"""


@dataclass
class Arguments:
    """The options, for the completion of command lines."""

    list: bool = False
    """print the lessons, or the steps of LESSON, and do not open the app"""
    runs: Path = Path("runs")
    """folder that holds the run folders"""
    settings: Path = Path("settings.toml")
    """settings to use instead of yours"""


def learn(arguments: Sequence[str]) -> int:
    """Run the command line `mnist-tui learn ARGUMENTS`; returns the exit code.

    Raises RequestError, one line, for invalid arguments and for a file that is no lesson.
    """
    from tui.lessons.file import bundled, find_lesson, listing

    lines = [f"  {number:>2}  {each.name:<12} {each.title}" for number, each in enumerate(bundled(), 1)]
    if {"-h", "--help"} & set(arguments):
        print(USAGE.format(lessons="\n".join(lines)), end="")
        return DONE
    words, root = _words(arguments)
    lesson = find_lesson(words[0]) if words else None
    if "--list" in arguments:
        print("\n".join([lesson.title, *listing(lesson)] if lesson else lines))
        return DONE
    from tui.cli.main import run_app

    loaded = load()
    return run_app(
        root or runs_folder(loaded), words[1] if len(words) > 1 else None, loaded, lesson=lesson, choose=not lesson
    )


def _words(arguments: Sequence[str]) -> tuple[list[str], Path | None]:
    """The lesson and the network that are named, and the folder of runs; raises RequestError for unknown options."""
    words, root = [], None
    rest = iter(arguments)
    for word in rest:
        name, equals, value = word.partition("=")
        if name == "--runs":
            given = value if equals else next(rest, "")
            if not given:
                raise RequestError("--runs needs a folder")
            root = Path(given)
        elif word.startswith("-") and word != "--list":
            raise RequestError(f"unknown option {word}: see mnist-tui learn --help")
        elif word != "--list":
            words.append(word)
    if len(words) > 2:
        raise RequestError(f"name one lesson and one network, not {' '.join(words)}: see mnist-tui learn --help")
    return words, root
