"""Pictures that a terminal draws over its text: where they are on the screen, and how they are sent.

For terminals with sixels or iTerm2's protocol. A picture covers cells until text is written to them. So the program
draws with the placeholders of kitty's protocol here too, sends blanks in their place, and finds in what it has drawn
which cells of which picture are to be seen; then it sends these parts.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from tui.drawing.graphics import PLACEHOLDER, PLACES

if TYPE_CHECKING:
    from PIL import Image

    from tui.drawing.png import Bitmap

_PLACEHOLDERS = re.compile(f"{PLACEHOLDER}..")
_PLACE = {character: number for number, character in enumerate(PLACES)}


class Part(NamedTuple):
    """A rectangle of a picture, in cells, where it is to be seen."""

    x: int
    y: int
    column: int
    """Its first column within the picture."""
    row: int
    columns: int
    rows: int

    @property
    def region(self) -> Region:
        """Where it is on the screen."""
        return Region(self.x, self.y, self.columns, self.rows)


def blanked(text: str) -> str:
    """`text` with blanks in place of placeholders."""
    return _PLACEHOLDERS.sub(" ", text) if PLACEHOLDER in text else text


def parts_of(strips: Sequence[Strip]) -> dict[int, tuple[Part, ...]]:
    """The parts of pictures on a screen, by the numbers of these."""
    found: dict[int, list[Part]] = {}
    for y, strip in enumerate(strips):
        x = 0
        for segment in strip:
            text, style = segment.text, segment.style
            if text.startswith(PLACEHOLDER) and style and style.color and (colour := style.color.triplet):
                number = colour.red << 16 | colour.green << 8 | colour.blue
                row, column = _PLACE.get(text[1], 0), _PLACE.get(text[2], 0)
                new = Part(x, y, column, row, text.count(PLACEHOLDER), 1)
                parts = found.setdefault(number, [])
                above = parts[-1] if parts else None
                if (
                    above
                    and (above.x, above.column, above.columns) == (x, column, new.columns)
                    and ((above.y + above.rows, above.row + above.rows) == (y, row))
                ):
                    parts[-1] = above._replace(rows=above.rows + 1)
                else:
                    parts.append(new)
            x += segment.cell_length
    return {number: tuple(parts) for number, parts in found.items()}


def cut(bitmap: Bitmap, part: Part, cell: tuple[int, int]) -> Bitmap:
    """The pixels of a part of a picture whose cells have this width and height in pixels."""
    wide, high = cell
    return bitmap.cut(part.column * wide, part.row * high, part.columns * wide, part.rows * high)


def touched_by(update: Any, screen: Region) -> list[Region]:
    """The regions of the screen that an update of Textual's writes to."""
    if isinstance(update, ChopsUpdate):
        return [Region(left, y, right - left, 1) for y, left, right in update.spans]
    if isinstance(update, LayoutUpdate):
        return [update.region]
    return [screen] if isinstance(update, CompositorUpdate) else []


def touches(regions: Iterable[Region], parts: Iterable[Part]) -> bool:
    """Whether one of the regions overlaps one of the parts."""
    places = [part.region for part in parts]
    return any(region.overlaps(place) for region in regions for place in places)


def at(part: Part, picture: str) -> str:
    """The control sequences that draw `picture` at its place and leave the cursor where it was."""
    return f"\x1b7\x1b[{part.y + 1};{part.x + 1}H{picture}\x1b8"


def for_iterm(bitmap: Bitmap, part: Part) -> str:
    """A picture as iTerm2's control sequence."""
    png = bitmap.png()
    keys = f"inline=1;size={len(png)};width={part.columns};height={part.rows};preserveAspectRatio=0;doNotMoveCursor=1"
    return f"\x1b]1337;File={keys}:{b64encode(png).decode()}\x07"


def sixels() -> Callable[[Image.Image], str]:
    """What makes sixels of an image with a palette. Raises ImportError where textual-image is not installed.

    Of that only this part is used: the rest asks the terminal questions as it is imported.
    """
    from textual_image._sixel import image_to_sixels

    return image_to_sixels


def for_sixel(bitmap: Bitmap, _part: Part) -> str:
    """A picture as sixels. Raises ImportError where textual-image is not installed."""
    from PIL import Image

    image = Image.frombytes("P", bitmap.size, bitmap.pixels.tobytes())
    image.putpalette([channel for colour in bitmap.colours for channel in colour])
    return sixels()(image)
