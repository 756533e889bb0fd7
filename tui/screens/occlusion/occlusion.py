"""The first page: occlusion maps of a patch at each position on a digit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from textual.app import ComposeResult
from textual.containers import Vertical

from engine.attribution.events import ClassOcclusionReady, OcclusionMap, OcclusionMapReady, StrokeShare
from engine.attribution.requests import Occlude
from engine.figures.requests import DrawFigure
from engine.network.events import NetworkEvent
from engine.request import Request
from engine.words import percent
from tui.drawing.raster import Span
from tui.drawing.terminal import glyphs
from tui.drawing.vocabulary import NO_NUMBERS, patch_words
from tui.drawing.words import counted, place
from tui.screens.inspect import Movable
from tui.screens.occlusion.maps import Maps, Panel
from tui.screens.occlusion.patch import PROBABILITY, PatchPage, positive
from tui.screens.state import State
from tui.setting import Setting, of_state
from tui.widgets.bars import Bars
from tui.widgets.pictures import Legend, Raster

AVERAGED = 100
"""Number of digits that the mean map of a class is averaged over."""


class OcclusionPage(PatchPage):
    """The notebook's section 2.4."""

    page = "occlusion"
    title = "occlusion"
    over_many = AVERAGED
    drops: State[bool] = State(False)
    """Whether the second map is the drop in probability, rather than the predicted class."""
    occlusion: OcclusionMap | None = None
    mean: ClassOcclusionReady | None = None

    def compose(self) -> ComposeResult:
        """The digit with the patch and its class probabilities, beside the maps."""
        with Vertical(id="under-patch"):
            yield Raster(id="patched")
            yield Bars(id="answers")
        yield Maps(empty="no map yet", id="occlusion-maps")

    def wanted(self) -> Sequence[Request]:
        return [Occlude(**self.desk.about(), average=AVERAGED if self.many else 0)]

    def take(self, event: NetworkEvent) -> None:
        if isinstance(event, OcclusionMap):
            self.occlusion = event
        elif isinstance(event, ClassOcclusionReady):
            self.mean = event

    def forget(self) -> None:
        self.occlusion = self.mean = None

    @property
    def maps(self) -> Maps:
        """The occlusion maps."""
        return self.query_one(Maps)

    def in_reach(self) -> Movable | None:
        return self.maps

    def shown_mean(self) -> ClassOcclusionReady | None:
        """The mean map, if it is wanted and up to date; else None."""
        return self.mean if self.many and self.settled() else None

    # Drawing

    def draw(self) -> None:
        here, mean = self.occlusion, self.shown_mean()
        if here is None:
            self.maps.show((), ())
            self.query_one(Raster).show("digit", "", None, self.view)
            self.query_one(Bars).show("", [], -1, -1)
            self.desk.query_one(Legend).show(self.view, None)
            return
        panels = self._mean_panels(mean) if mean else self._panels(here)
        facts = self._mean_facts(mean) if mean else self._facts(here)
        self.maps.show(panels, facts)
        if self.maps.cursor is None and isinstance(here, OcclusionMapReady):
            self.maps.go_to(*self._lowest(here))
        self._draw_patched()
        # The legend is that of the first map in view; a map of classes has no value range.
        panel = self.maps.shown[0]
        span = None if panel.usual is not None else panel.span or Span.of(panel.values, panel.view.colours)
        self.desk.query_one(Legend).show(panel.view, span, panel.words)

    def _span(self) -> Span | None:
        """The shared range of probabilities: 0 to 1 as in the notebook, symmetric about zero in the diverging map."""
        return Span.of(np.array([0.0, 1.0]), self.view.colours) if self.view.shared else None

    def _panels(self, here: OcclusionMap) -> tuple[Panel, ...]:
        p, wide = f"p({here.watched})", self.desk.has_class("-wide")
        known = here.probabilities[np.isfinite(here.probabilities)]
        if not len(known):
            extremes = ""
        elif wide:
            extremes = f"min {known.min():.4f} max {known.max():.4f}"
        else:
            extremes = f"{known.min():.3f} to {known.max():.3f}"
        title = f"{p} with patch" if wide else p
        first = Panel(title, extremes, here.probabilities, self.view, self._span(), words=p)
        if self.drops:
            return first, self._drop(f"drop of {p}", here.unoccluded_probability - here.probabilities)
        return first, Panel("predicted class", "", here.winners, self.view, usual=here.predicted)

    def _mean_panels(self, mean: ClassOcclusionReady) -> tuple[Panel, ...]:
        values = mean.mean_probabilities
        words = f"mean of {mean.averaged}"
        extremes = f"{values.min():.2f} to {values.max():.2f}"
        first = Panel(words, extremes, values, self.view, self._span(), words="mean probability")
        if self.drops:
            return first, self._drop("mean drop", mean.unoccluded_probability - values)
        share = replace(self.view, colours="viridis")
        facts = f"at most {mean.changed.max():.2f}"
        return first, Panel("share changed", facts, mean.changed, share, PROBABILITY, words="share changed")

    def _drop(self, title: str, drop: np.ndarray) -> Panel:
        """A map of how far the patch lowers the probability."""
        view, largest = replace(self.view, colours="diverging"), float(np.nanmax(drop, initial=0.0))
        return Panel(title, f"to {largest:.2f} ({positive(view)})", drop, view, words="drop")

    def _facts(self, here: OcclusionMap) -> list[tuple[str, str]]:
        p = f"p({here.watched})"
        without = f"{here.predicted} ({percent(float(here.unoccluded[here.predicted]))})"
        if here.watched != here.predicted:
            without += f", {p} {percent(here.unoccluded_probability)}"
        facts = [("without a patch", without)]
        if not isinstance(here, OcclusionMapReady):
            done = int((here.winners >= 0).sum())
            return [*facts, ("patch", _patch(here)), ("positions", f"{done:,} of {here.winners.size:,}")]
        if np.isnan(here.minimum):
            return [("", NO_NUMBERS)]
        others = here.other_answers
        count = sum(count for _, count in others)
        to = ", ".join(f"{winner} ({count:,})" for winner, count in others)
        took = f": {counted(here.computed, 'position')} in {here.seconds * 1000:.0f} ms"
        return [
            *facts,
            (f"lowest {p}", f"{here.minimum:.4f} at {place(*here.minimum_at)}"),
            (f"highest {p}", f"{here.maximum:.4f} at {place(*here.maximum_at)}"),
            ("prediction", f"changes at {count:,} of {here.winners.size:,}: {to}" if others else "never changes"),
            ("over strokes", _strokes(here.strokes)),
            ("patch", _patch(here) + (took if self.desk.has_class("-wide") else "")),
        ]

    def _mean_facts(self, mean: ClassOcclusionReady) -> list[tuple[str, str]]:
        if np.isnan(mean.unoccluded_probability):
            return [("", NO_NUMBERS)]
        changed = percent(float(mean.changed.max()))
        return [
            ("digits", f"{mean.averaged} of the {mean.matching:,} of class {mean.digit}"),
            ("without a patch", f"mean {percent(mean.unoccluded_probability)}"),
            ("lowest mean", f"{mean.mean_probabilities.min():.4f} at {place(*mean.minimum_at)}"),
            ("most changed", f"{changed} at {place(*mean.most_changed_at)}"),
            ("over strokes", _strokes(mean.strokes)),
            ("patch", _patch(mean)),
        ]

    def _draw_patched(self) -> None:
        """Draw the digit with the patch at the cursor, and its class probabilities."""
        here, mean = self.occlusion, self.shown_mean()
        assert here is not None
        (row, column), size = self.maps.at, here.patch_size
        top, left = row * here.stride, column * here.stride
        image = (mean.mean_image if mean else here.image).copy()
        gray = replace(self.view, colours="gray")
        if self.maps.cursor is not None:
            image[top : top + size, left : left + size] = here.covers[top : top + size, left : left + size]
        title = f"mean {mean.digit}" if mean else f"{here.part} {here.index}"
        facts = "" if mean else f"actual {here.actual}"
        box = (top, left, size) if self.maps.cursor else None
        self.query_one(Raster).show(title, facts, image, gray, PROBABILITY, box)
        bars, found = self.query_one(Bars), here.all_probabilities[row, column]
        if not np.isfinite(found).all():
            bars.show("with the patch", [], -1, -1)
        else:
            words = f"{here.part} {here.index}, with the patch" if mean else f"with the patch: {int(found.argmax())}"
            bars.show(words, found.tolist(), here.actual, int(found.argmax()))

    def sentence(self) -> str:
        """The prediction at the cursor."""
        here = self.occlusion
        if here is None or self.maps.cursor is None:
            return ""
        row, column = self.maps.at
        found = here.all_probabilities[row, column]
        if not np.isfinite(found).all():
            return ""
        winner, size = int(found.argmax()), here.patch_size
        at = f"patch {size}x{size} at {place(row * here.stride, column * here.stride)}"
        if (mean := self.shown_mean()) is not None:
            share = percent(float(mean.changed[row, column]))
            deviation = float(mean.deviation[row, column])
            value = f"{mean.mean_probabilities[row, column]:.4f} {glyphs().spread} {deviation:.4f}"
            return f"{at}: mean {value}, {share} changed"
        answer = f"predicts {winner} ({percent(float(found[winner]))})"
        if winner == here.watched:
            return f"{at}: {answer}"
        return f"{at}: {answer}, p({here.watched}) {percent(float(here.probabilities[row, column]))}"

    def figure(self) -> DrawFigure | None:
        """The map; None until it is complete."""
        whole = self.occlusion if isinstance(self.occlusion, OcclusionMapReady) else None
        return self.desk.as_drawn(self.shown_mean() or whole)

    # Keys

    def on_bars_chosen(self, message: Bars.Chosen) -> None:
        """Watch the clicked class."""
        self.desk.watch_class(message.number)

    def on_maps_moved(self) -> None:
        if self.occlusion:
            self._draw_patched()
            self.desk.draw_status()

    def settings(self) -> Sequence[Setting]:
        second = of_state(
            self, "drops", "beside", (False, True), name="second", help="what the second map shows",
            show=lambda drops: "drop" if drops else "predicted class",
        )  # fmt: skip
        return [*super().settings(), second]

    def action_other_map(self) -> None:
        """Switch the second map; where only one map fits, step through the first, the predicted class and the drop."""
        maps = self.maps
        if not maps.both_fit and maps.front == 0:
            maps.front = 1
            self.desk.update()
        else:
            maps.front = 0 if self.drops else maps.front
            self.drops = not self.drops

    def action_minimum(self) -> None:
        if self.occlusion:
            self.maps.go_to(*self._lowest(self.occlusion))

    def _lowest(self, here: OcclusionMap) -> tuple[int, int]:
        mean = self.shown_mean()
        values = mean.mean_probabilities if mean else here.probabilities
        place = int(np.where(np.isnan(values), np.inf, values).argmin())
        return place // values.shape[1], place % values.shape[1]


def _patch(event: OcclusionMap | ClassOcclusionReady) -> str:
    return patch_words(event.patch_size, event.baseline, event.stride)


def _strokes(strokes: StrokeShare) -> str:
    drop = "no drop" if np.isnan(strokes.drop) else f"{strokes.drop * 100:.1f} % of drop"
    return f"{strokes.positions * 100:.0f} % of positions, {drop}"
