"""The state that all screens share: the lab, the open run or weights file, its history, the queue, the current digit.

Events change the workspace. After each change it calls `on_change`, and the front end redraws from the values here.
Nothing here depends on a terminal.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Literal, TypedDict

import msgspec
from msgspec.structs import replace

from engine.cluster.requests import TrainOnRay
from engine.data.events import DownloadAdvanced, DrawingKept
from engine.data.requests import KeepDrawing, PartName, SplitName
from engine.event import Event, JobFailed
from engine.figures.events import FigureDrawn, FigureSaved
from engine.figures.requests import DrawFigure
from engine.inspection.requests import DatasetOfNetwork
from engine.lab import LOOKING, Job, Lab
from engine.network.events import DeviceFellBack, EngineLoaded, WeightsOpened, WeightsRead
from engine.network.requests import OpenWeights, WarmUp
from engine.request import Request, RequestError
from engine.runs.events import UnfinishedFound
from engine.runs.folder import RunFolder, RunRecord, ask_to_stop, owner
from engine.runs.history import RunHistory
from engine.runs.requests import FindUnfinished, Resume
from engine.runs.tail import Tail
from engine.telemetry.events import DevicesSampled
from engine.telemetry.requests import WatchDevices
from engine.training.events import (
    BatchEvaluated,
    RobustnessCollapsed,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunStarted,
)
from engine.training.requests import Train
from engine.words import percent, shown
from tui.alerts.alert import Alert, of_event
from tui.drawing.about import Group, differing
from tui.drawing.fitting import Fact
from tui.drawing.words import counted, duration
from tui.keymap import KeyMap
from tui.machines import Machines
from tui.opened import DEVICE, DEVICE_NAME, IN_USE, SPEED, Opened, short_name
from tui.queue import Queue
from tui.settings.state import State
from tui.sweeps import Sweeps

NOTEBOOKS_DIGIT: tuple[PartName, int] = ("test", 61)
"""The 8 that the notebook occludes: the initial current digit."""

Version = tuple[int, int]
"""The network's number of finished epochs; and, for a request about the drawings, how often these have changed."""
INSISTS = 10.0
"""Seconds within which repeating a request confirms it."""

Listener = Callable[[Job, Event], None]


class Images(TypedDict):
    """The fields of a request that say which images it is about."""

    dataset: DatasetOfNetwork
    split: SplitName


def images_in(part: PartName) -> Images:
    """The fields of a request about the images of `part`."""
    return {"dataset": "drawings", "split": "test"} if part == "drawings" else {"dataset": "auto", "split": part}


class Notice(msgspec.Struct, frozen=True):
    """A notification for the user."""

    words: str
    title: str = ""
    severity: Literal["information", "warning", "error"] = "information"
    seconds: float | None = None
    """How long it is shown; None for the default."""
    copy: str = ""
    """Text to copy to the clipboard."""


class Workspace:
    """The shared state, one instance per app."""

    engine: EngineLoaded | None = None
    fallback = ""
    """Why the CPU is used although there is a GPU; empty otherwise."""
    training: Job | None = None
    """The current training job; None if there is none."""
    preparing: DownloadAdvanced | BatchEvaluated | None = None
    """Progress of the current run's download or evaluation; None during training."""
    problem = ""
    """Why the last job failed, in one line."""
    vanished = False
    """Whether the open run's folder was moved or deleted."""
    picture_mode = ""
    """The picture mode that the user chose; empty for the terminal's default."""
    colour_map = ""
    """The colour map that the settings give for all screens; empty for each screen's own."""

    def __init__(
        self,
        root: Path,
        run: RunFolder | None = None,
        weights: Path | None = None,
        wake: Callable[[], None] = lambda: None,
        *,
        looking: bool = False,
    ) -> None:
        """`wake` is called from a lane's thread when there are events to `take_in`.

        With `looking`, nothing is trained and no file is changed.

        Raises RequestError where nothing of `run` can be read.
        """
        self.root, self.weights = root, weights
        self.looking = looking
        """Whether it is for looking only."""
        self.lab = Lab(root, wake, looks=looking)
        self.on_change: Callable[[bool], None] = lambda _routine: None
        """Called after each change; its argument is whether the change is only a run's frequent routine progress."""
        self.tell: Callable[[Notice], None] = lambda _notice: None
        """Called with each notification for the user."""
        self.hand_over: Callable[[str, bytes], None] | None = None
        """Gives the user, who is not at this machine, a file of this name and content; None in a terminal."""
        self.ring: Callable[[Alert, bool], None] = lambda _alert, _followed: None
        """Called when a run has finished or failed; its second argument is whether another process trained it."""
        self._open = Opened(run or weights)
        self._before: Opened | None = None
        """What was open before the latest run was requested; restored if that run cannot start. None once it has."""
        self._digit, self._prepared = NOTEBOOKS_DIGIT, False
        self._listeners: dict[Job, Listener] = {}
        self.drawings_changed = 0
        """How often the drawings have changed, so that what was asked about them before is asked again."""
        self._figure: Job | None = None
        """The job of the most recently requested figure."""
        self._doubtful: tuple[Path, float] | None = None
        """A run that the user asked to resume although it may still be running, and when, by `time.monotonic`."""
        self._depth, self._routine = 0, True
        self.queue = Queue(root, self._train_queued, self._tell_of_the_queue)
        """The experiments waiting to be trained, the next one first."""
        self._queued = False
        """Whether the current run comes from the queue."""
        self.sweeps = Sweeps()
        """The sweeps on Ray; their runs are those of other processes."""
        self.machines = Machines()
        """What is known of the devices of this machine, and of others whose samples came."""
        self._sampling: Job | None = None
        """The job of the most recent sample."""
        self.key_map = KeyMap()
        """The commands with the user's keys."""
        self.state = State()
        """What is remembered of the last session, and of this one for the next."""
        self._draft: Train | None = None
        if run is not None:
            self._open = Opened.of(run)
            self._follow(Tail(run))

    # Changes

    @contextmanager
    def changing(self, *, routine: bool = False) -> Iterator[None]:
        """A context for changes of the workspace: calls `on_change` once, at the end of the outermost context."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            self._routine = self._routine and routine
            if not self._depth:
                routine, self._routine = self._routine, True
                self.on_change(routine)

    def version_of(self, request: Request) -> Version:
        """The version that an answer to `request` is of, if it is asked now."""
        about_drawings = getattr(request, "dataset", "") == "drawings"
        return self.history.epoch, self.drawings_changed if about_drawings else 0

    @property
    def digit(self) -> tuple[PartName, int]:
        """The current digit: its split, or `drawings`, and its index there."""
        return self._digit

    @digit.setter
    def digit(self, digit: tuple[PartName, int]) -> None:
        if digit != self._digit:
            with self.changing():
                self._digit = digit

    @property
    def draft(self) -> Train | None:
        """An experiment to load into the form of screen 1."""
        return self._draft

    @draft.setter
    def draft(self, request: Train | None) -> None:
        with self.changing():
            self._draft = request

    def attempt(self, work: Callable[[], object]) -> bool:
        """Call `work`, and notify the user if it raises RequestError; returns whether it succeeded."""
        try:
            work()
        except RequestError as error:
            self.tell(Notice(str(error), severity="error", seconds=10))
            return False
        return True

    # What is open

    @property
    def opened(self) -> RunFolder | Path | None:
        """The open run or weights file."""
        return self._open.what

    @property
    def run(self) -> RunFolder | None:
        """The open run; None if a weights file or nothing is open."""
        return self._open.what if isinstance(self._open.what, RunFolder) else None

    @property
    def history(self) -> RunHistory:
        """The history of the open run."""
        return self._open.history

    @property
    def variant(self) -> str:
        """`cnn` or `cnn-bn`; empty if nothing is open."""
        return self._open.variant

    @property
    def bundled(self) -> bool:
        """Whether the open network ships with the program."""
        return self._open.bundled

    @property
    def waiting(self) -> RunFolder | None:
        """A run that is not open and can be resumed: it was stopped, or its process died."""
        return self._open.waiting

    @property
    def what(self) -> str:
        """What is open, by the name that requests use; empty if nothing is open."""
        return self.run.what if self.run else str(self.opened or "")

    @property
    def figures_folder(self) -> Path:
        """Where exports go: to the open run, or to `figures` here if there is none, or it is bundled or gone."""
        run = self.run
        return run.figures_folder if run and not run.bundled and run.path.is_dir() else Path("figures")

    @property
    def reading(self) -> bool:
        """Whether the event log of the open run is still being read."""
        return self._open.tail is not None and self._open.tail.behind

    @property
    def unfinished_run(self) -> RunFolder | None:
        """The run that would be resumed: the open one if it is unfinished, else `waiting`."""
        run = None if self.bundled else self.run
        return run if run and self.history.unfinished else self.waiting

    @property
    def watched(self) -> str:
        """A description of the other process that trains the open run; empty if none does."""
        if self.training or not self._open.tail or not self.history.under_way:
            return ""
        return owner(self._open.tail.folder)

    def facts(self) -> tuple[Fact, ...]:
        """What is open, for the header: its name, seed, variant, epoch and accuracy."""
        return self._open.facts()

    def about(self) -> list[Group]:
        """All that is known of what is open, as labelled values."""
        return self._open.about()

    @property
    def damage(self) -> str:
        """Why the request of the open run cannot be read, in one line; empty if it can."""
        return self._open.problem

    def place(self) -> tuple[Fact, ...]:
        """The device of this process and, while it trains, the throughput, for the header.

        The throughput has two digits: with more, the header would be sent again at each step.
        """
        if not self.engine:
            return (Fact("loading PyTorch", DEVICE),)
        ran = self.history.started if self.training else None  # a run may ask for another device
        device, name = (ran or self.engine).device, (ran or self.engine).device_name
        full = self.fallback if self.fallback and device == self.engine.device else f"{device} {name}".strip()
        place = [*self._in_use(), Fact(full, DEVICE_NAME, Fact(device, DEVICE))]
        if self.training:
            last = self.history.epochs[-1] if self.history.epochs else None
            if now := self.history.progress or last:
                place.append(Fact(f"{float(f'{now.images_per_second:.2g}'):,.0f} img/s", SPEED))
        return tuple(place)

    def _in_use(self) -> Sequence[Fact]:
        """How busy the devices are, for the header: while a run trains here, or they are shown anyway."""
        if not self.training and not self.machines.shown:
            return ()
        words, short = self.machines.in_brief(training=self.training is not None)
        return (Fact(words, IN_USE, Fact(short, IN_USE) if short != words else None),) if words else ()

    def look_at_devices(self, *, shown: bool) -> None:
        """Take a sample of the devices if a run trains here or they are `shown`; to be called once a second."""
        self.machines.shown = shown
        idle = self._sampling is None or self._sampling.state == "done"
        if idle and (shown or self.training):
            self._sampling = self.ask(WatchDevices(processes=shown), lambda _job, _event: None)

    # Requests

    def prepare(self) -> None:
        """Start loading PyTorch and the weights file, if one was given; later calls do nothing.

        `train` calls it too, since a key may be pressed before the first frame is drawn.
        """
        if not self._prepared:
            self._prepared = True
            self.lab.submit(WarmUp())
            if self.weights:
                self.lab.submit(OpenWeights(path=str(self.weights)))

    def ask(self, request: Request, listener: Listener) -> Job:
        """Submit a request to the lab; `listener` is called with the job and each of its events."""
        job = self.lab.submit(request)
        self._listeners[job] = listener
        return job

    def listens_to(self, job: Job) -> bool:
        """Whether the listener of `job` may still receive events."""
        return job in self._listeners

    def export(self, figure: DrawFigure | None) -> None:
        """Draw a figure as a PNG, and notify the user of the result; None means that there is nothing to draw yet."""
        if figure is None:
            self.tell(Notice("there is nothing to draw yet", severity="warning"))
        elif any(job.paused for job in self.lab.unfinished("analysis")):
            self.tell(Notice("resume or stop the paused attack on screen 7 first", severity="warning"))
        elif self._figure is None or self._figure.state == "done":  # a second press while one is drawn does nothing
            self._figure = self.lab.submit(replace(figure, path="", folder="") if self.looking else figure)

    def saved(self, picture: Path, what: str, also: str = "") -> None:
        """Tell that `picture`, a `what`, was saved; hand it over to a user who is not at this machine."""
        if self.hand_over:
            self.hand_over(picture.name, picture.read_bytes())
            self.tell(Notice(f"{picture}{also}", f"{what} downloaded, and saved on the server"))
        else:
            self.tell(Notice(f"{picture}{also}", f"{what} saved, its path copied", copy=str(picture)))

    def keep(self, drawing: KeepDrawing, then: Callable[[DrawingKept], None]) -> None:
        """Keep a drawing in the folder of runs, and then call `then`; the user is told why where it cannot be kept."""
        if not self.refuses():
            self.ask(drawing, partial(self._hear_kept, then))

    def _hear_kept(self, then: Callable[[DrawingKept], None], _job: Job, event: Event) -> None:
        if isinstance(event, DrawingKept):
            with self.changing():
                self.drawings_changed += 1
                then(event)
        elif isinstance(event, JobFailed):
            self.tell(Notice(event.reason, "not kept", "error", 10))

    @property
    def exporting(self) -> Job | None:
        """The job of the most recently requested figure."""
        return self._figure

    def look_for_unfinished(self) -> None:
        """Look for a run that can be resumed, unless a weights file or the user's own run is open."""
        if not self.looking and not self.weights and (self.run is None or self.bundled):
            self.ask(FindUnfinished(), self._found)

    def _found(self, _job: Job, event: Event) -> None:
        if isinstance(event, UnfinishedFound) and event.run and not self.training:
            self._open.waiting = RunFolder(self.root / event.run)

    # Runs

    def refuses(self) -> bool:
        """Whether this is for looking only; tells the user if so."""
        if self.looking:
            self.tell(Notice(LOOKING, severity="warning"))
        return self.looking

    def train(self, request: Request) -> None:
        """Submit a training request to the lab and follow its run."""
        if self.refuses():
            return
        with self.changing():
            self.prepare()
            self._before, self._queued = self._open, False
            asked = request if isinstance(request, Train) else None
            self._open = Opened(self._open.what, variant=asked.variant if asked else "", asked=asked)
            self.problem, self.vanished, self.preparing = "", False, None
            self.training = self.lab.submit(request)

    def _train_queued(self, request: Train) -> None:
        self.train(request)
        self._queued = True

    def enqueue(self, requests: Sequence[Train]) -> None:
        """Add experiments to the queue; the next one starts at once if nothing is training here.

        Unless another app trains the queue: then it takes them in turn.
        """
        if self.refuses():
            return
        with self.changing():
            if self.attempt(partial(self.queue.add, requests)):
                if (other := self.queue.other_worker) and not self.queue.working:
                    self.tell(
                        Notice(
                            f"{other.words} trains the queue and takes them in turn: {self._starts} trains it here too"
                        )
                    )
                self.queue.next_turn(busy=self.training is not None)

    @property
    def _starts(self) -> str:
        """The key that starts the queue."""
        return self.key_map.key("start_queue", "train")

    def start_queue(self) -> None:
        """Train what waits in the queue, or, if this app does already, hold it after the run under way."""
        if self.refuses():
            return
        with self.changing():
            if self.queue.working:
                self.queue.work(False)
                self.tell(Notice(f"the queue is held: the run under way goes on, {self._starts} starts it again"))
            elif not self.queue:
                adds = self.key_map.key("queue", "train")
                self.tell(Notice(f"the queue is empty: {adds} on screen 1 adds experiments", severity="warning"))
            else:
                self.queue.work(True)
                if self.training:
                    self.tell(Notice("the queue starts after the run under way"))
                self.queue.next_turn(busy=self.training is not None)

    def look_at_queue(self) -> None:
        """Read what other processes have changed in the queue; tell where experiments wait that nobody will start."""
        empty = not self.queue
        if self.queue.look():
            with self.changing():
                if empty and self.queue.held and not self.looking:
                    count, does = counted(len(self.queue), "experiment"), "waits" if len(self.queue) == 1 else "wait"
                    can = f"{self._starts} starts it, {self.key_map.key('runs')} lists it"
                    self.tell(Notice(f"{count} {does} in the queue: {can}", seconds=10))

    def _tell_of_the_queue(self, words: str) -> None:
        self.tell(Notice(words, "the queue", "warning", 10))

    def train_on_ray(self, request: TrainOnRay) -> None:
        """Begin a sweep on Ray, whatever else trains here; its runs are followed as those of other processes."""
        if self.refuses():
            return
        with self.changing():
            runs, before = counted(len(request.runs), "run"), bool(self.sweeps.jobs)
            self.sweeps.jobs.append(self.ask(request, self._hear_sweep))
            begins = f"joining {request.address} for {runs}" if request.address else f"starting Ray for {runs}"
            self.tell(Notice(f"{runs} wait for the sweep under way" if before else begins))

    def _hear_sweep(self, job: Job, event: Event) -> None:
        if alert := self.sweeps.alert(job, event):
            self.ring(alert, False)
        if news := self.sweeps.hear(job, event):
            self.tell(Notice(news.words, news.title, news.severity, 10))

    def stop_sweeps(self) -> None:
        """Stop all runs on Ray."""
        if self.refuses():
            return
        with self.changing():
            self.sweeps.stop()

    def remove(self, turn: int) -> None:
        """Remove the experiment at index `turn` from the queue."""
        if self.refuses():
            return
        with self.changing():
            self.queue.remove(turn)

    def move(self, turn: int, by: int) -> None:
        """Move the experiment at index `turn` of the queue by `by` positions; do nothing at either end."""
        if self.refuses():
            return
        with self.changing():
            self.queue.shift(turn, by)

    def open(self, run: RunFolder) -> None:
        """Open a run; the user is told what of it cannot be read.

        Raises RequestError where nothing can, or while a run, which stays open, is training here.
        """
        if self.training:
            raise RequestError("a run is under way here and stays open: stop it to open another one")
        opened = Opened.of(run)
        with self.changing():
            self._open, self.problem = opened, ""
            self._follow(Tail(run))
        if opened.problem:
            self.tell(Notice(opened.problem, f"{shown(run.name)} is damaged", "warning", 10))

    def resume(self, run: RunFolder) -> None:
        """Resume a run and open it. If another machine may be training it, the user must confirm by asking again."""
        if self.refuses():
            return
        try:
            run.read_record()
            doubt = not run.locked and run.outline().under_way
        except RequestError as error:
            self.tell(Notice(str(error), severity="error", seconds=10))
            return
        asked, self._doubtful = self._doubtful, (run.path, time.monotonic()) if doubt else None
        if doubt and not (asked and asked[0] == run.path and time.monotonic() - asked[1] < INSISTS):
            key = self.key_map.key("resume", "runs", "list")
            words = f"{owner(run)} gave a sign of life {run.silence():.0f} s ago: press {key} again if it has ended"
            self.tell(Notice(words, f"{shown(run.name)} is under way", "warning", 10))
            return
        with self.changing():
            self.train(Resume(what=str(run.path), force=doubt))
            self._open = Opened.of(run)
            self._follow(Tail(run))

    def stop(self, run: RunFolder) -> None:
        """Stop a run, even one that another process trains."""
        if self.refuses():
            return
        if self.training and self.run and self.history.name == run.name:
            self.training.cancel()
            return
        try:
            words = f"{ask_to_stop(run)} was asked to stop: it does so at its next step"
            self.tell(Notice(words, shown(run.name)))
        except RequestError as error:
            self.tell(Notice(str(error), severity="error", seconds=10))

    def toggle_pause(self) -> None:
        """Pause the current run, or resume it."""
        if job := self.training:
            with self.changing():
                job.resume() if job.paused else job.pause()

    # Following

    def _follow(self, tail: Tail) -> None:
        """Read the history of a run from its event log, and follow it from now on."""
        self._open.tail, self.vanished = tail, False
        self._open.history = RunHistory(tail.folder.name, request=self._open.request)
        self._caught_up()

    def _caught_up(self) -> None:
        tail = self._open.tail
        if tail and not tail.behind:
            self._open.history = tail.history
            if self.training:  # its further events come from the lab
                self._open.tail = None

    def read_on(self) -> None:
        """Read the next chunk of a long event log; do nothing once all of it is read."""
        tail = self._open.tail
        if tail and tail.behind:
            tail.more()
            if not tail.behind:
                with self.changing():
                    self._caught_up()

    def look_around(self) -> None:
        """Check what other processes have done to the open run and the queue, and whether its note has changed."""
        self.look_at_queue()
        job, run, tail = self.training, self.run, self._open.tail
        if self._open.look_at_note():
            with self.changing():
                pass
        if job and job.paused and run and run.stop_file.exists():
            job.cancel()  # a paused run does not check for the stop file itself
        if tail and not tail.behind and not job:
            gone, self.vanished = self.vanished, tail.vanished
            trained = self.history.under_way
            if tail.more() or gone != self.vanished:
                with self.changing():
                    self._open.history = tail.history
                if trained:
                    self._ring_for_other()

    # Events

    def take_in(self) -> None:
        """Apply the events since the last call."""
        # A job that is done before its events are drained sends no more afterwards.
        ended = [job for job in (*self._listeners, self.training) if job and job.state == "done"]
        arrived = self.lab.drain()
        with self.changing(routine=True):
            for job, event in arrived:
                self._take(job, event)
                if listener := self._listeners.get(job):
                    listener(job, event)
            for job in ended:
                self._listeners.pop(job, None)
                self.sweeps.forget(job)
                if job is self.training:
                    self.training = None
            self.queue.next_turn(busy=self.training is not None)
            # Only the events of the current run and samples are routine; those of any other job are not.
            samples = [isinstance(event, DevicesSampled) for _, event in arrived]
            known = all(sampled or job is self.training for sampled, (job, _) in zip(samples, arrived, strict=True))
            self._routine = known and (self.training is not None or any(samples))

    def _take(self, job: Job, event: Event) -> None:
        self.queue.hear(job.request, event)
        match event:
            case EngineLoaded():
                self.engine = event
            case DeviceFellBack():
                if event.reason != self.fallback:  # every job reports it
                    self.fallback = event.reason
                    self.tell(Notice(event.reason, severity="warning", seconds=10))
            case WeightsOpened() | WeightsRead() if isinstance(job.request, OpenWeights):
                self._take_weights(event)
            case DevicesSampled():
                self.machines.add(event, own=isinstance(job.request, WatchDevices))
            case FigureSaved():
                self.saved(Path(event.path), "figure")
            case FigureDrawn() if self.hand_over:
                self.hand_over(event.name, event.png)
                self.tell(Notice(event.name, "figure downloaded"))
            case JobFailed():
                self._take_failure(job, event)
            case _ if job is self.training:
                self._take_run(job, event)
            case _:
                pass
        if job is self.training and isinstance(event, RunFinished | RunCancelled | RunFailed | JobFailed):
            self.training, self.preparing = None, None

    def _take_failure(self, job: Job, event: JobFailed) -> None:
        """Report a failed job, unless its listener does."""
        if isinstance(job.request, DrawFigure):
            self.tell(Notice(event.reason, "no figure", "error", 10))
        elif job not in self._listeners:  # otherwise its listener reports it
            title = ""
            if job is self.training and self._before:  # no run was created: restore what was open
                self._open = self._before
            elif job is self.training:
                self.history.add(RunFailed(run=self.history.name, reason=event.reason))
                title = f"run {self._short} failed"
            self.problem = event.reason
            self.tell(notice := Notice(self._and_the_queue(job, event.reason), title, "error", 10))
            if job is self.training and (title or self._queued):  # else the user has just asked for it
                self._ring(event, notice)

    def _take_weights(self, event: WeightsOpened | WeightsRead) -> None:
        """Handle the events of the weights file that the app was started with."""
        if isinstance(event, WeightsRead):
            self._open.remarks = event.notes
            for note in event.notes:
                self.tell(Notice(note, event.name, "warning", 20))
        elif not self.training:
            remarks = self._open.remarks
            self._open = Opened(self.weights, RunHistory(event.name), event.variant, weights=event, remarks=remarks)
            what = f"{event.name}: {event.variant}, {event.parameters:,} parameters"
            self.tell(Notice(what, "weights opened"))
            if event.damaged:
                words = f"{event.damaged:,} weights are no finite numbers: the network is damaged"
                self.tell(Notice(words, event.name, "error", 10))

    def _take_run(self, job: Job, event: Event) -> None:
        """Handle an event of the current run."""
        self.preparing = event if isinstance(event, DownloadAdvanced | BatchEvaluated) else None
        if isinstance(event, RunStarted):
            self._before = None
        match event:
            case RunStarted() if isinstance(job.request, Resume):
                # Read the event log again: resuming may have recovered an epoch whose event was lost in a kill.
                self._follow(Tail(RunFolder(Path(job.request.what))))
                if event.differences:
                    words = "last digits may differ: " + ", ".join(event.differences)
                    self.tell(Notice(words, "changed since the run started", "warning", 10))
                self._caution(event)
            case RunStarted():
                self._open = Opened(
                    RunFolder(self.root / event.run), RunHistory(request=self._open.request), self.variant
                )
                if isinstance(job.request, Train):
                    self._open.record = RunRecord(
                        job.request, event.versions, event.device, event.device_name, event.threads
                    )
                self.history.add(event)
                self._caution(event)
            case _:
                self.history.add(event)
                if isinstance(event, RobustnessCollapsed):
                    self.tell(Notice(event.words, f"run {self._short}: robustness has collapsed", "warning", 20))
                if isinstance(event, RunFinished | RunFailed | RunCancelled):
                    self.tell(notice := self._ending(job, event))
                    self._ring(event, notice)

    def _ring_for_other(self) -> None:
        """Ring if the open run, which another process has trained, has ended; unless a sweep of this app rings."""
        history = self.history
        if history.under_way or self.sweeps.has_told_of(history.name):
            return
        ended: Event | None = history.finished
        if history.state == "failed":
            ended = RunFailed(run=history.name, reason=history.reason)
        if ended and (alert := of_event(ended, self._short)):
            self.ring(alert, True)

    def _ring(self, event: Event, notice: Notice) -> None:
        """Ring for the end of a run of this process, of which `notice` tells; in a queue that goes on, for failures."""
        alert = of_event(event, self._short, notice.title, notice.words)
        if alert and not (alert.outcome == "finished" and self.queue and self.queue.working):
            self.ring(alert, False)

    @property
    def _short(self) -> str:
        """The name of the open run for a notification."""
        return shown(short_name(self.history.name))

    def _ending(self, job: Job, event: RunFinished | RunFailed | RunCancelled) -> Notice:
        """The notification that the current run has ended."""
        history, run = self.history, f"run {self._short}"
        of = f"epoch {event.best_epoch if isinstance(event, RunFinished) else history.epoch} of {history.total_epochs}"
        match event:
            case RunFinished():
                best = "validation loss" if event.robust_accuracy is None else event.choice
                words = f"test accuracy {percent(event.test_accuracy)} ({of}, best {best}), {duration(history.seconds)}"
                return Notice(self._and_the_queue(job, words), f"{run} finished", seconds=10)
            case RunFailed():
                ended = "diverged" if history.diverged else "failed"
                return Notice(self._and_the_queue(job, event.reason), f"{run} {ended}", "error", 10)
            case RunCancelled():
                words = f"after {of}" if history.epoch else "before the end of its first epoch"
                if not job.cancelled:
                    words += ": another program asked for it"
                elif not (self.queue and self.queue.working):
                    words += f": {self.key_map.key('resume', 'train')} on screen 1 resumes it"
                return Notice(self._and_the_queue(job, words), f"{run} stopped", "warning", 10)

    def _and_the_queue(self, job: Job, words: str) -> str:
        """`words` about a run that has ended, and how the queue goes on; of several runs, which one it was."""
        goes_on = self.queue and self.queue.working
        if job is not self.training or not (goes_on or self._queued):
            return words
        if isinstance(request := job.request, Train):
            words = ", ".join([f"seed {request.seed}", *differing(request)]) + f": {words}"
        left = len(self.queue)
        on = f"queue: {left} left" if goes_on else f"queue: {left} left, held"
        return f"{words}\n" + (on if left else "the queue is done")

    def _caution(self, event: RunStarted) -> None:
        if event.cautions:
            self.tell(Notice("\n".join(event.cautions), "caution", "warning", 10))

    def close(self, timeout: float = 10.0) -> bool:
        """Stop all work, as `Lab.close` does."""
        return self.lab.close(timeout)
