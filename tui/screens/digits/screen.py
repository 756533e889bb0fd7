"""The digits screen: the predictions for single digits, the mistakes, the confusion matrix, and the audit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import get_args

import numpy as np
from textual.containers import Container, Horizontal
from textual.widget import Widget

from engine.figures.requests import DrawFigure
from engine.geometry import CLASSES
from engine.inspection.events import Digit, DigitsShown, NetworksAudited, SplitEvaluated
from engine.inspection.requests import Audit, DigitOrder, Evaluate, ShowDigits
from engine.network.events import NetworkEvent
from engine.request import Request
from engine.runs.finding import other_bundled
from engine.words import percent
from tui.drawing.raster import Span
from tui.drawing.terminal import glyphs
from tui.drawing.vocabulary import sure
from tui.drawing.words import counted
from tui.keys import bindings
from tui.screens.digits.audit import AuditDesk
from tui.screens.inspect import InspectScreen, Movable
from tui.screens.state import State
from tui.setting import Setting, of_state
from tui.widgets.bars import Bars
from tui.widgets.confusion import Confusion
from tui.widgets.lines import ProgressLine
from tui.widgets.pictures import EMPTY, Legend, Raster, RasterGrid, Sheet
from tui.workspace import images_in

ORDERS: tuple[DigitOrder, ...] = get_args(DigitOrder)
AT_ONCE, AT_MOST = 100, 1000
"""Number of digits requested: in random order, and in the other orders, which are worth scrolling through."""
ENOUGH = 10
"""Digits in view, as many as in the notebook; with room for more, they are drawn larger instead."""


class DigitsScreen(InspectScreen):
    """The notebook's section 1.2, with the mistakes listed, and counted by class."""

    mode = "digits"
    BINDINGS = bindings("digits")
    order: State[DigitOrder] = State("random")
    seed: State[int] = State(0)
    digit: State[int] = State(-1)
    """The only class shown; -1 for all."""
    predicted: State[int] = State(-1)
    """The only predicted class shown; -1 for all."""
    shown: DigitsShown | None = None
    evaluated: SplitEvaluated | None = None
    matrix: State[bool] = State(False)
    """Whether the cursor is in the matrix, which replaces the grid where there is no room for both."""
    audited: NetworksAudited | None = None
    auditing: State[bool] = State(False)
    """Whether the audit is in front."""
    desk: AuditDesk | None = None
    """Its page, once it has been in front."""
    _export_matrix = False
    _before: tuple[DigitOrder, int, int] | None = None
    """What was listed before a cell of the matrix was opened; None unless its digits are listed."""

    def body(self) -> Iterable[Widget]:
        """The grid; beside it the digit under the cursor and the confusion matrix."""
        with Horizontal(id="digits-desk", classes="desk"):
            yield RasterGrid(empty="no digits here", id="digits")
            with Container(id="side"):
                yield Raster(id="digit")
                yield Bars(id="probabilities")
                yield Confusion(id="confusion")
        yield Legend()
        yield ProgressLine(id="status")

    def on_screen_resume(self) -> None:
        """Move the cursor to the current digit, which may have changed on another screen, if it is listed."""
        self._find_digit()

    @property
    def grid(self) -> RasterGrid:
        """The grid of all digits."""
        return self.query_one("#digits", RasterGrid)

    def wanted(self) -> list[Request]:
        return self._about_networks() if self.auditing else self._about_digits()

    def kept(self) -> list[Request]:
        return self._about_digits() if self.auditing else self._about_networks()

    def _about_networks(self) -> list[Request]:
        """The audit, with the bundled network of the other variant: two see more wrong labels than one."""
        workspace = self.workspace
        other = other_bundled(workspace.variant or "cnn-bn", workspace.history.request)
        return [Audit(what=workspace.what, others=(other,))]

    def _about_digits(self) -> list[Request]:
        """The digits first, since they appear sooner; then the evaluation of the whole split."""
        part, _ = self.workspace.digit
        what, images = self.workspace.what, images_in(part)
        digits = ShowDigits(
            what=what,
            **images,
            count=AT_ONCE if self.order == "random" else AT_MOST,
            order=self.order,
            digit=self.digit,
            predicted=self.predicted,
            seed=self.seed,
        )
        return [digits, Evaluate(what=what, **images)]

    def take(self, event: NetworkEvent) -> None:
        match event:
            case DigitsShown():
                self.shown = event
                if not self._find_digit():
                    self.grid.cursor = 0
                    self._take_digit()
            case SplitEvaluated():
                self.evaluated = event
            case NetworksAudited():
                self.audited = event
            case _:
                pass

    def forget(self) -> None:
        self.shown = self.evaluated = self.audited = None

    # Drawing

    def draw_panels(self) -> None:
        self.set_class(self.matrix, "-matrix")
        self.set_class(self.auditing, "-audit")
        if self.auditing and self.desk:
            self.desk.show(self.audited, self.view)
            return
        self.query_one(Confusion).show(self.evaluated, self.view, in_front=self.matrix)
        shown = self.shown
        self._draw_legend()
        if shown is None:
            self.grid.show("digits", "", EMPTY, self.view)
            self._draw_digit()
            return
        self._draw_grid(shown)
        self._draw_digit()

    def _draw_grid(self, shown: DigitsShown) -> None:
        title = {"random": "random digits", "mistakes": "mistakes, the most confident first"}.get(
            shown.order, f"{shown.order.replace('-', ' ')} first"
        )
        of = f"class {shown.digit}   " if shown.digit >= 0 else ""
        of += f"predicted {shown.predicted}   " if shown.predicted >= 0 else ""
        here = f"{self.grid.cursor + 1} of {len(shown.digits):,}" if shown.digits else ""
        more = f", {shown.matching:,} in all" if shown.matching > len(shown.digits) else ""
        self.grid.show(f"{shown.part}: {title}", f"{of}{here}{more}", self._sheet(shown), self.view, self._span())

    def _span(self) -> Span:
        """The value range of pixels: the same for all digits, and symmetric about zero in the diverging map."""
        return Span.of(np.array([0.0, 1.0]), self.view.colours)

    def _draw_legend(self) -> None:
        span, words = self._span(), "pixel"
        counts = self.matrix and self.evaluated is not None
        if counts and self.evaluated:
            errors = (n for a, row in enumerate(self.evaluated.confusion) for p, n in enumerate(row) if a != p)
            span, words = Span(0.0, float(max(errors))), "errors (log)"
        self.query_one(Legend).show(self.view, span, words, counts=counts)

    def _sheet(self, shown: DigitsShown) -> Sheet:
        sign = glyphs().arrow
        wrong = [d.actual != d.predicted for d in shown.digits]
        labels = [
            f"{d.actual}{sign}{d.predicted}{'!' if bad else ' '} {sure(d.probability)}"
            for d, bad in zip(shown.digits, wrong, strict=True)
        ]
        inks = ["error" if bad else "quiet" for bad in wrong]
        return Sheet(shown.images, labels=labels, inks=inks, enough=ENOUGH)

    def _here(self) -> tuple[int, Digit] | None:
        if self.shown is None or not self.shown.digits:
            return None
        at = min(self.grid.cursor, len(self.shown.digits) - 1)
        return at, self.shown.digits[at]

    def _draw_digit(self) -> None:
        here = self._here()
        picture, bars = self.query_one("#digit", Raster), self.query_one(Bars)
        if here is None or self.shown is None:
            picture.show("digit", "", None, self.view)
            bars.show("", [], -1, -1)
            return
        at, digit = here
        picture.show(f"{self.shown.part} {digit.index}", "", self.shown.images[at], self.view, self._span())
        words = f"actual {digit.actual}, predicted {digit.predicted}"
        bars.show(words, list(digit.probabilities), digit.actual, digit.predicted)

    def sentence(self) -> str:
        """The accuracy and loss of the network, and what the labels mean; of the audit, what its digit is."""
        if self.auditing and self.desk:
            part, index = self.workspace.digit
            return self.desk.sentence(index if part == "test" else -1)
        how = f"actual {glyphs().arrow} predicted, ! if wrong"
        if self.evaluated is None:
            return how
        found = self.evaluated
        good = f"accuracy {percent(found.accuracy)}, loss {found.loss:.4f}, {counted(found.mistakes, 'error')}"
        return f"{good}   {glyphs().dot}   {how}"

    # Pages and settings

    def page_titles(self) -> dict[str, str]:
        return {"digits": "digits", "matrix": "confusion matrix", "audit": "audit"}

    @property
    def front(self) -> str:
        return "audit" if self.auditing else "matrix" if self.matrix else "digits"

    async def turn_to(self, name: str) -> None:
        if name == "audit" and self.desk is None:
            desk = AuditDesk()
            await self.mount(desk, after="#digits-desk")
            self.desk = desk
        self.zoomed, self.matrix, self.auditing = False, name == "matrix", name == "audit"

    def settings(self) -> Sequence[Setting]:
        if self.matrix or self.auditing:
            return ()
        classes = range(-1, CLASSES)
        order = of_state(self, "order", "order", ORDERS, show=lambda name: name.replace("-", " "))
        actual = of_state(self, "digit", "class", classes, name="class", show=_class, help="actual class")
        predicted = of_state(self, "predicted", "predicted", classes, show=_class)
        return [order, actual, predicted]

    def figure(self) -> DrawFigure | None:
        """The digits, or the confusion matrix if that is in front or was requested, or the audit."""
        if self._export_matrix or self._matrix_in_front():
            return self.as_drawn(self.evaluated)
        return self.as_drawn(self.audited if self.auditing else self.shown)

    def _matrix_in_front(self) -> bool:
        return self.matrix and not self.has_class("-wide")

    def in_reach(self) -> Movable | None:
        """The matrix while it is in front, or the grid."""
        if self.auditing and self.desk:
            return self.desk.grid
        return self.query_one(Confusion) if self.matrix else self.grid

    # Keys

    def action_export_second(self) -> None:
        """Export the confusion matrix."""
        self._export_matrix = True
        self.action_export()
        self._export_matrix = False

    def _find_digit(self) -> bool:
        """Move the cursor to the current digit; False if it is not listed."""
        indices = [digit.index for digit in self.shown.digits] if self.shown else []
        if (current := self.workspace.digit[1]) not in indices:
            return False
        self.grid.cursor = indices.index(current)
        return True

    def _take_digit(self) -> None:
        if self.shown and (here := self._here()):
            self.workspace.digit = (self.workspace.digit[0], here[1].index)

    def on_raster_grid_moved(self) -> None:
        if self.auditing:
            self.draw_status()
        else:
            self._take_digit()

    def action_zoom(self) -> None:
        """Show only the digit and its probabilities, or go back; in the matrix, show the digits that a cell counts.

        In the audit, make the digit the current one.
        """
        if self.auditing:
            if self.desk and (digit := self.desk.here):
                self.workspace.digit = ("test", digit.index)
        elif self.matrix:
            self._before = self._before or (self.order, self.digit, self.predicted)
            actual, predicted = self.query_one(Confusion).at
            self._list("most-certain" if actual == predicted else "mistakes", actual, predicted)
            self.matrix = False
        else:
            super().action_zoom()

    def on_bars_chosen(self, message: Bars.Chosen) -> None:
        """Show only the digits of the clicked class."""
        self.digit = message.number

    def on_confusion_opened(self) -> None:
        self.matrix = True
        self.action_zoom()

    async def action_back(self) -> None:
        """Go back step by step: from the enlarged digit, from the matrix, from the digits of a cell or a class."""
        if self.zoomed or self.matrix or self.auditing:
            self.zoomed = self.matrix = self.auditing = False
        elif self._before:
            self._list(*self._before)
            self._before, self.matrix = None, True
        else:
            self._list(self.order, -1, -1)

    def _list(self, order: DigitOrder, digit: int, predicted: int) -> None:
        """List these digits, in one request."""
        self.set_reactive(DigitsScreen.order, order)
        self.set_reactive(DigitsScreen.digit, digit)
        self.set_reactive(DigitsScreen.predicted, predicted)
        self.update()

    def action_previous_digit(self) -> None:
        self.grid.move(-1, 0)

    def action_next_digit(self) -> None:
        self.grid.move(1, 0)

    def action_another(self) -> None:
        if self.order == "random":
            self.seed += 1
        self.order = "random"

    def action_mistakes(self) -> None:
        """Show only mistakes, or random digits again."""
        self.order = "random" if self.order == "mistakes" else "mistakes"

    def action_order(self) -> None:
        self.order = ORDERS[(ORDERS.index(self.order) + 1) % len(ORDERS)]

    def action_next_class(self) -> None:
        self._turn_class(1)

    def action_previous_class(self) -> None:
        self._turn_class(-1)

    def _turn_class(self, by: int) -> None:
        """Step through all classes (-1), 0, 1 and so on."""
        self.digit = (self.digit + 1 + by) % (CLASSES + 1) - 1


def _class(number: int) -> str:
    return "all" if number < 0 else str(number)
