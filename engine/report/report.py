"""The report: the notebook on one to four networks, what training against attacks changes, and an audit."""

from __future__ import annotations

import time
from collections.abc import Generator
from pathlib import Path

from engine.event import Event
from engine.network.events import WeightsRead
from engine.report.audit import audit_section
from engine.report.draft import Draft
from engine.report.events import ReportWritten
from engine.report.notebook import PARTS, notebook
from engine.report.requests import Report
from engine.report.robustness import PARTS as ROBUSTNESS_PARTS
from engine.report.robustness import SECTION, robustness
from engine.request import RequestError


def report(request: Report, root: Path) -> Generator[Event, None, None]:
    """Repeat the notebook on the networks of `request` and write the report, with progress.

    Raises RequestError where a network does not exist, or the report cannot be written; then no partial report is left.
    """
    began, out = time.perf_counter(), Path(request.out)
    if out.exists() and not out.is_dir():
        raise RequestError(f"{out} is a file: choose a folder with --out")
    made = Draft(request, root)
    against_attacks = request.robustness or any(each.objective not in (None, "clean") for each in made.networks)
    made.expect(PARTS + (ROBUSTNESS_PARTS if against_attacks else 0), once=1)
    for network in made.networks:
        if network.loaded.foreign:
            yield WeightsRead(name=network.name, notes=network.loaded.foreign)
    yield from notebook(made)
    if against_attacks:
        yield from robustness(made)
    yield from audit_section(made)
    _contents(made)
    try:
        markdown, page = made.document.write(out)
    except OSError as error:
        raise RequestError(f"cannot write to {out} ({error.strerror}): choose another folder with --out") from None
    yield ReportWritten(
        markdown=str(markdown),
        html=str(page),
        figures=len(made.document.figures),
        claims=tuple((claim.section, claim.verdict) for claim in made.claims),
        seconds=time.perf_counter() - began,
    )


def _contents(made: Draft) -> None:
    """Tables of all observations at the end."""
    for title, own in (("The notebook's observations", False), ("Observations on training against attacks", True)):
        if claims := [claim for claim in made.claims if claim.section.startswith(SECTION) == own]:
            made.document.heading(2, title)
            made.document.table(
                ("observation", "section", "verdict"), [(claim.said, claim.section, claim.verdict) for claim in claims]
            )
    made.document.words("Made by mnist-tui; each number was measured for this report on these networks.")
