"""How Matplotlib is imported: by our figures, and by Captum, which takes all of pyplot with it."""

from __future__ import annotations

import logging
import os
from functools import cache


@cache
def import_matplotlib() -> None:
    """Import Matplotlib to draw into files, whatever `MPLBACKEND` says; call it before anything that imports it.

    A notebook's cell hands its children the name of a backend that their Python may lack, and Matplotlib refuses to be
    imported under such a name. The variable itself stays as it was. Raises ImportError and OSError as the import does.
    """
    # Where the font cache is missing or no folder can be written, Matplotlib logs it; without a handler of its own that
    # would land on the terminal, in the middle of the screen.
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
