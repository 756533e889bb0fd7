"""Settings through a restart, damaged, foreign and read-only files, two apps at once, and the user's own keys."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import get_args

import pytest
from textual.pilot import Pilot
from textual.theme import BUILTIN_THEMES

from engine.request import RequestError
from engine.runs.finding import pretrained
from tests.tui.conftest import FakeJob, StillApp
from tests.tui.driving import Call, changed, drawn, progress, settled, until, words
from tui.drawing.raster import COLOUR_MAPS, MODES
from tui.drawing.screenshot import screenshot
from tui.drawing.terminal import MODES_BY_NAME, PictureName
from tui.drawing.theme import THEMES
from tui.keymap import KeyMap, key_map, key_name, names
from tui.keys import COMMANDS, SCREENS, commands
from tui.opened import Opened
from tui.palette import Palette
from tui.screens.dialogs import HelpScreen
from tui.screens.inspect import InspectScreen
from tui.screens.train import TrainScreen
from tui.settings import edit, state
from tui.settings.file import load, settings_path, understood
from tui.settings.state import State, copied, recall, remember, state_path
from tui.settings.values import ScreenName, Settings, fields
from tui.widgets.experiment import ExperimentForm
from tui.widgets.lines import KeyBar

Session = Callable[[], AbstractAsyncContextManager[tuple[StillApp, Pilot[int]]]]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for the settings of each test."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """Starts the app as the command line does, with what is on disk, and keeps what it remembers when it ends."""

    @asynccontextmanager
    async def start() -> AsyncIterator[tuple[StillApp, Pilot[int]]]:
        loaded = load()
        now = recall(loaded)
        before = copied(now)
        app = StillApp(Path(loaded.settings.runs), pretrained("cnn"), loaded=loaded, state=now)
        async with app.run_test(size=(120, 40), notifications=True) as pilot:
            await drawn(pilot)
            yield app, pilot
        remember(before, now, loaded.settings)

    return start


def put(text: str) -> Path:
    """Write the file of settings."""
    path = settings_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def told(app: StillApp) -> str:
    """The notifications, oldest first."""
    return "\n".join(each.message for each in app._notifications)


async def to(pilot: Pilot[int], key: str, mode: str) -> InspectScreen:
    """Go to a screen that shows pictures."""
    await pilot.press(key)
    await until(pilot, lambda: getattr(pilot.app.screen, "mode", "") == mode and pilot.app.screen.is_mounted)
    screen = pilot.app.screen
    assert isinstance(screen, InspectScreen)
    await settled(pilot, screen)
    return screen


# Values


def test_every_setting_has_a_line_of_help_and_a_valid_default() -> None:
    assert set(fields()) | {"keys"} == set(Settings.__struct_fields__)
    for name, field in fields().items():
        assert field.help
        assert "\n" not in field.help
        assert understood(Path("x"), f"{name} = {edit.written(field.default)}").problems == ()


def test_names_of_modes_and_screens_are_those_of_the_program() -> None:
    assert set(MODES_BY_NAME) | {"auto"} == set(get_args(PictureName))
    assert set(MODES_BY_NAME.values()) == set(MODES)
    assert get_args(ScreenName) == tuple(mode for _, _, mode in SCREENS)


# Through a restart


async def test_what_is_remembered(session: Session) -> None:
    async with session() as (app, pilot):
        assert (app.theme, app.current_mode) == ("mnist-dark", "train")
        await pilot.press("t")
        screen = await to(pilot, "3", "digits")
        await pilot.press("v", "c")
        await settled(pilot, screen)
        chosen = screen.view.mode, screen.look.colours
        assert chosen != (MODES[0], "gray")
    assert state_path().is_file()
    async with session() as (app, pilot):
        assert (app.theme, app.current_mode) == ("mnist-light", "digits")
        again = app.screen
        assert isinstance(again, InspectScreen)
        assert (again.view.mode, again.look.colours) == chosen
        screen = await to(pilot, "4", "filters")  # another screen has its own colour map
        assert screen.look.colours == "diverging"
        assert screen.view.mode == chosen[0]
    assert not settings_path().exists()


async def test_a_session_that_changes_nothing_writes_nothing(session: Session) -> None:
    async with session() as (_, pilot):
        await pilot.press("down")
    assert not state_path().exists()


async def test_settings_count_more_than_what_is_remembered(session: Session) -> None:
    state_path().parent.mkdir(parents=True)
    kept = State(theme="mnist-light", screen="runs", pictures={MODES[0]: "glyphs"}, colours={"digits": "viridis"})
    remember(State(), kept, Settings())
    put('theme = "nord"\nscreen = "digits"\npictures = "256"\ncolours = "diverging"\n')
    async with session() as (app, pilot):
        assert (app.theme, app.current_mode) == ("nord", "digits")
        await until(pilot, lambda: app.screen.is_mounted)
        screen = app.screen
        assert isinstance(screen, InspectScreen)
        assert (screen.view.mode, screen.look.colours) == ("256 colours", "diverging")


async def test_auto_counts_too(session: Session) -> None:
    remember(State(), State(pictures={MODES[0]: "glyphs"}, colours={"digits": "viridis"}), Settings())
    put('pictures = "auto"\ncolours = "auto"\n')
    async with session() as (_, pilot):
        screen = await to(pilot, "3", "digits")
        assert (screen.view.mode, screen.look.colours) == (MODES[0], "gray")


async def test_nothing_is_remembered_if_not_wanted(session: Session) -> None:
    put("remember = false\n")
    async with session() as (_, pilot):
        await pilot.press("t", "8")
    assert not state_path().exists()
    remember(State(), State(theme="mnist-light", screen="runs"), Settings())
    async with session() as (app, _):
        assert (app.theme, app.current_mode) == ("mnist-dark", "train")


@pytest.mark.parametrize("wanted", [True, False])
async def test_the_form_begins_with_the_last_experiment(session: Session, wanted: bool) -> None:
    put(f"remember_experiment = {str(wanted).lower()}\n")
    async with session() as (app, pilot):
        form = app.screen.query_one(ExperimentForm)
        form.apply("epochs", 3)
        form.apply("batch_norm", True)
        await pilot.press("Q")  # asks what to sweep over
        await drawn(pilot)
        await pilot.press("escape")
    async with session() as (app, _):
        form = app.screen.query_one(ExperimentForm)
        assert (form.values["epochs"], form.values["batch_norm"]) == ((3, True) if wanted else (15, False))


def test_an_experiment_of_another_version_is_forgotten() -> None:
    assert State(experiment={"request": "train", "epochs": 5}).train() is not None
    assert State(experiment={"request": "train", "epochs": 0}).train() is None
    assert State(experiment={"request": "train", "warp": 1}).train() is None


async def test_the_runs_folder(session: Session, call: Call, home: Path) -> None:
    put(f'runs = "{home}/elsewhere"\n')
    async with session() as (app, _):
        assert app.workspace.root == home / "elsewhere"
    code, out, _ = call("train", "--epochs", 1, "--train-size", 640, "--json")
    assert code == 0
    name = json.loads(out.splitlines()[0])["run"]
    assert (home / "elsewhere" / name).is_dir()
    assert call("runs", "--json")[1].count(name) > 0


async def test_a_mode_chosen_on_a_better_terminal_is_not_used_here(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(State(), State(pictures={MODES[1]: MODES[0]}), Settings())  # on a terminal that reported 256 colours
    async with session() as (_, pilot):
        assert (await to(pilot, "3", "digits")).view.mode == MODES[0]
    monkeypatch.setenv("NO_COLOR", "1")
    put('pictures = "24-bit"\n')
    async with session() as (_, pilot):
        assert (await to(pilot, "3", "digits")).view.mode == "glyphs"


async def test_all_themes_draw_every_kind_of_widget(session: Session) -> None:
    async with session() as (app, pilot):
        assert set(app.available_themes) == {*BUILTIN_THEMES, *(theme.name for theme in THEMES)}
        for name in sorted(app.available_themes):
            app.theme = name
            await drawn(pilot)
            variables = app.theme_variables
            assert {"curve-train", "curve-9", "quiet", "rule", "strong"} <= set(variables)
            screenshot(app)


# Files


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("theme = nord", "is not valid TOML: Invalid value (at line 1, column 9)"),
        ("# mine\nbell = 3\n", ", line 2: bell must be true or false, not 3"),
        ("them = 'nord'\n", ", line 1: there is no setting 'them': is it theme?"),
        ("[tool.ruff]\nline-length = 120\n", ", line 1: there is no setting 'tool'"),
        ("theme = 'no such'\n", "there is no theme 'no such': choose one of ansi-dark"),
        ("screen = 'lobby'\n", ", line 1: screen must be one of train, model"),
        ("webhook = 'file:///etc/passwd'\n", ", line 1: webhook must be an address that begins with http"),
        ("webhook = 'http://'\n", ", line 1: webhook must be an address that begins with http"),
        ("runs = ''\n", ", line 1: runs must be text of 1 to 4096 characters"),
        ("keys = 'r'\n", ", line 1: keys must be a table"),
        ("[keys]\nrun = 3\n", "keys.run must be a key or a list of keys"),
        ("[keys]\nrunn = 'g'\n", "there is no command 'runn': is it run?"),
        ("[keys]\nrun = 'hyper'\n", "'hyper' is no key"),
        ("[keys]\nrun = 'j'\n", "j is for moving the cursor"),
        ("[keys]\nrun = 'q'\n", "q would be both train.run and quit"),
        ("x = " + "[" * 5000, "is not valid TOML"),
        ("theme = '\x1b]0;title\x07'", "is not valid TOML"),
    ],
)
async def test_what_cannot_be_used_is_said_in_one_line(session: Session, call: Call, text: str, problem: str) -> None:
    path = put(text)
    async with session() as (app, _):
        assert problem in told(app)
        assert str(path) in told(app)
        assert (app.theme, app.workspace.key_map) == ("mnist-dark", KeyMap())
    code, out, err = call("settings")
    assert code == 2
    assert str(path) in out
    assert problem in err
    assert len(err.splitlines()) == 1
    assert path.read_text(encoding="utf-8") == text


@pytest.fixture(params=["binary", "folder", "huge", "unreadable pipe"])
def foreign(request: pytest.FixtureRequest) -> Iterator[tuple[Path, str]]:
    """A file of settings that is none, and what is said of it."""
    path = put("")
    match request.param:
        case "binary":
            path.write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe\x00")
            yield path, "it is not UTF-8 text"
        case "folder":
            path.unlink()
            path.mkdir()
            yield path, "it is not a regular file"
        case "huge":
            path.write_bytes(b"#" * (1 << 21))
            yield path, "it is larger than 65,536 bytes"
        case _:
            path.unlink()
            os.mkfifo(path)
            yield path, "it is not a regular file"


async def test_a_foreign_file(session: Session, call: Call, foreign: tuple[Path, str]) -> None:
    path, reason = foreign
    async with session() as (app, _):
        assert reason in told(app)
    code, _, err = call("settings")
    assert (code, len(err.splitlines())) == (2, 1)
    assert reason in err
    code, out, err = call("settings", "theme=nord")
    assert (code, out) == (2, "")
    assert "it is left as it is" in err
    assert not path.is_file() or path.stat().st_size in (11, 1 << 21)


async def test_the_rest_of_a_file_with_an_unknown_name_counts(session: Session) -> None:
    put('theme = "nord"\nfuture = 1\n')
    async with session() as (app, _):
        assert app.theme == "nord"


def test_commands_go_on_with_a_damaged_file(call: Call) -> None:
    path = put("theme = nord")
    code, out, err = call("runs", "--json")
    assert (code, json.loads(out)["type"]) == (0, "RunsListed")
    assert err.splitlines() == [f"mnist-tui: {path} is not valid TOML: Invalid value (at line 1, column 9)"]
    code, _, err = call("--version")
    assert (code, err) == (0, "")


@pytest.mark.skipif(os.getuid() == 0, reason="root can write everywhere")
def test_a_folder_without_permission(call: Call, home: Path) -> None:
    for name in ("config", "state"):
        (home / name).mkdir()
        (home / name).chmod(0o500)
    code, out, err = call("settings", "theme=nord")
    assert (code, out) == (2, "")
    assert "cannot write" in err
    assert "cannot be written" in call("settings")[1]


async def test_what_cannot_be_written(session: Session, call: Call, home: Path) -> None:
    """A file stands where the folders would be: nobody can write there, not even root."""
    (home / "config").write_text("")
    (home / "state").write_text("")
    async with session() as (app, pilot):
        await pilot.press("t")
        assert "cannot be read" in told(app)
    assert "cannot remember" in remember(State(), State(theme="nord"), Settings())
    code, out, err = call("settings", "theme=nord")
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "cannot" in err


def test_a_damaged_state_is_forgotten() -> None:
    state_path().parent.mkdir(parents=True)
    for text in (b"", b"{", b"\xff", b'{"theme": 3}', b"[" * 10_000):
        state_path().write_bytes(text)
        assert recall(load()) == State()
    remember(State(), State(theme="nord"), Settings())
    assert recall(load()) == State(theme="nord")


def test_visitors_of_a_page_in_the_browser_remember_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    remember(State(), State(theme="nord"), Settings())
    monkeypatch.setenv("TEXTUAL_DRIVER", "textual.drivers.web_driver:WebDriver")
    assert recall(load()) == State()
    remember(State(), State(screen="runs"), Settings())
    monkeypatch.delenv("TEXTUAL_DRIVER")
    assert recall(load()) == State(theme="nord")


async def test_the_palette_has_all_themes(session: Session) -> None:
    async with session() as (app, _):
        themes = {entry.title: entry for entry in Palette(app.screen)._rest() if entry.title.startswith("theme ")}
        assert set(themes) == {f"theme {name}" for name in app.available_themes}
        themes["theme gruvbox"].perform()
        assert app.theme == "gruvbox"


def test_two_apps_at_once_keep_what_each_has_changed() -> None:
    first, second = State(), State()
    first.theme, first.colours = "nord", {"digits": "viridis"}
    second.screen, second.colours = "runs", {"filters": "gray"}
    remember(State(), first, Settings())
    remember(State(), second, Settings())
    assert recall(load()) == State("nord", "runs", {}, {"digits": "viridis", "filters": "gray"})


def test_what_was_removed_is_forgotten() -> None:
    """As the mode of real pixels, where the terminal shows none after all."""
    remember(State(), State(pictures={"24-bit": "pixels", "glyphs": "24-bit"}), Settings())
    before = recall(load())
    remember(before, State(pictures={"glyphs": "24-bit"}), Settings())
    assert recall(load()).pictures == {"glyphs": "24-bit"}


# Changing them


def test_settings_are_printed_and_changed(call: Call) -> None:
    code, out, err = call("settings")
    assert (code, err) == (0, "")
    assert f"{settings_path()} (there is none yet)" in out
    assert str(state_path()) in out
    code, out, _ = call("settings", "theme=nord", "pictures=256", "bell=no", "keys.run=g,f5", "keys.runs.list.order=")
    assert code == 0
    assert {line[2:].split(maxsplit=1)[0] for line in out.splitlines() if line.startswith("* ")} == {
        "theme",
        "pictures",
        "bell",
        "keys.run",
        "keys.runs.list.order",
    }
    assert load().settings == Settings(
        theme="nord", pictures="256", bell=False, keys={"run": ("g", "f5"), "runs.list.order": ()}
    )
    assert settings_path().stat().st_mode & 0o077 == 0  # it may hold the address of a webhook
    values = json.loads(call("settings", "--json")[1])["values"]
    assert values["theme"] == {"value": "nord", "default": "mnist-dark", "from": "file"}
    assert values["screen"]["from"] == "default"
    remember(State(), State(screen="runs"), Settings())
    assert json.loads(call("settings", "--json")[1])["values"]["screen"] == {
        "value": "runs",
        "default": "train",
        "from": "last session",
    }
    assert call("settings", "--unset", "theme", "keys.run", "bell")[0] == 0
    assert load().settings == Settings(pictures="256", keys={"runs.list.order": ()})


def test_the_examples_of_the_help_are_accepted(call: Call) -> None:
    examples = re.findall(r"^  mnist-tui settings (.+?)(?:  .*)?$", call("settings", "--help")[1], re.MULTILINE)
    assert len(examples) == 4
    for each in examples:
        assert call("settings", *shlex.split(each))[::2] == (0, ""), each


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["them=nord"], "there is no setting 'them': is it theme?"),
        (["theme"], "theme needs a value"),
        (["--unset"], "--unset needs the name of a setting"),
        (["theme=no"], "there is no theme 'no'"),
        (["bell=maybe"], "bell must be true or false, not 'maybe'"),
        (["keys.run=q"], "q would be both train.run and quit"),
        (["keys.runs.list.open=o"], "o would be both runs.open and runs.order"),
        (["keys=x"], "there is no setting 'keys'"),
        (["--colour"], "unknown option --colour"),
        (["theme=nord", "screen=lobby"], "screen must be one of"),
    ],
)
def test_a_change_that_is_not_possible_changes_nothing(call: Call, arguments: list[str], problem: str) -> None:
    path = put("# mine\nbell = true\n")
    code, out, err = call("settings", *arguments)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert problem in err
    assert path.read_text() == "# mine\nbell = true\n"


def test_an_old_conflict_does_not_hold_another_change_up(call: Call, home: Path) -> None:
    settings_path().parent.mkdir(parents=True)
    settings_path().write_text('theme = "nope"\n[keys]\nrun = "F"\n"train.queue" = "F"\n')
    code, out, err = call("settings", "bell=false")
    assert code == 2  # what is wrong is told, with what counts instead
    assert "F would be both" in err
    assert re.search(r"^  theme +mnist-dark *$", out, re.MULTILINE)
    assert "keys.run" not in out
    assert load().settings.bell is False
    assert call("settings", "keys.filter=F")[0] == 2
    assert "filter" not in settings_path().read_text()


async def test_the_key_of_the_theme_goes_to_the_other_brightness(session: Session) -> None:
    async with session() as (app, pilot):
        app.theme = "nord"
        await pilot.press("t")
        assert app.theme == "mnist-light"
        await pilot.press("t")
        assert app.theme == "mnist-dark"


def test_another_file(call: Call, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, err = call("runs", "--settings", "mine.toml")
    assert code == 2
    assert err.startswith("mnist-tui: there is no file mine.toml: create it with mnist-tui settings")
    assert call("settings", "--settings=mine.toml", "runs=theirs")[0] == 0
    assert (home / "mine.toml").is_file()
    assert "MNIST_TUI_SETTINGS" not in os.environ
    assert call("train", "--epochs", 1, "--train-size", 640, "--settings", "mine.toml")[0] == 0
    assert len(list((home / "theirs").iterdir())) == 1
    monkeypatch.setenv("MNIST_TUI_SETTINGS", "mine.toml")
    assert load().settings.runs == "theirs"
    monkeypatch.setenv("MNIST_TUI_SETTINGS", os.devnull)
    assert (load().settings, load().problems) == (Settings(), ())


def test_a_link_and_permissions_stay(call: Call, home: Path) -> None:
    kept = home / "dotfiles.toml"
    kept.write_text("# mine\n")
    kept.chmod(0o644)
    settings_path().parent.mkdir(parents=True)
    settings_path().symlink_to(kept)
    assert call("settings", "theme=nord")[0] == 0
    assert settings_path().is_symlink()
    assert kept.read_text() == '# mine\ntheme = "nord"\n'
    assert kept.stat().st_mode & 0o777 == 0o644


MINE = """\
# My settings.
theme = "nord"   # bluish # really
notify = '''
first
second'''

# Keys.
[keys]  # mine
run = ["g",
       "f5"]
"runs.list.open" = 'o'
"""


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        (("theme",), "dracula", 'theme = "nord"   # bluish', 'theme = "dracula"  # bluish'),
        (("theme",), None, 'theme = "nord"   # bluish # really\n', ""),
        (("notify",), "x", "notify = '''\nfirst\nsecond'''", 'notify = "x"'),
        (("bell",), False, "second'''\n", "second'''\nbell = false\n"),
        (("keys", "run"), "R", '["g",\n       "f5"]', '"R"'),
        (("keys", "runs.list.open"), ["a", "b"], "'o'", '["a", "b"]'),
        (("keys", "stop"), "X", "= 'o'\n", "= 'o'\nstop = \"X\"\n"),
        (("keys", "runs.list.open"), None, "\"runs.list.open\" = 'o'\n", ""),
        (("keys", "none"), None, "", ""),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_change_keeps_everything_else(
    path: tuple[str, ...], value: edit.Value | None, old: str, new: str, end: str
) -> None:
    found = edit.changed(MINE.replace("\n", end), path, value)
    assert found == MINE.replace(old, new).replace("\n", end)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '[keys]\nrun = "g"\n'),
        ("bell = true", 'bell = true\n\n[keys]\nrun = "g"\n'),
        ("[keys]\n\n[other]\nx = 1\n", '[keys]\nrun = "g"\n\n[other]\nx = 1\n'),
        ("keys.stop = 'X'\n", ""),
        ("keys = { stop = 'X' }\n", ""),
        ("keys = 3\n", ""),
    ],
)
def test_a_table_is_added_or_the_change_is_refused(before: str, after: str) -> None:
    if after:
        assert edit.changed(before, ("keys", "run"), "g") == after
    else:
        with pytest.raises(RequestError, match="by hand"):
            edit.changed(before, ("keys", "run"), "g")


# Keys


def test_the_registry_has_no_conflict_and_every_name_is_known() -> None:
    assert key_map({}).registry is COMMANDS
    every = {name for command in COMMANDS for name in names(command)}
    assert {"run", "train.run", "runs.list.open", "attacks.curve.settings", "quit"} <= every
    for command in COMMANDS:
        if command.key:  # the keys as they are
            assert key_map({next(names(command)): command.bound if command.name != "next_page" else ("tab",)})


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("r", "r"),
        ("R", "R"),
        ("?", "question_mark"),
        (",", "comma"),
        ("+", "plus"),
        (" ", "space"),
        ("F5", "f5"),
        ("ctrl+R", "ctrl+r"),
        ("^r", "ctrl+r"),
        ("Esc", "escape"),
        ("shift+F2", "shift+f2"),
        ("é", "é"),
        ("comma", "comma"),
    ],
)
def test_keys_as_users_write_them(text: str, name: str) -> None:
    assert key_name(text) == name


@pytest.mark.parametrize("text", ["", "hyper", "ctrl+", "meta+x", "\x1b", "rr", "ctrl+c", "down"])
def test_what_is_no_key_of_a_command(text: str) -> None:
    with pytest.raises(RequestError):
        key_name(text)


def test_a_name_with_more_in_it_counts_more() -> None:
    found = key_map({"order": ("z",), "digits.order": ("f6",), "runs.list.order": ("f7",)})
    keys = {
        screen: {each.key for each in found.commands(screen) if each.name == "order"}
        for screen in ("digits", "runs", "filters")
    }
    assert keys == {"digits": {"f6"}, "runs": {"f7"}, "filters": {"z"}}
    found = key_map({"occlusion.trust.average": ("f8",)})
    assert {(each.key, each.pages) for each in found.commands("occlusion") if each.name == "average"} == {
        ("a", ("occlusion",)),
        ("f8", ("trust",)),
    }


def test_two_pages_may_use_a_key_differently() -> None:
    found = key_map({"runs.compare.measure": ("o",)})  # `o` sorts the list
    assert {each.name for each in found.commands("runs") if "o" in each.bound} == {"order", "measure"}


async def test_the_users_keys_in_the_app(session: Session) -> None:
    put('[keys]\nlog_axis = "f5"\ntheme = ""\nquit = ["f10", "Y"]\nruns = "g"\n')
    async with session() as (app, pilot):
        bar = app.screen.query_one(KeyBar)
        await pilot.resize_terminal(200, 40)
        await drawn(pilot)
        assert "F5 log" in words(bar)
        assert "F10 quit" in words(bar)
        screen = app.screen
        assert isinstance(screen, TrainScreen)
        await pilot.press("y", "t")  # no longer theirs
        assert (screen.curves.logarithmic, app.theme) == (False, "mnist-dark")
        await pilot.press("f5")
        assert screen.curves.logarithmic
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        help_screen = app.screen
        assert isinstance(help_screen, HelpScreen)
        assert {(each.all_keys, each.name) for each in help_screen.here} >= {("F5", "log_axis"), ("F10, Y", "quit")}
        await pilot.press("escape", "g")
        await until(pilot, lambda: app.current_mode == "runs")
        await pilot.press("q")
        assert app.is_running
        await pilot.press("Y")
        assert app.return_code == 0


async def test_sentences_name_the_users_keys(session: Session) -> None:
    put('[keys]\nquit = "f10"\nlog_axis = "r"\n"train.run" = "g"\nundo = ""\n')
    async with session() as (app, pilot):
        key = app.workspace.key_map.key
        assert (key("run", "train"), key("quit"), key("undo", "runs")) == ("g", "F10", "^p undo")
        assert (key("run", "attacks"), key("measure", "runs", "list")) == ("r", "y")  # `y` belongs to another page
        await pilot.press("ctrl+c")
        assert "F10 quits" in told(app)
        app.workspace._open = Opened()
        changed(app)
        await drawn(pilot)
        assert "g trains the experiment in the form" in progress(app)
        app.workspace.training = FakeJob()
        await pilot.press("g")
        assert "a run is under way: x stops it" in told(app)
        app.workspace.training = None


async def test_a_key_of_a_page_acts_on_that_page_only(session: Session) -> None:
    put('[keys]\n"runs.compare.measure" = "o"\n')
    async with session() as (app, pilot):
        await pilot.press("8")
        await until(pilot, lambda: app.current_mode == "runs" and app.screen.is_mounted)
        screen = app.screen
        page = screen.list  # type: ignore[attr-defined]
        before = page.order
        await pilot.press("o")
        assert page.order != before


def test_help_and_the_registry_are_the_same_without_a_map() -> None:
    for _, _, mode in SCREENS:
        assert KeyMap().commands(mode) == commands(mode)


def test_all_colour_maps_can_be_set() -> None:
    for name in ("auto", *COLOUR_MAPS):
        assert understood(Path("x"), f'colours = "{name}"').problems == ()


def test_whether_the_state_can_be_written(home: Path) -> None:
    assert state.writable()
