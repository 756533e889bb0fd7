"""How many CPUs this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

from engine.network.cgroups import MEMBERSHIP, MOUNTED, groups


def cores() -> int:
    """The number of CPUs that this process may use at once, by its affinity and the quota of its control group."""
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(mine, quota() or mine)


def quota(root: Path = MOUNTED, membership: Path = MEMBERSHIP) -> int | None:
    """The number of CPUs that the control groups of this process allow, rounded up; None where they set no limit.

    `root` and `membership` are as in `engine.network.cgroups`.
    """
    granted = [each for _, folder in groups("cpu", root, membership) for each in _granted(folder)]
    return max(1, math.ceil(min(granted))) if granted else None


def _granted(folder: Path) -> list[float]:
    """The number of CPUs that one control group allows, as a list of one or none."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            most, period = " ".join((folder / name).read_text() for name in names).split()
            if int(most) > 0 and int(period) > 0:
                return [int(most) / int(period)]
        except (OSError, ValueError):  # there is no such file, or it says `max`
            continue
    return []
