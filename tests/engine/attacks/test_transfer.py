"""Images made for one network, shown to another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from torch import Tensor

from engine.adversary.network import Iterate
from engine.attacks.events import TransferMeasured
from engine.attacks.requests import MeasureTransfer
from engine.attacks.verdicts import attack_many
from engine.data.datasets import Dataset
from engine.event import to_json
from engine.network.checkpoints import load_weights
from tests.engine.attacks.samples import of, only, same

pytestmark = pytest.mark.numeric


@pytest.mark.usefixtures("few_images")
def test_images_that_fool_one_network_fool_another_less() -> None:
    found = only(TransferMeasured, MeasureTransfer(what="pretrained:cnn", count=60, steps=10))
    assert found.networks == ("pretrained:cnn", "pretrained:cnn-bn")
    assert (found.name, found.attack, found.norm, found.epsilon, found.averaged) == (
        "pretrained:cnn",
        "pgd",
        "linf",
        0.2,
        60,
    )
    for row in range(2):
        assert found.success[row][row] > 0.9
        assert 0 <= found.success[row][1 - row] < found.success[row][row]
        assert 0 < found.l2[row] < 0.2 * 28
    back = only(TransferMeasured, MeasureTransfer(what="pretrained:cnn-bn", count=60, steps=10))
    assert back.networks == found.networks[::-1]
    assert back.success == tuple(row[::-1] for row in found.success[::-1])
    asked = MeasureTransfer(what="pretrained:cnn", others=("pretrained:cnn-bn",), count=60, steps=10)
    again = only(TransferMeasured, asked)
    assert again.l2 == pytest.approx(
        found.l2, rel=1e-2
    )  # signs of gradients near zero are single precision's to choose
    assert same(msgspec.structs.replace(again, l2=found.l2), found)


@pytest.mark.usefixtures("few_images")
def test_a_transfer_is_of_images_that_all_networks_get_right(
    small: Dataset, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else there would be successes without a change; and of an unlearned network there would be none left."""
    shown: list[Tensor] = []

    def noted(*arguments: Any) -> Iterator[Iterate]:
        shown.append(arguments[1])
        return attack_many(*arguments)

    monkeypatch.setattr("engine.attacks.transfer.attack_many", noted)
    request = MeasureTransfer(what=str(run), others=("pretrained:cnn",), attack="fgsm", epsilon=0.0, count=10_000)
    found = only(TransferMeasured, request)
    weak = load_weights(run / "model.safetensors").eval()
    with torch.inference_mode():
        right = [model(small.test.images).argmax(dim=1) == small.test.labels for model in (weak, of("cnn").model)]
    both = (right[0] & right[1]).nonzero()[:, 0]
    assert found.averaged == len(both) < int(right[1].sum())
    assert torch.equal(torch.cat(shown)[: len(both)], small.test.images[both])
    assert found.success == ((0.0, 0.0), (0.0, 0.0))
    assert found.l2 == (0.0, 0.0)


@pytest.mark.usefixtures("few_images")
def test_a_transfer_of_the_smallest_change_has_no_bound() -> None:
    found = only(TransferMeasured, MeasureTransfer(what="pretrained:cnn", attack="deepfool", count=20))
    assert (found.norm, found.epsilon) == ("l2", None)
    assert found.success[0][0] > 0.9
    assert found.success[0][1] < 0.5  # it ends on the boundary of the one, not of the other
    assert b'"epsilon":null' in to_json(found)
