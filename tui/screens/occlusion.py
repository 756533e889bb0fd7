"""Screen 6: why the network says so. A patch over the digit, the gradient methods, and whether these tell the truth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.widget import Widget

from engine.attribution.events import (
    AttributionsComputed,
    ClassOcclusionReady,
    Faithfulness,
    FaithfulnessMeasured,
    OcclusionMap,
    OcclusionMapReady,
    StrokeShare,
)
from engine.attribution.requests import Attribute, BaselineName, Occlude, WatchedClass
from engine.figures.requests import DrawFigure
from engine.geometry import IMAGE_SIZE
from engine.inspection.requests import LayerName
from engine.network.events import NetworkEvent
from engine.request import Request
from tui.commands import Command, bindings
from tui.raster import Span
from tui.screens.inspect import InspectScreen, Movable
from tui.tables import METHOD_NAMES, NO_NUMBERS
from tui.terminal import glyphs
from tui.widgets.bars import Bars
from tui.widgets.chart import Chart, Curve
from tui.widgets.lines import ProgressLine
from tui.widgets.maps import Maps, Panel
from tui.widgets.pictures import EMPTY, Legend, Raster, RasterGrid, Sheet
from tui.widgets.table import percent
from tui.widgets.trust import TrustTable
from tui.widgets.view import View

Page = Literal["occlusion", "methods", "trust"]
BASELINES: tuple[str, ...] = (*get_args(BaselineName), "0.15", "0.25", "0.5", "0.75")
"""What a key goes through: the names, then grays."""
WATCHED: tuple[WatchedClass, ...] = get_args(WatchedClass)
SHOWN_BASELINES = {"zero": "0", "mean": "its mean", "one": "1", "noise": "noise"}
AVERAGED, MEASURED = 100, 50
"""Digits that the mean map of a class, and the mean curves, are taken over."""
PROBABILITY = Span(0.0, 1.0)
QUESTION = "do they tell the truth?"
ROOMY = (176, 48)
"""Columns and rows of a terminal in which a digit twice as large leaves the maps their size."""


class OcclusionScreen(InspectScreen):
    """The notebook's section 2.4, and what it only asserts: that the network looks at the digit."""

    mode = "occlusion"
    BINDINGS = bindings("occlusion")
    colours = "viridis"
    page: Page = "occlusion"
    patch_size, stride = 8, 1
    baseline = "zero"
    watched: WatchedClass = "true"
    third: Literal["winners", "drop"] = "winners"
    """What is beside the map."""
    cam: LayerName = "conv2"
    """The convolution that Grad-CAM shows."""
    averages = False
    """Whether the mean map of the class is wanted."""
    measures = False
    """Whether the mean curves are."""
    occlusion: OcclusionMap | None = None
    mean: ClassOcclusionReady | None = None
    attributions: AttributionsComputed | None = None
    faithfulness: FaithfulnessMeasured | None = None

    def __init__(self) -> None:
        super().__init__()
        self._views: dict[Page, View] = {"methods": View("glyphs", "diverging", False)}
        """Colour map and range of the pages that are not in front."""
        self.add_class("-occlusion")

    def body(self) -> Iterable[Widget]:
        """The first of three pages; the others are made when somebody turns to them."""
        yield self._made("occlusion")
        yield Legend()
        yield ProgressLine(id="status")

    @staticmethod
    def _made(page: Page) -> Widget:
        name = f"{page}-page"
        match page:
            case "occlusion":
                under = Vertical(Raster(id="patched"), Bars(id="answers"), id="under-patch")
                return Horizontal(under, Maps(empty="no map yet", id="occlusion-maps"), classes="desk page", id=name)
            case "methods":
                grid = RasterGrid(empty="no attributions yet", id="methods")
                near = (Raster(id="method-digit"), Raster(id="method"))
                return Horizontal(grid, *near, classes="desk page", id=name)
            case "trust":
                charts = (
                    Chart("deletion", empty="no curves yet", id="deletion"),
                    Chart("insertion", empty="", id="insertion"),
                )
                both = Horizontal(*charts, id="trust-charts")
                return Vertical(both, TrustTable(id="trust"), classes="desk page", id=name)

    def on_resize(self, event: Resize) -> None:
        """Where there is plenty of room, the digit is twice as large."""
        self.set_class(event.size.width >= ROOMY[0] and event.size.height >= ROOMY[1], "-roomy")

    # What is asked for

    def _settings(self) -> dict[str, Any]:
        split, index = self.lab_app.digit
        return {
            "what": self.lab_app.what,
            "split": split,
            "index": index,
            "patch_size": self.patch_size,
            "stride": self.stride,
            "baseline": self.baseline,
            "watch": self.watched,
        }

    def wanted(self) -> list[Request]:
        """What the page in front shows."""
        if self.page == "occlusion":
            return [Occlude(**self._settings(), average=AVERAGED if self.averages else 0)]
        if self.page == "trust" and self.measures:
            return [Attribute(**self._settings(), digits=MEASURED, randomise=True)]
        return [Attribute(**self._settings())]

    def take(self, event: NetworkEvent) -> None:
        """Keep an answer."""
        match event:
            case OcclusionMap():
                self.occlusion = event
            case ClassOcclusionReady():
                self.mean = event
            case AttributionsComputed():
                self.attributions = event
            case FaithfulnessMeasured():
                self.faithfulness = event
            case _:
                pass

    def forget(self) -> None:
        """Another network looks elsewhere."""
        self.occlusion = self.mean = self.attributions = self.faithfulness = None

    @property
    def maps(self) -> Maps:
        """The occlusion maps."""
        return self.query_one(Maps)

    @property
    def table(self) -> TrustTable:
        """The table of methods."""
        return self.query_one(TrustTable)

    @property
    def grid(self) -> RasterGrid:
        """The maps of all methods."""
        return self.query_one("#methods", RasterGrid)

    def in_reach(self) -> Movable | None:
        """What has the cursor on the page in front."""
        if self.page == "occlusion":
            return self.maps
        return self.grid if self.page == "methods" else self.table

    def digits_in_split(self) -> int:
        """As many as the answer says."""
        known = self.occlusion or self.attributions
        return known.count if known else 0

    # Drawing

    def draw_panels(self) -> None:
        """The page in front."""
        for page in get_args(Page):
            self.set_class(page == self.page, f"-{page}")
        {"occlusion": self._draw_occlusion, "methods": self._draw_methods, "trust": self._draw_trust}[self.page]()

    def _mean(self) -> ClassOcclusionReady | None:
        """The mean map where it is what should be shown."""
        return self.mean if self.averages and self._settled("occlusion") else None

    def _many(self) -> FaithfulnessMeasured | None:
        """The mean curves where they are what should be shown."""
        return self.faithfulness if self.measures and self._settled("trust") else None

    def _settled(self, page: Page) -> bool:
        """Whether `page` is in front and all that it wants was answered for the network as it is now."""
        return self.page == page and all(map(self.answered, self.wanted()))

    def _draw_occlusion(self) -> None:
        here, mean = self.occlusion, self._mean()
        if here is None:
            self.maps.show((), ())
            self.query_one("#patched", Raster).show("digit", "", None, self.view)
            self.query_one(Bars).show("", [], -1, -1)
            self.query_one(Legend).show(self.view, None)
            return
        panels = self._mean_panels(mean) if mean else self._panels(here)
        facts = self._mean_facts(mean) if mean else self._facts(here)
        self.maps.show(panels, facts)
        if self.maps.cursor is None and isinstance(here, OcclusionMapReady):
            self.maps.go_to(*self._lowest(here))
        self._draw_patched()
        self._draw_legend()

    def _draw_legend(self) -> None:
        """What the colours of the first map in view mean; classes have none."""
        panel = self.maps.shown[0]
        span = None if panel.usual is not None else panel.span or Span.of(panel.values, panel.view.colours)
        self.query_one(Legend).show(panel.view, span, panel.words)

    def _span(self) -> Span | None:
        """Of probabilities: as in the notebook from 0 to 1, in the diverging map with zero in its middle."""
        return Span.of(np.array([0.0, 1.0]), self.view.colours) if self.view.shared else None

    def _panels(self, here: OcclusionMap) -> tuple[Panel, ...]:
        p = f"p({here.watched})"
        known = here.probabilities[np.isfinite(here.probabilities)]
        if not len(known):
            extremes = ""
        elif self.has_class("-wide"):
            extremes = f"min {known.min():.4f} max {known.max():.4f}"
        else:
            extremes = f"{known.min():.3f} to {known.max():.3f}"
        title = f"{p} with patch" if self.has_class("-wide") else p
        first = Panel(title, extremes, here.probabilities, self.view, self._span(), words=p)
        if self.third == "winners":
            return first, Panel("winning class", "", here.winners, self.view, usual=here.predicted)
        return first, self._drop(f"drop of {p}", here.unoccluded_probability - here.probabilities)

    def _mean_panels(self, mean: ClassOcclusionReady) -> tuple[Panel, ...]:
        values = mean.mean_probabilities
        words = f"mean of {mean.averaged}"
        extremes = f"{values.min():.2f} to {values.max():.2f}"
        first = Panel(words, extremes, values, self.view, self._span(), words="mean probability")
        if self.third == "winners":
            share = replace(self.view, colours="viridis")
            facts = f"at most {mean.changed.max():.2f}"
            return first, Panel("share changed", facts, mean.changed, share, PROBABILITY, words="share changed")
        return first, self._drop("mean drop", mean.unoccluded_probability - values)

    def _drop(self, title: str, drop: np.ndarray) -> Panel:
        """A map of what the patch takes away."""
        view, largest = replace(self.view, colours="diverging"), float(np.nanmax(drop, initial=0.0))
        return Panel(title, f"to {largest:.2f} ({_positive(view)})", drop, view, words="drop")

    def _facts(self, here: OcclusionMap) -> list[tuple[str, str]]:
        p = f"p({here.watched})"
        sure = percent(float(here.unoccluded[here.predicted]))
        facts = [("without a patch", f"{here.predicted} ({sure}), {p} {percent(here.unoccluded_probability)}")]
        shows = SHOWN_BASELINES.get(here.baseline, here.baseline)
        patch = f"{here.patch_size}x{here.patch_size} of {shows}, stride {here.stride}"
        if not isinstance(here, OcclusionMapReady):
            done = int((here.winners >= 0).sum())
            return [*facts, ("patch", patch), ("positions", f"{done:,} of {here.winners.size:,}")]
        if np.isnan(here.minimum):
            return [("", NO_NUMBERS)]
        others = here.other_answers
        changed = ": " + ", ".join(f"{winner} ({count:,})" for winner, count in others) if others else ""
        return [
            *facts,
            (f"lowest {p}", f"{here.minimum:.4f} at {here.minimum_at}"),
            (f"highest {p}", f"{here.maximum:.4f} at {here.maximum_at}"),
            ("other answers", f"{sum(count for _, count in others):,} of {here.winners.size:,}{changed}"),
            ("over strokes", _strokes(here.strokes)),
            ("patch", f"{patch}, {here.computed:,} in {here.seconds * 1000:.0f} ms"),
        ]

    def _mean_facts(self, mean: ClassOcclusionReady) -> list[tuple[str, str]]:
        if np.isnan(mean.unoccluded_probability):
            return [("", NO_NUMBERS)]
        shows = SHOWN_BASELINES.get(mean.baseline, mean.baseline)
        return [
            ("digits", f"{mean.averaged} of the {mean.matching:,} of class {mean.digit}"),
            ("without a patch", f"mean {percent(mean.unoccluded_probability)}"),
            ("lowest mean", f"{mean.mean_probabilities.min():.4f} at {mean.minimum_at}"),
            ("other answers", f"for {percent(float(mean.changed.max()))} at {mean.most_changed_at}"),
            ("over strokes", _strokes(mean.strokes)),
            ("patch", f"{mean.patch_size}x{mean.patch_size} of {shows}, stride {mean.stride}"),
        ]

    def _draw_patched(self) -> None:
        """The digit with the patch at the cursor, and what the network says of it."""
        here, mean = self.occlusion, self._mean()
        assert here is not None
        (row, column), size = self.maps.at, here.patch_size
        top, left = row * here.stride, column * here.stride
        image = (mean.mean_image if mean else here.image).copy()
        patched = self.query_one("#patched", Raster)
        gray = replace(self.view, colours="gray")
        if self.maps.cursor is not None:
            image[top : top + size, left : left + size] = here.covers[top : top + size, left : left + size]
        title = f"mean {mean.digit}" if mean else f"{here.split} {here.index}"
        facts = "" if mean else f"actual {here.actual}"
        patched.show(title, facts, image, gray, PROBABILITY, (top, left, size) if self.maps.cursor else None)
        bars = self.query_one(Bars)
        found = here.all_probabilities[row, column]
        if not np.isfinite(found).all():
            bars.show("with the patch", [], -1, -1)
        else:
            words = f"{here.split} {here.index}, with the patch" if mean else f"with the patch: {int(found.argmax())}"
            bars.show(words, found.tolist(), here.actual, int(found.argmax()))

    def _methods_shown(self, here: AttributionsComputed) -> list[int]:
        """The maps on the page, by number: of Grad-CAM one."""
        hidden = "grad-cam-conv1" if self.cam == "conv2" else "grad-cam-conv2"
        return [number for number, method in enumerate(here.methods) if method != hidden]

    def _draw_methods(self) -> None:
        here = self.attributions
        if here is None:
            for name in ("method-digit", "method"):
                self.query_one(f"#{name}", Raster).show("", "", None, self.view)
            self.grid.show("methods", "", EMPTY, self.view)
            self.query_one(Legend).show(self.view, None)
            return
        shown = self._methods_shown(here)
        images = np.concatenate((here.image[None], here.maps[shown]))
        labels = [f"{here.split} {here.index}", *(METHOD_NAMES[here.methods[number]] for number in shown)]
        what = f"what speaks for {here.watched}"
        probability = percent(here.unoccluded_probability)
        facts = f"actual {here.actual}, predicted {here.predicted}, p({here.watched}) {probability}"
        inks = ["quiet", *("quiet" if here.maps[number].any() else "warning" for number in shown)]
        self.grid.show(what, facts, Sheet(images, labels=labels, inks=inks, plain=1), self.view)
        self._draw_method(here)

    def _note(self) -> str:
        """What there is to say of the map under the cursor; empty where that is nothing."""
        here, at = self.attributions, self.grid.cursor
        if here is None or at == 0:
            return ""
        number = self._methods_shown(here)[at - 1]
        if not here.maps[number].any():  # as Grad-CAM's where no channel speaks for the class
            return "this map is zero everywhere: it says nothing of this digit"
        if completeness := here.faithfulness[number].completeness:
            total, difference = completeness
            return (
                f"sum {total:.3f}, difference in logit to black {difference:.3f}: error {abs(total - difference):.3f}"
            )
        return ""

    def _draw_method(self, here: AttributionsComputed) -> None:
        """The one under the cursor, from near; and what its colours mean."""
        at, shown = self.grid.cursor, self._methods_shown(here)
        gray = replace(self.view, colours="gray")
        number = shown[max(0, at - 1)]
        picture, method = here.maps[number], here.methods[number]
        span = self.grid.span or Span.of(picture, self.view.colours)
        digit = self.query_one("#method-digit", Raster)
        digit.show(f"{here.split} {here.index}", f"actual {here.actual}", here.image, gray, PROBABILITY)
        measured = here.faithfulness[number]
        facts = f"deletion {measured.deletion.area:.3f}  insertion {measured.insertion.area:.3f}"
        self.query_one("#method", Raster).show(method.replace("-", " "), facts, picture, self.view, span)
        if at == 0:
            self.query_one(Legend).show(gray, PROBABILITY, "pixel")
        else:
            self.query_one(Legend).show(self.view, span, "drop" if method == "occlusion" else method.replace("-", " "))

    def _measured(self) -> tuple[Sequence[float], Sequence[Faithfulness]]:
        """The shares and the curves that the page shows."""
        shown = self._many() or self.attributions
        return (shown.shares, shown.faithfulness) if shown else ((), ())

    def _draw_trust(self) -> None:
        many, here = self._many(), self.attributions
        shares, measured = self._measured()
        if many:
            words = f"mean of {many.averaged} digits"
            self.table.show(f"{QUESTION}  {words}", f"random weights: {many.randomised} digits", measured, many.stages)
        else:
            words = f"{here.split} {here.index}, p({here.watched})" if here else ""
            self.table.show(f"{QUESTION}  {words}", "", measured)
        self._draw_curves(shares, measured)
        self.query_one(Legend).show(self.view, None)

    def _draw_curves(self, shares: Sequence[float], measured: Sequence[Faithfulness]) -> None:
        here, xs = self.table.here, [100 * share for share in shares]
        chance = next((each for each in measured if each.method == "random"), None)
        for name in ("deletion", "insertion"):
            curves = []
            if chance and chance is not here:
                one = getattr(chance, name)
                curves.append(Curve("random", "curve-running", xs, one.values, f"{one.area:.3f}", points=True))
            if here:
                one = getattr(here, name)
                if one.spread:
                    curves += [Curve("spread", "rule", xs, edge) for edge in one.band()]
                curves.append(Curve(METHOD_NAMES[here.method], "curve-train", xs, one.values, f"{one.area:.3f}"))
            self.query_one(f"#{name}", Chart).show(curves, (0.0, 100.0), (0.0, 1.0))

    def sentence(self) -> str:
        """The answer at the cursor; how to read the page."""
        here = self.occlusion
        if self.page == "methods":
            if note := self._note():
                return note
            own = "all maps in one range" if self.view.shared else "each map up to its own largest magnitude"
            signs = f"; {_positive(self.view)} speaks for the class" if self.view.colours == "diverging" else ""
            return own + signs
        if self.page == "trust":
            other = "this digit" if self.measures else f"mean of {MEASURED} digits"
            return f"across: % of the pixels, the highest first; a: {other}"
        if here is None or self.maps.cursor is None:
            return ""
        row, column = self.maps.at
        found = here.all_probabilities[row, column]
        if not np.isfinite(found).all():
            return ""
        winner, size = int(found.argmax()), here.patch_size
        at = f"patch {size}x{size} at ({row * here.stride}, {column * here.stride})"
        answer = f"predicts {winner} ({percent(float(found[winner]))}), p({here.watched})"
        words = f"{at}: {answer} {percent(float(here.probabilities[row, column]))}"
        if (mean := self._mean()) is not None:
            share = percent(float(mean.changed[row, column]))
            deviation = float(mean.deviation[row, column])
            words = f"{at}: mean {mean.mean_probabilities[row, column]:.4f} {glyphs().spread} {deviation:.4f}, "
            words += f"changes {share} of the answers"
        return words

    def while_working(self) -> str:
        """How to stop it."""
        return "x stops" if self._over_many() else ""

    def _over_many(self) -> bool:
        """Whether something over many digits is wanted on this page."""
        return (self.page == "occlusion" and self.averages) or (self.page == "trust" and self.measures)

    def figure(self) -> DrawFigure | None:
        """What the page shows; nothing while a map is not whole."""
        if self.page == "occlusion":
            whole = self.occlusion if isinstance(self.occlusion, OcclusionMapReady) else None
            return self.as_drawn(self._mean() or whole)
        view = self._views["methods"] if self.page == "trust" else self.view
        return self.as_drawn(self._many() or self.attributions, view=view)

    def live_commands(self) -> tuple[Command, ...]:
        """The keys of the page in front."""
        hidden = {
            "occlusion": set[str](),
            "methods": {"minimum", "average"},
            "trust": {"minimum", "panel", "colours", "range", "view", "zoom"},
        }[self.page]
        if not (self._over_many() and self.at_work):
            hidden = hidden | {"stop"}
        return tuple(command for command in super().live_commands() if command.name not in hidden)

    # Keys

    def on_maps_moved(self) -> None:
        """The patch is elsewhere."""
        if self.occlusion:
            self._draw_patched()
            self._show_status()

    def on_raster_grid_moved(self) -> None:
        """Another method."""
        if self.attributions:
            self._draw_method(self.attributions)
            self._show_status()

    def on_raster_grid_opened(self) -> None:
        """From near."""
        self.action_zoom()

    def on_trust_table_moved(self) -> None:
        """Another method's curves."""
        self._draw_curves(*self._measured())

    def action_zoom(self) -> None:
        """From near, or back."""
        if self.page != "trust":
            self.toggle_class("-zoomed")

    async def action_back(self) -> None:
        """From near to the page; from another page to the first."""
        if self.has_class("-zoomed"):
            self.remove_class("-zoomed")
        elif self.page != "occlusion":
            await self._turn_to("occlusion")

    async def _turn_to(self, page: Page) -> None:
        if not self.query(f"#{page}-page"):
            await self.mount(self._made(page), before=self.query_one(Legend))
        self._views[self.page] = self.view
        self.page, self.view = page, self._views.get(page, self.view)
        self.remove_class("-zoomed")
        self.show(())

    async def action_methods(self) -> None:
        """The gradient methods, or back."""
        await self._turn_to("occlusion" if self.page == "methods" else "methods")

    async def action_trust(self) -> None:
        """Deletion and insertion, or back."""
        await self._turn_to("occlusion" if self.page == "trust" else "trust")

    def action_average(self) -> None:
        """Over many digits, or this one again."""
        if self.page == "occlusion":
            self.averages = not self.averages
        elif self.page == "trust":
            self.measures = not self.measures
        self.show(())

    def action_stop(self) -> None:
        """This digit alone again; what was done is kept for the next time."""
        if self._over_many():
            self.action_average()

    def action_panel(self) -> None:
        """What is beside the map; where there is room for one only, which one that is. Grad-CAM's other convolution."""
        if self.page == "methods":
            self.cam = "conv1" if self.cam == "conv2" else "conv2"
        elif self.page == "occlusion":
            maps = self.maps
            if not maps.both_fit and maps.front == 0:
                maps.front = 1
            else:
                maps.front = 0 if self.third == "drop" else maps.front
                self.third = "drop" if self.third == "winners" else "winners"
        self.refresh_panels()

    def action_minimum(self) -> None:
        """To the place of the lowest probability."""
        if self.page == "occlusion" and self.occlusion:
            self.maps.go_to(*self._lowest(self.occlusion))

    def _lowest(self, here: OcclusionMap) -> tuple[int, int]:
        mean = self._mean()
        values = mean.mean_probabilities if mean else here.probabilities
        place = int(np.where(np.isnan(values), np.inf, values).argmin())
        return place // values.shape[1], place % values.shape[1]

    def action_larger_patch(self) -> None:
        """A pixel more."""
        self._resize(1, 0)

    def action_smaller_patch(self) -> None:
        """A pixel less."""
        self._resize(-1, 0)

    def action_longer_stride(self) -> None:
        """A pixel more."""
        self._resize(0, 1)

    def action_shorter_stride(self) -> None:
        """A pixel less."""
        self._resize(0, -1)

    def _resize(self, patch: int, stride: int) -> None:
        self.patch_size = min(max(self.patch_size + patch, 1), IMAGE_SIZE - 1)
        self.stride = min(max(self.stride + stride, 1), IMAGE_SIZE - 1)
        self.show(())

    def action_next_baseline(self) -> None:
        """What the patch shows."""
        self.baseline = BASELINES[(BASELINES.index(self.baseline) + 1) % len(BASELINES)]
        self.show(())

    def action_next_watched(self) -> None:
        """True, predicted, 0, 1 and so on."""
        self._watch(1)

    def action_previous_watched(self) -> None:
        """The other way."""
        self._watch(-1)

    def _watch(self, by: int) -> None:
        self.watched = WATCHED[(WATCHED.index(self.watched) + by) % len(WATCHED)]
        self.show(())


def _positive(view: View) -> str:
    """What is positive in the diverging map, as people see it."""
    return "':+#" if view.mode == "glyphs" else "red"


def _strokes(strokes: StrokeShare) -> str:
    drop = "no drop" if np.isnan(strokes.drop) else f"{strokes.drop * 100:.1f} % of drop"
    return f"{strokes.positions * 100:.0f} % of positions, {drop}"
