"""What a screen shows, as text files that are compared in tests: `pytest --update-frames` writes them anew.

Each line begins with a digest of the row's colours and ends with its text, so that a difference can be read, and a
change of colour alone is found too.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from textual.pilot import Pilot
from textual.strip import Strip

FOLDER = Path(__file__).parent / "__frames__"
SIZES = ((80, 24), (100, 30), (120, 40), (200, 60))
"""Columns and rows of the terminals that a screen is compared on."""
STILL, MOST = 3, 200
"""Looks in a row that must be the same, and looks at most."""
CONTEXT = 1
"""Unchanged lines around a difference."""


class Frames:
    """Compares the screens of an app with the stored ones, or stores them."""

    def __init__(self, name: str, shots: Path, *, update: bool) -> None:
        """`name` is that of the folder; pictures of frames that differ go to the folder `shots`."""
        self.name, self.shots, self.update = name, shots, update

    async def compare(
        self,
        pilot: Pilot[int],
        settle: Callable[[], Awaitable[None]],
        sizes: tuple[tuple[int, int], ...] = SIZES,
    ) -> None:
        """Compare the screen in front at each size, after `settle` has let it draw."""
        different = []
        for width, height in sizes:
            await pilot.resize_terminal(width, height)
            await settle()
            file = FOLDER / self.name / f"{width}x{height}.txt"
            now = await _still(pilot)
            if self.update:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(now, encoding="utf-8")
                continue
            before = file.read_text(encoding="utf-8") if file.is_file() else ""
            if before != now:
                self.shots.mkdir(parents=True, exist_ok=True)
                shot = self.shots / f"{self.name}-{width}x{height}.svg"
                shot.write_text(pilot.app.export_screenshot(), encoding="utf-8")
                lines = difflib.unified_diff(before.splitlines(), now.splitlines(), "stored", "now", n=CONTEXT)
                different.append("\n".join((f"{width}x{height}, a picture is in {shot}", *lines)))
        assert not different, "\n\n".join(different)


def frame(pilot: Pilot[int]) -> str:
    """The screen in front: for each row a digest of its colours, and its text."""
    strips = pilot.app.screen._compositor.render_strips()
    return "".join(f"{_digest(strip)} {strip.text.rstrip()}\n" for strip in strips)


async def _still(pilot: Pilot[int]) -> str:
    """The screen once it no longer changes: a table that takes its height makes the chart above it draw again."""
    now, same = frame(pilot), 0
    for _ in range(MOST):
        await pilot.pause(0.01)
        before, now = now, frame(pilot)
        same = same + 1 if now == before else 0
        if same == STILL:
            break
    return now


def _digest(strip: Strip) -> str:
    """Six hexadecimal digits that depend on the style of each cell."""
    styles = [(len(segment.text), str(segment.style)) for segment in strip.simplify()]
    return hashlib.blake2b(repr(styles).encode(), digest_size=3).hexdigest()
