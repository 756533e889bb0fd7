"""Screen 9: a drawing, what the network receives of it, and what it takes it for."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from textual.containers import Container, Horizontal
from textual.widget import Widget

from engine.event import Event, JobFailed
from engine.figures.requests import DrawFigure
from engine.inspection.events import ActivationsComputed, ImagesPredicted
from engine.inspection.requests import PredictDrawing, ShowActivations, Summarise
from engine.lab import Job
from engine.network.events import NetworkEvent
from engine.request import Request
from engine.words import percent
from tui.drawing.cells import Cell, cells
from tui.drawing.raster import Span
from tui.drawing.terminal import glyphs
from tui.drawing.theme import ink
from tui.keys import bindings
from tui.screens.inspect import InspectScreen
from tui.screens.state import State
from tui.widgets.bars import Bars
from tui.widgets.canvas import Canvas
from tui.widgets.cells import CellWidget, title_row
from tui.widgets.lines import ProgressLine
from tui.widgets.pictures import Legend, Raster


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
    shown: ImagesPredicted | None = None
    _beginning: ShowActivations | None = None
    """The request for the digit that the drawing is to begin with, until that has come."""

    def body(self) -> Iterable[Widget]:
        """The canvas; beside it what the network receives, and the probabilities."""
        with Horizontal(classes="desk"):
            yield Canvas(id="canvas")
            with Container(id="received-and-pen"):
                yield Raster(id="received")
                yield Pen(id="pen")
            yield Bars(id="drawn-answers")
        yield Legend()
        yield ProgressLine(id="status")

    @property
    def canvas(self) -> Canvas:
        """What is drawn on."""
        return self.query_one(Canvas)

    def in_reach(self) -> Canvas:
        return self.canvas

    def wanted(self) -> list[Request]:
        """The digit to begin with, if one was asked for; then what the network takes the drawing for.

        While nothing is drawn, the network is only read, so that the first stroke does not wait for it.
        """
        what, found = self.workspace.what, list[Request]([self._beginning] if self._beginning else [])
        if self.canvas.empty:
            return [*found, Summarise(what=what)]
        return [*found, PredictDrawing(what=what, pixels=self.canvas.levels.tobytes(), raw=not self.centring)]

    def take(self, event: NetworkEvent) -> None:
        match event:
            case ImagesPredicted():
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
        split, index = self.workspace.digit
        if canvas.empty:
            self.shown = None
        span = Span.of(np.array([0.0, 1.0]), view.colours)
        shown = self.shown
        changes = f"{canvas.changes} to undo" if canvas.changes else ""
        canvas.show("drawing", changes, canvas.pixels, view, span)
        how = "centred" if (shown.centred if shown else self.centring) else "as drawn"
        received = shown.images[0] if shown else np.zeros_like(canvas.pixels)
        note = "" if shown else "nothing yet"
        self.query_one("#received", Raster).show("received", how, received, view, span, note=note)
        self.query_one(Pen).show(
            "lowered" if canvas.lowered else "lifted",
            ("width", f"{canvas.pen_width:g} px"),
            ("place", f"row {canvas.pen.y}, column {canvas.pen.x}"),
            ("digit", f"{split} {index}, with {self.key('begin')}"),
        )
        bars = self.query_one(Bars)
        if shown:
            answer = shown.predictions[0]
            bars.show("probabilities", list(shown.probabilities[0]), answer, answer, "predicted")
        else:
            bars.show("probabilities", [], -1, -1)
        self.query_one(Legend).show(view, span, "pixel")

    def sentence(self) -> str:
        """The two likeliest classes; or how to draw, where nothing is drawn."""
        if self.shown is None:
            return f"draw with the mouse; or {self.key('pen')} lowers the pen, and the arrows move it"
        shares = self.shown.probabilities[0]
        first, second = sorted(range(len(shares)), key=lambda number: -shares[number])[:2]
        how = "scaled and centred by its mass" if self.shown.centred else "as drawn"
        answer = f"predicted {first} ({percent(shares[first])}), then {second} ({percent(shares[second])})"
        return f"{answer}   {glyphs().dot}   {how}"

    def figure(self) -> DrawFigure | None:
        """What the network received, and the probabilities."""
        return self.as_drawn(self.shown)

    # Keys

    def unused(self) -> set[str]:
        canvas = self.canvas
        nothing = {"delete", "export"} if canvas.empty else set()
        return nothing | (set() if canvas.changes else {"undo"})

    def on_canvas_changed(self) -> None:
        self.update()

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
        split, index = self.workspace.digit
        self._beginning = ShowActivations(what=self.workspace.what, split=split, index=index)
        self.update()

    def action_centring(self) -> None:
        self.centring = not self.centring

    async def action_back(self) -> None:
        """Lift the pen."""
        self.canvas.lift()
