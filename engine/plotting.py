"""Importing Matplotlib, for the figures and for Captum, which imports pyplot."""

from __future__ import annotations

import logging
import os
from functools import cache


@cache
def import_matplotlib() -> None:
    """Import Matplotlib for drawing to files, whatever `MPLBACKEND` is; call it before anything that imports it.

    A notebook passes on to child processes the name of a backend that may not be installed for them, with which the
    import of Matplotlib fails. The variable itself is restored. Raises ImportError and OSError as the import does.
    """
    # If the font cache is missing or no folder is writable, Matplotlib logs it; without a handler, the message would
    # appear on the terminal, in the middle of the screen.
    logging.getLogger("matplotlib").addHandler(logging.NullHandler())
    given = os.environ.get("MPLBACKEND")
    os.environ["MPLBACKEND"] = "agg"
    try:
        import matplotlib  # noqa: F401
    finally:
        if given is None:
            del os.environ["MPLBACKEND"]
        else:
            os.environ["MPLBACKEND"] = given
