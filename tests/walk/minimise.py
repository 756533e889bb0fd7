"""Minimisation of steps that reproduce a failure (Zeller's delta debugging), within a time limit."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

Fails = Callable[[Sequence[str]], bool]


def minimised(steps: Sequence[str], fails: Fails, seconds: float) -> list[str]:
    """A subsequence of `steps` for which `fails` holds; all of them if no shorter one is found in time."""
    until = time.monotonic() + seconds

    def known(part: Sequence[str]) -> bool:
        return time.monotonic() < until and fails(part)

    found = list(steps)
    length = 1
    while length < len(found):  # most failures need only the last few steps
        if known(found[-length:]):
            found = found[-length:]
            break
        length *= 4
    found = _fewer(found, known)
    return _fewer(_apart(found), known) if known(_apart(found)) else found


def _fewer(steps: list[str], fails: Fails) -> list[str]:
    """Remove halves, quarters, and so on, down to single steps, until nothing more can be removed."""
    pieces = 2
    while len(steps) >= 2:
        size = -(-len(steps) // pieces)
        for start in range(0, len(steps), size):
            rest = steps[:start] + steps[start + size :]
            if rest and fails(rest):
                steps, pieces = rest, max(2, pieces - 1)
                break
        else:
            if size == 1:
                break
            pieces = min(len(steps), 2 * pieces)
    return steps


def _apart(steps: Sequence[str]) -> list[str]:
    """The steps with each burst split into single keys."""
    single: list[str] = []
    for step in steps:
        kind, _, rest = step.partition(" ")
        single += [f"keys {key}" for key in rest.split()] if kind == "keys" else [step]
    return single
