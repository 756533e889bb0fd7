"""The base of the screens that inspect a network: they request missing answers from the lab, and draw them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Protocol

from textual.binding import Binding, BindingType
from textual.events import Resize

from engine.data.events import DownloadAdvanced
from engine.data.requests import PartName
from engine.event import Event, WorkAdvanced
from engine.figures.requests import ColourMapName, DrawFigure
from engine.inspection.requests import LayerName
from engine.lab import Job
from engine.network.events import NetworkEvent
from engine.request import Request, RequestError
from tui.drawing.raster import COLOUR_MAPS
from tui.drawing.view import View, draw_in, mode_now, modes
from tui.inquiry import Inquiry
from tui.screens.frame import LabScreen
from tui.screens.state import State
from tui.setting import Setting
from tui.widgets.lines import Bar, ProgressLine
from tui.widgets.pictures import RasterGrid

ROOMY, LOW = (190, 54), 34
"""Columns and rows from which what is selected is shown beside the rest, and rows below which pictures are smaller."""


class Movable(Protocol):
    """Something with a cursor."""

    def move(self, across: int, down: int) -> None:
        """Move the cursor by this many columns and rows."""

    def page(self, pages: int) -> None:
        """Move the cursor by this many pages."""

    def jump(self, index: int) -> None:
        """Move the cursor to the first item (0), or the last (-1)."""


class InspectScreen(LabScreen):
    """The base of screens 2 to 7 and 9; the one in front follows the open run epoch by epoch."""

    colours: ColourMapName = "gray"
    """The initial colour map."""
    shared = True
    """Whether all pictures initially share one value range."""
    zoomed: State[bool] = State(False)
    """Whether the selection is enlarged."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "move(-1, 0)", show=False),
        Binding("right,l", "move(1, 0)", show=False),
        Binding("up,k", "move(0, -1)", show=False),
        Binding("down,j", "move(0, 1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "jump(0)", show=False),
        Binding("end", "jump(-1)", show=False),
    ]

    look: State[View] = State(View("glyphs", "gray", True))
    """Colour map and value range."""

    def __init__(self) -> None:
        super().__init__()
        self.set_reactive(InspectScreen.look, View("glyphs", self.colours, self.shared))

    # For subclasses

    def wanted(self) -> Sequence[Request]:
        """The requests to submit in the current state, in this order."""
        raise NotImplementedError

    def kept(self) -> Sequence[Request]:
        """The requests whose answers are not discarded although they are not in view."""
        return ()

    def take(self, event: NetworkEvent) -> None:
        """Store an answer."""
        raise NotImplementedError

    def forget(self) -> None:
        """Discard all answers, since another network has been opened."""
        raise NotImplementedError

    def draw_panels(self) -> None:
        """Draw the latest answers, or empty panels if there are none."""
        raise NotImplementedError

    def sentence(self) -> str:
        """The text of the status line while no work is in progress."""
        return ""

    @property
    def grid(self) -> RasterGrid | None:
        """The grid that the arrow keys move in, in view or not."""
        return None

    # Requesting and drawing

    def on_mount(self) -> None:
        self.inquiry = Inquiry(self.workspace, self.hear, self.forget)
        wanted = self.workspace.colour_map or self.workspace.state.colours.get(self.mode)
        colours = next((known for known in COLOUR_MAPS if known == wanted), self.look.colours)
        self.set_reactive(InspectScreen.look, replace(self.look, colours=colours))
        self.workspace.picture_mode = self._wanted_mode()
        if self.workspace.picture_mode:
            draw_in(self.app, self.view.mode)

    def _wanted_mode(self) -> str:
        """The picture mode that the user chose, now, in the settings, or before on such a terminal; empty for none."""
        can = modes(self.app)
        wanted = self.workspace.picture_mode or self.workspace.state.pictures.get(can[0], "")
        return wanted if wanted in can else ""

    def on_resize(self, event: Resize) -> None:
        """Note how much room there is, for the styles of the widgets and for what is drawn in them."""
        self.set_class(event.size.width >= ROOMY[0] and event.size.height >= ROOMY[1], "-roomy")
        self.set_class(event.size.height < LOW, "-low")
        if self.ready:
            self.call_after_refresh(self.update)

    def hear(self, _job: Job, event: Event) -> None:
        """Handle an event of an answer."""
        if isinstance(event, NetworkEvent):
            self.take(event)

    def draw(self) -> None:
        """Request missing answers, and draw."""
        if self.app.screen is self:
            self.inquiry.ask(self.wanted, self.kept)
        self.set_class(self.zoomed, "-zoomed")
        self.draw_panels()
        self.draw_status()

    @property
    def view(self) -> View:
        """The current picture mode, colour map and value range."""
        return replace(self.look, mode=mode_now(self.app, self.workspace.picture_mode))

    def draw_status(self) -> None:
        """Draw the status line: the progress of the work, an error, or a sentence."""
        line, now, inquiry = self.query_one(ProgressLine), self.inquiry.progress, self.inquiry
        if words := self.settings_words():
            line.show(words, tone="foreground")
        elif not self.workspace.what:
            line.show("nothing is open: train a network on screen 1", tone="quiet")
        elif not self.workspace.engine:
            line.show("loading PyTorch", tone="quiet")
        elif inquiry.problem:
            line.show(inquiry.problem, tone="error")
        elif isinstance(now, DownloadAdvanced):
            line.show(Bar(f"downloading {now.file}", now.received / now.total if now.total else 0.0))
        elif isinstance(now, WorkAdvanced):
            bar = Bar(now.words, now.done / now.total)
            line.show(bar, *filter(None, (inquiry.left, self.while_working())), tone="quiet")
        elif now and now.done < now.total:
            line.show(Bar(f"{now.split} split", now.done / now.total), self.sentence(), tone="quiet")
        else:
            line.show(self.sentence(), tone="quiet")

    @property
    def at_work(self) -> bool:
        """Whether long work is in progress."""
        return isinstance(self.inquiry.progress, WorkAdvanced)

    def while_working(self) -> str:
        """The text beside the progress bar of long work."""
        return ""

    # Keys

    def in_reach(self) -> Movable | None:
        """What the arrow keys move in: the grid, unless it is replaced by something that they do not apply to."""
        return self.grid

    def action_move(self, across: int, down: int) -> None:
        if grid := self.in_reach():
            grid.move(across, down)

    def action_page(self, pages: int) -> None:
        if grid := self.in_reach():
            grid.page(pages)

    def action_jump(self, index: int) -> None:
        if grid := self.in_reach():
            grid.jump(index)

    def action_zoom(self) -> None:
        self.zoomed = not self.zoomed

    async def action_back(self) -> None:
        """Leave the enlarged selection, or return to the screen that led here."""
        if self.zoomed:
            self.zoomed = False
        else:
            self.host.go_back(self.mode)

    def on_raster_grid_opened(self) -> None:
        self.action_zoom()

    def digits_in_split(self) -> int:
        """The number of digits that `,` and `.` step through; 0 while unknown."""
        return 0

    def action_previous_digit(self) -> None:
        self.step_digit(-1)

    def action_next_digit(self) -> None:
        self.step_digit(1)

    def action_digit(self) -> None:
        """Ask for the number of a digit and go there."""
        from tui.screens.dialogs import DigitScreen

        self.app.push_screen(DigitScreen(*self.workspace.digit), lambda digit: self.go_to(digit) if digit else None)

    def go_to(self, digit: tuple[PartName, int]) -> None:
        """Make the digit at this split and index the current one."""
        self.workspace.digit = digit

    def step_digit(self, by: int) -> None:
        """Make the digit `by` indices further the current one."""
        split, index = self.workspace.digit
        target = min(max(index + by, 0), self.digits_in_split() - 1)  # also if the index was too high
        if target not in (index, -1):
            self.workspace.digit = (split, target)

    # Settings that several screens have

    def range_setting(self) -> Setting:
        """Whether all pictures share one value range."""
        return Setting(
            "range", "range", self.look.shared, self._share, (True, False),
            show=lambda shared: "one for all" if shared else "one each", help="the value range of the pictures",
        )  # fmt: skip

    def _share(self, shared: bool) -> None:
        self.look = replace(self.look, shared=shared)

    def digit_setting(self) -> Setting:
        """The current digit, by its index in the split."""
        split, index = self.workspace.digit
        last = max(0, self.digits_in_split() - 1)
        return Setting(
            "digit", "drawing" if split == "drawings" else f"{split} digit", index, lambda to: self.go_to((split, to)),
            step=lambda now, by: min(max(now + by, 0), last), parse=self._index_of,
            help="index of the digit in its split",
        )  # fmt: skip

    def _index_of(self, text: str) -> int:
        count = self.digits_in_split()
        if not text.isdecimal() or (count and int(text) >= count):
            raise RequestError(f"digit must be a whole number from 0 to {max(0, count - 1)}, not {text!r}")
        return int(text)

    def action_view(self) -> None:
        """Switch to the next picture mode that the terminal supports."""
        can = modes(self.app)
        now = next((mode for mode in can if mode == self.workspace.picture_mode), self.view.mode)
        if len(can) == 1:
            self.notify("this terminal supports no other picture mode")
        self.workspace.picture_mode = can[(can.index(now) + 1) % len(can)] if now in can else can[0]
        self.workspace.state.pictures[can[0]] = self.workspace.picture_mode
        draw_in(self.app, self.view.mode)
        self.update()

    def action_colours(self) -> None:
        self.look = replace(self.look, colours=self.look.next_colours())
        self.workspace.state.colours[self.mode] = self.look.colours

    def action_range(self) -> None:
        self.look = replace(self.look, shared=not self.look.shared)

    def as_drawn(
        self,
        subject: NetworkEvent | tuple[NetworkEvent, ...] | None,
        layer: LayerName = "conv1",
        view: View | None = None,
    ) -> DrawFigure | None:
        """The figure of `subject`, an event or those of several networks, in the colours of the screen, or of `view`.

        None if there is no subject.
        """
        if subject is None:
            return None
        view = view or self.view
        return DrawFigure(
            subject=subject,
            folder=str(self.workspace.figures_folder),
            layer=layer,
            colours=view.colours,
            shared_range=view.shared,
        )
