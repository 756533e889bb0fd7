"""A canvas of 28x28 pixels to draw on, with the mouse or with a pen that the keys move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from textual.events import MouseDown, MouseMove, MouseUp
from textual.geometry import Offset

from engine.geometry import IMAGE_SIZE
from tui.drawing.raster import Levels, Palette, Span, frame
from tui.drawing.strokes import Point, blank, shifted, stroked, transformed
from tui.widgets.pictures import LARGEST, Raster

THINNEST, USUAL, WIDEST = 1.0, 2.5, 6.0
"""Widths of the pen, in pixels. Strokes of MNIST are mostly two to three pixels wide."""
STEP = 0.5
"""By how much a key changes the width, in pixels."""
TURN = 15
"""By how much a key rotates the drawing, in degrees."""
GROWTH = 1.1
"""By which factor a key scales it."""
LEAST, MOST = -12, 12
"""The smallest and the largest scale of a drawing, in such steps: about a third and three times its size."""
REMEMBERED = 100
"""Number of changes that can be taken back."""
FAR = IMAGE_SIZE // 4
"""Pixels that a page moves the pen by."""


@dataclass(frozen=True)
class _Pose:
    """A drawing that was rotated and scaled, always from the same pixels: going back and forth does not blur it."""

    source: np.ndarray
    result: np.ndarray
    turns: int = 0
    sizes: int = 0


class Canvas(Raster):
    """What is drawn, the pen, and what can be taken back."""

    def __init__(self, changed: Callable[[], None] = lambda: None, *, id: str | None = None) -> None:
        """`changed` is called whenever the drawing or the pen has changed: sooner than a message would arrive."""
        super().__init__(id=id)
        self._changed = changed
        self.pixels = blank()
        """(28, 28) float32 from 0, the background, to 1. Replaced at each change, never changed in place."""
        self.pen = Offset(IMAGE_SIZE // 2, IMAGE_SIZE // 2)
        """The pixel under the pen."""
        self.lowered = False
        """Whether the pen draws where the keys move it."""
        self.pen_width = USUAL
        """Of the pen, in pixels."""
        self._before: list[np.ndarray] = []
        self._pose: _Pose | None = None
        self._at: Point | None = None
        """Where the mouse is while its button is held."""

    @property
    def levels(self) -> np.ndarray:
        """The drawing as gray levels: (28, 28) uint8."""
        levels: np.ndarray = np.rint(255 * self.pixels).astype(np.uint8)
        return levels

    @property
    def empty(self) -> bool:
        """Whether nothing is drawn that could be seen."""
        return not self.levels.any()

    @property
    def changes(self) -> int:
        """The number of changes that can be taken back."""
        return len(self._before)

    # What the keys do

    def move(self, across: int, down: int) -> None:
        """Move the pen by this many pixels, up to the edges; if it is lowered, it draws."""
        before, last = self.pen, IMAGE_SIZE - 1
        self.pen = Offset(min(max(before.x + across, 0), last), min(max(before.y + down, 0), last))
        if self.pen == before:
            return
        if self.lowered:
            self.pixels = stroked(self.pixels, _middle(before), _middle(self.pen), self.pen_width)
        self._changed()

    def page(self, pages: int) -> None:
        """Move the pen down by `pages` quarters of the canvas."""
        self.move(0, pages * FAR)

    def jump(self, index: int) -> None:
        """Move the pen to the left edge (0) or to the right one (-1)."""
        self.move(-self.pen.x if index == 0 else IMAGE_SIZE - 1 - self.pen.x, 0)

    def lower(self) -> None:
        """Lower the pen, which draws a dot."""
        if not self.lowered:
            self._remember()
            self.lowered = True
            self.pixels = stroked(self.pixels, _middle(self.pen), _middle(self.pen), self.pen_width)
            self._changed()

    def lift(self) -> None:
        """Lift the pen."""
        if self.lowered:
            self.lowered = False
            self._changed()

    def widen(self, steps: int) -> None:
        """Make the pen wider, or thinner where `steps` is negative."""
        self.pen_width = min(max(self.pen_width + steps * STEP, THINNEST), WIDEST)
        self._changed()

    def undo(self) -> None:
        """Take back the last stroke, shift, rotation, scaling, clearing or beginning."""
        if self._before:
            self.pixels, self.lowered, self._at = self._before.pop(), False, None
            self._changed()

    def clear(self) -> None:
        """Clear the drawing, and lift the pen."""
        if not self.empty:
            self.begin(blank())

    def shift(self, across: int, down: int) -> None:
        """Move the drawing by this many pixels; what leaves the canvas comes back only with `undo`."""
        if not self.empty:
            self.begin(shifted(self.pixels, across, down))

    def turn(self, steps: int) -> None:
        """Rotate the drawing by this many times 15 degrees, clockwise, about its centre of mass."""
        if not self.empty:
            pose = self._posed()
            self._pose_as(replace(pose, turns=(pose.turns + steps) % (360 // TURN)))

    def scale(self, steps: int) -> None:
        """Make the drawing this many times 10 % larger about its centre of mass, or smaller where it is negative."""
        if not self.empty:
            pose = self._posed()
            sizes = min(max(pose.sizes + steps, LEAST), MOST)
            if sizes != pose.sizes:
                self._pose_as(replace(pose, sizes=sizes))

    def _posed(self) -> _Pose:
        """What the drawing was rotated and scaled from; itself where it has been drawn on since."""
        pose = self._pose
        return pose if pose and pose.result is self.pixels else _Pose(self.pixels, self.pixels)

    def _pose_as(self, pose: _Pose) -> None:
        still = not pose.turns and not pose.sizes
        made = pose.source if still else transformed(pose.source, pose.turns * TURN, GROWTH**pose.sizes)
        self.begin(made)
        self._pose = replace(pose, result=self.pixels)

    def begin(self, image: np.ndarray) -> None:
        """Go on from `image` (28, 28) in [0, 1], with the pen lifted."""
        self._remember()
        self.pixels, self.lowered = image.astype(np.float32), False
        self._changed()

    def _remember(self) -> None:
        self._before = [*self._before[1 - REMEMBERED :], self.pixels]

    # What the mouse does

    def on_mouse_down(self, event: MouseDown) -> None:
        """Begin a stroke, which goes on as long as the button is held."""
        place = self._place(event)
        if event.button != 1 or place is None:
            return
        self.capture_mouse()
        self._remember()
        self.lowered = False
        self._at = place
        self._draw_to(place)

    def on_mouse_move(self, event: MouseMove) -> None:
        if self._at is None:
            return
        if event.button != 1:  # it was released where nobody saw it
            self._end_stroke()
        elif place := self._place(event, outside=True):
            self._draw_to(place)

    def on_mouse_up(self, _event: MouseUp) -> None:
        self._end_stroke()

    def _end_stroke(self) -> None:
        if self._at is not None:
            self._at = None
            self.release_mouse()

    def _draw_to(self, place: Point) -> None:
        assert self._at is not None
        self.pixels = stroked(self.pixels, self._at, place, self.pen_width)
        self._at = place
        last = IMAGE_SIZE - 1
        self.pen = Offset(*(min(max(int(place[axis]), 0), last) for axis in (1, 0)))
        self._changed()

    def _place(self, event: MouseDown | MouseMove, *, outside: bool = False) -> Point | None:
        """Where on the canvas the mouse is; None where it is not on it, unless `outside`.

        Terminals mostly report the cell only, in whose middle the mouse then counts to be.
        """
        x, y = (at if at % 1 else at + 0.5 for at in (event.pointer_x, event.pointer_y))
        zoom = self._zoom(*self.size) or 0.5
        row, column = 2 * (y - 1) / zoom, x / zoom
        inside = 0 <= row < IMAGE_SIZE and 0 <= column < IMAGE_SIZE
        return (row, column) if inside or outside else None

    # Drawing

    @staticmethod
    def _zoom(width: int, height: int) -> int:
        """Of a canvas in a widget of this size; 0 where it is halved."""
        return max(0, min(width // IMAGE_SIZE, 2 * (height - 1) // IMAGE_SIZE, LARGEST))

    def _enlarged(
        self, values: np.ndarray, span: Span, colours: Palette, width: int, height: int
    ) -> tuple[Levels, int]:
        levels, finer = super()._enlarged(values, span, colours, width, height)
        side = len(levels) / IMAGE_SIZE  # of a pixel
        size = max(1, round(side))
        frame(levels, int(self.pen.y * side), int(self.pen.x * side), size, size)
        return levels, finer


def _middle(pixel: Offset) -> Point:
    return pixel.y + 0.5, pixel.x + 0.5
