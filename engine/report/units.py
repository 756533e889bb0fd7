"""What the units of a report's networks look for: images from noise, and how fine their structure is."""

from __future__ import annotations

import math
from collections.abc import Generator

from engine.event import Event
from engine.inspection.requests import VisualiseUnits
from engine.inspection.unit_events import UnitsVisualised
from engine.inspection.visualisation import visualise_units
from engine.report.asking import about
from engine.report.draft import Draft
from engine.words import percent

TITLE = "What units look for"
PARTS = 1
"""Number of results for each network."""


def units_section(made: Draft) -> Generator[Event, None, None]:
    """Images from noise that excite each channel of conv2, and how they differ between the networks."""
    document = made.document
    document.heading(2, TITLE)
    rows = []
    for network in made.networks:
        asked = about(VisualiseUnits, network.request, layer="conv2")
        event = yield from made.ask(UnitsVisualised, visualise_units, asked, f"{network.name}: what units look for")
        caption = f"{network.name}: for each channel of conv2 the image from noise that excites it most."
        made.draw(f"units-conv2-{network.label}", event, caption)
        silent = sum(each.digit < 0 for each in event.units)
        rows.append(
            (
                network.name,
                str(silent),
                _number(event.median_ratio, 1),
                percent(event.high_frequency),
                percent(event.digits_high_frequency),
                _number(event.likeness, 2),
            )
        )
    head = ("network", "silent channels", "times the best digit", "high frequencies", "of these digits", "correlation")
    document.table(head, rows)
    document.words(
        "Activation maximisation (Erhan et al. 2009) of the mean over each channel's map, from three starts, with the "
        "same regularisers for all networks. Silent channels are zero on all test images. Of the others: the median of "
        "how many times the activation by the best test digit the image reaches; the mean share of the power of the "
        "images at spatial frequencies above a quarter of a cycle a pixel, and of these digits. Of all: the mean "
        "correlation of the images of a channel from different starts."
    )


def _number(value: float, decimals: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{decimals}f}"
