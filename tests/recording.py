"""Record the session at the top of the README from the running app: `python -m tests.recording`.

The keys are pressed at the pace of a person and everything is recorded as it happens, on 10,000 training images. The
animation plays at the speed of the session; a strip below the screen shows the keys. Takes about a minute.
"""

from __future__ import annotations

import asyncio
import io
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from engine.paths import asset
from engine.runs.finding import pretrained
from engine.training.requests import Train
from tests.pictures import SIZE, ready
from tui.app import MnistTui
from tui.drawing.screenshot import Screenshot, _font, png, screenshot
from tui.keys import shown_key
from tui.widgets.experiment import ExperimentForm

EXPERIMENT = Train(epochs=5, train_size=10_000, batch_norm=True)
"""In the form at the start."""
SESSION = (
    ("r", 9.0),
    ("4", 2.5),
    ("6", 1.5),
    *(("left", 0.2) for _ in range(5)),
    *(("down", 0.2) for _ in range(4)),
    ("tab", 3.0),
    ("7", 5.0),
    ("right", 1.5),
    ("9", 1.0),
    *(("up", 0.1) for _ in range(8)),
    *(("left", 0.1) for _ in range(5)),
    ("space", 0.4),
    *(("right", 0.15) for _ in range(10)),
    *((key, 0.15) for _ in range(7) for key in ("down", "down", "left")),
    ("space", 2.5),
    ("8", 2.0),
    ("1", 4.0),
)
"""Each key, and the seconds until the next one."""
INTERVAL = 0.2
"""Seconds between two frames."""
LAST = 3.0
"""Seconds for which the last frame stays."""
SCALE = 0.6
STRIP = 44
"""Height of the strip of keys in pixels, before scaling."""
KEYS_SHOWN = 1.5
"""Seconds for which a key stays on the strip."""


@dataclass
class Frame:
    """What was on the screen, and since when."""

    shot: Screenshot
    keys: str
    at: float
    """Seconds since the start."""


async def session(folder: Path) -> list[Frame]:
    """The frames of the session; those that show nothing new are left out."""
    frames: list[Frame] = []
    app = MnistTui(folder, pretrained("cnn-bn"))
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot, app)
        app.screen.query_one(ExperimentForm).fill(EXPERIMENT)
        began, pressed = time.perf_counter(), list[tuple[float, str]]()
        for key, seconds in (("", 1.5), *SESSION):
            until = time.perf_counter() + seconds
            if key:
                pressed.append((time.perf_counter(), shown_key(key)))
                app.simulate_key(key)  # `pilot.press` waits for an idle CPU
            while (now := time.perf_counter()) < until:
                shown = " ".join(name for at, name in pressed if now - at < KEYS_SHOWN)
                shot = screenshot(app)
                if not frames or (frames[-1].shot, frames[-1].keys) != (shot, shown):
                    frames.append(Frame(shot, shown, now - began))
                await asyncio.sleep(min(INTERVAL, max(0.0, until - now)))
        app.workspace.lab.close()
    return frames


def drawn(frame: Frame) -> Image.Image:
    """The picture of a frame with its strip of keys."""
    screen = Image.open(io.BytesIO(png(frame.shot)))
    image = Image.new("RGB", (screen.width, screen.height + STRIP), (24, 24, 27))
    image.paste(screen, (0, 0))
    ImageDraw.Draw(image).text((24, screen.height + STRIP // 2), frame.keys, (250, 204, 21), _font(True), anchor="lm")
    return image.resize((round(image.width * SCALE), round(image.height * SCALE)), Image.Resampling.LANCZOS)


def animation(frames: list[Frame], file: Path) -> None:
    """Write `frames` as a GIF with the palette of all of them."""
    pictures = [drawn(frame) for frame in frames]
    strip = Image.new("RGB", (pictures[0].width, pictures[0].height * 6))
    for place in range(6):
        strip.paste(pictures[place * (len(pictures) - 1) // 5], (0, place * pictures[0].height))
    palette = strip.quantize(128, dither=Image.Dither.NONE)
    ends = [*(frame.at for frame in frames[1:]), frames[-1].at + LAST]
    pictures = [each.quantize(palette=palette, dither=Image.Dither.NONE) for each in pictures]
    pictures[0].save(
        file,
        save_all=True,
        append_images=pictures[1:],
        duration=[round(1000 * (end - frame.at)) for frame, end in zip(frames, ends, strict=True)],
        loop=0,
        optimize=False,
    )


def main() -> None:
    """Record, and write the animation."""
    os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else asset("screens") / "session.gif"
    with tempfile.TemporaryDirectory() as folder:
        frames = asyncio.run(session(Path(folder)))
    animation(frames, target)
    print(f"{target}: {len(frames)} frames, {frames[-1].at:.0f} s, {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
