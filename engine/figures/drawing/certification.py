"""What is proved: certified accuracy by epsilon, and one digit with the change that breaks it."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from engine.certification.events import CertificationMeasured, DigitCertified
from engine.certification.requests import BOUND_TITLES
from engine.figures.drawing.mosaic import Mosaic
from engine.figures.drawing.page import BLUE, WIDTH, page, panel, small_print


def certification_figure(event: CertificationMeasured) -> Figure:
    """Certified accuracy by epsilon with 95 % intervals."""
    notes = (
        f"{event.points[0].count:,} images",
        f"proved by {BOUND_TITLES[event.bound]}",
        "band: 95 % intervals (Wilson)",
    )
    figure = page(3.0, "Certified accuracy, in the L∞ norm", small_print(event, *notes))
    axes = panel(figure, 0.6, 0.1, 5.6, 2.4)
    across = [point.epsilon for point in event.points]
    axes.plot(across, [100 * p.certified_accuracy for p in event.points], "o-", color=BLUE, label="certified")
    bands = [100 * p.low for p in event.points], [100 * p.high for p in event.points]
    axes.fill_between(across, *bands, color=BLUE, alpha=0.15, linewidth=0)
    most = max(across) or 1.0
    axes.set(xlabel="epsilon (L∞, pixel values)", ylabel="Certified accuracy (%)", ylim=(-2, 102))
    axes.set_xlim(-0.03 * most, 1.03 * most)
    axes.set_xticks([tick for tick in MaxNLocator(7).tick_values(0, most) if 0 <= tick <= 1.001 * most])
    axes.set_yticks(range(0, 101, 20))
    axes.grid(True)
    return figure


def digit_figure(event: DigitCertified) -> Figure:
    """The digit, and the nearest image found that the network misclassifies, with both limits."""
    proved, broken = event.limits
    limits = f"proved to {proved}", f"broken from {broken}" if broken else "not broken"
    notes = f"image {event.index}", f"actual {event.actual}", BOUND_TITLES[event.bound]
    figure = page(2.1, f"One digit in the L∞ norm: {', '.join(limits)}", small_print(event, *notes))
    images = [event.image, event.adversarial] if broken else [event.image]
    mosaic = Mosaic(np.stack(images), len(images), 1.6 * len(images), 0.0, gap=0.1)
    axes, _ = mosaic.draw(figure, ((WIDTH - mosaic.width) / 2, 0.4), (0.0, 1.0), "gray")
    for number, taken in enumerate((event.predicted, event.taken_for)[: len(images)]):
        mosaic.write(axes, number, f"predicted {taken}", 6)
    return figure
