"""The list of screen 8: its columns and orders, the filter as it is typed, bundled networks."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events
from textual.widgets import Input

from engine.paths import PRETRAINED
from engine.runs.catalogue import write_note
from engine.runs.finding import pretrained
from engine.runs.folder import RunFolder
from engine.training.requests import Train
from tests.runs import copies, made
from tests.tui.conftest import MakeApp
from tests.tui.driving import drawn, progress, until, words
from tests.tui.listing import here, listed, live, opened
from tui.screens.dialogs import LineScreen
from tui.screens.runs import columns
from tui.screens.runs.columns import GAP, NEWEST, layout, ordered
from tui.screens.train import TrainScreen
from tui.widgets.form import RequestForm


def three(root: Path) -> list[RunFolder]:
    """Runs of different results, and one without any."""
    accuracies = {"best": [0.9, 0.99], "worst": [0.8, 0.85], "middle": [0.9, 0.95]}
    folders = [made(root, name, Train(seed=n), each, 1.0 + n) for n, (name, each) in enumerate(accuracies.items())]
    return [*folders, made(root, "empty", Train(seed=9), [])]


async def test_orders_by_key(still_app: MakeApp, tmp_path: Path) -> None:
    three(tmp_path / "runs")
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, 4)
        assert "4 runs, newest first" in words(screen.list.rows)
        await pilot.press("O")
        assert "4 runs, oldest first" in words(screen.list.rows)
        await pilot.press("o")
        assert listed(screen) == ["best", "empty", "middle", "worst"]
        assert "run▲" in words(screen.list.rows)
        await pilot.press("o")
        assert "▲seed" in words(screen.list.rows)
        assert listed(screen) == ["best", "worst", "middle", "empty"]
        await pilot.press("o", "o", "o", "o")
        assert "▼test" in words(screen.list.rows)
        assert listed(screen) == ["best", "middle", "worst", "empty"]
        await pilot.press("O")
        assert "by test accuracy, backwards" in words(screen.list.rows)
        assert "▲test" in words(screen.list.rows)
        # What has no accuracy comes last in either direction.
        assert listed(screen) == ["worst", "middle", "best", "empty"]


async def test_a_click_on_a_head_sorts(still_app: MakeApp, tmp_path: Path) -> None:
    three(tmp_path / "runs")
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, 4)
        at = words(screen.list.rows).splitlines()[1].index("val loss") + 3
        await pilot.click("#runs", offset=(at, 1))
        assert screen.list.order == "val loss"
        first = listed(screen)
        await pilot.click("#runs", offset=(at, 1))
        assert listed(screen) == [*reversed(first[:3]), "empty"]
        await pilot.click("#runs", offset=(5, 1))
        assert listed(screen)[:2] == ["best", "empty"]
        await pilot.click("#runs", offset=(5, 3))
        assert here(screen) == "empty"


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40), (200, 60)])
async def test_long_names_and_notes_get_the_room(still_app: MakeApp, tmp_path: Path, size: tuple[int, int]) -> None:
    name, note = "a-name-of-forty-characters-of-some-length", "a note that is not so short either"
    write_note(made(tmp_path / "runs", name, Train(), [0.9]), note)
    made(tmp_path / "runs", "short", Train(), [0.9])
    app = still_app()
    async with app.run_test(size=size) as pilot:
        screen = await opened(pilot, 2)
        await pilot.press("v")
        text = words(screen.list.rows)
        assert (name in text) == (size[0] >= 200)
        assert (note in text) == (size[0] >= 200)
        head = text.splitlines()[1]
        assert all(title in head for title in ("run", "val loss", "test"))
        assert ("started" in head) == (size[0] >= 200)


def test_columns_fit(tmp_path: Path) -> None:
    from engine.runs.catalogue import summaries

    three(tmp_path)
    runs = summaries(tmp_path)
    for width in range(1, 220):
        found = layout(runs, ["", "a note"], width)
        assert sum(each + GAP for _, each in found.widths) - GAP <= width
        assert found.widths[0][0] == "name"
        assert all(len(found.line(run, "a note")) <= width for run in runs)
        assert found.at(0) == "name"
        assert found.at(width) == found.widths[-1][0]
    assert [run.name for run in ordered(runs, NEWEST)] == [run.name for run in runs]


async def test_a_filter_works_as_it_is_typed(still_app: MakeApp, tmp_path: Path) -> None:
    for number, folder in enumerate(three(tmp_path / "runs")[:2]):
        write_note(folder, f"#z{number}")
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, 4)
        await pilot.press("end", "home", "down")
        before = here(screen)
        await pilot.press("slash", "Z")
        assert set(listed(screen)) == {"best", "worst"}
        assert "2 of 4 runs match 'Z'" in words(screen.list.rows)
        assert "esc goes back to all runs" in progress(app)
        await pilot.press("1")
        assert listed(screen) == ["worst"]
        assert "1 of 4 runs matches 'Z1'" in words(screen.list.rows)
        await pilot.press("q", "1", "D")
        assert listed(screen) == []
        assert "no run matches" in words(screen.list.rows)
        assert app.is_running
        await pilot.press("escape")
        assert len(listed(screen)) == 4
        assert here(screen) == before
        assert screen.focused is None
        await pilot.press("slash", *"wor", "enter")
        assert (listed(screen), here(screen)) == (["worst"], "worst")
        await pilot.press("slash", *"xx", "escape")
        assert listed(screen) == ["worst"]
        assert screen.list.filter == "wor"
        await pilot.press("slash", *["backspace"] * 3, "down", "tab")
        assert len(listed(screen)) == 4
        assert screen.page is screen.list


async def test_a_filter_in_a_burst_of_keys(still_app: MakeApp, tmp_path: Path) -> None:
    three(tmp_path / "runs")
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, 4)
        for key in "/Dmid":
            app.post_message(events.Key("slash" if key == "/" else key, key))
        await until(pilot, lambda: screen.list.filter == "Dmid")
        for key in ("home", "delete", "enter"):
            app.post_message(events.Key(key, None))
        app.post_message(events.Key("N", "N"))
        await until(pilot, lambda: app.screen is not screen)  # the dialog of the note
        assert screen.list.filter == "mid"
        assert not screen.list.filtering
        await pilot.press("escape")
        assert len(list((tmp_path / "runs").iterdir())) == 4


async def test_one_run_is_no_runs(still_app: MakeApp, tmp_path: Path) -> None:
    made(tmp_path / "runs", "only", Train(), [0.9])
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, 1)
        assert "1 run, newest first" in words(screen.list.rows)
        await pilot.press("tab")
        await until(pilot, lambda: screen.comparison.event is not None)
        assert "1 run in 1 group " in words(screen.comparison.rows)


async def test_bundled_networks(still_app: MakeApp, tmp_path: Path) -> None:
    made(tmp_path / "runs", "mine", Train(), [0.9, 0.95])
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, 1)
        names = [row.key for row in screen.list.rows.lines]
        assert names == ["mine", *(f"pretrained:{name}" for name in PRETRAINED)]
        await pilot.press("home", *["down"] * names.index("pretrained:cnn-bn"))
        assert {"delete", "rename", "note", "resume"}.isdisjoint(live(screen))
        for number, key in enumerate(("D", "M", "N", "R"), 1):
            await pilot.press(key)
            assert app.screen is screen
            assert len(app._notifications) == number
            assert "ships with the program" in list(app._notifications)[-1].message
        assert screen.list._deleted == []
        assert pretrained("cnn-bn").path.is_dir()
        await pilot.press("enter")
        assert (app.workspace.what, app.workspace.bundled) == ("pretrained:cnn-bn", True)
        await until(pilot, lambda: "▸ pretrained:cnn-bn" in words(screen.list.rows))
        await pilot.press("space", "home", "space")
        assert screen.marked == {"pretrained:cnn-bn", "mine"}
        assert "✓▸ pretrained:cnn-bn" in words(screen.list.rows)
        await pilot.press("tab")
        await until(pilot, lambda: screen.comparison.event is not None)
        assert screen.comparison.event is not None
        assert [group.runs for group in screen.comparison.event.groups] == [("pretrained:cnn-bn",), ("mine",)]
        await pilot.press("shift+tab", "home", *["down"] * names.index("pretrained:cnn-bn"), "C")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen) and app.screen.ready)
        form = app.screen.query_one(RequestForm)
        await until(pilot, lambda: form.request() == pretrained("cnn-bn").read_record().request)


async def test_only_bundled_networks(still_app: MakeApp) -> None:
    app = still_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, 0)
        assert "no run yet: r on screen 1 trains one" in words(screen.list.rows)
        await pilot.press("tab")
        await until(pilot, lambda: screen.comparison.event is not None)
        assert len(screen.marked) == len(PRETRAINED)


async def test_marks_where_only_ascii_arrives(
    still_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder,) = copies(tmp_path / "runs", 1)
    monkeypatch.setenv("LC_ALL", "C")
    columns._line.cache_clear()  # lines of other tests, with other glyphs
    app = still_app(folder)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, 1)
        await pilot.press("space", "o")
        text = words(screen.list.rows)
        assert f"x> {folder.name}" in text
        assert "run^" in text
        assert text.isascii()


@pytest.mark.parametrize("size", [(1, 1), (10, 3), (20, 5), (40, 10)])
async def test_a_filter_on_a_tiny_terminal(still_app: MakeApp, tmp_path: Path, size: tuple[int, int]) -> None:
    three(tmp_path / "runs")
    app = still_app()
    async with app.run_test(size=size) as pilot:
        screen = await opened(pilot, 4)
        await pilot.press("slash", "e", "m", "enter", "v", "o", "O", "v", "tab", "tab")
        assert listed(screen) == ["empty"]
        assert screen.query(Input)
        assert app.is_running


async def test_escape_removes_the_filter_then_the_marks(still_app: MakeApp, tmp_path: Path) -> None:
    for name in ("one", "two"):
        made(tmp_path / "runs", name, Train(), [0.9])
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, 2)
        await pilot.press("space")
        marked = set(screen.marked)
        assert len(marked) == 1
        assert {here(screen)} == marked  # the cursor stays on what was marked
        await pilot.press("slash", *"two", "enter")
        await until(pilot, lambda: listed(screen) == ["two"])
        await pilot.press("escape")
        await until(pilot, lambda: set(listed(screen)) >= {"one", "two"})
        assert screen.marked == marked
        await pilot.press("escape")
        assert not screen.marked


async def test_a_name_that_is_taken_stays_in_its_line(still_app: MakeApp, tmp_path: Path) -> None:
    for name in ("one", "two"):
        made(tmp_path / "runs", name, Train(), [0.9])
    app = still_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await opened(pilot, 2)
        before = here(screen)
        other = {"one": "two", "two": "one"}[before]
        await pilot.press("M")
        for wrong, reason in ((other, "already: choose another name"), ("a/b", "name")):
            await until(pilot, lambda: isinstance(app.screen, LineScreen))
            app.screen.query_one(Input).value = wrong
            await pilot.press("enter")
            await drawn(pilot)
            assert reason in str(app.screen.query_one("#line-hint").render())
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        assert here(screen) == before
