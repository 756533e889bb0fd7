"""The picture of a screen, as an SVG and as a PNG that look the same in every viewer."""

from __future__ import annotations

import importlib.util
import io
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.cells import cell_len
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual._context import visible_screen_stack

from engine.paths import reserve, write_whole
from tui.drawing.overlay import blanked
from tui.drawing.pixels import pixels_of
from tui.drawing.shapes import DOT, Shape, shape_of
from tui.drawing.theme import solid

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont, ImageFont
    from textual.app import App

CELL_WIDTH, CELL_HEIGHT = 12, 24
"""Size of a cell in pixels. Twice as high as wide, so that the pixels of pictures are square."""
FONT_SIZE = 19.9
"""Size in pixels at which a character of DejaVu Sans Mono is as wide as a cell."""
BASELINE = 19
"""Pixels from the top of a cell to the baseline of its text."""
FONTS = "'DejaVu Sans Mono', Menlo, 'Liberation Mono', Consolas, monospace"

Rgb = tuple[int, int, int]


class Look(NamedTuple):
    """How a piece of text is drawn."""

    ink: Rgb
    paper: Rgb
    bold: bool = False
    italic: bool = False
    underline: bool = False


class Piece(NamedTuple):
    """Text in one look, from column `x` of row `y`."""

    x: int
    y: int
    text: str
    look: Look


class Inset(NamedTuple):
    """A picture of real pixels, from column `x` of row `y`; each of its cells has the size of those here."""

    x: int
    y: int
    columns: int
    rows: int
    png: bytes


@dataclass(frozen=True)
class Screenshot:
    """The cells of a screen."""

    columns: int
    rows: int
    paper: Rgb
    """Colour of cells without one of their own."""
    pieces: tuple[Piece, ...]
    insets: tuple[Inset, ...] = ()
    """What has blanks in its place in the pieces."""

    def characters(self) -> Iterator[tuple[int, int, str, Look]]:
        """Column, row, character and look of everything but blanks; an accent of its own goes with its letter."""
        for piece in self.pieces:
            x, cluster = piece.x, ""
            for character in (*piece.text, " "):
                if cluster and not cell_len(character):
                    cluster += character
                    continue
                if cluster and not cluster.isspace():
                    yield x, piece.y, cluster, piece.look
                x += cell_len(cluster)
                cluster = character


def screenshot(app: App[Any]) -> Screenshot:
    """What `app` shows now, dialogs and notifications included."""
    visible_screen_stack.set(app._background_screens)
    strips = app.screen._compositor.render_strips()
    ink, paper = (_rgb(Color.parse(solid(app, name))) for name in ("foreground", "background"))
    pieces = []
    for y, strip in enumerate(strips):
        x = 0
        for segment in Segment.filter_control(strip):
            look = _look(segment.style or Style.null(), ink, paper)
            pieces.append(Piece(x, y, blanked(segment.text), look))
            x += segment.cell_length
    pixels = pixels_of(app)
    insets = tuple(
        Inset(part.x, part.y, part.columns, part.rows, bitmap.png())
        for part, bitmap in (pixels.seen(strips, (CELL_WIDTH, CELL_HEIGHT)) if pixels else ())
    )
    return Screenshot(app.size.width, app.size.height, paper, tuple(pieces), insets)


def _rgb(colour: Color) -> Rgb:
    return tuple(colour.get_truecolor())  # type: ignore[return-value]


@lru_cache(maxsize=10_000)
def _look(style: Style, ink: Rgb, paper: Rgb) -> Look:
    front, back = (
        own if colour is None or colour.is_default else _rgb(colour)
        for colour, own in ((style.color, ink), (style.bgcolor, paper))
    )
    if style.reverse:
        front, back = back, front
    if style.dim:
        front = tuple((a + b) // 2 for a, b in zip(front, back, strict=True))  # type: ignore[assignment]
    return Look(front, back, bool(style.bold), bool(style.italic), bool(style.underline))


def save(shot: Screenshot, folder: Path, stem: str) -> tuple[Path, Path]:
    """Write `shot` into `folder` as an SVG and a PNG; returns their paths. Raises OSError, and then leaves neither."""
    files: list[Path] = []
    try:
        for suffix, content in ((".svg", svg(shot).encode()), (".png", png(shot))):
            files.append(reserve(folder, files[0].stem if files else stem, suffix))
            write_whole(files[-1], lambda partial, content=content: partial.write_bytes(content))  # type: ignore[misc]
    except OSError:
        for file in files:
            file.unlink(missing_ok=True)
        raise
    return files[0], files[1]


# SVG


def svg(shot: Screenshot) -> str:
    """`shot` as an SVG that needs no web font: everything that tiles is a shape, and each word has its place."""
    width, height = shot.columns * CELL_WIDTH, shot.rows * CELL_HEIGHT
    papers: defaultdict[Rgb, list[str]] = defaultdict(list)
    shapes: defaultdict[tuple[Rgb, float], list[str]] = defaultdict(list)
    dots: defaultdict[Rgb, list[str]] = defaultdict(list)
    words: defaultdict[Look, list[str]] = defaultdict(list)
    for piece in shot.pieces:
        if piece.look.paper != shot.paper:
            size = cell_len(piece.text) * CELL_WIDTH
            papers[piece.look.paper].append(_path(piece.x * CELL_WIDTH, piece.y * CELL_HEIGHT, size, CELL_HEIGHT))
        for x, y, word, shape in _words(piece):
            if shape is None:
                words[piece.look._replace(paper=shot.paper)].append(_text(x, y, word))
                continue
            left, top = x * CELL_WIDTH, y * CELL_HEIGHT
            for box in shape.boxes:
                at = left + box.left * CELL_WIDTH, top + box.top * CELL_HEIGHT
                size_of = (box.right - box.left) * CELL_WIDTH, (box.bottom - box.top) * CELL_HEIGHT
                shapes[piece.look.ink, box.strength].append(_path(*at, *size_of))
            for across, down in shape.dots:
                dots[piece.look.ink].append(f"M{left + across * CELL_WIDTH:g} {top + down * CELL_HEIGHT:g}h0")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' font-family="{FONTS}" font-size="{FONT_SIZE}" xml:space="preserve">',
        f'<rect width="100%" height="100%" fill="{_hex(shot.paper)}"/>',
        '<g shape-rendering="crispEdges">',
        *(f'<path fill="{_hex(colour)}" d="{"".join(paths)}"/>' for colour, paths in papers.items()),
        *(
            f'<path fill="{_hex(colour)}" fill-opacity="{strength:g}" d="{"".join(paths)}"/>'
            for (colour, strength), paths in shapes.items()
        ),
        "</g>",
        f'<g stroke-linecap="round" stroke-width="{2 * DOT * CELL_WIDTH:g}">',
        *(f'<path stroke="{_hex(colour)}" d="{"".join(paths)}"/>' for colour, paths in dots.items()),
        "</g>",
        *map(_image, shot.insets),
        *(f"<g {_style(look)}>{''.join(texts)}</g>" for look, texts in words.items()),
        "</svg>",
    ]
    return "\n".join(parts)


def _words(piece: Piece) -> Iterator[tuple[int, int, str, Shape | None]]:
    """Column, row, and text of each word; of each character that tiles, with its shape."""
    x, word, start = piece.x, "", piece.x
    for character in piece.text:
        shape = shape_of(character)
        if word and (character.isspace() or shape):
            yield start, piece.y, word, None
            word = ""
        if shape:
            yield x, piece.y, character, shape
        elif not character.isspace():
            start = x if not word else start
            word += character
        x += cell_len(character)
    if word:
        yield start, piece.y, word, None


def _hex(colour: Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _path(x: float, y: float, width: float, height: float) -> str:
    return f"M{x:g} {y:g}h{width:g}v{height:g}h{-width:g}z"


def _text(x: int, y: int, word: str) -> str:
    place = f'x="{x * CELL_WIDTH}" y="{y * CELL_HEIGHT + BASELINE}" textLength="{cell_len(word) * CELL_WIDTH}"'
    return f'<text {place} lengthAdjust="spacingAndGlyphs">{escape(word)}</text>'


def _image(inset: Inset) -> str:
    x, y, width, height, content = inset
    place = f'x="{x * CELL_WIDTH}" y="{y * CELL_HEIGHT}" width="{width * CELL_WIDTH}" height="{height * CELL_HEIGHT}"'
    return (
        f'<image {place} style="image-rendering:pixelated" href="data:image/png;base64,{b64encode(content).decode()}"/>'
    )


def _style(look: Look) -> str:
    parts = [f'fill="{_hex(look.ink)}"']
    if look.bold:
        parts.append('font-weight="bold"')
    if look.italic:
        parts.append('font-style="italic"')
    if look.underline:
        parts.append('text-decoration="underline"')
    return " ".join(parts)


# PNG


def png(shot: Screenshot) -> bytes:
    """`shot` as a PNG."""
    from PIL import Image

    image = Image.new("RGB", (shot.columns * CELL_WIDTH, shot.rows * CELL_HEIGHT), shot.paper)
    for x, y, text, look in shot.pieces:
        if look.paper != shot.paper:
            left, top = x * CELL_WIDTH, y * CELL_HEIGHT
            image.paste(look.paper, (left, top, left + cell_len(text) * CELL_WIDTH, top + CELL_HEIGHT))
    for inset in shot.insets:
        with Image.open(io.BytesIO(inset.png)) as picture:
            image.paste(picture.convert("RGB"), (inset.x * CELL_WIDTH, inset.y * CELL_HEIGHT))
    for x, y, character, look in shot.characters():
        image.paste(look.ink, (x * CELL_WIDTH, y * CELL_HEIGHT), _mask(character, look.bold))
    made = io.BytesIO()
    image.save(made, "PNG", compress_level=6)
    return made.getvalue()


@lru_cache(maxsize=2000)
def _mask(character: str, bold: bool) -> Image:
    """How much of each pixel of its cell a character covers; a wide character has two cells."""
    from PIL import Image, ImageDraw

    if shape := shape_of(character):
        return _drawn(shape)
    mask = Image.new("L", (CELL_WIDTH * max(1, cell_len(character)), CELL_HEIGHT))
    ImageDraw.Draw(mask).text((0, BASELINE), character, 255, _font(bold), anchor="ls")
    return mask


def _drawn(shape: Shape) -> Image:
    from PIL import Image, ImageDraw

    finer = 4  # dots are drawn larger and reduced, for smooth edges
    mask = Image.new("L", (finer * CELL_WIDTH, finer * CELL_HEIGHT))
    draw, radius = ImageDraw.Draw(mask), DOT * CELL_WIDTH * finer
    for box in shape.boxes:
        sides = (box.left * mask.width, box.top * mask.height, box.right * mask.width, box.bottom * mask.height)
        left, top, right, bottom = map(round, sides)
        draw.rectangle((left, top, right - 1, bottom - 1), round(255 * box.strength))
    for across, down in shape.dots:
        x, y = across * mask.width, down * mask.height
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), 255)
    return mask.reduce(finer)


@lru_cache(maxsize=2)
def _font(bold: bool) -> FreeTypeFont | ImageFont:
    """The font that ships with Matplotlib; else the system's; else Pillow's own, which has few characters."""
    from PIL import ImageFont

    name = f"DejaVuSansMono{'-Bold' if bold else ''}.ttf"
    found = importlib.util.find_spec("matplotlib")  # which is not imported: that would take most of a second
    folders = found.submodule_search_locations if found else None
    for file in (*(str(Path(folder) / "mpl-data" / "fonts" / "ttf" / name) for folder in folders or ()), name):
        try:
            return ImageFont.truetype(file, FONT_SIZE)
        except OSError:
            continue
    return ImageFont.load_default(FONT_SIZE)
