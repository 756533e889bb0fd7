"""Which bundled network stands beside another, and how bundled networks are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.paths import BUNDLED, PRETRAINED, asset
from engine.request import RequestError
from engine.runs.finding import compared_bundled, find_run, other_bundled
from engine.training.requests import Train


def test_every_bundled_network_can_be_found(tmp_path: Path) -> None:
    for name in PRETRAINED:
        assert find_run(f"pretrained:{name}", tmp_path).what == f"pretrained:{name}"
        assert name in BUNDLED
    folders = {folder.name for folder in asset("pretrained").iterdir() if folder.is_dir()}
    assert folders == set(PRETRAINED)


@pytest.mark.parametrize("what", ["pretrained:", "pretrained:vgg", "vgg"])
def test_an_unknown_name_is_answered_with_those_that_exist(tmp_path: Path, what: str) -> None:
    with pytest.raises(RequestError, match=", ".join(PRETRAINED)):
        find_run(what, tmp_path)


def test_a_plain_network_has_the_other_variant_and_the_robust_one_beside_it() -> None:
    assert other_bundled("cnn") == other_bundled("cnn", Train()) == "pretrained:cnn-bn"
    assert other_bundled("cnn-bn") == "pretrained:cnn"
    assert compared_bundled("cnn", Train()) == compared_bundled("cnn-bn") == "pretrained:cnn-robust"
    attacked = Train(objective="pgd")
    assert compared_bundled("cnn", attacked) == other_bundled("cnn", attacked) == "pretrained:cnn"
    assert compared_bundled("cnn-bn", attacked) == "pretrained:cnn-bn"
