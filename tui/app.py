"""The application: it owns the lab and the open run, and passes events on to the screen in front."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, ClassVar

from rich.color import ColorSystem
from textual import events
from textual.app import App
from textual.driver import Driver
from textual.geometry import Size
from textual.message import Message
from textual.notifications import SeverityLevel
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import AwaitMount

from engine.data.requests import SplitName
from engine.event import Event, JobFailed
from engine.figures.events import FigureSaved
from engine.figures.requests import DrawFigure
from engine.lab import Job, Lab
from engine.network.events import DeviceFellBack, EngineLoaded, WeightsOpened, WeightsRead
from engine.network.requests import OpenWeights, WarmUp
from engine.paths import asset, reserve, write_whole
from engine.request import Request, RequestError
from engine.runs.finding import unfinished
from engine.runs.folder import RunFolder, ask_to_stop, owner
from engine.runs.history import RunHistory
from engine.runs.requests import Resume
from engine.runs.tail import Tail
from engine.training.events import RunCancelled, RunFailed, RunStarted
from engine.training.requests import Train
from engine.words import shown, shown_lines
from tui.commands import SCREENS, Palette, PaletteScreen, bindings
from tui.drawing.terminal import ASCII, glyphs
from tui.drawing.theme import THEMES
from tui.screens.frame import LabScreen
from tui.screens.train import TrainScreen

if TYPE_CHECKING:
    from tui.drawing.raster import Mode

NOTEBOOKS_DIGIT: tuple[SplitName, int] = ("test", 61)
"""The 8 that the notebook occludes: the current digit until somebody takes another."""

DRAW_INTERVAL = 0.25
"""Seconds between two drawings of a run under way: epochs of a tenth of a second would leave no time for keys."""

FULL_COLLECTIONS = 1000
"""Collections of the middle generation before one of everything; Python's own choice is 10."""

FOLLOW_INTERVAL = 0.5
"""Seconds between two looks at the events of a run that another process writes."""

READING_INTERVAL = 0.001
"""Seconds for keys between two pieces of a long story."""

NEWEST = 20
"""Runs that are looked at for one that waits to go on, when the app starts."""

SMALLEST = Size(10, 1)
"""Columns and rows that are laid out at least; of a smaller terminal the rest is cut off."""

INSISTS = 10.0
"""Seconds within which to ask again is to insist."""

LAST_RESORT = 5.0
"""Seconds after a signal to terminate until the process ends, whatever still blocks it."""


def _screen(mode: str) -> Screen[None]:
    """The screen of a mode. Its module is imported when somebody goes there: the first frame does without NumPy."""
    module = importlib.import_module(f"tui.screens.{mode}")
    screen: Screen[None] = getattr(module, f"{mode.title()}Screen")()
    return screen


class MnistTui(App[int]):
    """The laboratory in a terminal."""

    TITLE = "mnist-tui"
    CSS_PATH = str(asset("theme.tcss"))
    BINDINGS = bindings()
    COMMANDS = {Palette}
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {
        "train": TrainScreen,
        **{mode: partial(_screen, mode) for _, _, mode in SCREENS if mode != "train"},
    }
    DEFAULT_MODE = "train"

    class LabSpoke(Message):
        """Events wait to be drained from the lab."""

    def __init__(self, root: Path, run: RunFolder | None = None, weights: Path | None = None) -> None:
        super().__init__()
        self.leaving = False
        """Whether it was told to end."""
        self.lab = Lab(root, wake=self._wake)
        self.root, self.weights = root, weights
        self.opened: RunFolder | Path | None = run or weights
        """What the other screens look into: a run, or a weights file."""
        self.digit = NOTEBOOKS_DIGIT
        """Split and index of the current digit."""
        self.picture_mode = ""
        """How pictures are drawn, where somebody chose that; else as the terminal can."""
        self._colour_system = self.console._color_system
        """What the terminal is known to show."""
        self._prepared = False
        self._before: tuple[RunHistory, str, bool, RunFolder | Path | None, RunFolder | None, Tail | None] | None = None
        """What was open when a run was asked for."""
        self.export: Job | None = None
        """The figure being drawn."""
        self._undrawn: list[Event] = []
        self._drawing: Timer | None = None
        self._drawn_at = 0.0
        self._listeners: dict[Job, Callable[[Job, Event], None]] = {}
        self.history = RunHistory()
        self.variant = ""
        self.bundled = False
        """Whether the open network is one that ships with the program."""
        self.engine: EngineLoaded | None = None
        self.fallback = ""
        """Why there is a GPU and the CPU computes."""
        self.training: Job | None = None
        """The training job under way."""
        self.queue: list[Train] = []
        """What waits for its turn, the next one first."""
        self.problem = ""
        """Why the last job failed, in one line."""
        self.waiting: RunFolder | None = None
        """A run that was stopped or whose process died: it can go on."""
        self.vanished = False
        """Whether the folder of the open run was moved or deleted."""
        self._doubtful: tuple[Path, float] | None = None
        """A run to go on with that may be under way."""
        self._tail: Tail | None = None
        """The open run, where another process may write it."""
        if run is not None:
            self.variant = run.read_record().request.variant
            self.bundled = run.bundled
            self._follow_from_now_on(Tail(run))
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEMES[0].name

    # Life

    def on_mount(self) -> None:
        """Show the first frame, then load what takes long."""
        self._event_loop = asyncio.get_running_loop()
        self.set_class(glyphs() is ASCII, "-ascii")
        self._catch_signals()
        self.call_after_refresh(self._after_first_frame)

    async def _after_first_frame(self) -> None:
        if isinstance(self.screen, LabScreen):
            await self.screen.complete()
        self.prepare()
        if self._tail and self.reading:
            self._read_on(self._tail)
        self.set_interval(FOLLOW_INTERVAL, self._follow)
        ours = isinstance(self.opened, RunFolder) and not self.opened.bundled
        if not ours and not self.weights:
            found = await asyncio.to_thread(lambda: next(unfinished(self.root, NEWEST), None))
            if found and not self.training:
                self.waiting = found
                self._show()

    def prepare(self) -> None:
        """Begin to load PyTorch, once; whoever presses a key before the first frame is there comes second."""
        if not self._prepared:
            self._prepared = True
            self._warm_up()

    def _warm_up(self) -> None:
        self.lab.submit(WarmUp())
        if self.weights:
            self.lab.submit(OpenWeights(path=str(self.weights)))

    def _catch_signals(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(number, self._terminate)

    def _terminate(self, number: int, _frame: FrameType | None) -> None:
        """Leave because somebody says so: a closed terminal, a shutdown."""
        code = 128 + number

        def last_resort() -> None:
            self.lab.close(LAST_RESORT)
            os._exit(code)

        # Where the terminal takes nothing any more, Textual's shutdown blocks; the weights are on disk all the same.
        timer = threading.Timer(LAST_RESORT, last_resort)
        timer.daemon = True
        timer.start()
        with contextlib.suppress(RuntimeError):
            self.call_later(self.exit, code, code)
            self._event_loop.call_soon_threadsafe(lambda: None)  # it may sleep, with nothing else to wake it

    async def on_event(self, event: events.Event) -> None:
        """As Textual does, in a terminal of at least `SMALLEST`: some of its widgets cannot be narrower."""
        if isinstance(event, events.Resize):
            event = events.Resize.from_dimensions(_at_least_smallest(event.size), None)
        await super().on_event(event)

    def exit(self, *arguments: Any, **named: Any) -> None:
        """End; no key of a screen acts after that, while one widget after the other goes."""
        self.leaving = True
        super().exit(*arguments, **named)

    def switch_mode(self, mode: str) -> AwaitMount:
        """To another screen; not where a key comes after the one that leaves: the screens are being closed."""
        return super().switch_mode(mode) if self.is_running else AwaitMount(Screen(), [])

    def action_command_palette(self) -> None:
        """Every action by name."""
        if not isinstance(self.screen, PaletteScreen):
            self.push_screen(PaletteScreen())

    def get_driver_class(self) -> type[Driver]:
        """The terminal's, with an ear for pastes."""
        usual = super().get_driver_class()
        if usual.__name__ != "LinuxDriver":
            return usual
        from tui.keyboard import Keyboard

        return Keyboard

    def on_paste(self) -> None:
        """Text that was pasted, and that no field took, is no keys."""
        self.notify("there is no field here for what was pasted: its letters are no keys", severity="warning")

    # Events

    def _wake(self) -> None:
        # From a lane's thread: posting a message is safe there, and never waits for the terminal.
        self.post_message(self.LabSpoke())

    def on_mnist_tui_lab_spoke(self) -> None:
        """Take in what happened, then have the screen in front draw it."""
        # Who has ended before the events are taken has no more to say afterwards.
        ended = [job for job in (*self._listeners, self.training) if job and job.state == "done"]
        arrived = self.lab.drain()
        for job, event in arrived:
            self._take(job, event)
            self._undrawn.append(event)
            if listener := self._listeners.get(job):
                listener(job, event)
        for job in ended:
            self._listeners.pop(job, None)
            if job is self.training:
                self.training = None
        self._next_turn()
        routine = self.training is not None and all(job is self.training for job, _ in arrived)
        soon = self._drawn_at + DRAW_INTERVAL - time.monotonic()
        if not routine or soon <= 0:
            self._draw()
        elif self._drawing is None:
            self._drawing = self.set_timer(soon, self._draw)

    def _draw(self) -> None:
        if self._drawing:
            self._drawing.stop()
        events, self._undrawn, self._drawing = self._undrawn, [], None
        for screen in self.screen_stack:
            if isinstance(screen, LabScreen):
                screen.show(events)
        self._drawn_at = time.monotonic()

    def _take(self, job: Job, event: Event) -> None:
        match event:
            case EngineLoaded():
                self.engine = event
                _collect_garbage_again()
            case DeviceFellBack():
                if event.reason != self.fallback:  # each job says it
                    self.fallback = event.reason
                    self.notify(event.reason, severity="warning", timeout=10, markup=False)
            case WeightsOpened() | WeightsRead() if isinstance(job.request, OpenWeights):
                self._take_weights(event)
            case FigureSaved():
                self.copy_to_clipboard(event.path)
                self.notify(event.path, title="figure saved, its path copied", markup=False)
            case JobFailed() if isinstance(job.request, DrawFigure):
                self.notify(event.reason, title="no figure", severity="error", timeout=10, markup=False)
            case JobFailed() if job in self._listeners:
                pass  # the screen that asked says it
            case JobFailed():
                _collect_garbage_again()
                if job is self.training and self._before:  # no run came of it: what was open still is
                    self.history, self.variant, self.bundled, self.opened, self.waiting, self._tail = self._before
                    if self._tail and self._tail.behind:
                        self._read_on(self._tail)
                self.problem = event.reason
                self.notify(event.reason, severity="error", timeout=10, markup=False)
            case _:
                self._take_run(job, event)
        if job is self.training and job.lane == "training" and _ends(event):
            self.training = None

    def _take_weights(self, event: WeightsOpened | WeightsRead) -> None:
        """What is said of the weights file that the app was opened on."""
        if isinstance(event, WeightsRead):
            for note in event.notes:
                self.notify(note, title=event.name, severity="warning", timeout=20, markup=False)
        elif not self.training:
            self.history, self.variant, self.opened = RunHistory(event.name), event.variant, self.weights
            what = f"{event.name}: {event.variant}, {event.parameters:,} parameters"
            self.notify(what, title="weights opened", markup=False)
            if event.damaged:
                words = f"{event.damaged:,} weights are no finite numbers: the network is damaged"
                self.notify(words, title=event.name, severity="error", timeout=10, markup=False)

    def _take_run(self, job: Job, event: Event) -> None:
        """What is said of the run."""
        match event:
            case RunStarted() if isinstance(job.request, Resume):
                # An epoch may have come to light that its kill left untold.
                self._follow_from_now_on(Tail(RunFolder(Path(job.request.what))))
                if event.differences:
                    words = "last digits may differ: " + ", ".join(event.differences)
                    self.notify(words, title="not as before", severity="warning", timeout=10, markup=False)
                self._caution(event)
            case RunStarted():
                self.history, self.bundled = RunHistory(), False
                self.history.add(event)
                self.opened = RunFolder(self.root / event.run)
                self._caution(event)
            case RunFailed():
                self.history.add(event)
                self.notify(event.reason, title="the run failed", severity="error", timeout=10, markup=False)
            case RunCancelled() if not job.cancelled:
                self.history.add(event)
                self.notify("another program asked for it", title="the run stopped", markup=False)
            case _ if job is self.training:
                self.history.add(event)
            case _:
                pass

    def _caution(self, event: RunStarted) -> None:
        if event.cautions:
            self.notify("\n".join(event.cautions), title="caution", severity="warning", timeout=10)

    def train(self, request: Request) -> None:
        """Hand a training request to the lab and follow it."""
        self.prepare()
        self._before = (self.history, self.variant, self.bundled, self.opened, self.waiting, self._tail)
        self.problem, self.waiting, self._tail, self.vanished = "", None, None, False
        self.variant = getattr(request, "variant", "")
        self.history, self.bundled = RunHistory(), False
        self.training = self.lab.submit(request)
        self._show()

    def enqueue(self, requests: Sequence[Train]) -> None:
        """Let experiments wait for their turn, which may be at once."""
        self.queue += requests
        self._next_turn()
        self._show()

    def _next_turn(self) -> None:
        if self.training is None and self.queue:
            self.train(self.queue.pop(0))

    def open(self, run: RunFolder) -> None:
        """Look into a run. Raises RequestError where it is damaged; while one trains here, that one stays open."""
        if self.training:
            raise RequestError("a run is under way here and stays open: stop it to open another one")
        self.variant = run.read_record().request.variant
        self.opened, self.bundled, self.problem, self.waiting = run, False, "", None
        self._follow_from_now_on(Tail(run))
        self._show()

    def resume(self, run: RunFolder) -> None:
        """Go on with a run, and open it; where another machine may be at it, whoever wants that asks twice."""
        try:
            variant = run.read_record().request.variant
            doubt = not run.locked and run.outline().under_way
        except RequestError as error:
            self.notify(str(error), severity="error", timeout=10, markup=False)
            return
        asked, self._doubtful = self._doubtful, (run.path, time.monotonic()) if doubt else None
        if doubt and not (asked and asked[0] == run.path and time.monotonic() - asked[1] < INSISTS):
            words = f"{owner(run)} gave a sign of life {run.silence():.0f} s ago: if it has ended all the same, R again"
            self.notify(words, title=f"{shown(run.name)} is under way", severity="warning", timeout=10, markup=False)
            return
        self.train(Resume(what=str(run.path), force=doubt))
        self.variant, self.opened = variant, run
        self._follow_from_now_on(Tail(run))
        self._show()

    @property
    def unfinished_run(self) -> RunFolder | None:
        """What there is to go on with: the open run, or one that waits."""
        open_one = self.opened if isinstance(self.opened, RunFolder) and not self.bundled else None
        return open_one if open_one and self.history.unfinished else self.waiting

    @property
    def watched(self) -> str:
        """What trains the open run, in words, where that is another process; else empty."""
        if self.training or not self._tail or not self.history.under_way:
            return ""
        return owner(self._tail.folder)

    def stop(self, run: RunFolder) -> None:
        """Have a run stopped, whoever trains it."""
        if self.training and isinstance(self.opened, RunFolder) and self.history.name == run.name:
            self.training.cancel()
            return
        try:
            words = f"{ask_to_stop(run)} was asked to stop: it does so at its next step"
            self.notify(words, title=shown(run.name), markup=False)
        except RequestError as error:
            self.notify(str(error), severity="error", timeout=10, markup=False)

    def draw_pictures(self, mode: Mode) -> None:
        """Draw them in `mode` from now on, in as many colours as that takes, whatever the terminal says of itself."""
        needed = {"24-bit": ColorSystem.TRUECOLOR, "256 colours": ColorSystem.EIGHT_BIT}.get(mode)
        if needed and self._colour_system:
            needed = max(needed, self._colour_system)
        self.picture_mode, self.console._color_system = mode, needed or self._colour_system
        self.screen.query("*").refresh()

    @property
    def reading(self) -> bool:
        """Whether the story of the open run is still being read."""
        return self._tail is not None and self._tail.behind

    def _follow_from_now_on(self, tail: Tail) -> None:
        self._tail, self.history, self.vanished = tail, RunHistory(tail.folder.name), False
        if not tail.behind:
            self._caught_up(tail)
        elif self.is_running:
            self._read_on(tail)

    def _read_on(self, tail: Tail) -> None:
        """Take in the rest of a long story, a piece at a time: keys are answered in between."""
        if tail is not self._tail:
            return  # something else was opened
        tail.more()
        if tail.behind:
            self.set_timer(READING_INTERVAL, partial(self._read_on, tail))
        else:
            self._caught_up(tail)
            self._draw()

    def _caught_up(self, tail: Tail) -> None:
        self.history = tail.history
        if self.training:  # it tells what comes next itself
            self._tail = None

    def _follow(self) -> None:
        job, run = self.training, self.opened
        if job and job.paused and isinstance(run, RunFolder) and run.stop_file.exists():
            job.cancel()  # in a pause the run itself does not look
        if self._tail and not self.reading and not job:
            gone, self.vanished = self.vanished, self._tail.vanished
            if self._tail.more() or gone != self.vanished:
                self.history = self._tail.history
                self._draw()

    def ask(self, request: Request, listener: Callable[[Job, Event], None]) -> Job:
        """Hand a request to the lab; `listener` is called with the job and each of its events."""
        job = self.lab.submit(request)
        self._listeners[job] = listener
        return job

    def listens_to(self, job: Job) -> bool:
        """Whether there may still be something to hear of `job`."""
        return job in self._listeners

    @property
    def what(self) -> str:
        """What the other screens look into, as requests name it; empty where nothing is open."""
        return self.opened.what if isinstance(self.opened, RunFolder) else str(self.opened or "")

    @property
    def figures_folder(self) -> Path:
        """Where exports go: into the open run, or here where it is not ours to write to, or is there no more."""
        run = self.opened
        ours = isinstance(run, RunFolder) and not run.bundled and run.path.is_dir()
        return run.figures_folder if isinstance(run, RunFolder) and ours else Path("figures")

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """Say something: names and reasons from elsewhere are in most of it."""
        said, over = shown_lines(message), shown(title)
        super().notify(said, title=over, severity=severity, timeout=timeout, markup=markup)

    def copy_to_clipboard(self, text: str) -> None:
        """Give the terminal a text; a name need not be one."""
        super().copy_to_clipboard(shown_lines(text))

    def _show(self) -> None:
        if isinstance(self.screen, LabScreen):
            self.screen.show(())

    # What the header says

    def facts(self) -> tuple[str, ...]:
        """The open network, how far it is, how good."""
        history = self.history
        name = f"pretrained:{self.variant}" if self.bundled else (self.variant or history.name)
        if self.weights and history.name == self.weights.name:
            return (history.name, self.variant)
        facts = [name] if name else []
        if history.total_epochs:
            facts.append(f"epoch {history.epoch}/{history.total_epochs}")
        if history.epochs:
            facts.append(f"{history.epochs[-1].test_accuracy * 100:.1f} % test")
        return tuple(facts)

    def place(self) -> tuple[str, ...]:
        """The device, and how fast it trains."""
        if not self.engine:
            return ("loading PyTorch",)
        device = f"{self.engine.device} {self.engine.device_name}"
        if self.fallback:
            device = self.fallback
        now = self.history.progress
        return (device, f"{now.images_per_second / 1000:.1f}k img/s") if self.training and now else (device,)

    # What the keys of every screen do

    def action_train(self) -> None:
        """To the Train screen."""
        self.switch_mode("train")

    def action_model(self) -> None:
        """To the Model screen."""
        self.switch_mode("model")

    def action_digits(self) -> None:
        """To the Digits screen."""
        self.switch_mode("digits")

    def action_filters(self) -> None:
        """To the Filters screen."""
        self.switch_mode("filters")

    def action_activations(self) -> None:
        """To the Activations screen."""
        self.switch_mode("activations")

    def action_occlusion(self) -> None:
        """To the Occlusion screen."""
        self.switch_mode("occlusion")

    def action_attacks(self) -> None:
        """To the Attacks screen."""
        self.switch_mode("attacks")

    def action_runs(self) -> None:
        """To the Runs screen."""
        self.switch_mode("runs")

    def action_screenshot(self, filename: str | None = None, path: str | None = None) -> None:
        """Save what is on the screen as an SVG beside the figures."""
        mode = getattr(self.screen, "mode", "") or "app"
        picture = self.export_screenshot(title=self.TITLE)
        try:
            file = reserve(self.figures_folder, f"screen-{mode}", ".svg")
            try:
                write_whole(file, lambda partial: partial.write_text(picture, encoding="utf-8"))
            except OSError:
                file.unlink(missing_ok=True)
                raise
        except OSError as error:
            reason = f"cannot write to {self.figures_folder} ({error.strerror}): make room or start elsewhere"
            self.notify(reason, title="no screenshot", severity="error", timeout=10, markup=False)
            return
        self.copy_to_clipboard(str(file.resolve()))
        self.notify(str(file.resolve()), title="screen saved, its path copied", markup=False)

    def action_theme(self) -> None:
        """Light or dark."""
        names = [theme.name for theme in THEMES]
        self.theme = names[(names.index(self.theme) + 1) % len(names)] if self.theme in names else names[0]

    def action_help(self) -> None:
        """The keys of the screen in front."""
        from tui.screens.dialogs import HelpScreen

        if isinstance(self.screen, LabScreen):
            self.push_screen(HelpScreen(self.screen.mode))

    async def action_quit(self) -> None:
        """Leave; ask first while a run is under way."""
        from tui.screens.dialogs import QuitScreen

        if self.training is None:
            self.exit(0)
        elif not isinstance(self.screen, QuitScreen):
            self.push_screen(QuitScreen(len(self.queue)), lambda leave: self.exit(0) if leave else None)


def _collect_garbage_again() -> None:
    """Start Python's garbage collector, which the command line stopped, on what is made from now on.

    PyTorch's modules are hundreds of thousands of objects that stay, and more come with the first run: each collection
    over all of them would keep a key waiting for a tenth of a second and more. The younger generations do the work.
    """
    if not gc.isenabled():
        gc.freeze()
        young, middle, _ = gc.get_threshold()
        gc.set_threshold(young, middle, FULL_COLLECTIONS)
        gc.enable()


def _at_least_smallest(size: Size) -> Size:
    return Size(max(size.width, SMALLEST.width), max(size.height, SMALLEST.height))


def _ends(event: Event) -> bool:
    return type(event).__name__ in ("RunFinished", "RunCancelled", "RunFailed", "JobFailed")
