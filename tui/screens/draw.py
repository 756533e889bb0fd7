"""Screen 9: a drawing, what the network receives of it, and what it takes it for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import get_args

import numpy as np
from textual.containers import Container, Horizontal, Vertical
from textual.timer import Timer
from textual.widget import Widget

from engine.attribution.events import DrawingExplained
from engine.attribution.requests import DrawingBaseline, ExplainDrawing
from engine.data.events import DrawingKept
from engine.data.requests import DRAWINGS, KeepDrawing
from engine.event import Event, JobFailed
from engine.figures.requests import DrawFigure
from engine.inspection.events import ActivationsComputed
from engine.inspection.requests import LayerName, ShowActivations, Summarise
from engine.lab import Job
from engine.network.events import NetworkEvent
from engine.request import Request
from engine.words import percent
from engine.words import shown as shown_text
from tui.drawing.cells import Cell, cells
from tui.drawing.raster import Span
from tui.drawing.terminal import glyphs
from tui.drawing.theme import ink
from tui.drawing.view import View
from tui.drawing.words import counted
from tui.keys import DIGITWISE, bindings
from tui.screens.dialogs import LabelScreen
from tui.screens.inspect import InspectScreen
from tui.screens.state import State
from tui.widgets.bars import Bars
from tui.widgets.canvas import Canvas
from tui.widgets.cells import CellWidget, title_row
from tui.widgets.lines import ProgressLine
from tui.widgets.pictures import EMPTY, Legend, Raster, RasterGrid, Sheet
from tui.workspace import Notice, images_in

LAYERS: tuple[LayerName, ...] = get_args(LayerName)
ENOUGH = 4
"""Channels of each block in view where there is room; with more room, first they are drawn larger."""
PATIENCE = 0.015
"""Seconds that a stroke waits for its answer, so that both are one frame."""
TURNING = ("rotate", "rotate_back", "larger", "smaller")
"""The commands that rotate and scale."""


class Pen(CellWidget):
    """Facts about the pen, a line each."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.state = ""
        self.facts: tuple[tuple[str, str], ...] = ()

    def show(self, state: str, *facts: tuple[str, str]) -> None:
        """Show `state` beside the title, and `facts`, each a name and a value."""
        self.state, self.facts = state, facts
        self.redraw()

    def draw(self, width: int, height: int) -> list[list[Cell]]:
        """The title, then as many facts as fit."""
        quiet, text = ink(self.app, "quiet"), ink(self.app, "foreground")
        lines = [cells((f" {name:<9}", quiet), (value, text)) for name, value in self.facts]
        return [title_row(self, "pen", cells((f" {self.state} ", quiet)), width), *lines]


class DrawScreen(InspectScreen):
    """Draw a digit, and see what the network takes it for as each stroke is drawn."""

    mode = "draw"
    BINDINGS = bindings("draw")
    centring: State[bool] = State(True)
    """Whether the network receives the drawing as MNIST's digits were prepared, or as it is."""
    baseline: State[DrawingBaseline] = State("zero")
    """What the patch shows that moves over the drawing."""
    shown: DrawingExplained | None = None
    _patience: Timer | None = None
    """Runs while a stroke that is not drawn yet waits for its answer."""
    _kept: tuple[bytes, DrawingKept] | None = None
    """The drawing that was kept last, as the network receives it."""
    _beginning: ShowActivations | None = None
    """The request for the digit that the drawing is to begin with, until that has come."""

    def __init__(self) -> None:
        super().__init__()
        self.canvas, self.pen = Canvas(self.stroke_drawn, id="canvas"), Pen(id="pen")
        self.received, self.drop, self.bars = Raster(id="received"), Raster(id="drop"), Bars(id="drawn-answers")
        self.strongest: dict[LayerName, RasterGrid] = {
            layer: RasterGrid(empty="nothing yet", cursor=False, id=f"strongest-{layer}") for layer in LAYERS
        }
        self._drawn_drawing: tuple[object, ...] = ()
        """What the canvas and the pen show; empty before they were first drawn."""
        self._drawn: DrawingExplained | None = None
        """The answer that the panels show."""
        self._drawn_how: tuple[object, ...] = ()
        """How they and the legend show it; empty before they were first drawn."""

    def body(self) -> Iterable[Widget]:
        """The canvas and the pen; beside them what the network receives, the moving patch, the answer, the channels."""
        with Horizontal(classes="desk"):
            with Vertical(id="drawing"):
                yield self.canvas
                yield self.pen
            with Container(id="explained"):
                yield from (self.received, self.drop, self.bars)
                yield from self.strongest.values()
        yield Legend()
        yield ProgressLine(id="status")

    def in_reach(self) -> Canvas:
        return self.canvas

    def wanted(self) -> list[Request]:
        """The digit to begin with, if one was asked for; then what the network takes the drawing for.

        While nothing is drawn, the network is only read, so that the first stroke does not wait for it.
        """
        what, found = self.workspace.what, list[Request]([self._beginning] if self._beginning else [])
        if self.canvas.empty:
            return [*found, Summarise(what=what)]
        return [*found, self._explained()]

    def _explained(self) -> ExplainDrawing:
        return ExplainDrawing(
            what=self.workspace.what,
            pixels=self.canvas.levels.tobytes(),
            raw=not self.centring,
            baseline=self.baseline,
        )

    def take(self, event: NetworkEvent) -> None:
        match event:
            case DrawingExplained():
                self.shown = event
            case ActivationsComputed() if self._beginning:
                self._beginning = None
                self.canvas.begin(event.image)
            case _:
                pass

    def hear(self, job: Job, event: Event) -> None:
        if isinstance(event, JobFailed) and job.request == self._beginning:
            self._beginning = None
            self.notify(event.reason, severity="warning")
        super().hear(job, event)

    def forget(self) -> None:
        self.shown = self._beginning = None

    # Drawing

    def draw_panels(self) -> None:
        canvas, view = self.canvas, self.view
        part, index = self.workspace.digit
        if canvas.empty:
            self.shown = None
        span = Span.of(np.array([0.0, 1.0]), view.colours)
        shown = self.shown
        drawn = (
            canvas.levels.tobytes(),
            canvas.changes,
            canvas.lowered,
            canvas.pen,
            canvas.pen_width,
            view,
            part,
            index,
        )
        if drawn != self._drawn_drawing:  # an answer changes none of these
            self._drawn_drawing = drawn
            changes = f"{canvas.changes} to undo" if canvas.changes else ""
            canvas.show("drawing", changes, canvas.pixels, view, span)
            self.pen.show(
                "lowered" if canvas.lowered else "lifted",
                ("width", f"{canvas.pen_width:g} px"),
                ("place", f"row {canvas.pen.y}, column {canvas.pen.x}"),
                ("digit", f"{part} {index}, with {self.key('begin')}"),
            )
        # While a stroke waits for its answer, the one before it is in view: to draw that again would delay the next.
        how = (view, self.centring, self.baseline)
        if how != self._drawn_how:
            self.query_one(Legend).show(view, span, "pixel")
        if shown is not self._drawn or how != self._drawn_how:
            self._drawn, self._drawn_how = shown, how
            self._draw_answer(view, span)

    def _draw_answer(self, view: View, span: Span) -> None:
        """What the network received, and what it says."""
        shown = self.shown
        how = "centred" if (shown.centred if shown else self.centring) else "as drawn"
        received = shown.images[0] if shown else np.zeros_like(self.canvas.pixels)
        note = "" if shown else "nothing yet"
        self.received.show("received", how, received, view, span, note=note)
        self._draw_drop(view, note)
        for layer in LAYERS:
            self._draw_channels(layer, view)
        if shown:
            answer = shown.predictions[0]
            self.bars.show("probabilities", list(shown.probabilities[0]), answer, answer, "predicted")
        else:
            self.bars.show("probabilities", [], -1, -1)

    def _draw_drop(self, view: View, note: str) -> None:
        """How far the probability of the answer falls while a patch covers each pixel."""
        shown = self.shown
        drop = shown.drop if shown else np.zeros_like(self.canvas.pixels)
        fill = "black" if (shown.baseline if shown else self.baseline) == "zero" else "white"
        facts = f"lowest {100 * shown.occluded.min():.1f} %" if shown else ""
        span = Span.of(drop, view.colours) if shown else Span(0.0, 1.0)
        self.drop.show(f"{fill} patch", facts, drop, view, span, note=note)

    def _draw_channels(self, layer: LayerName, view: View) -> None:
        """The channels of a block with the largest mean activation."""
        grid, shown = self.strongest[layer], self.shown
        if shown is None:
            grid.show(f"{layer}, strongest", "", EMPTY, view)
            return
        maps, channels, strengths = (
            (shown.conv1, shown.conv1_channels, shown.conv1_strengths)
            if layer == "conv1"
            else (shown.conv2, shown.conv2_channels, shown.conv2_strengths)
        )
        labels = [f"{channel:<3}{mean:.2f}" for channel, mean in zip(channels, strengths, strict=True)]
        grid.show(f"{layer}, strongest", "", Sheet(maps, labels=labels, enough=ENOUGH), view)

    def sentence(self) -> str:
        """The two likeliest classes; or how to draw, where nothing is drawn."""
        if self.shown is None:
            return f"draw with the mouse; or {self.key('pen')} lowers the pen, and the arrows move it"
        shares = self.shown.probabilities[0]
        first, second = sorted(range(len(shares)), key=lambda number: -shares[number])[:2]
        how = "scaled and centred by its mass" if self.shown.centred else "as drawn"
        answer = f"predicted {first} ({percent(shares[first])}), then {second} ({percent(shares[second])})"
        kept = self._kept_now()
        as_what = f"drawing {kept.index}, kept as {kept.label}" if kept else how
        return f"{answer}   {glyphs().dot}   {as_what}"

    def figure(self) -> DrawFigure | None:
        """What the network received, and the probabilities."""
        return self.as_drawn(self.shown)

    # Keys

    def unused(self) -> set[str]:
        canvas = self.canvas
        nothing = {"delete", "export", "keep", "make_current", *TURNING} if canvas.empty else set()
        return nothing | (set() if canvas.changes else {"undo"})

    def stroke_drawn(self) -> None:
        """Ask what the network makes of it; then draw both at once, unless the answer takes longer than PATIENCE.

        To draw first would delay the answer by more than the stroke gains: the network's thread would wait for this
        one wherever it runs Python, and then the frame of the answer for that of the stroke.
        """
        if self.app.screen is self:
            self.inquiry.ask(self.wanted, self.kept)
        if self.inquiry.job is None:
            self.update()
        elif self._patience is None:
            self._patience = self.set_timer(PATIENCE, self.update)

    def update(self) -> None:
        if self._patience:
            self._patience.stop()
            self._patience = None
        super().update()

    def action_pen(self) -> None:
        if self.canvas.lowered:
            self.canvas.lift()
        else:
            self.canvas.lower()

    def action_wider(self) -> None:
        self.canvas.widen(1)

    def action_thinner(self) -> None:
        self.canvas.widen(-1)

    def action_undo(self) -> None:
        self.canvas.undo()

    def action_delete(self) -> None:
        self.canvas.clear()

    def action_shift_left(self) -> None:
        self.canvas.shift(-1, 0)

    def action_shift_right(self) -> None:
        self.canvas.shift(1, 0)

    def action_shift_up(self) -> None:
        self.canvas.shift(0, -1)

    def action_shift_down(self) -> None:
        self.canvas.shift(0, 1)

    def action_begin(self) -> None:
        """Ask for the current digit, which then replaces the drawing."""
        part, index = self.workspace.digit
        self._beginning = ShowActivations(what=self.workspace.what, **images_in(part), index=index)
        self.update()

    def action_rotate(self) -> None:
        self.canvas.turn(1)

    def action_rotate_back(self) -> None:
        self.canvas.turn(-1)

    def action_larger(self) -> None:
        self.canvas.scale(1)

    def action_smaller(self) -> None:
        self.canvas.scale(-1)

    def action_next_baseline(self) -> None:
        self.baseline = "one" if self.baseline == "zero" else "zero"

    # Keeping

    def _received(self) -> bytes:
        """What the network received of the drawing, a byte a pixel; empty while it has not answered to it."""
        if self.shown is None or not self.inquiry.answered(self._explained()):
            return b""
        levels: np.ndarray = np.rint(255 * self.shown.images[0]).astype(np.uint8)
        return levels.tobytes()

    def _kept_now(self) -> DrawingKept | None:
        """How the drawing is kept; None unless it is."""
        return self._kept[1] if self._kept and self._kept[0] == self._received() else None

    def action_keep(self) -> None:
        """Ask which digit the drawing shows, and keep it."""
        self._keep(lambda kept: self.workspace.tell(Notice(self._told(kept), "drawing kept")))

    def action_make_current(self) -> None:
        """Make the drawing the current digit; ask first which digit it shows, and keep it, unless it is kept."""
        if kept := self._kept_now():
            self._hand_over(kept)
        else:
            self._keep(self._hand_over)

    def _keep(self, then: Callable[[DrawingKept], None]) -> None:
        pixels = self._received()
        if self.workspace.refuses() or self.canvas.empty:
            return
        if not pixels or self.shown is None:
            self.workspace.tell(Notice("the network has not answered yet: try again", severity="warning"))
            return
        kept = self._kept_now()
        proposed, why = (kept.label, "as it is kept") if kept else (self.shown.predictions[0], "as predicted")

        def heard(found: DrawingKept) -> None:
            self._kept = pixels, found
            then(found)

        def answered(label: int | None) -> None:
            if label is not None:
                self.workspace.keep(KeepDrawing(pixels=pixels, label=label), heard)

        self.app.push_screen(LabelScreen(proposed, why), answered)

    def _told(self, kept: DrawingKept) -> str:
        """That the drawing is kept, where, and how a network is evaluated on all of them."""
        before = f", no longer as {kept.before}" if kept.before not in (None, kept.label) else ""
        place = shown_text(str(self.workspace.root / DRAWINGS))
        count = counted(kept.count, "drawing")
        return f"drawing {kept.index} is kept as {kept.label}{before}; {count} in {place}, for --dataset drawings"

    def _hand_over(self, kept: DrawingKept) -> None:
        self.workspace.digit = ("drawings", kept.index)
        screens = ", ".join(self.key(mode) for mode in DIGITWISE)
        self.workspace.tell(
            Notice(f"{screens} show it, kept as {kept.label}", f"drawing {kept.index} is the current digit")
        )

    def action_centring(self) -> None:
        self.centring = not self.centring

    async def action_back(self) -> None:
        """Lift the pen."""
        self.canvas.lift()
