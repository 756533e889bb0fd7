"""The first page: one line per run, after the queued experiments, and details of the selected one."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container, Horizontal
from textual.widgets import Input, Static

from engine.figures.requests import DrawFigure
from engine.runs.events import RunRead, RunSummary
from engine.training.requests import Train
from tui.drawing.terminal import glyphs
from tui.drawing.words import counted, damaged_lines, padded
from tui.queue import Turn
from tui.screens.pages import PagedScreen
from tui.screens.runs.closer import CloserLook
from tui.screens.runs.columns import COLUMNS, GAP, NEWEST, Layout, layout, order_words, ordered
from tui.screens.runs.commands import RunCommands
from tui.screens.runs.details import Details, asked, essentials, experiment, of_a_run, of_a_turn
from tui.screens.runs.filter_line import FilterLine
from tui.screens.state import State
from tui.widgets.rows import Row, Rows
from tui.workspace import Notice

GUTTER = 3
"""Width of the marks in front of a name, with the blank after them."""
WIDE, TALL = 140, 24
"""Width and height of the page, in cells, from which the details have a place beside or below the list."""


class ListPage(RunCommands):
    """The runs and the queue, and the commands for them."""

    page = "list"
    title = "runs"
    order: State[str] = State(NEWEST)
    """The column that the runs are sorted by."""
    backwards: State[bool] = State(False)
    """Whether they are sorted against the usual direction of that column."""
    filter: State[str] = State("")
    """Words that a run must contain to be listed."""
    detailed: State[bool | None] = State(None)
    """Whether the details are shown; None for where there is room."""

    def __init__(self, desk: PagedScreen) -> None:
        super().__init__(desk)
        self._before: tuple[str, object] | None = None
        """While a filter is typed: the filter before it, and the key of the line that had the cursor."""
        self._layout = Layout((("name", 1),))
        self._room: tuple[str, int] = ("", 0)
        self._found: tuple[object, list[RunSummary]] = (None, [])
        self._drawn: tuple[object, list[Row]] = (None, [])
        """The runs that match, and the lines of the list, each with what they depend on."""
        self.closer: CloserLook | None = None
        """What is known about the selected run; None before the page is mounted."""

    def compose(self) -> ComposeResult:
        with Container(id="listing"):
            yield Rows(empty="", id="runs")
            yield Details(id="run-details")
        with Horizontal(id="filter-row"):
            yield Static("filter", id="filter-label")
            yield FilterLine(self.keep_filter, self.give_up_filter, id="filter-line")

    def on_mount(self) -> None:  # Textual calls that of the base too
        self.closer = CloserLook(self.workspace, self.set_timer, self.desk.folder_of, self.desk.update)

    def on_resize(self) -> None:
        self.desk.update()

    @property
    def shown(self) -> list[RunSummary]:
        """The runs that match the filter, in order."""
        basis = (self.desk.runs, self.desk.bundled, self.filter, self.order, self.backwards, self._turns)
        if basis != self._found[0]:
            texts = (
                (run, f"{run.name} {run.variant} {run.recipe} {run.state} {run.dataset} {self._remark(run)}")
                for run in self.desk.everything
            )
            runs = [run for run, text in texts if self._matches(text)]
            self._found = (basis, ordered(runs, self.order, backwards=self.backwards))
        return self._found[1]

    def _matches(self, text: str) -> bool:
        return all(word in text.lower() for word in self.filter.lower().split())

    @property
    def _turns(self) -> tuple[object, ...]:
        """What the list shows of the queue's experiments that have started."""
        return tuple((turn, turn.run, turn.outcome, turn.words) for turn in self.workspace.queue.turns)

    def _remark(self, run: RunSummary) -> str:
        """The remark on a run: whether it is of the queue, its damaged lines, if any, and its note."""
        turn = self.workspace.queue.turn_of(run.name)
        parts = (f"queue {turn.number}" if turn else "", damaged_lines(run.damaged_lines), run.note)
        return ", ".join(filter(None, parts))

    @property
    def here(self) -> RunSummary | Train | Turn | None:
        key = self.rows.key
        if isinstance(key, Train):
            return key if self.turn_index(key) is not None else None
        if isinstance(key, Turn):
            return key if key in self._without_run else None
        return next((run for run in self.shown if run.name == key), None)

    @property
    def _without_run(self) -> list[Turn]:
        """The experiments of the queue that have started and have no run folder: yet, or since they were refused."""
        return [turn for turn in self.workspace.queue.turns if not turn.run]

    def settle(self) -> None:
        """If the line under the cursor disappeared while another screen was in front, select the one in its place."""
        if self.rows.lost:
            self.rows.settle()

    # Drawing

    def draw(self) -> None:
        self._arrange()
        self._follow_the_queue()
        found = self.shown
        place, taken = self._room
        width = self.size.width - (taken + 1 if place == "-beside" else 0)
        basis = (found, width, self.desk.marked, self.desk.open_run, self._turns, [*map(id, self.workspace.queue)])
        if basis != self._drawn[0]:  # hundreds of lines take long, and the arrow keys change none of them
            self._drawn = (basis, self._lines(found, width))
        head = " " * GUTTER + self._layout.head(self.order, backwards=self.backwards)
        self.rows.empty = "no run matches the filter"
        title, facts = self._title(found, width)
        self.rows.show(title, head, self._drawn[1], facts=facts)
        self._describe()

    def _lines(self, found: list[RunSummary], width: int) -> list[Row]:
        remarks = {run.name: self._remark(run) for run in self.desk.everything}
        # Of all runs, so that columns stay where they are while a filter is typed.
        self._layout = layout(self.desk.everything, remarks.values(), max(0, width - GUTTER - 2))
        lines = [
            *(self._queued(turn.outcome, turn.number, turn.request, turn, turn.words) for turn in self._without_run),
            *(self._queued("queued", n, each, each) for n, each in enumerate(self.workspace.queue, 1)),
        ]
        lines = [line for line in lines if self._matches(line.text)]
        marked, open_run = self.desk.marked, self.desk.open_run
        for run in found:
            mark = glyphs().marked if run.name in marked else " "
            sample = f"{mark}{glyphs().opened if run.name == open_run else ' '}"
            lines.append(Row(self._layout.line(run, remarks[run.name]), sample=(sample, "primary"), key=run.name))
        return lines

    def _queued(self, state: str, number: int, request: Train, key: object, reason: str = "") -> Row:
        name = padded(f"{'starting' if state == 'running' else state}, {number}", self._layout.name + GAP)
        return Row(f"{name}{experiment(request)}", reason, ("  ", "primary"), key)

    def _title(self, found: list[RunSummary], width: int) -> tuple[str, str]:
        """The title of the list, and beside it the state of the queue; the order is left out where both do not fit."""
        count = len(self.desk.runs or ())
        facts = "; ".join(filter(None, (self.workspace.queue.told(), self.workspace.sweeps.told())))
        mine = sum(run.state != "bundled" for run in found)
        if self.filter:
            title = f"{mine} of {counted(count, 'run')} {'matches' if mine == 1 else 'match'} '{self.filter}'"
        elif self.desk.runs is not None and not count and not facts:
            return f"no run yet: {self.workspace.key_map.key('run', 'train')} on screen 1 trains one", ""
        else:
            title = counted(count, "run")
        whole = f"{title}, {order_words(self.order, backwards=self.backwards)}"
        return (title if facts and len(whole) + len(facts) + 8 > width else whole), facts

    def _follow_the_queue(self) -> None:
        """Keep the cursor on a queued experiment when its training starts, and when it gets its run."""
        workspace, rows = self.workspace, self.rows
        for turn in workspace.queue.turns:
            if rows.key is turn.request:
                rows.key = turn
            if rows.key is turn and turn.run:
                rows.key = turn.run
        job = workspace.training
        if job and job.request is rows.key and workspace.history.name:
            rows.key = workspace.history.name

    def _arrange(self) -> None:
        """Place the details beside the list, below it, or nowhere."""
        width, height = self.size
        place, size = "", 0
        if self.detailed is not False and width >= WIDE:
            place, size = "-beside", max(52, min(76, width * 36 // 100))
        elif self.detailed or (self.detailed is None and height >= TALL):
            lines = len(self.desk.everything) + len(self.workspace.queue) + len(self._without_run) + 3
            most, least = (height * 5 // 8, height * 3 // 8) if height >= TALL else (height // 2, height // 2)
            place, size = "-below", max(least, min(most, height - lines))
        if (place, size) != self._room:
            self._room = (place, size)
            for each in ("-beside", "-below"):
                self.set_class(place == each, each)
            styles = self.query_one(Details).styles
            styles.width, styles.height = (size, "1fr") if place == "-beside" else ("1fr", size)

    def _describe(self) -> None:
        """Show the details of what is under the cursor."""
        here, run = self.here, self.run
        assert self.closer is not None
        self.closer.want(run)
        if not self._room[0]:
            return
        details, read = self.query_one(Details), self.closer.of(run) if run else None
        if run:
            facts = of_a_run(run, read, self.workspace.queue.turn_of(run.name))
            details.show(run.name, facts, read if isinstance(read, RunRead) else None)
        elif isinstance(here, Turn):
            details.show(f"experiment {here.number} of the queue", of_a_turn(here), None)
        elif isinstance(here, Train):
            turn = (self.turn_index(here) or 0) + 1
            details.show(f"queued, {turn} of {len(self.workspace.queue)}", asked(here), None)
        else:
            details.show("", [("", "no run is selected: up and down select one")] if self.rows.lines else [], None)

    def sentence(self) -> str:
        """A line about the selection."""
        key = self.desk.key
        if self._before is not None:
            before = f"'{self._before[0]}'" if self._before[0] else "all runs"
            return f"enter keeps the filter, esc goes back to {before}"
        match self.here:
            case RunSummary() as run:
                return run.note if run.state == "damaged" else self._about(run)
            case Train():
                starts = "" if self.workspace.queue.working else f"{key('start_queue')} starts the queue, "
                moves = f"{key('later_turn')} and {key('earlier_turn')} move it"
                return f"queued: {starts}{key('delete')} removes it, {moves}"
            case Turn() as turn:
                return turn.words or "it is about to start"
        if self.desk.runs is None:
            return f"reading {self.workspace.root}"
        return f"no run matches: {key('filter')} edits the filter" if self.filter else ""

    def _about(self, run: RunSummary) -> str:
        """The remark on a run; where its details have no place, the essentials too."""
        remark, key = self._remark(run), self.desk.key
        if self._room[0]:
            can = (
                f"{key('duplicate')} copies it into the form, {key('open')} opens it"
                if run.state == "bundled"
                else f"{key('note')} adds a note with #tags"
            )
            return remark or ("" if self.workspace.looking else can)
        read = self.closer.of(run) if self.closer else None
        facts = essentials(run, read if isinstance(read, RunRead) else None)
        damage = damaged_lines(run.damaged_lines)
        return f" {glyphs().dot} ".join(filter(None, (damage, *facts, remark.removeprefix(damage).removeprefix(", "))))

    def figure(self) -> DrawFigure | None:
        """The curves of the run under the cursor."""
        run, folder = self.run, self.folder()
        if folder is None or run is None or not run.epoch:
            return None
        return DrawFigure(subject=folder, folder="figures" if folder.bundled else str(folder.figures_folder))

    # Keys

    def action_mark(self) -> None:
        """Mark or unmark this run for the comparison."""
        if (run := self.run) and not run.epoch and run.name not in self.desk.marked:
            self.workspace.tell(Notice(f"{run.name} has no finished epoch to compare yet", severity="warning"))
        elif run:
            self.desk.marked ^= {run.name}

    def action_order(self) -> None:
        """Sort by the next column."""
        names = list(COLUMNS)
        self._sort(names[(names.index(self.order) + 1) % len(names)])

    def action_reverse(self) -> None:
        """Reverse the order."""
        self.backwards = not self.backwards

    def _sort(self, column: str) -> None:
        self.set_reactive(ListPage.backwards, False)
        self.order = column

    def on_rows_head_clicked(self, event: Rows.HeadClicked) -> None:
        """Sort by a column, or, by the same one again, backwards."""
        column = self._layout.at(max(0, event.x - GUTTER))
        if column == self.order:
            self.action_reverse()
        else:
            self._sort(column)

    def action_view(self) -> None:
        """Show or hide the details."""
        self.detailed = not self._room[0]

    # The filter

    @property
    def filtering(self) -> bool:
        """Whether the filter is being typed."""
        return self._before is not None

    def action_filter(self) -> None:
        """Open the line for the filter."""
        line = self.query_one(FilterLine)
        if self._before is None:
            self._before = (self.filter, self.rows.key)
            line.value = self.filter
            line.cursor_position = len(line.value)
            self.add_class("-filtering")
        self.screen.set_focus(line)  # at once, while `focus` would wait
        self.desk.update()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter by what has been typed so far. The cursor returns to its run whenever that matches."""
        event.stop()
        self._take_filter()

    def _take_filter(self) -> None:
        if self._before is not None:
            self._filter_by(" ".join(self.query_one(FilterLine).value.split()), self._before[1])

    def keep_filter(self) -> None:
        """Keep what has been typed."""
        self._take_filter()  # its last characters may not have been reported yet
        self._close_line()

    def give_up_filter(self) -> None:
        """Restore what was shown before the filter was typed."""
        if self._before is not None:
            words, key = self._before
            self._filter_by(words, key)
            self._close_line()

    def clear_filter(self) -> None:
        """List all runs again."""
        self._filter_by("", self.rows.key)

    def _filter_by(self, words: str, key: object) -> None:
        self.set_reactive(ListPage.filter, words)
        self.rows.key = key
        if self.here is None:
            self.rows.settle(0)
        self.desk.update()

    def _close_line(self) -> None:
        self._before = None
        self.screen.set_focus(None)
        self.remove_class("-filtering")
        self.desk.update()
