"""Several training runs at once on one GPU, advanced in turn by one thread; on a CPU, one after the other.

One run keeps a GPU only partly busy. How many pay is measured: as long as one more raises the number of images a second
of all runs together, another one joins.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field

from engine.event import Cancelled, Event, Progress
from engine.request import DeviceFailed, RequestError
from engine.training.events import BatchTrained, RunStarted
from engine.training.requests import Train

MOST = 8
"""Most runs at once."""
GAIN = 1.05
"""Factor of images a second by which one more run must pay."""

COUNTED = 0.25
"""Share of an epoch for which images are counted."""

Work = Generator[Event, None, None]


@dataclass
class _Run:
    """A run that has begun."""

    request: Train
    work: Work
    events: deque[Event] = field(default_factory=deque)
    """Those that nobody has seen yet."""
    started: RunStarted | None = None
    steps: int = 0
    """Number of training steps so far."""
    epoch_steps: int = 0
    """Number of training steps of an epoch."""
    over: bool = False
    error: Exception | None = None


class Together:
    """The runs of `requests`, in order. While the events of one are asked for, others may advance too."""

    def __init__(self, start: Callable[[Train], Work], requests: Sequence[Train], most: int = MOST) -> None:
        """`start` gives the events of a run; at most `most` of them are used at once."""
        self._start, self._requests, self._most = start, requests, most
        self._waiting = deque(range(len(requests)))
        self._runs: dict[int, _Run] = {}
        self._shown = 0
        """The run whose events are asked for."""
        self._width = 1
        """Number of runs that may be active."""
        self._rate = 0.0
        """The highest number of images a second so far."""
        self._measured = False
        """Whether it is known how many runs pay."""
        self._images, self._since = 0, 0.0
        """The images that are counted, and since when; 0 if they are not."""

    def __iter__(self) -> Iterator[Work]:
        """The events of each run, which are those of `start`, and raise what it raises."""
        return (self._events(number) for number in range(len(self._requests)))

    def stop(self) -> list[tuple[int, Work]]:
        """Cancel all runs; returns those with events that have not been seen, with their numbers from 0."""
        self._waiting.clear()
        for run in self._active():
            self._cancel(run)
        return [(number, self._events(number)) for number, run in sorted(self._runs.items()) if run.events]

    def _events(self, number: int) -> Work:
        self._shown = number
        while self._waiting and self._waiting[0] < number:  # nobody has asked for it
            self._waiting.popleft()
        try:
            while True:
                run = self._runs.get(number)
                if run and run.events:
                    yield run.events.popleft()
                elif run and run.over:
                    break
                elif not run and number not in self._waiting:  # stopped before it began
                    return
                else:
                    self._round()
        except Cancelled:
            if number in self._runs:
                self._cancel(run := self._runs[number])
                while run.events:
                    yield run.events.popleft()
            return
        except GeneratorExit:
            if number in self._runs:
                self._runs[number].work.close()
                self._runs[number].over = True
            raise
        if run.error:
            raise run.error

    def _active(self) -> list[_Run]:
        return [run for run in self._runs.values() if not run.over]

    def _cancel(self, run: _Run) -> None:
        """Stop a run before its next step; its last events are then among its `events`."""
        run.over = True
        try:
            run.events.append(run.work.throw(Cancelled()))
            run.events.extend(run.work)
        except (Cancelled, StopIteration):
            return
        except Exception as error:
            run.error = error

    def _round(self) -> None:
        """Advance each active run by one event, after others have joined."""
        while self._waiting and len(self._active()) < self._width:
            self._join(self._waiting.popleft())
        for number, run in list(self._runs.items()):
            if not run.over:
                self._advance(number, run)

    def _join(self, number: int) -> None:
        self._runs[number] = _Run(self._requests[number], self._start(self._requests[number]))
        self._since = 0.0

    def _advance(self, number: int, run: _Run) -> None:
        try:
            event = next(run.work)
        except StopIteration:
            run.over = True
        except (RequestError, DeviceFailed) as error:
            if run.started is None and len(self._active()) > 1:  # perhaps there is room for it without the others
                del self._runs[number]
                self._waiting.appendleft(number)
                self._width, self._measured = len(self._active()), True
            else:
                run.over, run.error = True, error
        except Exception as error:
            run.over, run.error = True, error
        else:
            if number == self._shown or not isinstance(event, Progress):
                run.events.append(event)
            self._measure(run, event)
        if run.over:
            self._since = 0.0  # others would now have more of the device

    def _measure(self, run: _Run, event: Event) -> None:
        """Count the images of all runs for a while, and let another run join if the last one paid."""
        if isinstance(event, RunStarted):
            run.started = event
        elif isinstance(event, BatchTrained):
            steps = (event.epoch - 1) * event.steps + event.step
            self._images += (steps - run.steps) * run.request.batch_size
            run.steps, run.epoch_steps = steps, event.steps
            if not self._countable():
                return
            now, active = time.perf_counter(), self._active()
            if not self._since:
                self._images, self._since = 0, now
            elif self._images >= sum(each.epoch_steps * each.request.batch_size for each in active) * COUNTED:
                self._decide(self._images / (now - self._since))

    def _countable(self) -> bool:
        """Whether as many runs as may be active are being trained, on a device that they can share."""
        active = self._active()
        training = all(run.steps and run.started and run.started.device != "cpu" for run in active)
        same = len({run.request.device for run in active}) == 1
        return not self._measured and len(active) == self._width and training and same

    def _decide(self, rate: float) -> None:
        """Set the number of active runs, after `rate` images a second with the present number."""
        if rate <= GAIN * self._rate:
            self._width, self._measured = self._width - 1, True
        elif self._width == self._most:
            self._measured = True
        else:
            self._width, self._rate, self._since = self._width + 1, rate, 0.0
