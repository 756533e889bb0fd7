"""How long each part of the benchmark may take."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

from engine.network.requests import NOTEBOOKS_NORMS, NormedLayer

VARIANTS: dict[str, tuple[NormedLayer, ...]] = {"cnn": (), "cnn-bn": NOTEBOOKS_NORMS}


@dataclass(frozen=True)
class Effort:
    """Seconds that each part may take, of one variant where there are two, and the number of rounds."""

    machine: float
    training: float
    occlusion: float
    noise: float
    gallery: float
    recipe: float = 0.0
    least: int = 3
    """Rounds at least, unless they take longer than was to be expected."""
    most: int = 25
    """Rounds at most, however short they are."""

    @property
    def total(self) -> float:
        """Seconds of all parts."""
        return self.machine + self.recipe + len(VARIANTS) * (self.training + self.occlusion + self.noise + self.gallery)

    def spent(self, budget: float, began: float) -> bool:
        """Whether work that began at this time of the clock must end: the machine became slower than it was."""
        return perf_counter() - began > 1.2 * budget

    def rounds(self, budget: float, one: float) -> int:
        """How many rounds of `one` second fit into `budget` seconds."""
        return max(self.least, min(self.most, int(budget / max(one, 1e-9))))

    def part(self, budget: float, whole: float, parts: tuple[int, ...]) -> int:
        """The largest of `parts` of which the least number of rounds fits into `budget`, or else the smallest.

        `whole` is the seconds of one round of the largest, `parts[0]`; time is proportional to the part.
        """
        fitting = (part for part in parts if self.least * whole * part / parts[0] <= budget)
        return next(fitting, parts[-1])


FULL = Effort(machine=8, training=74, occlusion=6, noise=18, gallery=5, recipe=8)
"""With imports and the app it stays below five minutes on any machine."""
QUICK = Effort(machine=2, training=8, occlusion=1.5, noise=4, gallery=1.5, most=9)
"""The same below one minute."""
