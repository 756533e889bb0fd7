"""Makes the page's font: `python -m tests.web_font DEJAVU_FOLDER` writes it into assets/serve.

The letters, lines and symbols of DejaVu Sans Mono, regular and bold, that the app may show; and the 256 braille
patterns, which it lacks, as dots that tile: two by four to a cell.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from engine.paths import asset

KEPT = [*range(0x20, 0x7F), *range(0xA0, 0x180), *range(0x391, 0x3CA), *range(0x2010, 0x2040), *range(0x2190, 0x2196)]
KEPT += [*map(ord, "−∞≈≠≡≤≥✓✗★☆"), *range(0x2500, 0x2600)]
DOTS = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))
"""Column and row of the dot of each bit of a braille pattern."""


def with_braille(font: Any) -> None:
    """Add the braille patterns to a font."""
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    width, top, bottom = font["hmtx"]["A"][0], font["hhea"].ascent, font["hhea"].descent
    for bits in range(256):
        pen, name = TTGlyphPen(None), f"uni{0x2800 + bits:04X}"
        for bit, (column, row) in enumerate(DOTS):
            if bits >> bit & 1:
                x, y = width * (2 * column + 1) / 4, top - (top - bottom) * (2 * row + 1) / 8
                circle(pen, x, y, 0.14 * width)
        font["glyf"][name] = pen.glyph()
        font["hmtx"][name] = (width, 0)
        for table in font["cmap"].tables:
            table.cmap[0x2800 + bits] = name
    font.setGlyphOrder(font["glyf"].glyphOrder)


def circle(pen: Any, x: float, y: float, radius: float) -> None:
    """Draw a circle of four quadratic curves, clockwise."""
    k = radius * 0.4142
    corners = [(-k, radius), (k, radius), (radius, k), (radius, -k), (k, -radius), (-k, -radius), (-radius, -k)]
    points = [(round(x + across), round(y + up)) for across, up in [*corners, (-radius, k)]]
    pen.qCurveTo(*points, None)
    pen.closePath()


def main(folder: Path) -> None:
    """Write both fonts."""
    from fontTools.subset import Options, Subsetter
    from fontTools.ttLib import TTFont

    for name, made in (("DejaVuSansMono.ttf", "mono.woff"), ("DejaVuSansMono-Bold.ttf", "mono-bold.woff")):
        font = TTFont(folder / name, recalcTimestamp=False)
        subsetter = Subsetter(Options(hinting=False, layout_features=[], notdef_outline=True))
        subsetter.populate(unicodes=KEPT)
        subsetter.subset(font)
        with_braille(font)
        font["post"].formatType = 3.0  # no names of glyphs
        font.flavor = "woff"
        font.save(asset("serve", made))
        print(made, asset("serve", made).stat().st_size, "bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
