"""Numbers as cells of a terminal: pixels, colours, glyphs, themes and words."""
