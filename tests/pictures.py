"""Make the pictures of the README from the real app: `python -m tests.pictures`.

With a folder of runs as its argument, makes only the pictures of screen 8. Those in the README are from
`mnist-tui train --seeds 5 --batch-norm both --epochs 4 --train-size 10000`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from textual.pilot import Pilot

from engine.paths import asset
from engine.runs.finding import pretrained
from tui.app import MnistTui
from tui.drawing.screenshot import png, screenshot
from tui.screens.inspect import InspectScreen
from tui.screens.runs import RunsScreen

SIZE = (120, 40)
PICTURES = {
    "train": ("y",),
    "model": ("2",),
    "digits": ("3", "m", "right"),
    "filters": ("4", "tab", "down", "right"),
    "activations": ("5", "tab", "o", "c", "enter"),
    "occlusion": ("6",),
    "methods": ("6", "tab", "down", "right"),
    "trust": ("6", "tab", "tab", "down", "down", "down", "a"),
    "attacks": ("7", "right", "right", "right"),
    "noise": ("7", "A"),
    "robustness": ("7", "tab", "s", "s", "1", "0", "0", "0", "enter", "escape", "r", *["down"] * 17),
}
"""The name of each picture, and the keys to press for it."""
OF_RUNS = {"runs": ("8", "down"), "compare": ("8", "tab", "y"), "devices": ("8", "tab", "tab")}


async def ready(pilot: Pilot[int], app: MnistTui) -> None:
    """Wait until PyTorch is loaded and the screen has all its results."""
    while app.workspace.engine is None:
        await pilot.pause(0.05)
    while isinstance(screen := app.screen, InspectScreen) and not all(map(screen.inquiry.answered, screen.wanted())):
        await pilot.pause(0.05)
    while isinstance(screen := app.screen, RunsScreen) and screen.runs is None:
        await pilot.pause(0.05)
    await pilot.pause(0.3)


async def _picture(keys: tuple[str, ...], runs: Path | None) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        app = MnistTui(runs or Path(folder), pretrained("cnn-bn"))
        async with app.run_test(size=SIZE) as pilot:
            await ready(pilot, app)
            for key in keys:
                await pilot.press(key)
                await ready(pilot, app)
            picture = png(screenshot(app))
        app.workspace.lab.close()
    return picture


def main() -> None:
    """Draw the pictures."""
    os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    folder = asset("screens")
    folder.mkdir(exist_ok=True)
    runs = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    for name, keys in (OF_RUNS if runs else PICTURES).items():
        target = folder / f"{name}.png"
        target.write_bytes(asyncio.run(_picture(keys, runs)))
        print(target)


if __name__ == "__main__":
    main()
