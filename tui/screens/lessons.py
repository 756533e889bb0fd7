"""The list of lessons to choose from."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tui.lessons.lesson import Lesson
from tui.lessons.tutor import Tutor
from tui.screens.dialogs import Dialog

TITLE_WIDTH = 34
"""Cells for a title."""


class LessonsScreen(Dialog[Lesson | None]):
    """Asks which lesson to begin, or to go on with."""

    BINDINGS = [
        Binding("escape,q,L", "dismiss", "close"),
        Binding("j", "move(1)", show=False),
        Binding("k", "move(-1)", show=False),
    ]

    def __init__(self, tutor: Tutor) -> None:
        super().__init__()
        self.tutor, self.lessons = tutor, list(tutor.lessons)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog lessons") as box:
            done = sum(self.tutor.standing(each).done for each in self.lessons)
            box.border_title = f"lessons, {done} of {len(self.lessons)} done"
            box.border_subtitle = "enter begins, esc closes"
            yield OptionList(*(Option(self._line(lesson)) for lesson in self.lessons))
            yield Static("", id="lesson-about", markup=False)

    def on_mount(self) -> None:
        listed = self.query_one(OptionList)
        unfinished = [number for number, each in enumerate(self.lessons) if not self.tutor.standing(each).done]
        listed.highlighted = unfinished[0] if unfinished else 0
        listed.focus()

    def _line(self, lesson: Lesson) -> Text:
        """The title, the notebook's section, and how far the user has come."""
        standing = self.tutor.standing(lesson)
        section = f"notebook {lesson.section}" if lesson.section else ""
        words = "done" if standing.done else f"step {standing.step + 1} of {len(lesson.steps)}" if standing.step else ""
        number = self.lessons.index(lesson) + 1 - len(self.tutor.own)  # that of the command line
        # In one style: another would have to be told apart from the colour of the line under the cursor, too.
        return Text(
            f"{number if number > 0 else '':>2}  {lesson.title:<{TITLE_WIDTH}}{section:<21}{words}", no_wrap=True
        )

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        lesson = self.lessons[event.option_index]
        self.query_one("#lesson-about", Static).update(lesson.about)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self.lessons[event.option_index])

    def action_move(self, by: int) -> None:
        listed = self.query_one(OptionList)
        if by > 0:
            listed.action_cursor_down()
        else:
            listed.action_cursor_up()
