"""What the pages of the occlusion screen share: a patch, its baseline, and the watched class."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, get_args

from engine.attribution.events import DigitEvent
from engine.attribution.requests import BaselineName, WatchedClass
from engine.event import Event
from engine.geometry import IMAGE_SIZE
from engine.lab import Job
from tui.drawing.raster import Span
from tui.drawing.view import View
from tui.screens.inspect_pages import InspectPage, InspectPages
from tui.screens.state import State

BASELINES: tuple[str, ...] = (*get_args(BaselineName), "0.15", "0.25", "0.5", "0.75")
"""The baselines that a key steps through: the named ones, then grays."""
WATCHED: tuple[WatchedClass, ...] = get_args(WatchedClass)
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

    def settings(self) -> dict[str, Any]:
        """The fields of a request about the current digit and the patch."""
        split, index = self.workspace.digit
        patch = {name: getattr(self.patch, name) for name in Patch.__dataclass_fields__}
        return {"what": self.workspace.what, "split": split, "index": index, **patch}

    def action_larger_patch(self) -> None:
        self._resize(1, 0)

    def action_smaller_patch(self) -> None:
        self._resize(-1, 0)

    def action_longer_stride(self) -> None:
        self._resize(0, 1)

    def action_shorter_stride(self) -> None:
        self._resize(0, -1)

    def _resize(self, size: int, stride: int) -> None:
        self.patch = replace(
            self.patch,
            patch_size=min(max(self.patch.patch_size + size, 1), IMAGE_SIZE - 1),
            stride=min(max(self.patch.stride + stride, 1), IMAGE_SIZE - 1),
        )

    def action_next_baseline(self) -> None:
        self.patch = replace(
            self.patch, baseline=BASELINES[(BASELINES.index(self.patch.baseline) + 1) % len(BASELINES)]
        )

    def action_next_watched(self) -> None:
        self._watch_class(1)

    def action_previous_watched(self) -> None:
        self._watch_class(-1)

    def _watch_class(self, by: int) -> None:
        """Step through true, predicted, 0, 1 and so on."""
        self.patch = replace(self.patch, watch=WATCHED[(WATCHED.index(self.patch.watch) + by) % len(WATCHED)])


class PatchPage(InspectPage):
    """A page of such a screen; some pages can also average over many digits."""

    desk: PatchScreen
    many: State[bool] = State(False)
    """Whether many digits are wanted, rather than only the current one."""
    over_many = False
    """Whether the page can average over many digits."""

    def settled(self) -> bool:
        """Whether the page is in front, and all its requests have been answered for the network as it is now."""
        return self.desk.page is self and all(map(self.desk.inquiry.answered, self.wanted()))

    def while_working(self) -> str:
        return "x stops" if self.many else ""

    def unused(self) -> set[str]:
        return set() if self.many and self.desk.at_work else {"stop"}

    def action_average(self) -> None:
        """Switch between many digits and the current one."""
        if self.over_many:
            self.many = not self.many

    def action_stop(self) -> None:
        """Go back to the current digit; what was computed is kept for the next time."""
        self.many = False


def positive(view: View) -> str:
    """How positive values appear in the diverging map, as text."""
    return "':+#" if view.mode == "glyphs" else "red"
