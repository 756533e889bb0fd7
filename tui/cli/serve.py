"""`mnist-tui serve`: the app in a browser, for one or many visitors."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from engine.request import Request, RequestError
from engine.words import shown
from tui.cli.exit_codes import DONE

if TYPE_CHECKING:
    import socket

_TOKEN = r"^([A-Za-z0-9_.~-]{8,200})?\Z"


class Serve(Request, frozen=True, tag="serve"):
    """Open the app in a browser: one process a visitor."""

    what: Annotated[
        str, Meta(description="run or weights file that is open at the start (default: the latest run)")
    ] = ""
    host: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=253,
            description="address to listen on; 0.0.0.0 for all, where a token in the page's address is needed",
        ),
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="port to listen on; 0 for any that is free")] = 8000
    watch: Annotated[bool, Meta(description="only look: no training, no deleting, no changes of files")] = False
    max_sessions: Annotated[int, Meta(ge=1, le=1000, description="number of visitors at a time")] = 30
    token: Annotated[
        str,
        Meta(
            pattern=_TOKEN,
            title="8 to 200 letters, digits or ._~-",
            description="token that the page's address needs; by default a random one, but none on this machine",
        ),
    ] = ""


def serve(arguments: Sequence[str]) -> int:
    """Run the command line `mnist-tui serve ARGUMENTS`; returns the exit code. Raises RequestError for invalid ones."""
    import asyncio
    import secrets

    from engine.runs.finding import find_network
    from tui.cli.arguments import Place, parse

    request, place = parse(Serve, Place, "mnist-tui serve", arguments)
    try:
        from tui.cli.web.server import LabServer
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "textual_serve":
            raise
        raise RequestError("serving the app needs textual-serve: pip install textual-serve") from None
    from tui.cli.web.guard import Guard
    from tui.cli.web.session import Sight

    find_network(request.what, place.runs)
    with listening(request.host, request.port) as bound:
        address, port = bound.getsockname()[:2]
        token = request.token or ("" if local(address) else secrets.token_urlsafe(18))
        sight = Sight(runs=str(place.runs.absolute()), what=request.what, looking=request.watch)
        print(f"mnist-tui: {page_address(address, port, token)}", flush=True)
        many = f"{request.max_sessions} visitor{'s' if request.max_sessions != 1 else ''} at a time"
        print(f"mnist-tui: {many}{', who only look' if request.watch else ''}; Ctrl+C ends it", flush=True)

        async def run() -> None:
            await LabServer(Guard(token, request.host), sight, request.max_sessions, port).run(bound)

        asyncio.run(run())
    return DONE


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens on `host` and `port`. Raises RequestError where that is not possible."""
    import socket

    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
        return socket.create_server(address[:2], family=family, backlog=128)
    except (socket.gaierror, UnicodeError):
        raise RequestError(f"{shown(host)} is no address of this machine: use --host 127.0.0.1 or 0.0.0.0") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise RequestError(f"port {port} of {host} is in use: choose another one with --port") from None
        if error.errno == errno.EADDRNOTAVAIL:
            raise RequestError(f"{host} is no address of this machine: use --host 127.0.0.1 or 0.0.0.0") from None
        raise RequestError(f"cannot listen on port {port} of {host} ({os.strerror(error.errno or 0)})") from None


def local(address: str) -> bool:
    """Whether only this machine can reach `address`."""
    import ipaddress

    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def page_address(address: str, port: int, token: str) -> str:
    """What to open in a browser. Where all addresses are listened on, one by which others reach this machine."""
    import ipaddress
    import socket

    if ipaddress.ip_address(address.partition("%")[0]).is_unspecified:
        family, far = (socket.AF_INET6, "2001:db8::1") if ":" in address else (socket.AF_INET, "192.0.2.1")
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((far, 9))  # sends nothing: it only chooses the way out
                address = probe.getsockname()[0]
            except OSError:
                address = socket.gethostname()
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{port}/" + (f"?token={token}" if token else "")
