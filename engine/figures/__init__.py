"""An event, or the history of a run, as a figure for a paper. No other part of the program draws with Matplotlib."""

from engine.plotting import import_matplotlib

import_matplotlib()
