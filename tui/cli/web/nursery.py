"""A process that has imported everything and forks one for each visitor.

PyTorch, the data and the app are then in memory once: a visitor's process shares these pages until it writes to them,
and starts without importing anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tui.cli.program import python
from tui.cli.web.visitor import Visit, environment, receive

if TYPE_CHECKING:
    from textual.pilot import Pilot

FORKS = hasattr(os, "pidfd_open")
"""Whether visitors' processes are forked: on Linux. Elsewhere that is not safe with all libraries."""

LONGEST = 65536
"""Bytes of the longest message."""

REHEARSAL = 10.0
"""Most seconds that the rehearsal may take."""

POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Sizes of pools of threads. A pool does not survive a fork: none may be started before it."""


class Child:
    """A visitor's process, with the part of asyncio's `Process` that textual-serve uses.

    asyncio cannot watch it, since it is not a child of this process.
    """

    def __init__(self, handle: int) -> None:
        """`handle` refers to the process, as from `os.pidfd_open`."""
        self._handle = handle
        self._ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(handle, self._end)
        self.stdin: asyncio.StreamWriter
        self.stdout: asyncio.StreamReader
        self.stderr: asyncio.StreamReader

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._handle)
        os.close(self._handle)
        self._ended.set()

    async def connect(self, standard_input: int, channel: int, errors: int) -> None:
        """Make streams of the server's ends of the three pipes."""
        loop = asyncio.get_running_loop()
        self.stdout, self.stderr = [await _reader(loop, end) for end in (channel, errors)]
        transport, protocol = await loop.connect_write_pipe(
            lambda: asyncio.streams.FlowControlMixin(loop=loop), os.fdopen(standard_input, "wb", buffering=0)
        )
        self.stdin = asyncio.StreamWriter(transport, protocol, None, loop)

    async def wait(self) -> None:
        """Wait until it has ended."""
        await self._ended.wait()

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if not self._ended.is_set():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)


async def _reader(loop: asyncio.AbstractEventLoop, end: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=1 << 20, loop=loop)
    await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader, loop=loop), os.fdopen(end, "rb", buffering=0)
    )
    return reader


class Nursery:
    """The server's side: starts the process that forks, and asks it for visitors' processes."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket
        self._turn = asyncio.Lock()

    def open(self) -> None:
        """Start the process that forks; it needs some seconds before it answers."""
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel.setblocking(False)
        with theirs:
            self._process = subprocess.Popen(
                python("from tui.cli.web.nursery import main; main()", str(theirs.fileno())),
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env=environment() | dict.fromkeys(POOLS, "1"),
                start_new_session=True,  # Ctrl+C is for the server, which ends all in order
            )

    async def fork(self, visit: Visit) -> Child:
        """A new process that runs the app for a visitor. Raises OSError where there can be none."""
        async with self._turn:
            if self._process is None or self._process.poll() is not None:
                self.close()
                self.open()
            pipes = [os.pipe() for _ in range(3)]
            (theirs_in, ours_in), (ours_out, theirs_out), (ours_errors, theirs_errors) = pipes
            try:
                socket.send_fds(self._channel, [msgspec.json.encode(visit)], [theirs_in, theirs_out, theirs_errors])
                handle = await self._handle()
            except OSError:
                for end in (ours_in, ours_out, ours_errors):
                    os.close(end)
                raise
            finally:
                for end in (theirs_in, theirs_out, theirs_errors):
                    os.close(end)
        child = Child(handle)
        await child.connect(ours_in, ours_out, ours_errors)
        return child

    async def _handle(self) -> int:
        """Wait for the answer: a handle of the new process."""
        loop, arrived = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._channel, arrived.set)
        try:
            await arrived.wait()
        finally:
            loop.remove_reader(self._channel)
        words, handles, _, _ = socket.recv_fds(self._channel, LONGEST, 1)
        if not handles:
            raise OSError(words.decode() or "the process that forks has ended")
        return handles[0]

    def close(self) -> None:
        """End the process that forks, and with it what it has forked and is still there."""
        if self._process is not None:
            self._channel.close()
            self._process.wait()
            self._process = None


# The process that forks


def main() -> None:
    """Import everything, then fork a process for each message on the channel, until that is closed."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    _import_everything()
    _rehearse()
    gc.collect()
    gc.freeze()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    children: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([channel.fileno(), *children], [], [])
        for handle in children.keys() & set(ready):
            os.waitpid(children.pop(handle), 0)
            os.close(handle)
        if channel.fileno() in ready:
            words, ends, _, _ = socket.recv_fds(channel, LONGEST, 3)
            if not words:
                break
            _fork(channel, msgspec.json.decode(words, type=Visit), ends, children)
            for end in ends:
                os.close(end)
    for handle in children:
        signal.pidfd_send_signal(handle, signal.SIGTERM)


def _fork(channel: socket.socket, visit: Visit, ends: list[int], children: dict[int, int]) -> None:
    try:
        child = os.fork()
    except OSError as error:
        channel.send(str(error).encode())
        return
    if not child:
        _be_the_child(channel, visit, ends, children)
    handle = os.pidfd_open(child)
    children[handle] = child
    with contextlib.suppress(OSError):  # the server has gone
        socket.send_fds(channel, [b"forked"], [handle])


def _be_the_child(channel: socket.socket, visit: Visit, ends: list[int], siblings: dict[int, int]) -> None:
    code = 1
    try:
        channel.close()
        for handle in siblings:
            os.close(handle)
        code = receive(visit, *ends)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # the handlers at exit are those of the process that forks


def _import_everything() -> None:
    """Import what a visitor may need, and load the images."""
    from engine.network.requests import WarmUp
    from engine.operations import OPERATIONS, perform
    from tui import app, palette  # noqa: F401
    from tui.keys import SCREENS
    from tui.screens import dialogs, screen_of  # noqa: F401

    for _, _, mode in SCREENS:
        importlib.import_module(f"tui.screens.{mode}")
    for module in sorted({entry.target.partition(":")[0] for entry in OPERATIONS.values()}):
        importlib.import_module(module)
    for _ in perform(WarmUp(device="cpu"), Path()):
        pass


def _rehearse() -> None:
    """Go through all screens without a terminal, so that what is computed once for all is there after a fork."""
    from engine.runs.finding import pretrained
    from tui.app import MnistTui
    from tui.keys import SCREENS

    with tempfile.TemporaryDirectory() as folder:
        app = MnistTui(Path(folder), pretrained("cnn"), looking=True)

        async def through_all_screens(_pilot: Pilot[object]) -> None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REHEARSAL):
                    for key, _, mode in (*SCREENS[1:], SCREENS[0]):
                        app.simulate_key(key)
                        while not (getattr(app.screen, "mode", "") == mode and app.screen.is_mounted):
                            await asyncio.sleep(0.01)
                        await asyncio.sleep(0.1)
            app.exit(0)

        app.run(headless=True, size=(120, 40), auto_pilot=through_all_screens)
        app.workspace.close()
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            thread.join(REHEARSAL)
