"""The server: textual-serve's, with a token, a limit of visitors, and a page that loads nothing from elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Awaitable, Callable
from html import escape
from pathlib import Path

import textual_serve
from aiohttp import web
from textual_serve.server import Server

from engine.paths import asset
from tui.cli.web.guard import Guard
from tui.cli.web.nursery import FORKS, Nursery
from tui.cli.web.session import Session, Sight

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

POLICY = (
    "default-src 'self'",
    "script-src 'self' 'unsafe-inline'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "connect-src 'self' ws: wss:",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'none'",
)
HEADERS = {
    "Content-Security-Policy": "; ".join(POLICY),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Nothing is loaded from elsewhere, and no other page shows this one in a frame."""

FULL = "All places are taken. Try again later."
SIZES = {"width": (20, 500), "height": (5, 300)}
"""Columns and rows of a terminal that a visitor may ask for."""


class LabServer(Server):
    """Serves the app to at most `places` visitors at a time, a process each."""

    def __init__(self, guard: Guard, sight: Sight, places: int, port: int) -> None:
        """`sight` is what visitors see. `port` names the cookie: a browser sends a cookie to all ports of a host."""
        super().__init__("mnist-tui", port=port, title="mnist-tui")
        self.guard, self.sight, self.places = guard, sight, places
        self._cookie = f"mnist-tui-{port}"
        self.nursery = Nursery()
        self.sessions: set[Session] = set()
        self._leaving = asyncio.Event()

    async def run(self, listening: socket.socket) -> None:
        """Serve on a listening socket until a signal, then end all visitors' processes."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._leaving.set)
        runner = web.AppRunner(await self._make_app(), access_log=None, shutdown_timeout=1)
        await runner.setup()
        if FORKS:
            self.nursery.open()
        try:
            await web.SockSite(runner, listening).start()
            await self._leaving.wait()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # a second one ends this process at once
                loop.remove_signal_handler(number)
            await asyncio.gather(*(session.stop() for session in list(self.sessions)))
        finally:
            await runner.cleanup()
            self.nursery.close()

    async def _make_app(self) -> web.Application:
        app = web.Application(middlewares=[self._guarded])
        app.add_routes(
            [
                web.get("/", self.handle_index, name="index"),
                web.get("/ws", self.handle_websocket, name="websocket"),
                web.get("/download/{key}", self.handle_download, name="download"),
                web.static("/page", asset("serve")),
                web.static("/static", Path(textual_serve.__file__).parent / "static"),
            ]
        )
        return app

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse a request that the guard refuses; move the token from the address to a cookie."""
        asked = request.query.get("token", "")
        token = asked or request.cookies.get(self._cookie, "")
        if refusal := self.guard.refusal(request.headers, token, websocket=request.path == "/ws"):
            return said(403, refusal)
        if asked and request.path == "/":
            rest = {name: value for name, value in request.query.items() if name != "token"}
            answer = web.Response(status=303, headers=HEADERS | {"Location": str(request.rel_url.with_query(rest))})
            answer.set_cookie(self._cookie, asked, httponly=True, samesite="Lax")
            return answer
        return await handler(request)

    async def handle_index(self, request: web.Request) -> web.StreamResponse:
        """The page; or one that says that there is no place."""
        if self.full or self._leaving.is_set():
            return said(503, FULL)
        page = asset("serve", "page.html").read_text(encoding="utf-8")
        return web.Response(text=page, content_type="text/html", headers=HEADERS | {"Cache-Control": "no-store"})

    @property
    def full(self) -> bool:
        """Whether no other visitor has a place."""
        return self._present >= self.places

    @property
    def _present(self) -> int:
        """Number of visitors; a process that still saves what somebody who has left has trained takes no place."""
        return sum(not session.left for session in self.sessions)

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Run the app for a visitor until the visitor leaves, or the app ends."""
        if self.full or self._leaving.is_set():
            raise web.HTTPServiceUnavailable(text=FULL)
        websocket = web.WebSocketResponse(heartbeat=15, max_msg_size=1 << 20)
        session = Session(self.nursery, self.sight, self._present + 1, websocket, self.download_manager)
        self.sessions.add(session)  # from now on the place is taken
        try:
            await websocket.prepare(request)
            size = (sized(request.query.get(name, ""), name) for name in SIZES)
            await session.start(*size)
            # What no page of ours sends ends the visit.
            with contextlib.suppress(ValueError, LookupError, TypeError, AttributeError, AssertionError):
                await self._process_messages(websocket, session)
        except OSError as error:
            self.console.print(f"mnist-tui: no process for a visitor: {error}", markup=False, highlight=False)
        finally:
            try:
                await session.stop()
            finally:
                self.sessions.discard(session)
            await websocket.close()
        return websocket


def sized(text: str, name: str) -> int:
    """A width or height from the page, within what a terminal may have."""
    low, high = SIZES[name]
    return min(max(int(text), low), high) if text.isascii() and text.isdecimal() and len(text) < 9 else low


def said(status: int, words: str) -> web.Response:
    """A page with nothing but a sentence."""
    page = (
        "<!DOCTYPE html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        "<title>mnist-tui</title><body style='background:#14161a;color:#d8dee9;font:18px/1.5 sans-serif;"
        f"display:grid;place-items:center;min-height:90vh;padding:1em'><p>{escape(words)}"
    )
    return web.Response(status=status, text=page, content_type="text/html", headers=HEADERS)
