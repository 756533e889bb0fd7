"""`mnist-tui bench`: its rows, its table, its picture and the README's table, from the shortest run."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import msgspec
import pytest
import torch
from rich.console import Console

from engine.benchmark import analysis, effort, machine, training
from engine.benchmark.events import BenchFinished, SectionName
from engine.benchmark.requests import Bench
from engine.event import Event, WorkAdvanced, to_json
from engine.figures.drawing.figure import figure_of, stem_of
from engine.network.gpu import bf16_pays
from engine.request import Request
from tests import bench_table
from tests.engine.figures.pages import caption, inside
from tui.cli import app_speed, bench
from tui.cli import main as cli
from tui.cli.arguments import Output
from tui.cli.runner import report
from tui.cli.tables.results import results

NOTHING = effort.Effort(machine=0, training=0, occlusion=0, noise=0, gallery=0, least=1, most=1)
ONCE = app_speed.Visits(launches=1, presses=1, windows=1, interval=0.2)


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Event]]:
    """The events of the shortest benchmark, the app's part included."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(effort, "QUICK", NOTHING)
        patch.setattr(app_speed, "QUICK", ONCE)
        patch.setattr(training, "PARTS", (320,))
        patch.setattr(analysis, "NOISE_STEPS", (20,))
        patch.setattr(analysis, "PERTURBATIONS", (512,))
        patch.setattr(machine, "LONG", 0.0)
        yield list(bench._measured(Bench(quick=True, device="cpu"), tmp_path_factory.mktemp("bench")))


@pytest.fixture(scope="module")
def finished(events: list[Event]) -> BenchFinished:
    """Its result."""
    last = events[-1]
    assert isinstance(last, BenchFinished)
    return last


def test_every_section_has_its_rows(finished: BenchFinished) -> None:
    found: dict[SectionName, set[tuple[str, str, str, str]]] = {}
    for row in finished.rows:
        found.setdefault(row.section, set()).add((row.name, row.variant, row.unit, row.peer))
    both = ("cnn", "cnn-bn")
    phases = (("training step of 64 images", "ms"), ("evaluation of 20,000 images", "s"), ("whole epoch", "s"))
    assert found == {
        "training": {(name, variant, unit, "notebook") for variant in both for name, unit in phases},
        "machine": {("reached by a training step", variant, "%", "") for variant in both}
        | {(name, "", "GFLOP/s", "") for name in ("matrix product", "convolution")},
        "occlusion": {
            ("map of a digit, 8x8 patch", variant, "ms", peer) for variant in both for peer in ("notebook", "Captum")
        },
        "attacks": {("ten digits from noise", variant, "s", "notebook") for variant in both}
        | {("gallery of nine digits", variant, "ms", "notebook") for variant in both},
        "app": {
            ("first frame", "", "s", ""),
            ("key to screen in training", "", "ms", ""),
            ("95 % of these keys within", "", "ms", ""),
            ("output in training", "", "kB/s", ""),
        },
    }


def test_rows_are_told_apart_by_what_they_are(finished: BenchFinished) -> None:
    keys = [(row.section, row.name, row.variant, row.precision, row.peer) for row in finished.rows]
    assert len(set(keys)) == len(keys)
    pays = {"fp32", *(["bf16"] if bf16_pays(torch.device("cpu")) else [])}
    assert {row.precision for row in finished.rows if row.unit == "GFLOP/s"} == pays
    assert all(row.low <= row.median <= row.high and row.median > 0 for row in finished.rows)


def test_progress_goes_up_to_its_end(events: list[Event]) -> None:
    advances = [event for event in events if isinstance(event, WorkAdvanced)]
    assert [event.done for event in advances] == sorted(event.done for event in advances)
    assert len({event.total for event in advances}) == 1
    assert {event.words for event in advances} >= {"the app", "products and convolutions", "training, cnn-bn"}


def test_the_machine_the_versions_and_a_part_that_is_scaled_up_are_named(finished: BenchFinished) -> None:
    assert {"processor", "instruction set"} <= finished.machine.keys()
    assert {"python", "torch", "torchvision", "captum"} <= finished.versions.keys()
    notes = {row.note for row in finished.rows if row.name == "whole epoch"}
    assert notes == {"scaled up from 320 of 50,000 images"}


def test_the_result_survives_json(finished: BenchFinished) -> None:
    assert msgspec.json.decode(to_json(finished), type=BenchFinished) == finished


def test_the_table_fits_80_columns(finished: BenchFinished) -> None:
    console = Console(width=80, no_color=True)
    with console.capture() as capture:
        console.print(results(finished))
    text = capture.get()
    assert max(map(len, text.splitlines())) <= 80
    for row in finished.rows:  # wide numbers break a name into lines
        assert all(word in text for word in row.name.split())
    assert "notebook's" in text
    assert "Captum's" in text


def test_the_picture_has_every_comparison_and_all_of_it_is_on_the_page(finished: BenchFinished) -> None:
    figure = figure_of(finished)
    inside(figure)
    above, below = figure.axes
    labels = " ".join(label.get_text() for label in above.get_yticklabels())
    for row in finished.rows:
        if row.ratio is not None:
            assert row.name in labels
    rates = [row.median for row in finished.rows if row.unit == "GFLOP/s"]
    assert [patch.get_width() for patch in below.patches][: len(rates)] == rates  # type: ignore[attr-defined]
    assert finished.machine["processor"] in caption(figure)
    assert stem_of(finished) == "bench-cpu"


def test_the_readmes_table_has_the_rows_of_the_benchmark(finished: BenchFinished) -> None:
    wanted = bench_table.wanted(finished.rows)
    assert list(bench_table.rows_of(bench_table.table(finished))) == wanted
    written = list(bench_table.rows_of(bench_table.between_markers(bench_table.README.read_text(encoding="utf-8"))))
    assert [row for row in written if row in wanted] == wanted
    # Only the full form times the recipe, and only some processors have bf16.
    assert all(precision == "bf16" for _, _, precision, _, _ in (row for row in written if row not in wanted))


def test_the_readmes_table_is_replaced_between_its_markers(finished: BenchFinished) -> None:
    before = f"above\n{bench_table.BEGIN}old\n{bench_table.END}below\n"
    after = bench_table.replaced(before, finished)
    assert bench_table.between_markers(after).strip() == bench_table.table(finished).strip()
    assert after.startswith("above\n")
    assert after.endswith("below\n")
    assert bench_table.replaced(after, finished) == after


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--device", "tpu"], "tpu"),
        (["--threads", "-1"], "threads must be a whole number from 0 to 1024, not -1"),
        (["--png", "x.jpg"], "--png needs a name that ends in .png, not x.jpg"),
        (["--png", "no/x.png"], "there is no folder no"),
        (["pretrained:cnn"], "pretrained:cnn"),
        (["--npz", "x.npz"], "--npz"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["bench", *arguments])
    said = capsys.readouterr()
    assert end.value.code == 2
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert words in said.err


def test_a_signal_ends_a_long_step_and_what_was_begun_is_closed(tmp_path: Path) -> None:
    closed = []

    def work(_: Request, __: Path) -> Generator[Event, None, None]:
        try:
            yield WorkAdvanced(words="work", done=0, total=1)
            os.kill(os.getpid(), signal.SIGINT)
            pytest.fail("the step went on")
        finally:
            closed.append(True)

    before = signal.getsignal(signal.SIGINT)
    assert report(Bench(), Output(json=True, runs=tmp_path), operation=work, at_once=True) == 130
    assert closed == [True]
    assert signal.getsignal(signal.SIGINT) is before


def test_an_app_that_does_nothing_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def silent(*_: object) -> Generator[float, None, None]:
        yield 0.5
        raise TimeoutError("b' quit' did not arrive within 30 s")

    monkeypatch.setattr(app_speed, "measure_app", silent)
    assert bench.bench(["--quick", "--json", "--device", "cpu"]) == 1
    assert capsys.readouterr().err == "mnist-tui: the app cannot be measured: b' quit' did not arrive within 30 s\n"
