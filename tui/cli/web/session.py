"""A visitor's session: the process, and what passes between it and the browser."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from asyncio.subprocess import PIPE, Process
from typing import Any

import msgspec
from aiohttp import web
from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager

from tui.cli.program import python
from tui.cli.web.nursery import FORKS, Child, Nursery
from tui.cli.web.visitor import Visit, environment

PATIENCE = 12.0
"""Seconds for a process to save its weights and leave; it may be in the middle of a long step."""


class Sight(msgspec.Struct, frozen=True):
    """What all visitors see."""

    runs: str
    """Folder of all runs."""
    what: str
    """What is open at the start; empty for the most recent run."""
    looking: bool
    """Whether they only look."""


class Session(AppService):
    """Textual-serve's service, with a forked process, which it also ends where the app does not."""

    def __init__(
        self, nursery: Nursery, sight: Sight, among: int, websocket: web.WebSocketResponse, downloads: DownloadManager
    ) -> None:
        """`among` is the number of visitors who share the cores."""
        super().__init__(
            "mnist-tui",
            write_bytes=self._send_bytes,
            write_str=self._send_str,
            close=self._close,
            download_manager=downloads,
        )
        self._nursery, self._sight, self._among, self._websocket = nursery, sight, among, websocket
        self._stopping = asyncio.Lock()
        self._app: Child | Process | None = None

    @property
    def left(self) -> bool:
        """Whether the visitor has left, or has been left."""
        return self._websocket.closed

    async def _send_bytes(self, content: bytes) -> None:
        # A browser that has gone is no reason to let the app wait: it still has to save its weights.
        with contextlib.suppress(ConnectionError, RuntimeError):
            await self._websocket.send_bytes(content)

    async def _send_str(self, content: str) -> None:
        with contextlib.suppress(ConnectionError, RuntimeError):
            await self._websocket.send_str(content)

    async def _close(self) -> None:
        await self._websocket.close()

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Any:
        sight = self._sight
        visit = Visit(sight.runs, sight.what, sight.looking, width, height, self._among)
        if FORKS:
            self._app = await self._nursery.fork(visit)
        else:
            words = msgspec.json.encode(visit).decode()
            self._app = await asyncio.create_subprocess_exec(
                *python("from tui.cli.web.visitor import main; main()", words),
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                env=environment(),
                start_new_session=True,
            )
        self._process, self._stdin = self._app, self._app.stdin  # type: ignore[assignment]
        return self._app

    async def set_terminal_size(self, width: int, height: int) -> None:
        """Tell the app about the new size of the terminal."""
        await super().set_terminal_size(min(max(int(width), 20), 500), min(max(int(height), 5), 300))

    async def run(self) -> None:
        """Pass on what the app sends until it ends; then end the visit."""
        try:
            await super().run()
        finally:
            await self._close()

    async def stop(self) -> None:
        """Ask the app to leave and wait until it has ended; make it end if it does not."""
        async with self._stopping:
            if self._app is None or self._task is None:
                return
            await self._download_manager.cancel_app_downloads(self.app_service_id)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.send_meta({"type": "quit"}), 1)
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._app.wait(), PATIENCE)
                    break
                self._app.send_signal(number)
            await self._app.wait()
            self.stdin.close()
            await self._task
            self._task = self._app = None
