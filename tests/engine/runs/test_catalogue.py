"""The list of runs, their notes, and the trash folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from engine.operations import perform
from engine.request import RequestError
from engine.runs import catalogue
from engine.runs.events import RunDeleted, RunNoted, RunRenamed, RunRestored, RunsListed, RunSummary, UnfinishedFound
from engine.runs.finding import pretrained
from engine.runs.folder import RunFolder
from engine.runs.recording import train_run
from engine.runs.requests import DeleteRun, FindUnfinished, ListRuns, NoteRun, RenameRun, RestoreRun
from engine.runs.tail import Tail
from engine.training.events import EpochFinished
from engine.training.requests import Train
from engine.words import readable, shown
from tests.runs import copies, only, stopped
from tui.cli.main import COMMANDS, PROGRAM_COMMANDS, run

SHORT = Train(train_size=320, epochs=2, device="cpu", channels=4, hidden=16)


def test_a_line_a_run_the_newest_first(tmp_path: Path) -> None:
    (tmp_path / "no run").mkdir()
    (tmp_path / "a file").touch()
    first, second = copies(tmp_path, 2)
    (event,) = perform(ListRuns(), tmp_path)
    assert isinstance(event, RunsListed)
    assert [run.name for run in event.runs] == [second.name, first.name]
    run, history = event.runs[0], pretrained("cnn").history()
    assert history.best is not None
    assert (run.state, run.variant, run.epoch, run.epochs) == ("finished", "cnn", 15, 15)
    assert (run.val_loss, run.test_accuracy) == (history.best.val_loss, history.best.test_accuracy)
    assert run.seconds == pytest.approx(sum(e.train_seconds + e.eval_seconds for e in history.epochs))


def test_no_folder_is_no_run(tmp_path: Path) -> None:
    assert catalogue.summaries(tmp_path / "nowhere") == []
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match="cannot read"):
        catalogue.summaries(tmp_path / "file")


@pytest.mark.usefixtures("small_runs")
def test_states(tmp_path: Path) -> None:
    work = train_run(SHORT, tmp_path)
    while not isinstance(next(work), EpochFinished):
        pass
    folder = only(tmp_path)

    def state() -> str:
        (found,) = catalogue.summaries(tmp_path)
        return found.state

    assert state() == "running"
    with pytest.raises(RequestError, match="is running: stop it"):
        catalogue.delete(folder)
    with pytest.raises(RequestError, match="is running: stop it"):
        catalogue.rename(folder, "other")
    left_behind = tmp_path / "left-behind"
    shutil.copytree(folder.path, left_behind)  # as it is if the process is killed now
    assert [run.state for run in catalogue.summaries(tmp_path)] == ["interrupted", "running"]
    shutil.rmtree(left_behind)
    work.close()
    assert state() == "stopped"


def test_what_is_damaged_is_listed_too(tmp_path: Path) -> None:
    folder, other = copies(tmp_path, 2)
    (folder.path / "request.json").write_bytes(b"{")
    other.events_file.write_bytes(b"\xff\xfe\n")
    runs = catalogue.summaries(tmp_path)
    assert [run.state for run in runs] == ["damaged", "damaged"]
    notes = {run.name: run.note for run in runs}
    assert "cannot be read" in notes[folder.name]
    assert notes[other.name] == "events.jsonl holds only damaged lines"
    catalogue.delete(folder)
    assert len(catalogue.summaries(tmp_path)) == 1


def test_notes(tmp_path: Path) -> None:
    (folder,) = copies(tmp_path, 1)
    assert catalogue.read_note(folder) == ""
    catalogue.write_note(folder, "  with #warm\nup #slow ")
    (run,) = catalogue.summaries(tmp_path)
    assert run.note == "with #warm up #slow"
    assert run.tags == ("#warm", "#slow")
    catalogue.write_note(folder, "caf\udce9")
    assert catalogue.read_note(folder) == r"caf\udce9"
    folder.note_file.write_bytes(b"nonsense")
    assert catalogue.read_note(folder) == ""


def test_into_the_trash_and_back(tmp_path: Path) -> None:
    folder, other = copies(tmp_path, 2)
    deleted = catalogue.delete(folder)
    assert [run.name for run in catalogue.summaries(tmp_path)] == [other.name]
    shutil.copytree(deleted.path, folder.path)
    with pytest.raises(RequestError, match=f"there is already a run {folder.name}"):
        catalogue.restore(deleted, folder.name)
    again = catalogue.delete(folder)
    assert again.path != deleted.path
    assert catalogue.restore(deleted, folder.name).path == folder.path
    assert len(catalogue.summaries(tmp_path)) == 2


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "/etc"])
def test_names_that_are_none(tmp_path: Path, name: str) -> None:
    (folder,) = copies(tmp_path, 1)
    with pytest.raises(RequestError, match="must be a folder name"):
        catalogue.rename(folder, name)


def test_another_name(tmp_path: Path) -> None:
    folder, other = copies(tmp_path, 2)
    assert catalogue.rename(folder, "the wide one").path.is_dir()
    with pytest.raises(RequestError, match="already"):
        catalogue.rename(other, "the wide one")


def test_a_list_needs_no_torch(tmp_path: Path) -> None:
    copies(tmp_path, 3)
    code = (
        "import sys; from tui.cli.main import run; "
        f"assert run(['runs', '--runs', {str(tmp_path)!r}]) == 0; assert 'torch' not in sys.modules"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=os.environ)
    assert said.stdout.count("finished") == 3


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("train", "is a command"),
        ("-x", "an option"),
        ("lenet.pth", "a weights file"),
        ("LENET.PTH", "a weights file"),
        ("pretrained:cnn", "is reserved for the bundled networks"),
        ("a\x1b[31mb", "invisible characters"),
        ("caf\udce9", "invisible characters"),
        ("a\u202eb", "invisible characters"),
        ("a\nb", "invisible characters"),
        ("a ", "invisible characters"),
        ("é" * 101, "longer than 200 bytes"),
    ],
)
def test_names_that_mean_something_else(tmp_path: Path, name: str, why: str) -> None:
    (folder,) = copies(tmp_path, 1)
    with pytest.raises(RequestError, match=why) as caught:
        catalogue.rename(folder, name)
    assert str(caught.value).isprintable()


def test_command_words_are_those_of_the_command_line() -> None:
    assert {words.split()[0] for words in COMMANDS | PROGRAM_COMMANDS} == catalogue.COMMAND_WORDS


ODD = ("[red]", "lr[bold]x", "a\x1b[31mb\x1b]0;title\x07", "caf\udce9", "a\u202eb", ":smile:")
"""Names as other programs leave them."""


def test_any_name_and_note_can_be_listed_and_opened(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    for number, folder in enumerate(copies(tmp_path, len(ODD))):
        name = ODD[number]
        folder.note_file.write_text('{"text":"\\u001b[2J[/] \\u202e"}')
        folder.path.rename(tmp_path / name)
    assert {run.name for run in catalogue.summaries(tmp_path)} == set(ODD)
    assert run(["runs", "--runs", str(tmp_path)]) == 0
    said = capfdbinary.readouterr().out.decode()
    assert all(shown(name) in said for name in ODD)
    assert "\\x1b[2J[/] \\u202e" in said
    assert "\x1b" not in said
    assert run(["runs", "--json", "--runs", str(tmp_path)]) == 0
    told = msgspec.json.decode(capfdbinary.readouterr().out)
    assert {each["name"] for each in told["runs"]} == {name.replace("\udce9", "\\xe9") for name in ODD}


def test_what_is_shown() -> None:
    for text in ("", "plain", "bn, 3×3 ✓", "ein Hügel", "数字", "a\u00a0b"):
        assert shown(text) == text
    assert shown("a\x1b\x00\x7f\x9b\n") == "a\\x1b\\x00\\x7f\\x9b\\x0a"
    assert shown("\udcff\u202e\ud800\U000e0001") == "\\xff\\u202e\\ud800\\U000e0001"
    event = RunsListed(folder="a\x1bb", runs=(RunSummary(name="\x07", state="new"), RunSummary(name="b", state="new")))
    safe = readable(event)
    assert (safe.folder, safe.runs[0].name) == ("a\\x1bb", "\\x07")
    assert safe.runs[1] is event.runs[1]
    assert readable(safe) is safe


def test_each_change_of_a_folder_is_a_request_with_its_answer(tmp_path: Path) -> None:
    (folder,) = copies(tmp_path, 1)
    name = folder.name
    assert list(perform(NoteRun(run=name, text=" a  note "), tmp_path)) == [RunNoted(run=name)]
    assert catalogue.read_note(folder) == "a note"
    assert list(perform(RenameRun(run=name, name="mine"), tmp_path)) == [RunRenamed(run=name, name="mine")]
    with pytest.raises(RequestError, match="'train' is a command"):
        list(perform(RenameRun(run="mine", name="train"), tmp_path))
    (deleted,) = perform(DeleteRun(run="mine"), tmp_path)
    assert isinstance(deleted, RunDeleted)
    assert deleted == RunDeleted(run="mine", place=str(tmp_path / catalogue.TRASH / "mine"))
    assert catalogue.summaries(tmp_path) == []
    assert list(perform(RestoreRun(place=deleted.place, name="mine"), tmp_path)) == [RunRestored(run="mine")]
    assert [run.name for run in catalogue.summaries(tmp_path)] == ["mine"]


def test_the_most_recent_run_that_can_be_resumed_is_found(tmp_path: Path) -> None:
    assert list(perform(FindUnfinished(), tmp_path)) == [UnfinishedFound(run="")]
    copies(tmp_path, 2)  # both are finished
    assert list(perform(FindUnfinished(), tmp_path)) == [UnfinishedFound(run="")]
    stopped(tmp_path, "before")  # its events say that it began earlier than the others
    assert list(perform(FindUnfinished(), tmp_path)) == [UnfinishedFound(run="before")]
    assert list(perform(FindUnfinished(most=2), tmp_path)) == [UnfinishedFound(run="")]


def test_a_history_bears_the_name_of_its_folder(tmp_path: Path) -> None:
    (folder,) = copies(tmp_path, 1)
    renamed = catalogue.rename(folder, "mine")
    for history in (renamed.history(), renamed.outline(), Tail(renamed).history):
        assert history.name == "mine"
    assert renamed.history().variant == "cnn"
    assert Tail(renamed).history.variant == "cnn"
    (renamed.path / "request.json").write_text("{")
    assert RunFolder(renamed.path).request is None
