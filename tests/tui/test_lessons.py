"""Lessons: their files, all bundled ones walked with keys, what they measure, and how they are chosen and left."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList

from engine.claims.events import ClaimChecked
from engine.claims.requests import Unit
from engine.request import RequestError
from engine.runs.finding import pretrained
from tests.tui.conftest import MakeApp, StillApp
from tests.tui.driving import Call, drawn, settled, show, tap, until, words
from tui.app import MnistTui
from tui.drawing.fitting import wrapped
from tui.keymap import all_names, key_map
from tui.keys import COMMANDS, SCREENS
from tui.lessons.file import bundled, find_lesson, read_lesson
from tui.lessons.lesson import MEASURES, Check, Lesson, parameter_names, written
from tui.lessons.tutor import Tutor
from tui.screens.frame import LabScreen
from tui.screens.inspect import InspectScreen
from tui.screens.lessons import LessonsScreen
from tui.widgets.lesson import LessonPanel

LESSONS = [lesson.name for lesson in bundled()]


def said(check: Check | None) -> list[str]:
    return [check.yes, check.no, check.none] if check else []


def sentences(lesson: Lesson) -> list[str]:
    """All that a lesson says, with placeholders."""
    return [lesson.title, lesson.about, *(each for step in lesson.steps for each in (step.say, *said(step.check)))]


# The bundled ones


def test_there_are_ten_and_each_question_of_the_notebook_is_in_one() -> None:
    assert [
        *("training", "digits", "layers", "batch-norm", "filters", "activations", "occlusion", "noise"),
        *("targeted", "fgsm"),
    ] == LESSONS
    sections = " ".join(lesson.section for lesson in bundled())
    assert re.findall(r"\d\.\d", sections) == [
        "1.1",
        "1.2",
        "1.3",
        "1.5",
        "1.6",
        "2.1",
        "2.2",
        "2.3",
        "2.4",
        "3.1",
        "3.2",
    ]


NUMBERS = re.compile(
    r"(?<![A-Za-z])\d|%|\b(per cent|half|twice|two|three|four|five|six|seven|eight|nine|ten|hundred|thousand)\b"
)


@pytest.mark.parametrize("name", LESSONS)
def test_no_lesson_has_a_number_of_its_own(name: str) -> None:
    """Numbers come from measurements, and from what the step itself sets."""
    for text in sentences(find_lesson(name)):
        assert not NUMBERS.search(re.sub(r"\{[^}]*\}", "", text).replace("The two networks", "")), text


@pytest.mark.parametrize("name", LESSONS)
def test_lessons_name_commands_and_pages_that_exist(name: str) -> None:
    """By name, so that they stay right when a key moves; each command is on the pages where it is asked for."""
    screens = [mode for _, _, mode in SCREENS]
    for step in find_lesson(name).steps:
        assert not (step.go and step.press)
        if step.go:
            assert step.go[0] in screens
        if step.press:
            screen, page, command = step.press
            assert ".".join(filter(None, step.press)) in all_names()
            found = [each for each in COMMANDS if each.name == command and screen in each.screens]
            assert any(not page or each.on_page(page) for each in found)


def test_every_measure_is_used_by_a_lesson() -> None:
    used = {step.check.measure for lesson in bundled() for step in lesson.steps if step.check}
    assert used == set(MEASURES.values())


# Walked with keys


def tutor(app: MnistTui) -> Tutor:
    return app.tutor


def panel(app: MnistTui) -> str:
    return words(app.screen.query_one(LessonPanel))


async def rest(pilot: Pilot[int]) -> None:
    """Wait until the screen in front is drawn; its results may still come."""
    await until(pilot, lambda: not isinstance(pilot.app.screen, LabScreen) or pilot.app.screen.ready)
    await drawn(pilot)


async def answered(pilot: Pilot[int], app: MnistTui) -> ClaimChecked:
    """Wait until the claim of the step is measured."""

    def found() -> object:
        key = tutor(app)._key()
        return tutor(app)._answers.get(key) if key else None

    await until(pilot, lambda: found() is not None)
    await drawn(pilot)
    event = found()
    assert isinstance(event, ClaimChecked), event
    return event


KEYS = {"^p": "ctrl+p"}


@pytest.mark.usefixtures("exact_engine", "quick_keys")
@pytest.mark.parametrize("name", LESSONS)
async def test_a_lesson_from_its_first_step_to_its_last(still_app: MakeApp, name: str) -> None:
    """Only with the keys that its panel shows; each claim is answered with what was measured, in full view."""
    app = still_app()
    lesson = find_lesson(name)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await drawn(pilot)
        tutor(app).begin(lesson)
        for number, step in enumerate(lesson.steps):
            await rest(pilot)
            assert tutor(app).at == number
            if step.check:
                assert "measure" in panel(app)
                await pilot.press(")")
                event = await answered(pilot, app)
                assert event.name == "pretrained:cnn"
                card = tutor(app).card()
                assert card
                assert len(wrapped(card.answer, 78)) <= 2, card.answer
                assert " ".join(card.answer.split()) in " ".join(panel(app).split()).replace(" \n", " ")
            shown = panel(app)
            assert lesson.title in shown
            assert f"step {number + 1} of {len(lesson.steps)}" in shown
            assert "…" not in shown
            for _ in range(12):
                card = tutor(app).card()
                if card is None or tutor(app).at != number:
                    break
                assert f" {card.next.key} " in shown
                key = {"space": "space", "enter": "enter", "tab": "tab"}.get(card.next.key, card.next.key)
                await pilot.press(KEYS.get(key, key))
                await rest(pilot)
                shown = panel(app) if tutor(app).lesson else ""
        assert tutor(app).lesson is None
        assert tutor(app).standing(lesson).done
        told = [each.message for each in app._notifications]
        assert any(words.startswith("1 of 10 lessons done") for words in told), told


# Begun, left and gone on with


@pytest.mark.usefixtures("exact_engine", "quick_keys")
async def test_lessons_are_chosen_left_and_gone_on_with(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await drawn(pilot)
        assert not app.screen.query_one(LessonPanel).display
        await pilot.press(")", "(")  # without a lesson, they do nothing
        await pilot.press("L")
        await until(pilot, lambda: isinstance(app.screen, LessonsScreen))
        await pilot.press("j", "down", "k", "enter")
        await until(pilot, lambda: app.tutor.lesson is find_lesson("digits"))
        await drawn(pilot)
        assert app.screen.query_one(LessonPanel).display
        await pilot.press("3")
        await until(pilot, lambda: app.tutor.at == 1)  # it is where the step leads
        await pilot.press(")")
        await answered(pilot, app)
        await pilot.press("(")
        assert app.tutor.at == 0
        await pilot.press(")", ")", ")")  # the question comes again, before its answer
        assert app.tutor.at == 2
        await pilot.press("L")
        await drawn(pilot)
        assert app.tutor.lesson is None
        assert not app.screen.query_one(LessonPanel).display
        await pilot.press("L")
        await until(pilot, lambda: isinstance(app.screen, LessonsScreen))
        await drawn(pilot)
        assert "step 3 of 6" in text_of(app)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, LessonsScreen))
        app.tutor.begin(find_lesson("digits"))
        assert app.tutor.at == 2


def text_of(app: MnistTui) -> str:
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


TWO = """
title = "Two steps"
[[step]]
say = "Go to the first page."
go = "attacks"
[[step]]
say = "How accurate is it?"
check = { measure = "accuracy", answer = "{network}: {value}" }
"""


def lesson(text: str, folder: Path) -> Lesson:
    file = folder / "lesson.toml"
    file.write_text(text, encoding="utf-8")
    return read_lesson(file)


@pytest.mark.usefixtures("exact_engine", "quick_keys")
async def test_an_answer_is_of_the_open_network_only(still_app: MakeApp, tmp_path: Path) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await drawn(pilot)
        app.tutor.begin(lesson(TWO, tmp_path))
        await pilot.press(")", ")")
        first = await answered(pilot, app)
        assert f"pretrained:cnn: {first.values['value']:.2%}".replace("%", " %") in panel(app)
        app.workspace.open(pretrained("cnn-bn"))
        second = await answered(pilot, app)
        assert second.name == "pretrained:cnn-bn"
        assert "pretrained:cnn-bn:" in panel(app)


@pytest.mark.usefixtures("exact_engine", "quick_keys")
async def test_a_screen_and_a_claim_both_get_their_answers(still_app: MakeApp) -> None:
    """A new request of a screen replaces that of a claim, which is submitted again once the screen has its answer."""
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await drawn(pilot)
        app.tutor.begin(find_lesson("targeted"))
        app.tutor.at = 1
        await tap(pilot, "right_parenthesis", "6")
        await until(pilot, lambda: isinstance(app.screen, InspectScreen) and app.screen.ready)
        await tap(pilot, "f", "full_stop", "f", "comma", "p")
        screen = app.screen
        assert isinstance(screen, InspectScreen)
        event = await answered(pilot, app)
        await settled(pilot, screen)
        assert event.claim == "targeted"


@pytest.mark.usefixtures("exact_engine", "quick_keys")
async def test_a_claim_is_about_the_current_digit(still_app: MakeApp, tmp_path: Path) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await drawn(pilot)
        text = TWO.replace('measure = "accuracy", answer = "', 'measure = "resemblance", answer = "digit {index}, ')
        app.tutor.begin(lesson(text, tmp_path))
        app.workspace.digit = ("test", 18)
        await pilot.press(")", ")")
        assert (await answered(pilot, app)).values["actual"] == 3
        assert "digit 18, pretrained:cnn" in panel(app)


async def test_without_a_network_and_before_the_engine_the_panel_says_so(still_app: MakeApp, tmp_path: Path) -> None:
    app = still_app(empty=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await drawn(pilot)
        app.tutor.begin(lesson(TWO, tmp_path))
        await pilot.press(")", ")")
        await drawn(pilot)
        assert "Nothing is open" in panel(app)
        app.workspace.engine = None
        show(app, pretrained("cnn"), None, "cnn")
        await drawn(pilot)
        assert "Loading PyTorch." in panel(app)


@pytest.mark.usefixtures("exact_engine", "quick_keys")
async def test_what_cannot_be_measured_is_said_in_the_panel(still_app: MakeApp, tmp_path: Path) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await drawn(pilot)
        text = TWO.replace('measure = "accuracy"', 'measure = "resemblance", index = 5000')
        app.tutor.begin(lesson(text, tmp_path))
        await pilot.press(")", ")")
        await until(pilot, lambda: "index 5000 is beyond the 1,000 images" in panel(app))
        await pilot.press(")")
        assert app.tutor.standing(lesson(text, tmp_path)).done


async def test_the_panel_has_the_users_keys(still_app: MakeApp) -> None:
    app = still_app()
    app.workspace.key_map = key_map({"occlusion.minimum": ("z",), "next_step": ("g",), "occlusion": ()})
    app.workspace.key_map.rebind(app)
    async with app.run_test(size=(120, 30)) as pilot:
        await drawn(pilot)
        app.tutor.begin(find_lesson("occlusion"))
        await drawn(pilot)
        assert " ^p occlusion " in panel(app)
        await app.switch_mode("occlusion")
        await until(pilot, lambda: app.tutor.at == 1)
        await drawn(pilot)
        assert " z  lowest" in panel(app)
        assert "g skip" in panel(app)
        await pilot.press("z")
        await until(pilot, lambda: app.tutor.at == 2)


async def test_where_only_looking_is_allowed_no_step_asks_for_more(tmp_path: Path) -> None:
    app = MnistTui(tmp_path / "runs", pretrained("cnn"), looking=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await drawn(pilot)
        text = TWO.replace('go = "attacks"', 'press = "train.run"')
        app.tutor.begin(lesson(text, tmp_path))
        await drawn(pilot)
        card = app.tutor.card()
        assert card
        assert card.next.key == ")"


@pytest.mark.parametrize("size", [(80, 24), (40, 15), (30, 8), (20, 4), (10, 2)])
async def test_the_panel_fits_small_terminals(still_app: MakeApp, size: tuple[int, int]) -> None:
    app = still_app()
    async with app.run_test(size=size) as pilot:
        await drawn(pilot)
        app.tutor.begin(find_lesson("fgsm"))
        await drawn(pilot)
        shown_panel = app.screen.query_one(LessonPanel)
        assert shown_panel.size.height == (3 if size[1] >= 18 else 2 if size[1] >= 10 else 1)
        if size[0] >= 30:
            assert " 7 " in panel(app)  # the key is the last thing to go
        await pilot.press("L", "L")
        await until(pilot, lambda: isinstance(app.screen, LessonsScreen))
        await drawn(pilot)


# Files


GOOD = """
title = "A lesson"
[[step]]
say = "How does {occlusion.minimum} change it?"
press = "occlusion.minimum"
[[step]]
say = "With {patch_size} pixels, is it above {above}?"
[step.check]
measure = "occlusion"
patch_size = 4
above = 0.5
yes = "Yes: {value} of {network}."
no = "No: {value}."
"""


def test_a_file_of_a_teacher(tmp_path: Path) -> None:
    found = lesson(GOOD, tmp_path)
    assert (found.name, found.title, len(found.steps)) == ("lesson", "A lesson", 2)
    assert found.steps[0].press == ("occlusion", "", "minimum")
    check = found.steps[1].check
    assert check
    assert check.fields == {"patch_size": 4}
    drawn_digit = check.request("pretrained:cnn", ("drawings", 2))
    assert (drawn_digit.dataset, drawn_digit.index) == ("drawings", 2)  # type: ignore[union-attr]
    request = check.request("pretrained:cnn", ("val", 7))
    assert (request.what, request.split, request.index) == ("pretrained:cnn", "val", 7)  # type: ignore[union-attr]


CHECK = '[step.check]\nmeasure = "occlusion"'
ONE = "title = 'x'\n[[step]]\nsay = 'a'\n"
BAD = {
    "": "lacks the field title",
    "title = 3": "lacks the field step|title: expected str, got int",
    "title = 'x'\nstep = []": "step: expected array of length >= 1",
    "title = 'x'\nsteps = 1\n[[step]]\nsay='a'": "contains unknown field steps",
    "title = 'x'\n[[step]]\n": "step 1 (line 2): lacks the field say",
    "title = 'x'\n[[step]]\nsay = 1": "step 1 say (line 2): expected str, got int",
    f"{ONE}\n[[step]]\nsay = 'b'\nkey = 'c'": "step 2 (line 5): contains unknown field key",
    "title = 'x'\n[[step]]\nsay = ' '": "step 1 (line 2): say is empty",
    "title = ''\n[[step]]\nsay = 'a'": "title is empty",
    f"title = '{'x' * 33}'\n[[step]]\nsay = 'a'": "title has 33 characters, and there is room for 32",
    f"title = 'x'\n[[step]]\nsay = '{'a ' * 71}b'": "say has 143 characters, and there is room for 140: split the step",
    'title = "x"\n[[step]]\nsay = "a\\u001bb"': "say has invisible characters",
    f"{ONE}go = 'train'\npress = 'train.run'": "a step has either go or press",
    f"{ONE}go = 'home'": "go: there is no screen 'home', only train, model",
    f"{ONE}go = 'filters.conv3'": "go: filters has no page 'conv3', only conv1, conv2",
    f"{ONE}go = 'model.form'": "go: model has no page 'form'",
    f"{ONE}press = 'occlusion.minimun'": "no command 'occlusion.minimun': is it",
    f"{ONE}press = 'run'": "there is no command 'run'",
    f"{ONE}press = 'x'": "write it as SCREEN.COMMAND",
    "title = 'x'\n[[step]]\nsay = 'a {value}'": "say: there is no {value}, only names of commands",
    "title = 'x'\n[[step]]\nsay = 'a {b'": "say: a brace is not closed, or not opened",
    f"{ONE}[step.check]\nyes = 'b'": "check: lacks the field measure",
    f"{ONE}[step.check]\nmeasure = 'mood'": "check: there is no measure 'mood', only training",
    f"{ONE}{CHECK}\nsize = 3\nanswer = 'b'": "check: occlusion has no field 'size'; its fields:",
    f"{ONE}{CHECK}\nwhat = 'b'\nanswer = 'b'": "check: occlusion has no field 'what'",
    f"{ONE}{CHECK}\npatch_size = 99\nanswer = 'b'": "check: patch size must be a whole number",
    f"{ONE}{CHECK}\npatch_size = {{}}\nanswer = 'b'": "check: patch size must be a whole number",
    f"{ONE}{CHECK}\nbaseline = 'black'\nanswer = 'b'": "check: baseline must be zero, mean",
    f"{ONE}{CHECK}": "check: give answer, or above with yes and no",
    f"{ONE}{CHECK}\nabove = 1\nyes = 'b'": "check: above needs yes and no",
    f"{ONE}{CHECK}\nabove = 1\nyes = 'b'\nno = 'c'\nanswer = 'd'": "above needs yes and no",
    f"{ONE}{CHECK}\nabove = 'best'\nyes = 'b'\nno = 'c'": "occlusion has no value 'best', only value",
    f"{ONE}{CHECK}\nabove = true\nyes = 'b'\nno = 'c'": "check above: expected",
    f"{ONE}{CHECK}\nabove = nan\nyes = 'b'\nno = 'c'": "check above must be a finite number",
    f"{ONE}{CHECK}\ncompare = 'x'\nanswer = 'b'": "check compare: occlusion has no value 'x'",
    f"{ONE}{CHECK}\nanswer = 'b {{best}}'": "check answer: there is no {best}, only above",
    f"{ONE}{CHECK}\nanswer = 'b {{other}}'": "check answer: there is no {other}",
    f"{ONE}{CHECK}\nanswer = 'b {{value:.2f}}'": "there is no {value:.2f}, only",
    f"title = 'x'\n[[step]]\nsay = 'a {{value}}'\n{CHECK}\nanswer = 'b'": "say: there is no {value}, only above",
    "title = 'x\n": "is not valid TOML: ",
    "title = 'x'\ntitle = 'y'": "is not valid TOML: ",
    "step = " + "[" * 5000: "cannot be read: it is nested too deeply|is not valid TOML",
}


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_a_bad_file_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError) as caught:
        lesson(text, tmp_path)
    said = str(caught.value)
    assert any(words in said for words in BAD[text].split("|")), said
    assert said.startswith(str(tmp_path / "lesson.toml"))
    assert "\n" not in said


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"title = '\xff'", "it is not UTF-8 text"), (b"#" * 70_000, "it is larger than 65,536 bytes")],
)
def test_a_file_that_cannot_be_read(content: bytes, words: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_bytes(content)
    with pytest.raises(RequestError, match=words):
        read_lesson(file)
    with pytest.raises(RequestError, match="cannot be read: No such file or directory"):
        find_lesson(str(tmp_path / "none.toml"))
    with pytest.raises(RequestError, match="cannot be read: it is not a regular file"):
        read_lesson(tmp_path)


def test_a_sentence_per_measurement() -> None:
    """Yes above the threshold, no at it, and another sentence where there is nothing to measure."""
    found = find_lesson("training").steps[3].check
    assert found
    request = found.request("pretrained:cnn", ("test", 61))

    def answer(value: float) -> str:
        values = dict.fromkeys(found.measure.says, 2.0) | {"value": value}
        event = ClaimChecked(name="mine", variant="cnn", epoch=None, claim="training", values=values)
        return found.answer(request, event, lambda name: f"<{name}>")

    assert answer(1).startswith("Yes: it was lowest after epoch 2 of 2")
    assert answer(0).startswith("No: ")
    assert answer(math.nan).startswith("The file of mine does not say")


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (0.98765, "share", "98.77 %"),
        (0.9, "share", "90.00 %"),
        (1.0, "share", "100 %"),
        (0.0, "share", "0 %"),
        (1e-9, "share", "0.00 %"),
        (-0.0123, "points", "-1.23 percentage points"),
        (1234.0, "count", "1,234"),
        (7.0, "class", "7"),
        (0.012345, "number", "0.0123"),
        (math.nan, "share", "-"),
    ],
)
def test_values_have_their_units(value: float, unit: Unit, words: str) -> None:
    assert written(value, unit) == words


def test_the_documentation_names_every_measure_with_its_values_and_fields() -> None:
    text = (Path(__file__).parents[2] / ".github" / "LESSONS.md").read_text(encoding="utf-8")
    rows = {row.split("`")[1]: row for row in text.splitlines() if row.startswith("| `")}
    assert rows.keys() == MEASURES.keys()
    for name, measure in MEASURES.items():
        _, values, fields = rows[name].split(" | ")
        assert re.findall(r"`(\w+)`", values) == list(measure.says)
        assert re.findall(r"`(\w+)`", fields) == parameter_names(measure)


# The command line


def test_the_command_lists_lessons_and_steps(call: Call, tmp_path: Path) -> None:
    code, out, err = call("learn", "--list")
    assert (code, err) == (0, "")
    assert [line.split()[1] for line in out.splitlines()] == LESSONS
    (tmp_path / "mine.toml").write_text(GOOD, encoding="utf-8")
    for word in ("occlusion", "7"):
        code, out, _ = call("learn", word, "--list")
        assert code == 0
        assert out.startswith("Where does it look?\n  1  On screen Occlusion")
    code, out, _ = call("learn", "mine.toml", "--list")
    assert code == 0
    assert "[press occlusion.minimum]" in out
    assert "[check occlusion]" in out
    code, out, _ = call("learn", "--help")
    assert code == 0
    assert "targeted     Can a digit become another?" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("dance",), "there is no lesson 'dance': name a TOML file, or one of training, digits"),
        (("11",), "there is no lesson '11'"),
        (("none.toml",), "none.toml cannot be read: No such file or directory"),
        (("bad.toml",), "bad.toml, step 1 (line 2): say is empty"),
        (("bad.toml", "--list"), "bad.toml, step 1 (line 2): say is empty"),
        (("fgsm", "--fast"), "unknown option --fast: see mnist-tui learn --help"),
        (("fgsm", "a", "b"), "name one lesson and one network"),
        (("fgsm", "nothing.pth"), "there is no file nothing.pth"),
        (("--runs",), "--runs needs a folder"),
        (("fgsm",), "the app needs a terminal"),
        ((), "the app needs a terminal"),
    ],
)
def test_bad_command_lines(call: Call, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    (tmp_path / "bad.toml").write_text("title = 'x'\n[[step]]\nsay = ''\n", encoding="utf-8")
    code, out, err = call("learn", *words)
    assert (code, out) == (2, "")
    assert err.startswith("mnist-tui: ")
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.usefixtures("quick_keys")
@pytest.mark.parametrize("own", [True, False])
async def test_the_app_begins_with_a_lesson_or_the_list(tmp_path: Path, own: bool) -> None:
    mine = lesson(GOOD, tmp_path) if own else None
    app = StillApp(tmp_path / "runs", pretrained("cnn"), lesson=mine, choose_lesson=not own)
    async with app.run_test(size=(80, 24)) as pilot:
        if own:
            await until(pilot, lambda: app.screen.query_one(LessonPanel).display)
            assert app.tutor.lessons[0] is mine
            await pilot.press("L", "L")
            await until(pilot, lambda: isinstance(app.screen, LessonsScreen) and bool(app.screen.query(OptionList)))
            await drawn(pilot)
            assert re.search(r"  A lesson .*\n.*  1  How did training go\?", text_of(app))
            return
        await until(pilot, lambda: isinstance(app.screen, LessonsScreen) and bool(app.screen.query(OptionList)))
        await pilot.press("enter")
        await until(pilot, lambda: app.tutor.lesson is find_lesson("training"))
        assert app.tutor.at == 0  # it is there already, but the step has not been read
