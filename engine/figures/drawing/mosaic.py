"""Many small images as one: a single array with gaps is drawn a hundred times faster than many axes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from engine.figures.drawing.page import panel

if TYPE_CHECKING:
    from engine.event import Array
    from engine.figures.requests import ColourMapName

COLOUR_MAPS: dict[ColourMapName, str] = {"gray": "gray", "viridis": "viridis", "diverging": "RdBu_r"}
BAR = 0.62
"""Height of a colour bar below the images, with its numbers and label, in inches."""
_FINE = 24
"""Minimum number of array elements along the side of a small image, so that gaps can be narrower than its pixels."""


def span_of(values: Array, colours: ColourMapName) -> tuple[float, float]:
    """The smallest and largest finite value of an array; for the diverging colour map, symmetric around zero."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if colours == "diverging":
        high = max(-low, high) or 1.0
        low = -high
    return (low, high) if low < high else (low, low + 1.0)


def ranged(images: Array, colours: ColourMapName, shared: bool) -> tuple[Array, tuple[float, float]]:
    """Images (n, H, W) unchanged, with their common range.

    If the range is not `shared`, each image is scaled to its own range: from 0 to 1, or for the diverging colour map
    from -1 to 1 with zero unchanged. Infinity becomes NaN, which is not drawn.
    """
    if shared:
        return images, span_of(images, colours)
    finite = np.ma.masked_invalid(images.astype(np.float64))
    low, high = (edge(axis=(-2, -1), keepdims=True).filled(0.0) for edge in (finite.min, finite.max))
    if colours == "diverging":
        low, high = np.zeros_like(low), np.maximum(-low, high)
    scaled = (finite.filled(np.nan) - low) / np.where(high > low, high - low, 1.0)
    return scaled, (-1.0 if colours == "diverging" else 0.0, 1.0)


class Mosaic:
    """Images (n, H, W) in rows of `columns`, in total `width` inches wide, as one array that is NaN in the gaps.

    Above each image there are `label` inches for text. `pixels` is the array, with `zoom` elements per pixel along each
    axis; `corners` holds the (column, row) of the top left element of each image.
    """

    def __init__(self, images: Array, columns: int, width: float, label: float = 0.0, gap: float = 0.12) -> None:
        self.zoom = max(1, _FINE // max(images.shape[1:]))
        tiles = images.repeat(self.zoom, axis=1).repeat(self.zoom, axis=2)
        count, self.tile_height, self.tile_width = tiles.shape
        across = self.tile_width + max(1, round(gap * self.tile_width))
        self.elements = columns * across - across + self.tile_width
        self.inch = self.elements / width  # in elements
        down = self.tile_height + math.ceil(label * self.inch or gap * self.tile_height)
        self.corners = [(i % columns * across, i // columns * down) for i in range(count)]
        self.pixels = np.full((self.corners[-1][1] + self.tile_height, self.elements), np.nan)
        for (left, top), tile in zip(self.corners, tiles, strict=True):
            self.pixels[top : top + self.tile_height, left : left + self.tile_width] = tile
        self.width, self.height = width, len(self.pixels) / self.inch  # inches

    def draw(
        self, figure: Figure, corner: tuple[float, float], span: tuple[float, float], colours: ColourMapName
    ) -> tuple[Axes, AxesImage]:
        """Draw it with its top left corner at `corner` on the page, and a thin frame around each image."""
        axes = panel(figure, *corner, self.width, self.height)
        image = show(axes, self.pixels, span, colours)
        image.set_extent((0, self.elements, len(self.pixels), 0))
        w, h = self.tile_width, self.tile_height
        boxes = [((x, y), (x + w, y), (x + w, y + h), (x, y + h)) for x, y in self.corners]
        frames = PolyCollection(boxes, facecolors="none", edgecolors="#888888", linewidths=0.3, clip_on=False)
        axes.add_collection(frames, autolim=False)
        axes.spines[:].set_visible(False)
        return axes, image

    def write(
        self, axes: Axes, number: int, text: str, size: float, *, above: float = 0.02, colour: str = "black"
    ) -> None:
        """Write `text` (`size` points) `above` image `number`, in inches."""
        left, top = self.corners[number]
        where = (left + self.tile_width / 2, top - above * self.inch)
        axes.text(*where, text, fontsize=size, color=colour, ha="center", va="bottom")


def show(axes: Axes, image: Array, span: tuple[float, float], colours: ColourMapName) -> AxesImage:
    """An image (H, W) on `axes`, without interpolation."""
    low, high = span
    shown = axes.imshow(image, cmap=COLOUR_MAPS[colours], vmin=low, vmax=high, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, linewidth=0.3, color="#888888")
    return shown


def colour_bar(figure: Figure, image: AxesImage, top: float, label: str, own_of: str = "") -> None:
    """A colour bar for `image` in the middle of the page, `top` inches below the title.

    It has numbers, or words if each image has its own range: `own_of` says what each image is.
    """
    width, _ = figure.get_size_inches()
    bar = figure.colorbar(image, cax=panel(figure, width / 2 - 1.4, top + 0.14, 2.8, 0.09), orientation="horizontal")
    bar.outline.set_linewidth(0.4)
    diverging = image.get_clim()[0] < 0
    if not own_of:
        bar.set_label(label)
    elif diverging:
        bar.set_ticks([-1, 0, 1], labels=["−largest", "0", "+largest"])
        bar.set_label(f"{label}, each {own_of} up to its own largest magnitude")
    else:
        bar.set_ticks([0, 1], labels=["minimum", "maximum"])
        bar.set_label(f"{label}, each {own_of} from its own minimum to its maximum")
