"""The lesson under way: its step, what leads to the next one, and the claims that are measured on the open network."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from engine.claims.events import ClaimChecked
from engine.claims.requests import AnyCheck
from engine.data.events import DownloadAdvanced
from engine.event import Event, JobFailed, WorkAdvanced
from engine.lab import Job
from engine.request import RequestError
from engine.training.events import BatchEvaluated
from tui.keys import PAGES, SCREENS
from tui.lessons.card import Card, Hint
from tui.lessons.lesson import Lesson, Step, filled
from tui.workspace import Notice, Workspace

Key = tuple[AnyCheck, int, int]
"""What was asked, the network's number of finished epochs then, and how often the drawings had changed: an answer holds
for that network, and those drawings, only."""


class Standing(Struct):
    """How far the user has come in a lesson."""

    step: int = 0
    """Index of the step to go on with."""
    done: bool = False


class Tutor:
    """The lesson under way, if there is one, and how far the user has come in each of them in this session.

    What a claim needs is submitted only while no screen has work to do: a new request would replace that of a screen,
    and one of a screen replaces that of a claim, which is then submitted again.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.own: tuple[Lesson, ...] = ()
        """Lessons that do not ship with the program."""
        self.lesson: Lesson | None = None
        self.at = 0
        """Index of the step."""
        self.measuring = False
        """Whether the user has read the question of the step and wants to know."""
        self._standings: dict[tuple[str, str], Standing] = {}
        self._front: tuple[str, str] | None = None
        """The screen and page in front."""
        self._answers: dict[Key, ClaimChecked | str] = {}
        """Of each claim, what was measured, or why it could not be."""
        self._job: Job | None = None
        self._progress: Event | None = None

    @property
    def lessons(self) -> Sequence[Lesson]:
        """The lessons to choose from."""
        from tui.lessons.file import bundled  # it reads files

        return *self.own, *bundled()

    def standing(self, lesson: Lesson) -> Standing:
        """How far the user has come in a lesson."""
        return self._standings.setdefault((lesson.name, lesson.title), Standing())

    @property
    def step(self) -> Step | None:
        """The step under way."""
        return self.lesson.steps[self.at] if self.lesson else None

    def take(self, lesson: Lesson) -> None:
        """Begin a lesson with the app, and list it first if it does not ship with the program."""
        if lesson not in self.lessons:
            self.own = (lesson, *self.own)
        self.lesson = lesson

    # From step to step

    def begin(self, lesson: Lesson) -> None:
        """Begin a lesson, or go on where it was left."""
        with self._workspace.changing():
            self.lesson, self.at = lesson, self.standing(lesson).step
            self._reached()

    def leave(self) -> None:
        """Leave the lesson; beginning it again goes on from here."""
        with self._workspace.changing():
            self.lesson = None
            self._drop()

    def next(self) -> None:
        """Measure the claim of the step, or go to the next step; after the last one, the lesson is done."""
        if step := self.step:
            with self._workspace.changing():
                if step.check and not self.measuring:
                    self.measuring = True
                else:
                    self._advance()

    def back(self) -> None:
        """Go to the previous step."""
        if self.lesson and self.at:
            with self._workspace.changing():
                self.at -= 1
                self._reached()

    def _advance(self) -> None:
        lesson = self.lesson
        assert lesson
        if self.at + 1 < len(lesson.steps):
            self.at += 1
            self._reached()
            return
        standing = self.standing(lesson)
        standing.done, standing.step = True, 0
        self.lesson = None
        self._drop()
        done = sum(self.standing(each).done for each in self.lessons)
        key = self._workspace.key_map.key("lessons")
        words = f"{done} of {len(self.lessons)} lessons done: {key} lists them"
        self._workspace.tell(Notice(words, f"{lesson.title}: done"))

    def _reached(self) -> None:
        assert self.lesson
        standing = self.standing(self.lesson)
        standing.step, self.measuring = self.at, False
        self._drop()

    def came_to(self, screen: str, page: str) -> None:
        """Tell that a page of a screen is in front, to be called before each drawing: it may be where a step leads."""
        before, self._front = self._front, (screen, page)
        if before not in (None, self._front) and (step := self.step) and self._is_there(step):
            self._advance()

    def _is_there(self, step: Step) -> bool:
        screen, page = self._front or ("", "")
        return step.go is not None and step.go[0] == screen and step.go[1] in ("", page)

    def carried_out(self, screen: str, page: str, name: str) -> None:
        """Tell that a command was used on a page of a screen: it may be what the step asks for."""
        step = self.step
        if step and step.press and step.press[0] == screen and step.press[1] in ("", page) and step.press[2] == name:
            self.next()

    # What is shown

    def card(self) -> Card | None:
        """The step as it stands; None while there is no lesson."""
        lesson, step = self.lesson, self.step
        if lesson is None or step is None:
            return None
        keys = self._workspace.key_map
        asks = step.check is not None and not self.measuring
        words = "measure" if asks else "next" if self.at + 1 < len(lesson.steps) else "done"
        on = Hint(keys.key("next_step"), words)
        wanted = None if asks else self._wanted_key(step)
        others = [Hint(keys.key("lessons"), "leave")]
        if self.at:
            others.append(Hint(keys.key("previous_step"), "back"))
        if wanted:
            others.append(Hint(on.key, "skip"))
        text, answer, tone = self._words(step)
        place = f"step {self.at + 1} of {len(lesson.steps)}"
        return Card(lesson.title, place, text, wanted or on, tuple(others), answer, tone)

    def _wanted_key(self, step: Step) -> Hint | None:
        """The next key that the step asks for from where the user is; None if `next` leads on."""
        if step.go:
            screen, page = step.go
            return self._way_to(screen, {page} if page else set())
        if step.press is None:
            return None
        keys, (screen, page, name) = self._workspace.key_map, step.press
        found = [each for each in keys.commands(screen, looking=self._workspace.looking) if each.name == name]
        found = [each for each in found if screen in each.screens and (not page or each.on_page(page))]
        if not found:
            return None  # only looking is allowed here
        pages = {page} if page else {at for at in PAGES.get(screen, ()) if any(each.on_page(at) for each in found)}
        at = self._front[1] if self._front else ""
        label = next((each.label or each.title for each in found if each.on_page(at)), "")
        return self._way_to(screen, pages) or Hint(keys.key(name, screen, at), label)

    def _way_to(self, screen: str, pages: set[str]) -> Hint | None:
        """The next key on the way to a screen, and to one of its `pages` if there are any; None at its end."""
        at, page = self._front or ("", "")
        keys = self._workspace.key_map
        if at != screen:
            title = next(title for _, title, mode in SCREENS if mode == screen)
            return Hint(keys.key(screen), f"go to {title}")
        if pages and page not in pages:
            return Hint(keys.key("next_page", at, page), f"until {' or '.join(sorted(pages))}")
        return None

    def _words(self, step: Step) -> tuple[str, str, str]:
        """What the step says, what was measured or how that stands, and the tone of the latter."""
        check, key = step.check, self._key()
        if check is None:
            return filled(step.say, {}, self._key_of), "", ""
        asked = key[0] if key else check.request("", self._workspace.digit)
        text = filled(step.say, check.given(asked), self._key_of)
        if not self.measuring:
            return text, "", ""
        if key is None:
            return text, self._why_not(), "quiet"
        found = self._answers.get(key)
        if isinstance(found, ClaimChecked):
            return text, check.answer(key[0], found, self._key_of), "foreground"
        if found is not None:
            return text, found, "error"
        return text, self._progress_words(), "quiet"

    def _key_of(self, command: str) -> str:
        """The key of a command, by its full name."""
        *place, name = command.split(".")
        return self._workspace.key_map.key(name, *place)

    def _why_not(self) -> str:
        """Why nothing can be measured now."""
        if not self._workspace.what:
            return "Nothing is open: open a network on screen 8 to measure this."
        return "Loading PyTorch." if not self._workspace.engine else "Reading the run."

    def _progress_words(self) -> str:
        if self._job is None:
            return "This is measured once the work of this screen is done."
        match self._progress:
            case WorkAdvanced() | BatchEvaluated() as now:
                return f"Measuring on this network: {100 * now.done / max(1, now.total):.0f} %."
            case DownloadAdvanced():
                return "Downloading the images."
            case _:
                return "Measuring on this network."

    # What is measured

    def _key(self) -> Key | None:
        """What the step claims about the network as it is now; None if it claims nothing, or nothing can be asked."""
        workspace, step = self._workspace, self.step
        if not (step and step.check and workspace.engine and workspace.what) or workspace.reading:
            return None
        request = step.check.request(workspace.what, workspace.digit)
        return request, *workspace.version_of(request)

    def look(self) -> None:
        """Submit what the step needs and nobody has measured, unless a screen has work to do."""
        job, key = self._job, self._key() if self.measuring else None
        over = job and job.state == "done" and not self._workspace.listens_to(job)
        if job and (job.cancelled or over or key is None or job.request != key[0]):
            self._drop()
        if key is None or key in self._answers or self._job:
            return
        if any(other.state != "done" for other in self._workspace.lab.unfinished("analysis")):
            return
        try:
            self._job = self._workspace.ask(key[0], lambda job, event: self._hear(job, event, key))
        except RequestError as error:
            self._answers[key] = str(error)

    def _hear(self, job: Job, event: Event, key: Key) -> None:
        match event:
            case ClaimChecked():
                self._answers[key] = event
            case JobFailed():
                self._answers[key] = event.reason
            case _ if job is self._job:
                self._progress = event
            case _:
                pass

    def _drop(self) -> None:
        """Stop what is measured for another step."""
        if self._job:
            self._job.cancel()
        self._job = self._progress = None
