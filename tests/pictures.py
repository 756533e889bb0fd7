"""Make the pictures of the README from the real app: `python -m tests.pictures`.

With a folder of runs as its argument, makes only the pictures of runs. Those in the README are from
`mnist-tui train --seeds 5 --batch-norm both --epochs 4 --train-size 10000`. With `browser`, makes only that of the page
of `mnist-tui serve`, in Chromium.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from textual.pilot import Pilot

from engine.paths import asset
from engine.runs.finding import pretrained
from tui.app import MnistTui
from tui.cli.program import command
from tui.drawing.screenshot import png, screenshot
from tui.screens.inspect import InspectScreen
from tui.screens.runs import RunsScreen

SIZE = (120, 40)
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PICTURES = {
    "train": ("y",),
    "model": ("2",),
    "digits": ("3", "m", "right"),
    "filters": ("4", "tab", "down", "right"),
    "filters-beside": ("4", "b"),
    "activations": ("5", "tab", "o", "c", "enter"),
    "occlusion": ("6",),
    "methods": ("6", "tab", "down", "right"),
    "trust": ("6", "tab", "tab", "down", "down", "down", "a"),
    "attacks": ("7", "right", "right"),
    "noise": ("7", "A"),
    "robustness": ("7", "tab", "s", "s", "2", "0", "enter", "escape", "r", *["down"] * 4),
    "corruptions": ("7", "shift+tab", "r"),
    "audit": ("3", "tab", "tab"),
    "map": ("3", "shift+tab", "s", "right", "escape"),
    "pictures": ("4", "tab", "tab", "b"),
    "unit": ("4", "tab", "tab", "b", *["right"] * 5, "enter"),
    "draw": ("9", *["up"] * 8, *["left"] * 5, "space", *["right"] * 10, *["down", "down", "left"] * 7, "space"),
}
"""The name of each picture, and the keys to press for it."""
OPENED = {"filters-beside": "cnn", "robustness": "cnn", "corruptions": "cnn-robust", "map": "cnn"}
"""The bundled networks that are open, where it is not cnn-bn."""
OF_RUNS = {
    "runs": ("8", "down"),
    "compare": ("8", "tab", "y"),
    "insides": ("8", "enter", "1", "tab", "tab"),
    "learned": ("8", "enter", "1", "shift+tab"),
}


SETTLED = 1.5
"""Seconds after the last key."""


async def ready(pilot: Pilot[int], app: MnistTui) -> None:
    """Wait until PyTorch is loaded and the screen has all its results."""
    while app.workspace.engine is None:
        await pilot.pause(0.05)
    while isinstance(screen := app.screen, InspectScreen) and not all(map(screen.inquiry.answered, screen.wanted())):
        await pilot.pause(0.05)
    while isinstance(screen := app.screen, RunsScreen) and screen.runs is None:
        await pilot.pause(0.05)
    await pilot.pause(0.3)


async def _picture(keys: tuple[str, ...], runs: Path | None, network: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        app = MnistTui(runs or Path(folder), pretrained(network))
        async with app.run_test(size=SIZE) as pilot:
            await ready(pilot, app)
            for key in keys:
                await pilot.press(key)
                await ready(pilot, app)
            await pilot.pause(SETTLED)  # what waits until the cursor rests is asked only now
            await ready(pilot, app)
            picture = png(screenshot(app))
        app.workspace.lab.close()
    return picture


def _in_browser(file: Path) -> None:
    """A picture of the page, on the screen of occlusion."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        arguments = command("serve", "--port", "0", "pretrained:cnn-bn")
        with subprocess.Popen(arguments, cwd=folder, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout
            address = server.stdout.readline().removeprefix("mnist-tui: ").strip()
            chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
            page = chromium.new_page(viewport={"width": 1280, "height": 800})
            page.goto(address)
            page.wait_for_timeout(8000)
            page.keyboard.press("6")
            page.wait_for_timeout(5000)
            page.screenshot(path=file)
            chromium.close()
            server.terminate()
    print(file)


def main() -> None:
    """Draw the pictures."""
    os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    folder = asset("screens")
    folder.mkdir(exist_ok=True)
    if sys.argv[1:] == ["browser"]:
        _in_browser(folder / "browser.png")
        return
    chosen = {name: PICTURES[name] for name in sys.argv[1:] if name in PICTURES}
    runs = Path(sys.argv[1]) if len(sys.argv) > 1 and not chosen else None
    for name, keys in (chosen or (OF_RUNS if runs else PICTURES)).items():
        target = folder / f"{name}.png"
        target.write_bytes(asyncio.run(_picture(keys, runs, OPENED.get(name, "cnn-bn"))))
        print(target)


if __name__ == "__main__":
    main()
