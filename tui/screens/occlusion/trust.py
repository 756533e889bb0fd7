"""The page of deletion and insertion curves: are the maps faithful?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal

from engine.attribution.events import AttributionsComputed, Faithfulness, FaithfulnessMeasured, best_method
from engine.attribution.requests import METHOD_TITLES, Attribute
from engine.figures.requests import DrawFigure
from engine.network.events import NetworkEvent
from engine.request import Request
from tui.drawing.plot import Band, Curve, Layer, Plot
from tui.screens.inspect import Movable
from tui.screens.occlusion.patch import PatchPage
from tui.screens.occlusion.trust_table import TrustTable
from tui.widgets.chart import Chart

MEASURED = 50
"""Number of digits that the mean curves are averaged over."""
QUESTION = "are the maps faithful?"
INKS = {
    "occlusion": "curve-7",
    "saliency": "curve-6",
    "gradient-x-input": "curve-test",
    "integrated-gradients": "curve-train",
    "smoothgrad": "curve-5",
    "grad-cam-conv1": "curve-4",
    "grad-cam-conv2": "curve-9",
    "guided-backprop": "curve-val",
    "random": "curve-8",
}
"""The colour of each method, as in its figure."""


class TrustPage(PatchPage):
    """Measures what the notebook only asserts: that the network looks at the digit."""

    page = "trust"
    title = "are they faithful?"
    legend = False
    over_many = MEASURED
    attributions: AttributionsComputed | None = None
    faithfulness: FaithfulnessMeasured | None = None

    def compose(self) -> ComposeResult:
        with Horizontal(id="trust-charts"):
            yield Chart("deletion: probability", empty="no curves yet", id="deletion")
            yield Chart("insertion: probability", empty="", id="insertion")
        yield TrustTable(id="trust")

    def wanted(self) -> Sequence[Request]:
        many: dict[str, Any] = {"digits": MEASURED, "randomise": True} if self.many else {}
        return [Attribute(**self.desk.about(), **many)]

    def take(self, event: NetworkEvent) -> None:
        if isinstance(event, AttributionsComputed):
            self.attributions = event
        elif isinstance(event, FaithfulnessMeasured):
            self.faithfulness = event

    def forget(self) -> None:
        self.attributions = self.faithfulness = None

    @property
    def table(self) -> TrustTable:
        """The table of methods."""
        return self.query_one(TrustTable)

    def in_reach(self) -> Movable | None:
        return self.table

    def shown_many(self) -> FaithfulnessMeasured | None:
        """The mean curves, if they are wanted and up to date; else None."""
        return self.faithfulness if self.many and self.settled() else None

    def draw(self) -> None:
        many, here = self.shown_many(), self.attributions
        if many:
            words = f"mean of {many.averaged} digits"
            facts = f"random weights: {many.randomised} digits"
            self.table.show(f"{QUESTION}  {words}", facts, many.faithfulness, many.stages)
        else:
            words = f"{here.part} {here.index}, p({here.watched})" if here else ""
            self.table.show(f"{QUESTION}  {words}", "", here.faithfulness if here else ())
        self._draw_curves()

    def _draw_curves(self) -> None:
        shown, here = self.shown_many() or self.attributions, self.table.here
        measured: Sequence[Faithfulness] = shown.faithfulness if shown else ()
        xs = [100 * share for share in shown.shares] if shown else []
        chance = next((each for each in measured if each.method == "random" and each is not here), None)
        for chart in self.query(Chart):
            curves, bands = [], []
            for each in filter(None, (chance, here)):
                one, colour, chosen = getattr(each, str(chart.id)), INKS[each.method], each is here
                words = METHOD_TITLES[each.method].short, f"area {one.area:.3f}"
                layer: Layer = "front" if chosen else "middle"
                curves.append(Curve(words[0], colour, xs, one.values, words[1], layer=layer, scattered=not chosen))
                if chosen and one.spread:
                    low, high = one.band()
                    bands.append(Band(colour, xs, low, high, "standard deviation"))
            chart.show(Plot(curves, (0.0, 100.0), (0.0, 1.0), bands, limits=(0.0, 1.0), unit="{} % of pixels"))

    def sentence(self) -> str:
        """The answer: the best method of each kind, and how a random order of pixels does."""
        shown = self.shown_many() or self.attributions
        measured = {each.method: each for each in shown.faithfulness} if shown else {}
        random = measured.get("random")
        deletion = measured.get(best_method(tuple(measured.values()), "deletion"))
        insertion = measured.get(best_method(tuple(measured.values()), "insertion"))
        if not (random and deletion and insertion):
            return ""
        second = "" if insertion is deletion else f"{METHOD_TITLES[insertion.method].short} "
        best = f"{METHOD_TITLES[deletion.method].short} {deletion.deletion.area:.3f}"
        chance = f"{random.deletion.area:.3f} and {random.insertion.area:.3f}"
        return f"best: {best} and {second}{insertion.insertion.area:.3f}; random: {chance}"

    def figure(self) -> DrawFigure | None:
        """The curves below the maps, which are drawn as on the page of methods."""
        return self.desk.as_drawn(self.shown_many() or self.attributions, view=self.desk.view_of("methods"))

    def on_trust_table_moved(self) -> None:
        self._draw_curves()
