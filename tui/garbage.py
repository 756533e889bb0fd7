"""Tuning of Python's garbage collector: PyTorch's modules are hundreds of thousands of objects that are never freed."""

from __future__ import annotations

import gc

FULL_COLLECTIONS = 1000
"""Collections of the middle generation per full collection; Python's default is 10."""


def do_without() -> None:
    """Disable garbage collection until PyTorch is loaded.

    Little garbage is made until then. This saves a tenth of the time to the first frame, and a fifth of the time to
    import PyTorch.
    """
    gc.disable()


def collect_again() -> None:
    """Enable garbage collection for objects that are made from now on, if it is disabled.

    A full collection would delay a key press by a tenth of a second or more, so they are rare; the younger generations
    do the work.
    """
    if not gc.isenabled():
        gc.freeze()
        young, middle, _ = gc.get_threshold()
        gc.set_threshold(young, middle, FULL_COLLECTIONS)
        gc.enable()


def forget() -> None:
    """Unfreeze all objects before the process exits, since some libraries count their remaining objects then."""
    gc.unfreeze()
