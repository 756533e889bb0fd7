"""The registry of keys: one meaning for what changes files, help, palette and the README's table."""

from __future__ import annotations

import ast
import re
import shutil
from collections import defaultdict
from itertools import product
from pathlib import Path

import pytest
from textual.command import CommandList
from textual.widgets import Input, Static

import tui
from engine.runs.finding import pretrained
from tests import key_table
from tests.tui.conftest import MakeApp
from tests.tui.driving import drawn, settled, until
from tui.keys import COMMANDS, PAGES, SCREENS, Command, commands
from tui.palette import PaletteScreen
from tui.screens import screen_of
from tui.screens.activations import ActivationsScreen
from tui.screens.dialogs import HelpScreen
from tui.screens.filters import FiltersScreen
from tui.screens.frame import LabScreen
from tui.screens.train import TrainScreen

MODES = [mode for _, _, mode in SCREENS]


def test_a_key_that_changes_files_means_the_same_everywhere() -> None:
    """No key changes what a run keeps on one page, and does something harmless on another."""
    meanings: dict[str, set[str]] = defaultdict(set)
    changing: set[str] = set()
    for command in COMMANDS:
        for key in command.key.split(","):
            meanings[key].add(command.name)
            if command.effect == "changes":
                changing.add(key)
    assert {"D", "delete", "N", "M", "R", "u", "x"} <= changing
    assert {key: meanings[key] for key in changing if len(meanings[key]) > 1} == {}


def test_what_deletes_or_renames_says_so() -> None:
    changing = {command.name for command in COMMANDS if command.effect == "changes"}
    assert {"delete", "rename", "note", "undo", "resume", "stop"} <= changing
    assert {command.name for command in COMMANDS if command.effect == "writes"} == {
        "run",
        "queue",
        "start_queue",
        "export_second",
        "keep",
        "make_current",
        "find_rate",
    }
    assert {command.name for command in COMMANDS if command.effect == "saves"} == {
        "export",
        "export_second",
        "screenshot",
    }


@pytest.mark.parametrize("mode", MODES)
def test_no_two_commands_of_a_page_share_a_key(mode: str) -> None:
    def together(one: Command, other: Command) -> bool:
        return not one.pages or not other.pages or bool(set(one.pages) & set(other.pages))

    found = commands(mode)
    for one, other in product(found, found):
        if one is not other and together(one, other):
            assert not set(one.key.split(",")) & set(other.key.split(",")), (one, other)


@pytest.mark.parametrize("mode", MODES)
def test_the_pages_are_those_of_the_screen(mode: str) -> None:
    screen = TrainScreen() if mode == "train" else screen_of(mode)
    assert isinstance(screen, LabScreen)
    assert tuple(screen.page_titles()) == PAGES.get(mode, ())


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("tab", "next_page"),
        ("e", "export"),
        ("v", "view"),
        ("c", "colours"),
        ("n", "range"),
        ("o", "order"),
        ("r", "run"),
        ("x", "stop"),
        ("s", "settings"),
        ("full_stop", "next_digit"),
        ("left_square_bracket", "earlier"),
        ("w", "next_class"),
    ],
)
def test_the_scheme(key: str, name: str) -> None:
    """A drawing has no class to choose: there, w writes it down."""
    found = {command.name for command in COMMANDS if key in command.key.split(",")}
    assert found - {"keep"} == {name}


_WRITTEN_OUT = re.compile(
    r"(?<![^\s(:;,])(?<!screen )[b-zB-Z0-9] (?:on screen|in mnist-tui|[a-z]{2,}s\b)"  # such as `r runs it`
    r"|\bpress \S|\bwith (?:space|enter|tab)\b"
)


def test_no_sentence_has_a_key_that_the_user_may_have_changed() -> None:
    """The front end takes keys from the user's map; those of widgets and dialogs, such as enter and esc, stay."""
    found = []
    for file in Path(tui.__file__).parent.rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
                found += [f"{file.name}: {node.value}"] * bool(_WRITTEN_OUT.search(node.value))
    assert not found, "\n".join(found)


def test_the_readme_has_the_keys_of_today() -> None:
    readme = key_table.README.read_text(encoding="utf-8")
    assert key_table.replaced(readme) == readme, "run python -m tests.key_table"


async def test_help_is_grouped_and_filtered(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("8")
        await until(pilot, lambda: getattr(app.screen, "mode", "") == "runs")
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen) and isinstance(app.focused, Input))

        def rows() -> str:
            table = app.screen.query_one("#keys", Static).visual
            return "\n".join(strip.text for strip in app.screen._compositor.render_strips()) if table else ""

        await drawn(pilot)
        assert "keep and change files" in rows()
        assert "move to the trash folder" in rows()
        await pilot.press(*"trash")
        await drawn(pilot)
        assert "move to the trash folder" in rows()
        assert "restore the last deleted run" not in rows()
        await pilot.press(*"zzz")
        await drawn(pilot)
        assert "no key matches 'trashzzz'" in rows()
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, HelpScreen))


@pytest.fixture
def a_run(tmp_path: Path) -> Path:
    run = tmp_path / "runs" / "20260101-000000-cnn"
    shutil.copytree(pretrained("cnn").path, run)
    (run / "note.json").write_text('{"text":"wide kernels #try"}')
    return run


@pytest.mark.usefixtures("quick_keys", "exact_engine")
async def test_the_palette_finds_actions_screens_runs_and_digits(still_app: MakeApp, a_run: Path) -> None:
    app = still_app()

    async def choose(words: str, first: str) -> None:
        def found() -> bool:  # what was found for the characters before the last one may still be listed
            options = app.screen.query_one(CommandList)
            return options.highlighted is not None and first in str(options.get_option_at_index(0).prompt)

        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, PaletteScreen) and isinstance(app.focused, Input))
        await pilot.press(*["space" if each == " " else each for each in words])
        await until(pilot, found)
        await drawn(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, PaletteScreen))

    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.workspace.engine is not None)
        await choose("digit 213", "digit test 213")
        await until(pilot, lambda: app.workspace.digit == ("test", 213))
        await until(pilot, lambda: isinstance(app.screen, ActivationsScreen))
        await choose("screen 4", "screen 4 Filters")
        await until(pilot, lambda: isinstance(app.screen, FiltersScreen))
        await choose("wide kernels", "wide kernels #try")
        await until(pilot, lambda: app.workspace.what == str(a_run))
        await choose("runs delete", "8 Runs: delete")  # what it would delete is not in view
        await until(pilot, lambda: getattr(app.screen, "mode", "") == "runs")
        assert "D here: move to the trash folder" in list(app._notifications)[-1].message
        assert a_run.is_dir()
        await choose("pretrained:cnn-bn", "run pretrained:cnn-bn")
        await until(pilot, lambda: app.workspace.bundled and app.workspace.variant == "cnn-bn")
        await choose("digits mistakes", "3 Digits: mistakes")  # an action of another screen
        await until(pilot, lambda: getattr(app.screen, "mode", "") == "digits")
        screen = app.screen
        await until(pilot, lambda: getattr(getattr(screen, "digits", None), "order", "") == "mistakes")
        await settled(pilot, screen)  # type: ignore[arg-type]
