"""Lessons in TOML files: those that ship with the program, and a teacher's own.

A lesson of two steps; `.github/LESSONS.md` describes all of it:

    title = "Where does it look?"
    about = "a patch over the digit, stroke by stroke"
    section = "2.4"

    [[step]]
    say = "Go to the screen that slides a patch over the digit."
    go = "occlusion"

    [[step]]
    say = "Does the answer depend on the strokes?"

    [step.check]
    measure = "occlusion"
    baseline = "zero"
    above = "positions"
    yes = "Yes: patches over strokes have {value} of the drop."
    no = "No: patches over strokes have only {value} of the drop."
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from engine.claims.requests import AnyCheck
from engine.paths import asset
from engine.reading import read_bytes, reason
from engine.request import RequestError
from engine.words import shortened, shown
from tui.keymap import all_names
from tui.keys import COMMANDS, PAGES, SCREENS
from tui.lessons.lesson import MEASURES, NOTHING, Check, Lesson, Step, fields_of, parameter_names, placeholders

MOST = 1 << 16
"""Maximum size of a file in bytes."""
TITLE, TEXT = 32, 140
"""Maximum length of a title, and of what is said in a step, in characters: both fit on a terminal of 80 columns."""

FILLED = "99.99 %"
"""What a name in braces is counted as: about as long as what will be there."""


class _CheckTable(Struct, frozen=True):
    """What a `[step.check]` says beside the fields of its request."""

    measure: str
    answer: str = ""
    yes: str = ""
    no: str = ""
    none: str = ""
    above: float | str | None = None
    compare: str = "value"


class _StepTable(Struct, frozen=True, forbid_unknown_fields=True):
    say: str
    go: str = ""
    press: str = ""
    check: dict[str, Any] | None = None


class _LessonTable(Struct, frozen=True, forbid_unknown_fields=True):
    title: str
    step: Annotated[list[_StepTable], Meta(min_length=1, max_length=50)]
    about: str = ""
    section: str = ""


@cache
def bundled() -> tuple[Lesson, ...]:
    """The lessons that ship with the program, in their order."""
    return tuple(map(read_lesson, sorted(asset("lessons").glob("*.toml"))))


def find_lesson(word: str) -> Lesson:
    """The lesson that `word` names: its name, its number, or a TOML file. Raises RequestError, one line."""
    lessons = bundled()
    for number, lesson in enumerate(lessons, 1):
        if word in (lesson.name, str(number)):
            return lesson
    if word.lower().endswith(".toml") or Path(word).is_file():
        return read_lesson(Path(word))
    names = ", ".join(lesson.name for lesson in lessons)
    raise RequestError(f"there is no lesson {shortened(word)!r}: name a TOML file, or one of {names}")


def read_lesson(path: Path) -> Lesson:
    """The lesson in a file. Raises RequestError, one line with the place and the reason, where there is none."""
    import tomllib

    try:
        text = read_bytes(path, MOST).decode("utf-8")
        found = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(f"{shown(str(path))} cannot be read: {reason(error)}") from None
    except ValueError as error:
        raise RequestError(f"{shown(str(path))} is not valid TOML: {shown(str(error))}") from None
    name = re.sub(r"^\d+-", "", shown(path.stem))
    try:
        return _lesson(name, found)
    except _WrongPlace as error:
        place = f", {error.place}{_line(text, error.step, len(found.get('step', ())))}" if error.place else ""
        raise RequestError(f"{shown(str(path))}{place}: {shown(error.words)}") from None


class _WrongPlace(Exception):
    """Something in a file is wrong."""

    def __init__(self, words: str, step: int = 0, part: str = "") -> None:
        """`step` counts from 1; 0 for the lesson itself. `part` is the name of what is wrong in it."""
        super().__init__(words)
        self.words, self.step = words, step
        self.place = " ".join(filter(None, (f"step {step}" if step else "", part)))


def _line(text: str, step: int, steps: int) -> str:
    """Where the step begins; empty where that is not sure."""
    begins = [number for number, line in enumerate(text.splitlines(), 1) if re.match(r"\s*\[\[\s*step\s*\]\]", line)]
    return f" (line {begins[step - 1]})" if step and len(begins) == steps else ""


def _lesson(name: str, found: dict[str, Any]) -> Lesson:
    table = _converted(found)
    steps = []
    for number, step in enumerate(table.step, 1):
        try:
            steps.append(_step(step))
        except RequestError as error:
            raise _WrongPlace(str(error), number) from None
    try:
        title = _said("title", table.title, TITLE)
        about = _said("about", table.about, TEXT) if table.about.strip() else ""
        section = _said("section", table.section, TITLE) if table.section.strip() else ""
    except RequestError as error:
        raise _WrongPlace(str(error)) from None
    return Lesson(name, title, about, tuple(steps), section)


def _converted(found: dict[str, Any]) -> _LessonTable:
    try:
        return msgspec.convert(found, _LessonTable)
    except msgspec.ValidationError as error:
        words, _, place = str(error).replace("`", "").partition(" - at ")
        at = re.match(r"\$\.step\[(\d+)\]\.?(.*)", place)
        step, part = (int(at[1]) + 1, at[2]) if at else (0, place.removeprefix("$").removeprefix("."))
        words = words.removeprefix("Object ").replace("missing required field", "lacks the field")
        raise _WrongPlace(words[:1].lower() + words[1:], step, part) from None


def _step(table: _StepTable) -> Step:
    if table.go and table.press:
        raise RequestError("a step has either go or press: split it into two steps")
    check = _check(table.check) if table.check is not None else None
    say = _said("say", table.say, TEXT)
    _check_braces("say", say, placeholders(check.measure, measured=False) if check else set())
    return Step(say, _place(table.go), _command(table.press), check)


def _place(words: str) -> tuple[str, str] | None:
    if not words:
        return None
    screen, _, page = words.partition(".")
    screens = [mode for _, _, mode in SCREENS]
    if screen not in screens:
        raise RequestError(f"go: there is no screen {shortened(screen)!r}, only {', '.join(screens)}")
    if page and page not in PAGES.get(screen, ()):
        pages = ", ".join(PAGES.get(screen, ()))
        raise RequestError(f"go: {screen} has no page {shortened(page)!r}" + (f", only {pages}" if pages else ""))
    return screen, page


def _command(words: str) -> tuple[str, str, str] | None:
    if not words:
        return None
    if "." not in words or words not in all_names():
        from difflib import get_close_matches

        near = get_close_matches(words, [name for name in all_names() if "." in name], 1)
        hint = f"is it {near[0]}?" if near else "write it as SCREEN.COMMAND, as mnist-tui settings --keys lists them"
        raise RequestError(f"press: there is no command {shortened(words)!r}: {hint}")
    screen, *page, name = words.split(".")
    return screen, page[0] if page else "", name


def _check(table: dict[str, Any]) -> Check:
    own = {name: value for name, value in table.items() if name in _CheckTable.__struct_fields__}
    try:
        said = msgspec.convert(own, _CheckTable)
    except msgspec.ValidationError as error:
        words, _, place = str(error).replace("`", "").partition(" - at $.")
        words = words.removeprefix("Object ").replace("missing required field", "lacks the field")
        raise RequestError(f"check{' ' + place if place else ''}: {words[:1].lower() + words[1:]}") from None
    if said.measure not in MEASURES:
        raise RequestError(f"check: there is no measure {shortened(said.measure)!r}, only {', '.join(MEASURES)}")
    measure = MEASURES[said.measure]
    fields: dict[str, Any] = {name: value for name, value in table.items() if name not in own}
    for name, value in fields.items():
        if isinstance(value, list):
            fields[name] = tuple(value)
        if name not in parameter_names(measure):
            known = ", ".join(parameter_names(measure)) or "none"
            raise RequestError(f"check: {said.measure} has no field {shortened(name)!r}; its fields: {known}")
    try:
        measure(**fields)
    except RequestError as error:
        raise RequestError(f"check: {error}") from None
    return _worded(said, measure, fields)


def _worded(said: _CheckTable, measure: type[AnyCheck], fields: dict[str, Any]) -> Check:
    """The check with its sentences: `answer` alone, or `above` with `yes` and `no`."""
    for name, value in (("compare", said.compare), ("above", said.above)):
        if isinstance(value, str) and value not in measure.says:
            known = ", ".join(measure.says)
            raise RequestError(f"check {name}: {said.measure} has no value {shortened(value)!r}, only {known}")
    if said.above is None and (not said.answer or said.yes or said.no):
        raise RequestError("check: give answer, or above with yes and no")
    if said.above is not None and (said.answer or not (said.yes and said.no)):
        raise RequestError("check: above needs yes and no, and has no answer")
    if isinstance(said.above, float) and not math.isfinite(said.above):
        raise RequestError(f"check above must be a finite number, not {said.above}")
    allowed, sentences = placeholders(measure, measured=True), {}
    for name in ("answer", "yes", "no", "none"):
        if text := getattr(said, name):
            sentences[name] = _said(f"check {name}", text, TEXT)
            _check_braces(f"check {name}", sentences[name], allowed)
    return Check(
        measure,
        fields,
        yes=sentences.get("yes") or sentences["answer"],
        no=sentences.get("no", ""),
        above=said.above,
        compare=said.compare,
        none=sentences.get("none", NOTHING),
    )


def _said(name: str, text: str, most: int) -> str:
    """`text` on one line; raises RequestError where it is empty, too long, or cannot be printed."""
    words = " ".join(text.split())
    if not words:
        raise RequestError(f"{name} is empty")
    if shown(words) != words:
        raise RequestError(f"{name} has invisible characters")
    length = len(re.sub(r"\{[^{}]*\}", FILLED, words))
    if length > most:
        more = ": split the step in two" if most == TEXT else ""
        raise RequestError(f"{name} has {length} characters, and there is room for {most}{more}")
    return words


def _check_braces(name: str, text: str, known: set[str]) -> None:
    try:
        named = list(fields_of(text))
    except ValueError:
        raise RequestError(f"{name}: a brace is not closed, or not opened; a brace itself is written twice") from None
    for each in named:
        if each not in known and not _is_command(each):
            can = f"only {', '.join(sorted(known))}" if known else "only names of commands, such as {runs.open}"
            raise RequestError(f"{name}: there is no {{{shortened(each)}}}, {can}")


def _is_command(name: str) -> bool:
    """Whether it is the full name of a command: with its screen, or alone for those of every screen."""
    return name in all_names() and ("." in name or any(each.name == name and not each.screens for each in COMMANDS))


def listing(lesson: Lesson) -> Iterator[str]:
    """The steps of a lesson, a line each."""
    for number, step in enumerate(lesson.steps, 1):
        does = ""
        if step.go:
            does = f"  [go to {'.'.join(filter(None, step.go))}]"
        elif step.press:
            does = f"  [press {'.'.join(filter(None, step.press))}]"
        elif step.check:
            does = f"  [check {step.check.measure.claim}]"
        yield f"{number:>3}  {step.say}{does}"
