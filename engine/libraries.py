"""Messages for libraries that do not load: the reason, and what to set or install."""

from __future__ import annotations

import sys

_ADVICE = (
    ("MPLCONFIGDIR", "set MPLCONFIGDIR to a writable folder"),
    ("shared object", "reinstall the package that needs it, or add the library's folder to LD_LIBRARY_PATH"),
    ("temporary directory", "set TMPDIR to a writable folder"),
    ("torchvision::", "torch and torchvision do not match: install both from the same source"),
    ("No module named", "reinstall mnist-tui"),
)
_LONGEST = 400


def not_loaded(error: BaseException) -> str:
    """In one line, why a library could not be loaded and what to do; empty for other errors."""
    words = " ".join(str(getattr(error, "strerror", None) or error).split())[:_LONGEST]
    if isinstance(error, ImportError) and error.name in sys.stdlib_module_names and (error.path or "").endswith(".py"):
        return f"{error.path} is imported instead of Python's own {error.name}: rename it, or unset PYTHONPATH"
    advice = next((advice for sign, advice in _ADVICE if sign in words), None)
    words = words.partition(", but there was an issue")[0]  # Matplotlib's own advice is longer than a line
    # Errors of file access have a number; those of a library loader, and of Matplotlib, only have text.
    known = isinstance(error, ImportError) or (isinstance(error, OSError) and error.errno is None)
    asked = isinstance(error, OSError | RuntimeError) and advice is not None and not getattr(error, "filename", None)
    if not (words and (known or asked)):
        return ""
    return ": ".join(filter(None, ("a library cannot be loaded", words, advice)))
