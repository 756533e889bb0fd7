"""What to say where a library does not load: its own words, and what to set or install."""

from __future__ import annotations

import sys

_ADVICE = (
    ("MPLCONFIGDIR", "set MPLCONFIGDIR to a folder that can be written"),
    ("shared object", "reinstall what needs it, or set LD_LIBRARY_PATH to the folder that holds it"),
    ("temporary directory", "set TMPDIR to a folder that can be written"),
    ("torchvision::", "torch and torchvision do not fit: install both from the same place"),
    ("No module named", "reinstall mnist-tui"),
)
_LONGEST = 400


def not_loaded(error: BaseException) -> str:
    """In one line, what kept a library from being loaded and what to do; empty where `error` is of another kind."""
    words = " ".join(str(getattr(error, "strerror", None) or error).split())[:_LONGEST]
    if isinstance(error, ImportError) and error.name in sys.stdlib_module_names and (error.path or "").endswith(".py"):
        return f"{error.path} is imported in the place of Python's own {error.name}: rename it, or unset PYTHONPATH"
    advice = next((advice for sign, advice in _ADVICE if sign in words), None)
    words = words.partition(", but there was an issue")[0]  # Matplotlib's own advice is longer than a line
    # An operating system that was asked for a file gives a number; a loader, and Matplotlib, give words alone.
    known = isinstance(error, ImportError) or (isinstance(error, OSError) and error.errno is None)
    asked = isinstance(error, OSError | RuntimeError) and advice is not None and not getattr(error, "filename", None)
    if not (words and (known or asked)):
        return ""
    return ": ".join(filter(None, ("a library does not load", words, advice)))
