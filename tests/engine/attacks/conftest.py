"""Fixtures of the tests of attacks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.adversary.network import Iterate
from engine.attacks import verdicts
from engine.attacks.verdicts import attack_many
from engine.runs.folder import RunFolder
from tests.engine.attacks.samples import VARIANTS, Networks, of


@pytest.fixture(scope="module", params=VARIANTS)
def networks(request: pytest.FixtureRequest) -> Networks:
    return of(request.param)


@pytest.fixture
def unremembered() -> Iterator[None]:
    """No verdict of before is known, nor one of this test afterwards."""
    verdicts.verdicts_of.cache_clear()
    yield
    verdicts.verdicts_of.cache_clear()


@pytest.fixture
def attacked_images(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float, int]]:
    """Attacks as they are carried out: which one, within what, on how many images."""
    found: list[tuple[str, float, int]] = []

    def noted(*arguments: Any) -> Iterator[Iterate]:
        found.append((arguments[-1].attack, arguments[-1].epsilon, len(arguments[1])))
        return attack_many(*arguments)

    monkeypatch.setattr(verdicts, "attack_many", noted)
    return found


@pytest.fixture
def run(trained: RunFolder, tmp_path: Path) -> Path:
    """A run folder that one may write to."""
    return shutil.copytree(trained.path, tmp_path / "run")
