"""Conversion of values to terminal cells: pixels, colours, glyphs, themes and text."""
