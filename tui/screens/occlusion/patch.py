"""What the pages of the occlusion screen share: a patch, its baseline, and the watched class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, get_args

from engine.attribution.events import DigitEvent
from engine.attribution.requests import BaselineName, Explain, WatchedClass
from engine.event import Event
from engine.lab import Job
from engine.request import parameters
from tui.drawing.raster import Span
from tui.drawing.terminal import UNICODE, glyphs
from tui.drawing.view import View
from tui.screens.inspect_pages import InspectPage, InspectPages
from tui.screens.state import State
from tui.setting import Setting, of_parameter, of_state
from tui.workspace import images_in

BASELINES: tuple[str, ...] = (*get_args(BaselineName), "0.15", "0.25", "0.5", "0.75")
"""What a key fills the patch with, in turn: the named baselines, then grays."""
LABELS = {"patch_size": "patch", "stride": "stride", "baseline": "fill", "watch": "class"}
"""The settings of the patch, by the names of the requests' fields."""
FILLS = {"zero": "0 (black)", "one": "1 (white)"}
PROBABILITY = Span(0.0, 1.0)


@dataclass(frozen=True)
class Patch:
    """The settings of the patch, by the names of the requests' fields."""

    patch_size: int = 8
    stride: int = 1
    baseline: str = "zero"
    watch: WatchedClass = "true"


class PatchScreen(InspectPages):
    """The base of a screen whose pages share a patch."""

    patch: State[Patch] = State(Patch())
    _count = 0
    """Number of images in the split of the current digit; 0 until known."""

    def hear(self, job: Job, event: Event) -> None:
        if isinstance(event, DigitEvent):
            self._count = event.count
        super().hear(job, event)

    def digits_in_split(self) -> int:
        return self._count

    def about(self) -> dict[str, Any]:
        """The fields of a request about the current digit and the patch."""
        part, index = self.workspace.digit
        patch = {name: getattr(self.patch, name) for name in Patch.__dataclass_fields__}
        return {"what": self.workspace.what, **images_in(part), "index": index, **patch}

    def patch_settings(self) -> list[Setting]:
        """The settings of the patch."""
        found = []
        known = {parameter.name: parameter for parameter in parameters(Explain)}
        for name, parameter in ((name, known[name]) for name in LABELS):
            value = getattr(self.patch, name)
            if name == "baseline":
                fill = Setting(name, LABELS[name], value, self._fill, BASELINES, show=_fill, help=parameter.help)
                found.append(fill)
            else:
                found.append(of_parameter(parameter, value, partial(self._change, name), label=LABELS[name]))
        return found

    def _change(self, name: str, value: Any) -> None:
        self.patch = replace(self.patch, **{name: value})

    def _fill(self, baseline: str) -> None:
        Explain(what="pretrained:cnn", baseline=baseline)  # raises RequestError where there is no such baseline
        self._change("baseline", baseline)

    def _step(self, name: str, by: int) -> None:
        next(each for each in self.patch_settings() if each.name == name).change(by)

    def action_larger_patch(self) -> None:
        self._step("patch_size", 1)

    def action_smaller_patch(self) -> None:
        self._step("patch_size", -1)

    def action_next_baseline(self) -> None:
        self._step("baseline", 1)

    def watch_class(self, number: int) -> None:
        """Watch the probability of a class."""
        self._change("watch", str(number))

    def action_next_class(self) -> None:
        """Watch the next class: true, predicted, 0, 1 and so on."""
        self._step("watch", 1)

    def action_previous_class(self) -> None:
        self._step("watch", -1)


class PatchPage(InspectPage):
    """A page of such a screen; some pages can also average over many digits."""

    desk: PatchScreen
    many: State[bool] = State(False)
    """Whether many digits are wanted, rather than only the current one."""
    over_many = 0
    """The number of digits that the page can average over; 0 if it cannot."""

    def settings(self) -> Sequence[Setting]:
        found = self.desk.patch_settings()
        if self.over_many:
            words = {False: "this digit", True: f"mean of {self.over_many}"}
            found.append(of_state(self, "many", "over", (False, True), show=words.__getitem__))
        return found

    def settled(self) -> bool:
        """Whether the page is in front, and all its requests have been answered for the network as it is now."""
        return self.desk.page is self and all(map(self.desk.inquiry.answered, self.wanted()))

    def while_working(self) -> str:
        return f"{self.desk.key('stop')} stops" if self.many else ""

    def unused(self) -> set[str]:
        return set() if self.many and self.desk.at_work else {"stop"}

    def action_average(self) -> None:
        """Switch between many digits and the current one."""
        if self.over_many:
            self.many = not self.many

    def action_stop(self) -> None:
        """Go back to the current digit; what was computed is kept for the next time."""
        self.many = False


def _fill(baseline: str) -> str:
    return FILLS.get(baseline, baseline)


def positive(view: View) -> str:
    """How positive values appear in the diverging map, as text."""
    if view.mode != "glyphs":
        return "red"
    return "░▒▓█" if glyphs() is UNICODE else "':+#"
