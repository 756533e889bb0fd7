"""Requests about the same network, and the event that answers one."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from engine.attribution.requests import Occlude
from engine.event import Event, WorkAdvanced
from engine.inspection.requests import Evaluate, InspectImages, ShowFilters
from engine.network.events import DeviceFellBack
from engine.network.requests import Inspect, Reading
from engine.report.asking import about, answered
from engine.request import RequestError
from tests.conftest import returned

FILE = Inspect(what="theirs.pth", device="cpu", mean=0.1, std=0.3, stride=2, padding=0)


def told(event: Event) -> Event:
    return event


def test_a_request_reads_the_same_network_in_the_same_way() -> None:
    made = about(ShowFilters, FILE, layer="conv2")
    assert (made.what, made.device, made.layer, made.reading) == ("theirs.pth", "cpu", "conv2", FILE.reading)


def test_the_stride_of_a_patch_is_not_that_of_the_network() -> None:
    made = about(Occlude, FILE)
    assert (made.stride, made.reading) == (Occlude().stride, Reading(0.1, 0.3, None, 0))
    assert about(ShowFilters, Occlude(what="theirs.pth", stride=5)).stride is None
    assert about(Occlude, Occlude(stride=5), stride=7).stride == 7


def test_it_is_about_the_same_images() -> None:
    made = about(Evaluate, InspectImages(split="train", dataset="fashion-mnist"))
    assert (made.split, made.dataset) == ("train", "fashion-mnist")
    assert about(Evaluate, FILE).split == "test"


def test_the_answer_is_found_among_the_progress() -> None:
    step = WorkAdvanced(words="writing", done=1, total=2)
    answer = DeviceFellBack(reason="none")

    def work(*events: Event) -> Generator[Event, None, None]:
        yield from events

    assert returned(answered(DeviceFellBack, work(step, answer, step), "writing", told)) is answer
    assert list(answered(DeviceFellBack, work(step, answer), "writing", told)) == [step, answer]
    with pytest.raises(RequestError, match="writing gave no result"):
        returned(answered(DeviceFellBack, work(step), "writing", told))
