"""The control groups that limit this process on Linux: a container may have less than its host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

MOUNTED, MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def groups(controller: str, root: Path = MOUNTED, membership: Path = MEMBERSHIP) -> Iterator[tuple[int, Path]]:
    """The version (1 or 2) and folder of each group that may limit `controller`: that of this process and its parents.

    `root` is where they are mounted, `membership` lists those of this process. In a container, the path may be that of
    the host, which is not visible there: then the root counts. A folder may not exist; none outside of Linux.
    """
    try:
        lines = membership.read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            version, tops = 2, [root, root / "unified"]
        elif controller in controllers.split(","):
            version, tops = 1, [root / controllers, root / controller]
        else:
            continue
        for top in tops:
            group = top / path.lstrip("/")
            for folder in (group, *(each for each in group.parents if each.is_relative_to(top))):
                yield version, folder
