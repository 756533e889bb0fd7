"""The queue of experiments that wait to be trained: one file in the folder of all runs, shared by all processes.

`queue.json` is replaced as a whole under a lock, so a kill at any instant leaves the old or the new queue, and of
several processes that change it, none loses what another wrote. A process that takes an experiment to train it signs it
and removes it once the run has begun. Where that process dies in between, the experiment waits again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from engine.event import Event
from engine.paths import PARTIAL, stamp, write_whole
from engine.reading import read_json
from engine.request import RequestError
from engine.runs.event_log import read_start
from engine.runs.events import Queued, QueueListed
from engine.runs.finding import folders
from engine.runs.folder import RunFolder, instant
from engine.runs.processes import SILENCE, Process, claimed
from engine.runs.requests import EditQueue
from engine.runs.sweeps import sweep
from engine.training.events import RunStarted
from engine.training.requests import Train

FILE = "queue.json"
LOCK = ".queue.lock"
MOST = 10_000
"""Maximum number of experiments in the queue."""
MOST_BYTES = 64 << 20
"""Maximum size of the file: several times what the most experiments need."""
PATIENCE = 5.0
"""Seconds to wait for the lock, which others hold for milliseconds."""


class Sign(Struct, frozen=True):
    """What a process leaves where it works."""

    process: Process
    at: float
    """The time of its last sign of life, in seconds since 1970."""

    @property
    def lives(self) -> bool:
        """Whether the process is alive, as far as can be told from here: where it is not in sight, by its last sign."""
        lives = self.process.lives()
        return time.time() - self.at < SILENCE if lives is None else lives


class Experiment(Struct, frozen=True):
    """An experiment in the queue."""

    id: Annotated[str, Meta(min_length=1, max_length=64)]
    request: Train
    taken: Sign | None = None
    """Who is about to train it; None while it waits."""

    @property
    def waits(self) -> bool:
        """Whether nobody is about to train it."""
        return self.taken is None or not self.taken.lives


class Contents(Struct, frozen=True):
    """The contents of the file."""

    mnist_tui_queue: Literal[1]
    """The version of the format; other files do not have it."""
    experiments: tuple[Experiment, ...]
    """In training order."""
    workers: tuple[Sign, ...] = ()
    """The processes that train the queue."""

    @property
    def waiting(self) -> tuple[Experiment, ...]:
        """The experiments that wait, the next one first."""
        return tuple(each for each in self.experiments if each.waits)

    def other_worker(self, own: Process) -> Process | None:
        """A process other than `own` that trains the queue; None if there is none."""
        return next((sign.process for sign in self.workers if sign.process != own and sign.lives), None)


class Unwritable(RequestError):
    """The queue cannot be written to its folder."""


EMPTY = Contents(1, ())
Change = Callable[[Contents], Contents]


# Changes: functions of the contents, so that they can be made to a file and in memory alike.


def added(requests: Sequence[Train], contents: Contents) -> Contents:
    """`requests` at the end of the queue; raises RequestError where it would have more than MOST experiments."""
    if len(contents.experiments) + len(requests) > MOST:
        raise RequestError(f"the queue holds at most {MOST:,} experiments: remove some first")
    new = (Experiment(os.urandom(6).hex(), request) for request in requests)
    return replace(contents, experiments=(*contents.experiments, *new))


def removed(ids: Collection[str], contents: Contents) -> Contents:
    """Without these experiments; those that are gone already are ignored."""
    return replace(contents, experiments=tuple(each for each in contents.experiments if each.id not in ids))


def moved(id: str, by: int, contents: Contents) -> Contents:
    """With an experiment `by` positions later among those that wait, as far as there are any."""
    waiting, rest = list(contents.waiting), [each for each in contents.experiments if not each.waits]
    at = next((n for n, each in enumerate(waiting) if each.id == id), None)
    if at is None:
        return contents
    waiting.insert(min(max(at + by, 0), len(waiting)), waiting.pop(at))
    return replace(contents, experiments=(*rest, *waiting))


def taken(id: str, sign: Sign, contents: Contents) -> Contents:
    """With an experiment signed by the process that is about to train it."""
    signed = (replace(each, taken=sign) if each.id == id else each for each in contents.experiments)
    return replace(contents, experiments=tuple(signed))


def worked_on(own: Process, works: bool, contents: Contents) -> Contents:
    """With or without `own` among the processes that train the queue; those that have died are removed."""
    others = tuple(sign for sign in contents.workers if sign.process != own and sign.lives)
    return replace(contents, workers=(*others, Sign(own, time.time())) if works else others)


def signed_again(own: Process, contents: Contents) -> Contents:
    """With a new sign of life of `own` wherever it has signed."""
    now = Sign(own, time.time())
    return replace(
        contents,
        experiments=tuple(
            replace(each, taken=now) if each.taken and each.taken.process == own else each
            for each in contents.experiments
        ),
        workers=tuple(now if sign.process == own else sign for sign in contents.workers),
    )


class QueueFile:
    """The file in the folder of all runs."""

    def __init__(self, root: Path) -> None:
        self.root, self.path = root, root / FILE
        self._known: tuple[tuple[int, ...], Contents] = ((), EMPTY)
        """The contents that were read or written last, and the version of the file that they are of."""

    def stamp(self) -> tuple[int, ...]:
        """A value that changes with the file; empty while there is none."""
        return stamp(self.path)

    def read(self) -> Contents:
        """The queue; empty where there is no file. Raises RequestError where the file is no queue."""
        if not os.path.lexists(self.path):
            return EMPTY
        version = self.stamp()
        if version and version == self._known[0]:  # to check thousands of experiments takes long
            return self._known[1]
        try:
            self._known = (version, read_json(self.path, Contents, MOST_BYTES))
            return self._known[1]
        except RequestError as error:
            if not os.path.lexists(self.path):  # it was moved aside meanwhile
                return EMPTY
            raise RequestError(f"{error}: repair it, or give it another name") from None

    def change(self, change: Change, *, over_damage: bool = False) -> Contents:
        """Make `change`, which no other process interrupts; returns the new contents.

        With `over_damage`, a file that is no queue is moved aside first, to `queue.damaged.json` or a name with a
        number; else it stays as it is. Raises RequestError where it is no queue, or as `change` does; Unwritable where
        it cannot be written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with self._locked():
                try:
                    before = self.read()
                except RequestError:
                    if not over_damage:
                        raise
                    self._move_aside()
                    before = EMPTY
                after = change(before)
                if after != before:
                    self._write(after)
                return after
        except OSError as error:
            raise Unwritable(f"cannot write {self.path} ({error.strerror})") from None

    def take(self, own: Process) -> tuple[Contents, Experiment | None]:
        """Sign the first experiment that waits, and return it, with what the queue is then; None where none waits.

        No two processes get the same experiment. One that was taken by a process that has died is next, unless its run
        had begun: then it is removed. Raises RequestError as `change` does.
        """
        found: list[Experiment] = []

        def change(contents: Contents) -> Contents:
            begun = {each.id for each in contents.waiting if each.taken and self._began(each.request, each.taken)}
            contents = removed(begun, contents)
            if not contents.waiting:
                return contents
            found.append(contents.waiting[0])
            return taken(found[0].id, Sign(own, time.time()), contents)

        after = self.change(change)
        return after, found[0] if found else None

    def _began(self, request: Train, sign: Sign) -> bool:
        """Whether there is a run of `request` that the process of `sign` started after it took the experiment."""
        with suppress(OSError):
            for folder in folders(self.root):
                mine = folder.process() == sign.process and folder.request == request
                if mine and _started(folder) >= sign.at - 0.001:  # an event's time has milliseconds
                    return True
        return False

    @contextmanager
    def _locked(self) -> Generator[None, None, None]:
        """Hold the lock within the context; without it where the file system has no locks.

        Raises Unwritable where others hold it for too long.
        """
        end = time.monotonic() + PATIENCE
        while True:
            with claimed(self.root / LOCK) as free:
                if free is not False:
                    yield
                    return
            if time.monotonic() > end:
                raise Unwritable(f"another process keeps {self.root / LOCK} locked: end it, and try again")
            time.sleep(0.002)

    def _write(self, contents: Contents) -> None:
        for left in self.root.glob(f".{FILE}.*{PARTIAL}"):  # of a process that was killed: nobody else writes now
            left.unlink(missing_ok=True)
        data = msgspec.json.format(msgspec.json.encode(contents), indent=1)
        if len(data) > MOST_BYTES:
            raise RequestError("the queue is too large: remove some experiments first")
        write_whole(self.path, lambda path: path.write_bytes(data + b"\n"))
        self._known = (self.stamp(), contents)  # nobody else writes now

    def _move_aside(self) -> None:
        """Rename the file, over no other."""
        names = ("queue.damaged.json", *(f"queue.damaged-{number}.json" for number in range(2, 1000)))
        place = next(place for name in names if not os.path.lexists(place := self.root / name))
        self.path.rename(place)


def _started(folder: RunFolder) -> float:
    """When a run was first started, in seconds since 1970; 0 where it has not started."""
    with suppress(OSError):
        for event in read_start(folder.events_file):
            if isinstance(event, RunStarted):
                return instant(event.started) or 0.0
    return 0.0


def edit_queue(request: EditQueue, root: Path) -> Generator[Event, None, None]:
    """Change the queue as `request` asks, and list it. Raises RequestError where that is not possible."""
    file = QueueFile(root)
    contents = file.read()
    if request.remove is not None:
        contents = file.change(partial(_without, request.remove))
    if request.first is not None:
        contents = file.change(partial(_first, request.first))
    if request.add is not None:
        contents = file.change(partial(added, sweep(Train(), request.add)))
    places = {each.id: number for number, each in enumerate(contents.waiting, 1)}
    yield QueueListed(
        file=str(file.path),
        experiments=tuple(
            Queued(
                id=each.id,
                place=places.get(each.id, 0),
                request=each.request,
                taken_by=each.taken.process.words if each.taken and each.id not in places else "",
            )
            for each in contents.experiments
        ),
        trained_by=tuple(sign.process.words for sign in contents.workers if sign.lives),
    )


def _without(which: str, contents: Contents) -> Contents:
    """Without the experiments `which`: a place from 1, or `all` that wait. Raises RequestError where it is neither."""
    if which == "all":
        return removed({each.id for each in contents.waiting}, contents)
    return removed({_at(which, contents).id}, contents)


def _first(place: int, contents: Contents) -> Contents:
    return moved(_at(str(place), contents).id, -MOST, contents)


def _at(place: str, contents: Contents) -> Experiment:
    """The experiment that waits at `place`, from 1; raises RequestError where there is none."""
    waiting = contents.waiting
    if place.isascii() and place.isdecimal() and len(place) < 10 and 1 <= int(place) <= len(waiting):
        return waiting[int(place) - 1]
    if not waiting:
        raise RequestError("the queue is empty: mnist-tui queue --add 'seeds=5' adds experiments")
    raise RequestError(f"there is no experiment {place} in the queue: give a number from 1 to {len(waiting)}, or all")
