"""Figures for a paper, one module per kind. No other part of the program draws with Matplotlib."""

from engine.plotting import import_matplotlib

import_matplotlib()
