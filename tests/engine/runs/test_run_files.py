"""The files of run folders as crashes, other programs and other people leave them. Nothing here needs torch."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from engine.request import RequestError
from engine.runs import catalogue
from engine.runs.event_log import PIECE
from engine.runs.finding import newest, unfinished
from engine.runs.folder import RunFolder, RunRecord
from engine.runs.history import RunHistory
from engine.runs.tail import Tail
from engine.training.events import BatchTrained, EpochFinished, RunCancelled
from tests.runs import EPOCH, GOOD, SHORT, STARTED, epoch_line, written


@pytest.mark.parametrize(
    "parts",
    [
        (GOOD,),
        (GOOD, b'{"type":"RunFai'),
        (GOOD, GOOD[:-1]),
        (b'{"type":"FromTheFuture","x":1}\n', GOOD),
    ],
)
def test_events_of_a_cut_off_or_newer_file(tmp_path: Path, parts: tuple[bytes, ...]) -> None:
    assert written(tmp_path / "run", *parts).events() == [RunCancelled(run="x", epoch=1)]


def test_no_events_file_is_a_run_that_has_not_begun(tmp_path: Path) -> None:
    assert RunFolder(tmp_path).events() == []
    with pytest.raises(RequestError, match=r"is a run folder"):
        RunFolder(tmp_path).read_record()


@pytest.mark.parametrize(
    "line",
    [
        b"garbage\n",
        b"\xff\xfe\n",
        b'{"type":\n',
        b"\0" * 40 + b"\n",
        b"[" * 100_000 + b"\n",
        b'{"type":' * 2000 + b"\n",
        b'{"type":"RunFailed","run":3}\n',
        b"x" * (2 * PIECE + 7) + b"\n",
        epoch_line(1_000_000_000),
        epoch_line(2, val_loss=None),
        epoch_line(2, test_accuracy=99.1),
        epoch_line(2, train_seconds=-1.0),
    ],
)
def test_a_damaged_line_is_left_out_and_counted(tmp_path: Path, line: bytes) -> None:
    run = written(tmp_path / "run", EPOCH, line, epoch_line(2), GOOD)
    assert [type(event) for event in run.events()] == [EpochFinished, EpochFinished, RunCancelled]
    history = run.history()
    assert (history.damaged_lines, len(history.epochs), history.state) == (1, 2, "stopped")
    tail = Tail(run)  # a follower goes on behind it
    while tail.behind:
        tail.more()
    assert tail.history == history
    run.append(RunCancelled(run="x", epoch=7))
    assert tail.more()
    assert run.events()[-1] == RunCancelled(run="x", epoch=7)


def test_a_long_story_is_read_in_pieces_and_its_ends_tell_how_it_stands(tmp_path: Path) -> None:
    lines = [epoch_line(n, val_loss=abs(n - 1500.0), running_loss=[0.123456789] * 32) for n in range(1, 3001)]
    run = written(tmp_path / "20250101-000000-cnn", STARTED, *lines, GOOD)
    tail = Tail(run)
    assert tail.behind
    assert len(tail.history.epochs) < 3000
    while tail.behind:
        assert tail.more()
    history = run.history()
    assert tail.history == history
    assert history.best is history.epochs[1499]
    assert history.begun == "2026-01-01T00:00:00+01:00"
    outline = run.outline()
    assert (outline.state, outline.begun) == (history.state, history.begun)
    assert outline.epochs[-1] == history.epochs[-1]
    run.events_file.write_bytes(b"".join([STARTED, GOOD, *lines]))
    assert run.outline().state == run.history().state == "running"


def test_an_epoch_that_is_trained_again_counts_once() -> None:
    epochs = [msgspec.json.decode(epoch_line(n, val_loss=loss), type=EpochFinished) for n, loss in ((1, 3.0), (2, 1.0))]
    history = RunHistory.of("x", epochs)
    assert history.best is epochs[1]
    worse = msgspec.json.decode(epoch_line(2, val_loss=2.0), type=EpochFinished)
    history.add(worse)
    assert history.epochs == [epochs[0], worse]
    assert history.best is worse


@pytest.mark.parametrize(("epoch", "kept"), [(1, True), (2, False)])
def test_an_epoch_that_comes_late_leaves_the_progress_of_the_next(epoch: int, kept: bool) -> None:
    """Its files were written meanwhile."""
    now = BatchTrained(epoch=2, epochs=9, step=1, steps=5, images_per_second=1.0, running_loss=())
    history = RunHistory.of("x", [now, msgspec.json.decode(epoch_line(epoch), type=EpochFinished)])
    assert history.epoch == epoch
    assert history.progress == (now if kept else None)


@pytest.mark.parametrize("file", ["request.json", "events.jsonl", "note.json", "resume/process.json"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "large", "deep", "no text", "number"])
def test_no_kind_of_file_stops_the_list(tmp_path: Path, file: str, kind: str) -> None:
    for name in ("bad", "good"):
        run = written(tmp_path / name, STARTED, EPOCH)
        run.write_record(RunRecord(SHORT, {}, "cpu", "a CPU", 1))
    bad = tmp_path / "bad" / file
    bad.parent.mkdir(exist_ok=True)
    bad.unlink(missing_ok=True)
    match kind:
        case "pipe":
            os.mkfifo(bad)
        case "device":
            bad.symlink_to("/dev/zero")
        case "folder":
            bad.mkdir()
        case "large":
            bad.touch()
            os.truncate(bad, 1 << 40)
        case "deep":
            bad.write_bytes(b"[" * 500_000 + b"\n")
        case "no text":
            bad.write_bytes(b'{"text":"\xff","request":"\xff"}\n')
        case _:
            bad.write_bytes(b'{"text":1e999,"number":1e999,"epoch":1e999}\n')
    found = {run.name: run for run in catalogue.summaries(tmp_path)}
    assert set(found) == {"bad", "good"}
    assert found["good"].state == "running"
    assert "\n" not in found["bad"].note
    if file != "resume/process.json":
        assert "cannot be read" in found["bad"].note or found["bad"].state == "damaged"
    assert newest(tmp_path) is None
    list(unfinished(tmp_path))


def test_newest(tmp_path: Path) -> None:
    assert newest(tmp_path / "nowhere") is None
    assert newest(tmp_path) is None
    for day in range(1, 6):
        run = written(tmp_path / f"2025010{day}-000000-cnn", EPOCH, GOOD)
        if day != 3:
            run.model_file.touch()
        run.write_record(RunRecord(SHORT, {}, "cpu", "a CPU", 1))
        if day == 4:  # stopped in its first epoch
            run.events_file.write_bytes(GOOD)
        if day == 5:  # damaged
            run.events_file.write_bytes(b"no events\n")
    (tmp_path / "zzz").touch()
    (tmp_path / "zz").mkdir()
    found = newest(tmp_path)
    assert found is not None
    assert found.name == "20250102-000000-cnn"


def test_newest_is_what_began_last_whatever_its_name_or_time_zone(tmp_path: Path) -> None:
    for name, began in (
        ("20260101-090000-cnn", "2026-01-01T09:00:00+09:00"),  # in Tokyo
        ("20260101-010000-cnn", "2026-01-01T01:00:00+00:00"),
        ("zz", "2025-06-01T00:00:00+00:00"),
        ("20260101-003000-cnn", "2026-01-01T00:30:00+00:00"),
    ):
        run = written(tmp_path / name, STARTED.replace(b"2026-01-01T00:00:00+01:00", began.encode()), EPOCH, GOOD)
        run.model_file.touch()
        run.write_record(RunRecord(SHORT, {}, "cpu", "a CPU", 1))
    (tmp_path / "latest").symlink_to("zz")
    (tmp_path / "aa").symlink_to("20260101-010000-cnn")
    (tmp_path / "nowhere").symlink_to("missing")
    (tmp_path / "round").symlink_to("round")
    ordered = ["20260101-010000-cnn", "20260101-003000-cnn", "20260101-090000-cnn", "zz"]
    assert [run.name for run in catalogue.summaries(tmp_path)] == ordered
    assert [run.name for run in unfinished(tmp_path)] == ordered
    found = newest(tmp_path)
    assert found is not None
    assert found.name == ordered[0]
