"""Joules and megabytes beside accuracy: in the lists, the comparison and the details, on the screen and as tables."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from rich.console import Console, Group

from engine.runs.catalogue import summaries
from engine.runs.comparison import compare
from engine.runs.events import RunsListed, RunSummary
from engine.runs.folder import RunFolder
from engine.telemetry.events import Level, Usage
from engine.training.requests import Train
from tests.engine.runs.test_usage import USAGE, used
from tests.tui.conftest import MakeApp
from tests.tui.driving import drawn, until, words
from tests.tui.listing import opened
from tui.cli.tables.runs import compared, runs
from tui.screens.runs.columns import COLUMNS, layout, ordered
from tui.screens.runs.details import used as used_words
from tui.widgets.cells import CellWidget

pytestmark = pytest.mark.usefixtures("quick_keys")


@pytest.fixture
def folders(tmp_path: Path) -> list[RunFolder]:
    """Two runs that know what they used, and one that does not."""
    root = tmp_path / "runs"
    frugal = msgspec.structs.replace(USAGE, energy=50.0)
    return [
        used(root, "plain", Train(), USAGE, USAGE),
        used(root, "normed", Train(batch_norm=True), frugal),
        used(root, "old", Train(seed=3, epochs=1), None),
    ]


def text(tables: list[object]) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(Group(*tables))  # type: ignore[arg-type]
    return capture.get()


def test_tables_on_the_command_line(folders: list[RunFolder]) -> None:
    listed = summaries(folders[0].path.parent)
    lines = text([*runs(RunsListed(folder="", runs=tuple(listed)))]).splitlines()
    assert "energy    memory" in lines[0]
    assert "800 J  1,234 MB" in next(line for line in lines if line.startswith("plain"))
    without = tuple(run for run in listed if run.name == "old")
    assert "energy" not in text([*runs(RunsListed(folder="", runs=without))])
    table = text([*compared(compare(folders))])
    assert "joules per epoch  peak memory" in table
    assert "400.0 J     1,234 MB" in table
    assert "J lower than" in table


def test_columns_of_the_list_come_where_there_is_room(folders: list[RunFolder]) -> None:
    listed = summaries(folders[0].path.parent)
    wide, narrow = (layout(listed, ["", "a note"], width) for width in (150, 60))
    assert [name for name, _ in wide.widths][-4:] == ["energy", "memory", "newest", "note"]
    assert "energy" not in dict(narrow.widths)
    old = [RunSummary(name="x", state="finished")]
    assert "energy" not in dict(layout(old, [""], 150).widths)
    assert [run.name for run in ordered(listed, "energy")] == ["plain", "normed", "old"]
    assert COLUMNS["memory"].text(listed[-1]) in ("", "1,234 MB")


def test_usage_in_words() -> None:
    assert used_words(USAGE) == "400 J at 200 W, GPU 50 %, 1,234 MB on it, CPU 190 %, 690 MB of memory"
    on_a_cpu = Usage(seconds=1.0, samples=0, cpu=Level(mean=0.5, peak=1.0))
    assert used_words(on_a_cpu) == "CPU 50 %"
    assert used_words(Usage(seconds=1.0, samples=0)) == ""


async def test_screen_8(still_app: MakeApp, folders: list[RunFolder]) -> None:
    app = still_app()
    async with app.run_test(size=(200, 60)) as pilot:
        screen = await opened(pilot, 3)
        assert "energy" in words(screen.list.rows)
        screen.list.rows.key = "plain"
        screen.update()
        sheet = screen.query_one("#run-facts", CellWidget)
        await until(pilot, lambda: "400 J" in words(sheet) or "800 J" in words(sheet))
        assert "1,234 MB on it" in words(sheet)
        await pilot.press("tab")
        await until(pilot, lambda: screen.comparison.event is not None)
        await drawn(pilot)
        shown = words(screen.comparison.rows)
        assert "energy per epoch" in shown
        assert "400.0 J" in shown
        assert "1,234 MB" in shown
