"""The energy of the processors: Intel's and AMD's counters (RAPL), which on many systems only root may read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")


@dataclass
class _Package:
    """The counter of a processor, which starts over after `wraps` microjoules."""

    file: Path
    wraps: int
    last: int


class Processors:
    """The counters of all processors of this machine."""

    def __init__(self, root: Path = POWERCAP) -> None:
        self._packages: list[_Package] = []
        self._joules = 0.0
        for folder in sorted(root.glob("intel-rapl:*")):  # of AMD's too
            try:
                if not (folder / "name").read_text().startswith("package"):  # a part of one, or the whole board
                    continue
                file = folder / "energy_uj"
                wraps = int((folder / "max_energy_range_uj").read_text())
                self._packages.append(_Package(file, wraps, int(file.read_text())))
            except (OSError, ValueError):
                self._packages = []  # the sum of some would be too low
                return

    def joules(self) -> float | None:
        """The energy of all processors since this object was made; None where it cannot be read."""
        for package in self._packages:
            try:
                now = int(package.file.read_text())
            except (OSError, ValueError):
                self._packages = []
                break
            self._joules += ((now - package.last) % (package.wraps + 1)) / 1e6
            package.last = now
        return self._joules if self._packages else None
