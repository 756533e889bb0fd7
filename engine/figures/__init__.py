"""An event, or the history of a run, as a figure for a paper. The only part of the program that imports Matplotlib."""

import logging

# Where the font cache is missing or no folder can be written, Matplotlib logs it; without a handler of its own that
# would land on the terminal, in the middle of the screen.
logging.getLogger("matplotlib").addHandler(logging.NullHandler())
