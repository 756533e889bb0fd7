"""The page of transfer: do images that were made to fool one network also fool another?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textual.app import ComposeResult

from engine.attacks.events import TransferMeasured
from engine.attacks.requests import ATTACK_TITLES, MeasureTransfer
from engine.words import percent
from tui.drawing.vocabulary import NORMS
from tui.drawing.words import brief, cut, padded
from tui.screens.attacks.measurement import MeasurementPage
from tui.widgets.rows import Row, Rows


class TransferPage(MeasurementPage[TransferMeasured]):
    """Transfer between this network and the bundled network of the other variant."""

    page = "transfer"
    title = "transfer"
    measures = MeasureTransfer

    def compose(self) -> ComposeResult:
        empty = (
            f"{self.key('run')} attacks this network and the bundled network of the other variant,\n"
            "and tries the images of each on both"
        )
        yield Rows(empty=empty, id="transfer-table")

    def fields(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        return super().fields(chosen) | {"others": self.others}

    def draw(self) -> None:
        found = self.measured
        if found is None:
            self.table.show("", "", ())
            return
        names = [cut(brief(name), 20) for name in found.networks]
        head = f"{'made on':<20}" + "".join(padded(name, 20, right=True) for name in names) + f"{'L2':>9}"
        lines = [
            Row(padded(name, 20) + "".join(f"{percent(share):>20}" for share in row) + f"{size:>9.3f}")
            for name, row, size in zip(names, found.success, found.l2, strict=True)
        ]
        bound = "" if found.epsilon is None else f" {NORMS[found.norm]} {found.epsilon:g}"
        title = f"{ATTACK_TITLES[found.attack]}{bound}: share that fools each network"
        self.table.show(title, head, lines, [f"over {found.averaged:,} digits that all networks classify correctly"])
