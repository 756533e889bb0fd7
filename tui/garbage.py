"""When Python looks for garbage: PyTorch's modules are hundreds of thousands of objects that stay."""

from __future__ import annotations

import gc

FULL_COLLECTIONS = 1000
"""Collections of the middle generation before one of everything; Python's own choice is 10."""


def do_without() -> None:
    """Look for no garbage until PyTorch is loaded.

    Little that is made until then is garbage: not to look for any saves a tenth of the way to the first frame, and a
    fifth of PyTorch's import.
    """
    gc.disable()


def collect_again() -> None:
    """Look for garbage in what is made from now on, if nobody does.

    Each collection over all objects would keep a key waiting for a tenth of a second and more. The younger generations
    do the work.
    """
    if not gc.isenabled():
        gc.freeze()
        young, middle, _ = gc.get_threshold()
        gc.set_threshold(young, middle, FULL_COLLECTIONS)
        gc.enable()


def forget() -> None:
    """Let all be found at the end: some libraries count what is left of theirs then."""
    gc.unfreeze()
