"""The ball that a change stays in: random starts within it, and nothing within nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.adversary.names import NormName
from engine.adversary.network import AttackedNetwork
from engine.adversary.norm_ball import norms, random_starts
from engine.attacks import verdicts
from engine.attacks.requests import GALLERY, AttackFgsm, AttackPgd, CurveAttackName
from engine.attacks.verdicts import attack_many
from engine.data.datasets import Dataset
from tests.engine.attacks.samples import EXACT, NORMS, finished, last, of

pytestmark = pytest.mark.numeric


@pytest.mark.parametrize("norm", NORMS)
def test_random_starts_lie_in_the_ball_and_are_each_images_own(mnist: Dataset, norm: NormName) -> None:
    gray = torch.full((200, 1, 28, 28), 0.5, dtype=EXACT)
    found = random_starts(gray, 0.4, norm, 3, range(200))
    lengths = norms(found - gray, norm).flatten()
    assert lengths.max() <= 0.4 + 1e-12
    assert lengths.max() > 0.39
    assert lengths.min() < (0.4 if norm == "linf" else 0.02)  # the length is drawn, too
    images = mnist.test.images[:5].double()
    found = random_starts(images, 2.0, norm, 3, [9, 8, 7, 6, 5], 1)
    assert found.min() >= 0
    assert found.max() <= 1
    assert torch.equal(random_starts(images[2:3], 2.0, norm, 3, [7], 1)[0], found[2])
    for seed, index, restart in ((4, 7, 1), (3, 6, 1), (3, 7, 0)):
        assert not torch.equal(random_starts(images[2:3], 2.0, norm, seed, [index], restart)[0], found[2])
    state = torch.random.get_rng_state()
    random_starts(images, 2.0, norm, 3, range(5))
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.usefixtures("few_images")
@pytest.mark.parametrize("norm", NORMS)
def test_epsilon_0_leaves_images_as_they_are(norm: NormName, mnist: Dataset) -> None:
    for request in (
        AttackFgsm(what="pretrained:cnn", epsilon=0.0, norm=norm),
        AttackPgd(what="pretrained:cnn", epsilon=0.0, norm=norm, steps=3, restarts=2),
        AttackPgd(what="pretrained:cnn", epsilon=0.0, norm=norm, steps=3, random_start=False, step_size=0.1),
    ):
        event = finished(request)
        assert np.array_equal(event.adversarial, event.original)
        assert (event.l2 == 0).all()
        assert (event.linf == 0).all()
        np.testing.assert_array_equal(event.adversarial, mnist.test.images[list(GALLERY), 0].numpy())
    images, labels = mnist.test.images[:20], mnist.test.labels[:20]
    assert torch.equal(random_starts(images, 0.0, norm, 0, range(20)), images)
    network = AttackedNetwork(of("cnn").model, torch.float32)
    attacks: tuple[CurveAttackName, ...] = ("random", "fgsm", "pgd")
    for name in attacks:
        setting = verdicts.Setting(name, norm, 0.0, 3, 2, 0)
        assert torch.equal(last(attack_many(network, images, labels, range(20), setting)).images, images)
