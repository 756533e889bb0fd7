"""Proofs for digits that are given rather than found, which would take seconds each."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import numpy as np

from engine.certification.events import DigitCertificationAdvanced, DigitCertified
from engine.certification.requests import CertifyDigit
from engine.event import Event

PROVED, BROKEN = 0.0834, 0.1207


def certify_digit(request: CertifyDigit, _root: Path) -> Generator[Event, None, None]:
    """The events of `request`, as of a digit that is proved to PROVED and broken from BROKEN."""
    image = np.zeros((28, 28), np.float32)
    so_far = DigitCertificationAdvanced(
        name=request.what,
        variant="cnn",
        epoch=15,
        dataset="mnist",
        split=request.split,
        index=request.index,
        count=10_000,
        actual=8,
        predicted=8,
        bound=request.bound,
        proved=PROVED / 2,
        broken_from=None,
        taken_for=-1,
        image=image,
        adversarial=image,
        seconds=0.0,
    )
    yield so_far
    fields = {name: getattr(so_far, name) for name in so_far.__struct_fields__}
    yield DigitCertified(**fields | {"proved": PROVED, "broken_from": BROKEN, "taken_for": 3})
