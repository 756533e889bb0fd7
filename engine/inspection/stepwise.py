"""Work of a library that reports by calling back, as a generator that can be stopped at each report."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import Generic, TypeVar

S = TypeVar("S")
T = TypeVar("T")


class _Stopped(BaseException):
    """Ends the library's work from within its report; not an Exception, which a library might handle."""


class _Work(Generic[S, T]):
    """The work in a thread of its own, which runs only while the generator is being advanced."""

    def __init__(self, work: Callable[[Callable[[S], None]], T]) -> None:
        self._work = work
        self.go, self.came = threading.Semaphore(0), threading.Semaphore(0)
        self.said: list[S] = []
        self.result: list[T] = []
        self.error: BaseException | None = None
        self.ended = self.stopped = False

    def report(self, value: S) -> None:
        if not self.stopped:
            self.said = [value]
            self.came.release()
            self.go.acquire()
        if self.stopped:
            raise _Stopped

    def run(self) -> None:
        self.go.acquire()
        try:
            if not self.stopped:
                self.result.append(self._work(self.report))
        except _Stopped:
            pass
        except BaseException as error:
            self.error = error
        finally:
            self.ended = True
            self.came.release()


def stepwise(work: Callable[[Callable[[S], None]], T]) -> Generator[S, None, T]:
    """Carry out `work(report)`, yield what it reports, and return its result; its errors are raised here.

    When the generator is closed or something is thrown into it, `work` ends at its next report. It runs in a thread
    that waits while the generator does, so the two never compute at once.
    """
    state = _Work(work)
    thread = threading.Thread(target=state.run, name="stepwise", daemon=True)
    thread.start()
    try:
        while True:
            state.go.release()
            state.came.acquire()
            if state.ended:
                break
            yield state.said[0]
    finally:
        if not state.ended:
            state.stopped = True
            state.go.release()
            thread.join()
    if state.error:
        raise state.error
    return state.result[0]
