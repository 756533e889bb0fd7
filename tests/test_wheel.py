"""The contents of the wheel according to the build configuration, because building one would take too long."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from engine.paths import asset

ROOT = Path(__file__).parent.parent
WHEEL = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
INSTALLED = PurePosixPath("engine/assets")
"""Where `engine.paths.asset` looks in an installed package."""
PICTURES = {".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp"}


def carried() -> dict[PurePosixPath, Path]:
    """Each file in the wheel besides the code, by its path there."""
    found: dict[PurePosixPath, Path] = {}
    for source, target in WHEEL["force-include"].items():
        start = ROOT / source
        assert start.exists(), f"{source} is to go into the wheel, and is not there"
        files = [path for path in start.rglob("*") if path.is_file()] if start.is_dir() else [start]
        found |= {PurePosixPath(target) / path.relative_to(start).as_posix(): path for path in files}
    return found


def asked_for() -> Iterator[tuple[str, PurePosixPath]]:
    """Each call of `asset` in the program: its location, and the path that it names, or at least the first part."""
    for package in WHEEL["packages"]:
        for file in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_bytes())):
                if isinstance(node, ast.Call) and "asset" in (
                    getattr(node.func, "id", ""),
                    getattr(node.func, "attr", ""),
                ):
                    names = []
                    for argument in node.args:
                        if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
                            break
                        names.append(argument.value)
                    yield f"{file.relative_to(ROOT)}:{node.lineno}", PurePosixPath(*names)


ASKED_FOR = list(asked_for())


def test_the_program_asks_for_what_ships() -> None:
    assert {str(name) for _, name in ASKED_FOR} >= {"mnist", "pretrained", "screens.tcss", "theme.tcss"}


@pytest.mark.parametrize(("where", "name"), ASKED_FOR, ids=[where for where, _ in ASKED_FOR])
def test_the_wheel_carries_what_the_program_asks_for(where: str, name: PurePosixPath) -> None:
    assert name.parts, f"{where}: name the asset in the call, so that this test can look for it"
    source = asset(*name.parts)
    files = [path for path in source.rglob("*") if path.is_file()] if source.is_dir() else [source]
    wanted = {INSTALLED / name / path.relative_to(source).as_posix() for path in files}
    assert wanted
    assert wanted <= carried().keys(), f"{where} asks for {name}, which pyproject.toml leaves out of the wheel"


def test_the_wheel_carries_no_pictures_and_nothing_twice() -> None:
    files = carried()
    assert not [str(place) for place, path in files.items() if path.suffix.lower() in PICTURES]
    assert len(set(files.values())) == len(files)


@pytest.mark.parametrize("package", WHEEL["packages"])
def test_a_package_says_that_it_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()
