"""The pictures of the README, from the real app: `python -m tests.pictures` (needs `rsvg-convert`)."""

from __future__ import annotations

import asyncio
import re
import subprocess
import tempfile
from pathlib import Path

from engine.events import EngineLoaded
from engine.paths import asset
from engine.runs import pretrained
from tui.app import MnistTui

FONT = "DejaVu Sans Mono"


async def _svg(size: tuple[int, int]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        app = MnistTui(Path(folder), pretrained("cnn-bn"))
        async with app.run_test(size=size) as pilot:
            while not isinstance(app.engine, EngineLoaded):
                await pilot.pause(0.1)
            await pilot.press("y")
            await pilot.pause(0.5)
            svg = app.export_screenshot(title="mnist-tui")
        app.lab.close()
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL).replace("Fira Code", FONT)
    return svg.replace("<text ", '<text xml:space="preserve" ')


def main() -> None:
    """Draw them."""
    target = asset("screens") / "train.png"
    target.parent.mkdir(exist_ok=True)
    svg = asyncio.run(_svg((120, 40)))
    subprocess.run(["rsvg-convert", "-w", "1440", "-o", str(target)], input=svg.encode(), check=True)
    print(target)


if __name__ == "__main__":
    main()
