"""Make the pictures of the README from the real app: `python -m tests.pictures` (needs `rsvg-convert`).

With a folder of runs as its argument, makes only the pictures of screen 8. The runs in the README are from
`mnist-tui train --seeds 5 --batch-norm both --epochs 4`.
"""

from __future__ import annotations

import asyncio
import html
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from textual.pilot import Pilot

from engine.paths import asset
from engine.runs.finding import pretrained
from tui.app import MnistTui
from tui.screens.inspect import InspectScreen
from tui.screens.runs import RunsScreen

FONT = "DejaVu Sans Mono"
SIZE = (120, 40)
BRAILLE = re.compile(
    r'<text class="([^"]*)" x="([\d.]+)" y="([\d.]+)" textLength="([\d.]+)"([^>]*)>([^<]*[\u2800-\u28ff][^<]*)<'
)
PICTURES = {
    "train": ("y",),
    "model": ("2",),
    "digits": ("3", "m", "right"),
    "filters": ("4", "tab", "down", "right"),
    "activations": ("5", "tab", "o", "c", "enter"),
    "occlusion": ("6",),
    "methods": ("6", "g", "down", "right"),
    "trust": ("6", "d", "down", "down", "down", "a"),
    "attacks": ("7", "right", "right", "right"),
    "noise": ("7", "A"),
    "robustness": ("7", "g", "o", "p", "p", "p", "r", *["down"] * 17),
}
"""The name of each picture, and the keys to press for it."""
OF_RUNS = {"runs": ("8", "down"), "compare": ("8", "tab", "y")}


async def _ready(pilot: Pilot[int], app: MnistTui) -> None:
    """Wait until PyTorch is loaded and the screen has all its results."""
    while app.workspace.engine is None:
        await pilot.pause(0.05)
    while isinstance(screen := app.screen, InspectScreen) and not all(map(screen.inquiry.answered, screen.wanted())):
        await pilot.pause(0.05)
    while isinstance(screen := app.screen, RunsScreen) and screen.runs is None:
        await pilot.pause(0.05)
    await pilot.pause(0.3)


async def _svg(keys: tuple[str, ...], runs: Path | None) -> str:
    with tempfile.TemporaryDirectory() as folder:
        app = MnistTui(runs or Path(folder), pretrained("cnn-bn"))
        async with app.run_test(size=SIZE) as pilot:
            await _ready(pilot, app)
            for key in keys:
                await pilot.press(key)
                await _ready(pilot, app)
            svg = app.export_screenshot(title="mnist-tui")
        app.workspace.lab.close()
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL).replace("Fira Code", FONT)
    svg = BRAILLE.sub(_one_by_one, svg)
    return svg.replace("<text ", '<text xml:space="preserve" ')


def _one_by_one(found: re.Match[str]) -> str:
    """Position each character of a text separately: FONT has no braille, and the fallback's glyphs are too wide."""
    style, x, y, length, rest, escaped = found.groups()
    characters = html.unescape(escaped)
    step = float(length) / len(characters)
    look = f'class="{style}" y="{y}"{rest} style="font-size: 82%"'
    texts = [
        f'<text {look} x="{float(x) + place * step:.1f}">{html.escape(character)}</text>'
        for place, character in enumerate(characters)
        if not character.isspace()
    ]
    return "".join(texts).removesuffix("/text>")


def main() -> None:
    """Draw the pictures."""
    os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    folder = asset("screens")
    folder.mkdir(exist_ok=True)
    runs = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    for name, keys in (OF_RUNS if runs else PICTURES).items():
        target = folder / f"{name}.png"
        svg = asyncio.run(_svg(keys, runs))
        subprocess.run(["rsvg-convert", "-w", "1440", "-o", str(target)], input=svg.encode(), check=True)
        print(target)


if __name__ == "__main__":
    main()
