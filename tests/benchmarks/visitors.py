"""Many visitors of `mnist-tui serve` at once: `python -m tests.benchmarks.visitors`.

Arguments: visitors (20), key presses on each screen (6), seconds between two presses of a visitor (1.0 on average).

All visitors come at once, each with a websocket as the page opens it, a terminal of 120x40 and no emulator. Each goes
through all screens, in an order of its own, lets them compute what they show, and presses keys there.

Key to screen: from sending a key to the arrival of the first bytes of the frame that answers it: the first message with
a row that the progress of a computation does not change; for a key that leads to another screen, with most of its rows.
Memory: what each visitor's process has for itself (USS), and with its share of what several have in common (PSS).
"""

from __future__ import annotations

import asyncio
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from itertools import chain
from urllib.parse import urlsplit

import aiohttp
import psutil

from tests.benchmarks.interaction import KEYS, _rows, _said
from tui.cli.program import command
from tui.keys import SCREENS

COLUMNS, ROWS = 120, 40
MOST = ROWS // 2
"""Rows of a frame that shows another screen."""
QUIET, BUSY = 0.5, 30.0
"""Seconds without a message after which a screen has its results; seconds after which this is not waited for."""
PATIENCE = 60.0
"""Seconds for which an answer is waited for."""

PICTURED, PIXEL = "3567", "▀".encode()
"""Screens with pictures of digits, and what these are made of."""

Delays = dict[str, list[float]]


class Visitor:
    """A websocket to the server, and when its messages arrived."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.received = 0

    async def message(self, seconds: float) -> bytes:
        """The next message with something to show; empty if none arrives within `seconds`, or the visit has ended."""
        until = time.perf_counter() + seconds
        while (left := until - time.perf_counter()) > 0:
            try:
                message = await self.socket.receive(left)
            except TimeoutError:
                break
            if message.type is aiohttp.WSMsgType.BINARY:
                self.received += len(message.data)
                return bytes(message.data)
            if message.type is not aiohttp.WSMsgType.TEXT:
                break
        return b""

    async def press(self, key: str, answers: Callable[[bytes], bool]) -> tuple[float, bytes]:
        """Milliseconds from a key to its answer, and all that came until then: a frame may be more than a message."""
        began, received = time.perf_counter(), b""
        await self.socket.send_json(["stdin", key])
        while not answers(received):
            if not (data := await self.message(PATIENCE)):
                raise TimeoutError(f"no answer to {key}")
            received += data
        return (time.perf_counter() - began) * 1000, received

    async def idle(self, seconds: float) -> None:
        """Read what arrives for a while."""
        until = time.perf_counter() + seconds
        while (left := until - time.perf_counter()) > 0:
            await self.message(left)

    async def settle(self) -> None:
        """Read until the screen has its results."""
        until = time.perf_counter() + BUSY
        while time.perf_counter() < until and await self.message(QUIET):
            pass


def changed(data: bytes) -> bool:
    """Whether a message changes more than the header and the line of progress."""
    return bool(_rows(data) - {ROWS - 1})


def whole(data: bytes) -> bool:
    """Whether a message shows another screen."""
    return len(_rows(data)) >= MOST


async def visit(visitor: Visitor, number: int, presses: int, pause: float, everyone: asyncio.Barrier) -> Delays:
    """Milliseconds of each key of a visitor, by screen; `to` is the way to another one."""
    chance, delays = random.Random(number), defaultdict[str, list[float]](list)
    await visitor.settle()
    keys = list(KEYS)
    for screen in keys[number % len(keys) :] + keys[: number % len(keys)]:
        await visitor.idle(pause * chance.uniform(0.5, 1.5))
        milliseconds, data = await visitor.press(screen, whole)
        delays["to"].append(milliseconds)
        while screen in PICTURED and PIXEL not in data:
            if not (data := await visitor.message(PATIENCE)):
                raise TimeoutError(f"no pictures on screen {screen}")
        await visitor.settle()
        for press in range(presses):
            await visitor.idle(pause * chance.uniform(0.5, 1.5))
            delays[screen].append((await visitor.press(KEYS[screen][press % 2], changed))[0])
    rest = asyncio.create_task(everyone.wait())
    while not rest.done():  # who stops reading is taken for somebody who has left
        await visitor.message(QUIET)
    return delays


async def come(stack: AsyncExitStack, session: aiohttp.ClientSession, address: str) -> tuple[Visitor, float]:
    """A visitor, and the seconds to the first frame."""
    began = time.perf_counter()
    place = f"ws://{urlsplit(address).netloc}/ws?width={COLUMNS}&height={ROWS}"
    visitor = Visitor(await stack.enter_async_context(session.ws_connect(place)))
    while not whole(data := await visitor.message(PATIENCE)):
        if not data:
            raise TimeoutError("no first frame")
    return visitor, time.perf_counter() - began


async def measure(address: str, server: psutil.Process, visitors: int, presses: int, pause: float) -> None:
    """Print what all visitors measure."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        async with AsyncExitStack() as first:  # the process that forks is ready once it has served somebody
            _, ready = await come(first, session, address)
        print(f"server to the first frame   {ready:.1f} s")
        came = await asyncio.gather(*(come(stack, session, address) for _ in range(visitors)))
        first_frames = sorted(seconds * 1000 for _, seconds in came)
        print(f"first frame      {_said(first_frames)}  of {visitors} at once")
        began, spent = time.perf_counter(), cpu(server)
        together = asyncio.Barrier(visitors)
        async with asyncio.TaskGroup() as group:  # if one fails, all end
            visits = [
                group.create_task(visit(visitor, number, presses, pause, together))
                for number, (visitor, _) in enumerate(came)
            ]
        found = [each.result() for each in visits]
        seconds, spent = time.perf_counter() - began, cpu(server) - spent
        titles = {key: f"on {title}" for key, title, _ in SCREENS} | {"to": "to another screen"}
        every: list[float] = []
        for screen in ("to", *sorted(KEYS)):
            of = sorted(chain(*(delays[screen] for delays in found)))
            every += of
            print(f"key to screen    {_said(of)}  {titles[screen]}")
        print(f"key to screen    {_said(sorted(every))}  all {len(every)} of {visitors} visitors")
        print(f"cores in use     {spent / seconds:.2f} for {seconds:.0f} s")
        _, *visiting = server.children(recursive=True)  # the first one forks the others
        memory = [each.memory_full_info() for each in visiting]
        own, share = (statistics.median(getattr(each, name) for each in memory) / 1e6 for name in ("uss", "pss"))
        print(f"memory           median {own:.0f} MB of its own, {share:.0f} MB with its share")
        everything = sum(each.memory_full_info().pss for each in (server, *server.children(recursive=True))) / 1e6
        print(f"  of the server  {everything:,.0f} MB with all visitors")


def cpu(server: psutil.Process) -> float:
    """Seconds of CPU that the server and all its processes have taken."""
    return sum(sum(each.cpu_times()[:2]) for each in (server, *server.children(recursive=True)))


def main(arguments: Sequence[str] = ()) -> None:
    """Print keys and memory."""
    given = [float(word) for word in arguments]
    visitors, presses, pause = given + [20, 6, 1.0][len(given) :]
    with tempfile.TemporaryDirectory() as folder:
        line = command("serve", "--port", "0", "--max-sessions", str(int(visitors) + 1), "pretrained:cnn")
        with subprocess.Popen(line, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            try:
                address = process.stdout.readline().removeprefix("mnist-tui: ").strip()
                asyncio.run(measure(address, psutil.Process(process.pid), int(visitors), int(presses), pause))
            finally:
                process.send_signal(signal.SIGINT)


if __name__ == "__main__":
    main(sys.argv[1:])
