"""The program in a broken environment: libraries, module names, home and folders."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.event import JobFailed
from engine.lab import Job, Lab
from engine.libraries import not_loaded
from engine.network.requests import WarmUp
from engine.paths import cache_folder
from tui.cli import main as cli

ROOT = Path(__file__).parents[2]
MISSING = "libcublas.so.12: cannot open shared object file: No such file or directory"
REINSTALL = "reinstall the package that needs it, or add the library's folder to LD_LIBRARY_PATH"


def program(*arguments: str, path: Path) -> subprocess.CompletedProcess[str]:
    """`mnist-tui ARGUMENTS` with `path` first on Python's module search path."""
    command = [sys.executable, "-P", "-m", "tui.cli", *arguments]
    environment = os.environ | {"PYTHONPATH": f"{path}{os.pathsep}{ROOT}"}
    return subprocess.run(command, env=environment, cwd=path, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("kind", ["OSError", "ImportError"])
def test_a_library_that_does_not_load_says_so_itself(tmp_path: Path, kind: str) -> None:
    (tmp_path / "torch.py").write_text(f"raise {kind}({MISSING!r})")
    done = program("evaluate", "pretrained:cnn", path=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"mnist-tui: a library cannot be loaded: {MISSING}: {REINSTALL}\n"


def test_the_app_says_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError(MISSING)

    monkeypatch.setattr("engine.operations.perform", fails)
    lab = Lab(tmp_path)
    job: Job = lab.submit(WarmUp())
    assert job.wait(10)
    said = JobFailed(reason=f"a library cannot be loaded: {MISSING}: {REINSTALL}", bad_request=False)
    assert [event for _, event in lab.drain()] == [said]
    lab.close()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FileNotFoundError(2, "No usable temporary directory found in ['/tmp']"), "set TMPDIR to a writable folder"),
        (
            OSError(
                "Matplotlib requires access to a writable cache directory, but there was an issue with the default "
                "path (/.config/matplotlib), and a temporary directory could not be created; set the MPLCONFIGDIR "
                "environment variable to a writable directory"
            ),
            "a writable cache directory: set MPLCONFIGDIR to a writable folder",
        ),
        (ModuleNotFoundError("No module named 'captum'", name="captum"), "reinstall mnist-tui"),
        (RuntimeError("operator torchvision::nms does not exist"), "install both from the same source"),
        (ImportError("cannot import name 'Random'", name="random", path="/w/random.py"), "/w/random.py is imported in"),
        (ImportError("\n\nIMPORTANT:\n\nread this"), "IMPORTANT: read this"),
    ],
)
def test_libraries_and_what_they_need(error: Exception, words: str) -> None:
    assert words in not_loaded(error)
    assert "\n" not in not_loaded(error)


@pytest.mark.parametrize(
    "error", [BrokenPipeError(32, "Broken pipe"), OSError(28, "No space left", "x"), RuntimeError("x"), KeyError("x")]
)
def test_other_errors_are_no_library(error: Exception) -> None:
    assert not_loaded(error) == ""


def test_modules_of_others_under_our_names(tmp_path: Path) -> None:
    (tmp_path / "engine.py").write_text("x = 1")
    assert program("runs", path=tmp_path).stdout.startswith("no runs in runs yet")
    (tmp_path / "random.py").write_text("x = 1")
    done = program("runs", path=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"mnist-tui: {tmp_path / 'random.py'} is imported instead of Python's own random")
    assert len(done.stderr.splitlines()) == 1


def test_a_tilde_that_no_shell_took(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for word, meant in (
        ("~/x", f"{tmp_path}/x"),
        ("--runs=~/x=y", f"--runs={tmp_path}/x=y"),
        ("--out=~", f"--out={tmp_path}"),
        ("--note=a~/b", "--note=a~/b"),
        ("~x", "~x"),
        ("--sweep=seed=1,2", "--sweep=seed=1,2"),
    ):
        assert cli._at_home(word) == meant
    monkeypatch.setenv("XDG_CACHE_HOME", "~/caches")
    assert cache_folder() == tmp_path / "caches" / "mnist-tui"


def test_homes_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    own = tmp_path / "home" / ".cache" / "mnist-tui"
    instead = tmp_path / "temporary" / f"mnist-tui-{os.getuid()}"
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == own
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda *_: False)
        assert cache_folder() == instead
        own.mkdir(parents=True)
        assert cache_folder() == own  # it exists, so read access is enough
    monkeypatch.setattr(Path, "home", no_home)
    assert cache_folder() == instead


def no_home() -> Path:
    raise RuntimeError("Could not determine home directory.")
