"""Work of a library as a generator: its results, its errors, and that it stops."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from engine.inspection.stepwise import stepwise
from tests.conftest import returned


def counting(upto: int, seen: list[int]) -> Callable[[Callable[[int], None]], str]:
    def work(report: Callable[[int], None]) -> str:
        for number in range(upto):
            seen.append(number)
            report(number)
        return "done"

    return work


def threads() -> int:
    return sum(thread.name == "stepwise" for thread in threading.enumerate())


def test_it_yields_reports_and_returns_the_result() -> None:
    seen: list[int] = []
    assert list(stepwise(counting(4, seen))) == [0, 1, 2, 3]
    assert returned(stepwise(counting(2, []))) == "done"
    assert threads() == 0


def test_the_work_waits_while_nobody_asks() -> None:
    seen: list[int] = []
    steps = stepwise(counting(9, seen))
    assert next(steps) == 0
    assert next(steps) == 1
    assert seen == [0, 1]
    steps.close()
    assert seen == [0, 1]
    assert threads() == 0


def test_it_ends_when_something_is_thrown_into_it() -> None:
    steps = stepwise(counting(9, []))
    next(steps)
    with pytest.raises(KeyError):
        steps.throw(KeyError("stop"))
    assert threads() == 0


def test_a_library_that_catches_exceptions_is_stopped_too() -> None:
    ended = []

    def stubborn(report: Callable[[int], None]) -> None:
        try:
            for number in range(5):
                try:
                    report(number)
                except Exception:
                    ended.append("swallowed")
        finally:
            ended.append("finally")

    steps = stepwise(stubborn)
    next(steps)
    steps.close()
    assert ended == ["finally"]


def test_its_error_is_raised_here() -> None:
    def broken(report: Callable[[int], None]) -> None:
        report(1)
        raise ValueError("no such library call")

    steps = stepwise(broken)
    assert next(steps) == 1
    with pytest.raises(ValueError, match="no such library call"):
        next(steps)
    assert threads() == 0
