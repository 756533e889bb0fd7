"""The request for the report."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from engine.network.requests import DeviationOfInputs, Device, MeanOfInputs, PaddingOfMaps, StrideOfKernels
from engine.paths import BUNDLED
from engine.request import Request, RequestError


class Report(Request, frozen=True, tag="report"):
    """The whole notebook repeated on one to four networks, as a single document with measured numbers."""

    what: Annotated[
        tuple[str, ...],
        Meta(description=f"one to four networks, each a run, a weights file or {BUNDLED}"),
    ] = ("pretrained:cnn", "pretrained:cnn-bn")
    out: Annotated[str, Meta(description="folder for report.md, report.html and figures/")] = "report"
    robustness: Annotated[
        bool,
        Meta(description="part 4, on training against attacks, also where no run of the report was trained so"),
    ] = False
    count: Annotated[
        int,
        Meta(ge=1, le=60_000, description="number of test images for accuracy under attack, of part 4: the first n"),
    ] = 1000
    autoattack: Annotated[
        bool, Meta(description="AutoAttack too, in part 4, which takes minutes for each robust network")
    ] = False
    mean: MeanOfInputs = None
    std: DeviationOfInputs = None
    stride: StrideOfKernels = None
    padding: PaddingOfMaps = None
    device: Device = "auto"

    def check_together(self) -> None:
        """Refuse no network, and more than four."""
        if not 1 <= len(self.what) <= 4:
            raise RequestError(f"a report covers one to four networks, not {len(self.what)}")
