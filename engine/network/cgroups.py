"""The control groups that bind this process, as Linux shows them in files: a container may have less than its host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

MOUNTED, MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def groups(controller: str, root: Path = MOUNTED, membership: Path = MEMBERSHIP) -> Iterator[tuple[int, Path]]:
    """The version (1 or 2) and the folder of each group that may bind `controller`: those of this process, and above.

    `root` is where they are mounted, `membership` says to which this process belongs. In a container the path may be
    the host's, which is not to be seen there: then its root counts. A folder need not be there; none without Linux.
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
