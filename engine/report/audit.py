"""The audit of a report: scores by class, whether the confidence is the accuracy, and labels that look wrong."""

from __future__ import annotations

import math
from collections.abc import Generator
from pathlib import Path

from engine.event import Event
from engine.inspection.audit import audit_of
from engine.inspection.audit_events import NetworkAudited, NetworksAudited
from engine.inspection.requests import Audit
from engine.report.draft import Draft, listed, with_interval
from engine.words import percent

TITLE = "Audit"


def audit_section(made: Draft) -> Generator[Event, None, None]:
    """Scores by class, calibration and doubtful labels of all networks of the report, on the test images."""

    def work(request: Audit, root: Path) -> Generator[Event, None, None]:
        yield from audit_of([network.loaded for network in made.networks], request, root)

    request = Audit(device=made.request.device)
    event = yield from made.ask(NetworksAudited, work, request, "audit of the networks")
    made.document.heading(2, TITLE)
    made.document.heading(3, "Calibration")
    _calibration(made, event)
    made.document.heading(3, "Scores by class")
    for each in event.audits:
        _by_class(made, each)
    made.document.heading(3, "Labels in doubt")
    _doubtful(made, event)


def _calibration(made: Draft, event: NetworksAudited) -> None:
    made.draw("audit", event, "Reliability before and after temperature scaling, F1 by class, and labels in doubt.")
    rows = [
        (
            each.name,
            with_interval(each.ece, each.ece_low, each.ece_high),
            "-" if math.isnan(each.temperature) else f"{each.temperature:.3f}",
            with_interval(each.ece_calibrated, each.ece_calibrated_low, each.ece_calibrated_high),
        )
        for each in event.audits
    ]
    made.document.table(("network", "ECE", "temperature", "ECE at this temperature"), rows)
    made.document.words(
        f"Expected calibration error: the mean distance of confidence and accuracy in {len(event.bins)} bins of equal "
        f"mass, on {event.count:,} test images, with 95 % intervals (bootstrap). The logits are divided by a "
        "temperature that is fitted on validation images, never on test images; it does not change an answer."
    )


def _by_class(made: Draft, network: NetworkAudited) -> None:
    rows = [
        (str(number), f"{scores.count:,}", percent(scores.precision), percent(scores.recall), percent(scores.f1))
        for number, scores in enumerate(network.classes)
    ]
    made.document.table((f"class, {network.name}", "images", "precision", "recall", "F1"), rows)


def _doubtful(made: Draft, event: NetworksAudited) -> None:
    document, number = made.document, len(event.doubtful)
    together = "the network believes" if len(event.audits) == 1 else f"{listed(made.names)} together believe"
    document.words(
        f"The {number} labels that {together} least, the most doubtful first: "
        f"{', '.join(str(index) for index in event.doubtful)}."
    )
    if event.known_found is None:
        return
    document.words(
        f"Of the {len(event.known)} labels of this split that most raters did not choose (Northcutt et al. 2021), "
        f"{event.known_found} are among them."
    )
    rows = [
        (each.name, percent(each.accuracy), percent(each.accuracy_without_doubtful))
        for each in event.audits
        if each.accuracy_without_doubtful is not None
    ]
    document.table(("network", "accuracy on all labels", f"without those {len(event.known)}"), rows)
