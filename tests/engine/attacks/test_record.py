"""What is kept of the steps of an attack."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.adversary.network import Iterate
from engine.attacks.record import FRAMES, Record


@pytest.mark.parametrize(("count", "expected"), [(1, 1), (129, 129), (128, 128), (1501, 95), (300, 101)])
def test_of_many_steps_some_frames_are_kept(count: int, expected: int) -> None:
    record = Record(1)
    images, logits = torch.zeros(1, 1, 28, 28), torch.zeros(1, 10)
    for step in range(count):
        record.add(Iterate(images.fill_(step), logits.fill_(step)))
    frames, steps = record.frames()
    assert len(frames) <= FRAMES + 1
    assert (steps[0], steps[-1]) == (0, count - 1)
    np.testing.assert_array_equal(frames[:, 0, 0, 0], steps)  # none of them has changed since
    np.testing.assert_array_equal(record.logits[:, 0, 0], range(count))
    gaps = np.diff(steps)
    assert (gaps > 0).all()
    assert len(set(gaps[:-1])) <= 1
