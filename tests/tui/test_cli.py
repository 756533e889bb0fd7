"""The command line as used by scripts: exit codes, one-line errors, and JSON lines with nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine.request import RequestError
from engine.runs.folder import RunFolder
from engine.training.events import RunCancelled, RunFinished
from engine.training.requests import Train
from tui.cli import main as cli
from tui.cli.arguments import Output, one_line, parse

MAIN = "from tui.cli.main import main; main()"
PROGRAM = (sys.executable, "-c", MAIN)
DEFAULT = {signal.SIGINT: "default_int_handler", signal.SIGTERM: "SIG_DFL", signal.SIGHUP: "SIG_DFL"}
SMALL = ("--epochs", "1", "--train-size", "640")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--epochs", "0"], "epochs must be a whole number from 1 to 100000, not 0"),
        (["train", "--epochs", "many"], "invalid literal"),
        (["train", "--epochs"], "--epochs"),
        (["train", "--epoks", "3"], "unrecognized options: --epoks"),
        (["train", "--learning-rate", "nan"], "learning rate must be a finite number"),
        (["train", "--learning-rate", "-1"], "learning rate must be a number more than 0"),
        (["train", "--dataset", "cifar"], "cifar"),
        (["train", "--kernel-size", "28"], "conv2: a kernel of 28 pixels is larger than the padded map of 3"),
        (["train", "--stride", "9"], "conv2"),
        (["train", "extra"], "extra"),
        (["train", "--npz", "x.npz"], "--npz"),
        (["train", "--png", "x.jpg"], "--png needs a name that ends in .png, not x.jpg"),
        (["summary", "nowhere"], "nowhere is not a run folder"),
        (["summary", "one", "two"], "two"),
        (["summary", "missing.pth"], "there is no file missing.pth"),
        (["summary", "--device", "tpu"], "tpu"),
        (["evaluate", "--split", "dev"], "dev"),
        (["evaluate", "pretrained:vgg"], "there is no pretrained:vgg"),
        (["digits", "--digit", "10"], "digit must be a whole number at least -1 and less than 10, not 10"),
        (["digits", "--count", "0"], "count must be a whole number from 1 to 10000, not 0"),
        (["digits", "--order", "worst"], "worst"),
        (["filters", "--layer", "conv3"], "conv3"),
        (["filters", "--epoch", "16"], "pretrained:cnn-bn has no filters of epoch 16: it has 0 to 15"),
        (["activations", "--index", "10000"], "index 10000 is beyond the 10,000 images of the test split"),
        (["activations", "--index", "-1"], "index must be a whole number at least 0, not -1"),
        (["activations", "--npz", "no/x.npz"], "there is no folder no"),
        (["nowhere"], "nowhere is not a run folder"),
        (["pretrained:resnet"], "there is no pretrained:resnet"),
        (["missing.pth"], "there is no file missing.pth"),
        (["--colour"], "unknown option --colour"),
        (["--runs"], "--runs needs a folder"),
        (["one", "two"], "the app opens one run or file, not one two"),
        ([], "the app needs a terminal"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    out, err = capsys.readouterr()
    assert end.value.code == 2
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("mnist-tui: ")
    assert words in err
    assert list(tmp_path.iterdir()) == []


def test_defaults_are_those_of_the_request() -> None:
    request, output = parse(Train, Output, "mnist-tui train", [])
    assert request == Train()
    assert output == Output()


def test_every_field_has_an_option() -> None:
    request, _ = parse(
        Train,
        Output,
        "mnist-tui train",
        [
            "--batch-norm",
            "--epochs",
            "3",
            "--batch-size",
            "32",
            "--learning-rate",
            "2e-3",
            "--seed",
            "7",
            "--dataset",
            "kmnist",
            "--train-size",
            "1000",
            "--device",
            "cpu",
            "--threads",
            "1",
            "--channels",
            "8",
            "--kernel-size",
            "5",
            "--stride",
            "1",
            "--padding",
            "2",
            "--hidden",
            "50",
        ],
    )
    assert request == Train(
        batch_norm=True,
        epochs=3,
        batch_size=32,
        learning_rate=2e-3,
        seed=7,
        dataset="kmnist",
        train_size=1000,
        device="cpu",
        threads=1,
        channels=8,
        kernel_size=5,
        padding=2,
        hidden=50,
    )


def test_tyros_box_becomes_a_line() -> None:
    assert one_line("╭─ Value error ─╮\n│ Error parsing\n│ --epochs: no. │\n│ ───── │\n│ more │\n╰──╯") == (
        "error parsing --epochs: no"
    )
    assert one_line("") == "invalid arguments"
    with pytest.raises(RequestError):
        parse(Train, Output, "mnist-tui train", ["--epochs", "x"])


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["--version"]])
def test_help_is_on_standard_output(arguments: list[str]) -> None:
    done = subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, check=True)
    assert "mnist-tui" in done.stdout
    assert done.stderr == ""


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom tui.cli.main import main\n"
        "for words in (['--help'], ['train', '--help'], ['activations', '--help']):\n"
        "    try: main(words)\n    except SystemExit: pass\n"
        "print([m for m in ('torch', 'numpy', 'textual', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_what_was_hidden_from_an_import_can_be_imported_later() -> None:
    code = (
        "import sys\nfrom tui.cli.hidden import hidden\n"
        "with hidden('ssl'): import asyncio\n"
        "assert 'ssl' not in sys.modules\n"
        "import ssl, urllib.request\n"
        "with hidden('ssl'): assert sys.modules['ssl'] is ssl\n"  # it was loaded already
        "print(asyncio.run(asyncio.sleep(0, 'done')), hasattr(urllib.request, 'HTTPSHandler'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["done", "True"]


def test_train_json_prints_the_events_of_the_run_folder(tmp_path: Path) -> None:
    done = subprocess.run(
        [*PROGRAM, "train", "--json", *SMALL], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["type"] for event in events] == ["RunStarted", "EpochFinished", "RunFinished"]
    assert {"run", "device", "train_size", "val_size", "test_size"} <= events[0].keys()
    wanted = "epoch epochs train_loss val_loss val_accuracy test_accuracy train_seconds eval_seconds images_per_second"
    assert set(wanted.split()) <= events[1].keys()
    assert {"run", "best_epoch", "best_val_loss", "test_accuracy"} <= events[2].keys()
    assert done.stdout == (tmp_path / "runs" / events[0]["run"] / "events.jsonl").read_text()
    assert done.stderr == ""


def test_train_for_people_prints_the_notebooks_table(tmp_path: Path) -> None:
    done = subprocess.run([*PROGRAM, "train", *SMALL], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "640 training, 10,000 validation and 10,000 test images of 28x28 pixels" in done.stdout
    assert "799,078 parameters" in done.stdout
    assert "best validation loss" in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_the_run_in_order(tmp_path: Path, number: signal.Signals, code: int) -> None:
    # Tests may run under nohup: child processes inherit the ignored SIGHUP, and the program respects that.
    program = (sys.executable, "-c", f"import signal; signal.signal({int(number)}, signal.{DEFAULT[number]}); {MAIN}")
    command = [*program, "train", "--json", "--epochs", "500", "--train-size", "640"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while b"EpochFinished" not in process.stdout.readline():
            pass
        process.send_signal(number)
        rest = process.stdout.read()
        assert process.wait(30) == code
    assert b"RunCancelled" in rest.splitlines()[-1]
    (folder,) = (tmp_path / "runs").iterdir()
    events = RunFolder(folder).events()
    assert isinstance(events[-1], RunCancelled)
    assert events[-1].epoch >= 1


def test_a_reader_that_leaves_is_no_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -c 'from tui.cli.main import main; main()' train --json --epochs 3 --train-size 640"
        " | head -c 1",
        shell=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    (folder,) = (tmp_path / "runs").iterdir()
    assert isinstance(RunFolder(folder).events()[-1], RunCancelled)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_output_that_takes_nothing_is_one_line(tmp_path: Path) -> None:
    command = [*PROGRAM, "train", "--json", *SMALL]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "mnist-tui: output: No space left on device\n"


def test_a_runs_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    done = subprocess.run([*PROGRAM, "train", *SMALL], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "--runs" in done.stderr
    assert (tmp_path / "runs").read_text() == "a file"


def test_another_place_for_runs(tmp_path: Path) -> None:
    place = tmp_path / "deep" / "place"
    command = [*PROGRAM, "train", "--json", "--runs", str(place), *SMALL]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, env=os.environ | {"COLUMNS": "20"})
    (folder,) = place.iterdir()
    assert isinstance(RunFolder(folder).events()[-1], RunFinished)


@pytest.mark.parametrize(
    ("command", "closed", "code"), [("runs --json", ">&-", 0), ("evaluate nosuch.pth --json", "2>&-", 2)]
)
def test_a_stream_that_is_closed(tmp_path: Path, command: str, closed: str, code: int) -> None:
    """A closed stream is no reason to fail, and its output does not end up in another stream."""
    line = f'exec "$0" -c "{MAIN}" {command} {closed}'
    process = subprocess.run(["sh", "-c", line, sys.executable], cwd=tmp_path, capture_output=True, check=False)
    assert (process.returncode, process.stdout, process.stderr) == (code, b"", b"")
