"""The page of the layers over the epochs: ridge lines of weights, gradients and activations, and their norms."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.events import Resize

from engine.figures.requests import DrawFigure
from engine.runs.insides import LAYERS, layer_of, looked_into, shown
from engine.training.events import KINDS, EpochFinished, Insides, Kind
from engine.words import percent
from tui.screens.state import State
from tui.screens.train.page import TrainPage
from tui.setting import Setting, of_state
from tui.widgets.ridges import RidgeLines
from tui.widgets.rows import Row, Rows

SIDE_BY_SIDE = 100
"""Columns from which all kinds of values are shown side by side."""
TABLE_ROWS = 18
"""Rows of the page from which there is a table below the ridges."""
DRAWN = 30
"""Most epochs in a figure."""
HEAD = f"{'layer':<8}{'weight norm':>12}{'update ratio':>14}{'gradient norm':>15}{'dead units':>12}"


class InsidesPage(TrainPage):
    """One ridge an epoch; the table is of the epoch that is looked at, and its cursor chooses the layer."""

    DEFAULT_CSS = """
    InsidesPage #ridges { height: 1fr; }
    InsidesPage RidgeLines { margin-right: 1; }
    InsidesPage #layers { height: 7; }
    """
    page = "insides"
    title = "insides"
    kind: State[Kind] = State("weights")
    """What is shown where there is no room for all."""
    epoch: State[int | None] = State(None)
    """The epoch that is looked at; None for the latest one."""

    def compose(self) -> ComposeResult:
        with Horizontal(id="ridges"):
            for kind in KINDS:
                yield RidgeLines(kind, id=kind)
        yield Rows(empty="", id="layers")

    def on_resize(self, _event: Resize) -> None:
        self.desk.update()

    @property
    def table(self) -> Rows:
        """The table of layers."""
        return self.query_one(Rows)

    @property
    def chosen(self) -> str:
        """The layer under the cursor of the table."""
        return LAYERS[min(self.table.cursor, len(LAYERS) - 1)]

    @property
    def all_kinds(self) -> bool:
        """Whether there is room for all kinds of values."""
        return self.size.width >= SIDE_BY_SIDE

    @property
    def here(self) -> EpochFinished | None:
        """The epoch that is looked at; None before the first one."""
        found = looked_into(self.workspace.history)
        return next((each for each in found if each.epoch == self.epoch), found[-1] if found else None)

    def settings(self) -> Sequence[Setting]:
        if self.here is None:
            return ()
        layer = Setting("layer", "layer", self.chosen, self._go_to, LAYERS, help="the layer whose values are shown")
        values = of_state(self, "kind", "values", KINDS, help="weights, gradients of the loss by them, or activations")
        return (layer,) if self.all_kinds else (layer, values)

    def _go_to(self, layer: str) -> None:
        self.table.go_to(LAYERS.index(layer))

    def draw(self) -> None:
        history, here = self.workspace.history, self.here
        self.table.display = here is not None and self.size.height >= TABLE_ROWS
        self._show_table(here)
        at = here.epoch if here and here.epoch == self.epoch else None
        for lines in self.query(RidgeLines):
            lines.display = lines.kind == self.kind or (self.all_kinds and here is not None)
            lines.show(history, self.chosen, at, self._empty())

    def _empty(self) -> str:
        """Why there is nothing to draw."""
        if self.workspace.history.epochs:
            return "this run did not look into its layers: new runs do, with insides on"
        waiting = self.workspace.training is not None or self.workspace.history.under_way
        return "no epoch yet" if waiting or self.workspace.looking else f"no epoch yet: press {self.key('run')}"

    def _show_table(self, here: EpochFinished | None) -> None:
        insides = here.insides if here else None
        if here is None or insides is None:
            self.table.show("", HEAD, [Row(layer, key=layer) for layer in LAYERS])
            return
        lines = [Row(_line(insides, layer), key=layer) for layer in LAYERS]
        title = f"after epoch {here.epoch} of {here.epochs}"
        note = f"update ratio: of the last step's update to the weights; on {insides.images:,} training images"
        self.table.show(title, HEAD, lines, [note], facts=_noise(insides))

    def on_rows_moved(self) -> None:
        self.desk.update()

    def figure(self) -> DrawFigure | None:
        """All kinds of values of the layer, and the numbers of all layers."""
        event = shown(self.workspace.history, self.chosen, DRAWN, self.epoch)
        return DrawFigure(subject=event, folder=str(self.workspace.figures_folder)) if event else None

    def unused(self) -> set[str]:
        """The choice of a kind of values where all are shown, and everything where there is nothing to show."""
        if self.here is None:
            return {"measure", "earlier", "later", "export", "settings"}
        return {"measure"} if self.all_kinds else set()

    # Keys

    def move(self, by: int) -> None:
        """Go to another layer."""
        self.table.move(0, by)

    def read(self, by: int) -> None:
        """Look at the epoch that is so many further; after the last one, follow the run."""
        epochs = [each.epoch for each in looked_into(self.workspace.history)]
        place = epochs.index(self.epoch) if self.epoch in epochs else len(epochs) - 1
        place = max(0, place + by)
        self.epoch = epochs[place] if place < len(epochs) - 1 else None

    def action_measure(self) -> None:
        """Show the next kind of values."""
        self.kind = KINDS[(KINDS.index(self.kind) + 1) % len(KINDS)]


def _line(insides: Insides, name: str) -> str:
    """The numbers of a layer."""
    layer = layer_of(insides, name)
    if layer is None:
        return name
    ratio = "-" if layer.update_ratio is None else _short(layer.update_ratio)
    dead = "-" if layer.dead is None else percent(layer.dead)
    return f"{name:<8}{layer.weight_norm:>12.4g}{ratio:>14}{_short(layer.gradient_norm):>15}{dead:>12}"


def _short(value: float) -> str:
    """A number of any size with two digits: 0.0051, 3.2e-5."""
    return f"{value:.2g}".replace("e-0", "e-").replace("e+0", "e")


def _noise(insides: Insides) -> str:
    """The gradient noise scale as text."""
    if (scale := insides.noise_scale) is None:
        return f"noise scale not known: {insides.images:,} images are too few"
    return f"noise scale {scale:,.0f} images" if scale >= 1 else "noise scale < 1 image"
