"""The time to draw 1,024 kernels: `python -m tests.benchmarks.raster`.

From the weights (32, 32, 3, 3) to 65 rows of cells, in each mode and colour map: first with a new palette, then again;
with one value range for all kernels, and with one each. Argument: number of repetitions (50).
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence

import numpy as np
from rich.style import Style

from tui.drawing.raster import BLANK, COLOUR_MAPS, MODES, Palette, Span, paint, quantise


def draw(weights: np.ndarray, colours: Palette, *, shared: bool) -> float:
    """Milliseconds for one drawing, with a pixel between kernels."""
    began = time.perf_counter()
    images = weights.reshape(-1, 3, 3)
    span = Span.of(images, colours.name) if shared else Span.of_each(images, colours.name)
    levels = quantise(images, span, colours.count).reshape(32, 32, 3, 3)
    canvas = np.full((129, 129), BLANK, np.int16)
    canvas[1:, 1:].reshape(32, 4, 32, 4)[:, :3, :, :3] = levels.transpose(0, 2, 1, 3)
    paint(canvas, colours)
    return (time.perf_counter() - began) * 1000


def main(arguments: Sequence[str] = ()) -> None:
    """Print the times."""
    rounds = int(arguments[0]) if arguments else 50
    # Uniform weights have more pairs of colours than trained ones: the worst case.
    weights = np.random.default_rng(0).uniform(-1, 1, (32, 32, 3, 3)).astype(np.float32)
    for shared in (True, False):
        for mode in MODES:
            for name in COLOUR_MAPS:
                first, again = [], []
                for _ in range(rounds):
                    colours = Palette(name, mode, Style())
                    first.append(draw(weights, colours, shared=shared))
                    again.append(draw(weights, colours, shared=shared))
                words = f"{mode:<12} {name:<10} {'one range ' if shared else 'own ranges'}"
                print(f"{words}  first {statistics.median(first):4.1f} ms  again {statistics.median(again):4.1f} ms")


if __name__ == "__main__":
    main(sys.argv[1:])
