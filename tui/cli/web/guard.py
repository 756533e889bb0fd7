"""Who may see the page: a token in the address, then in a cookie; and only pages of ours may open a websocket."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names by which a browser on this machine calls it."""


class Guard:
    """Checks requests. Without a token, only those that were sent to this machine by its own names are let in."""

    def __init__(self, token: str, host: str) -> None:
        """An empty `token` needs none: then the server must be bound to the loopback address `host`."""
        self.token, self._names = token, LOOPBACK | {host.lower()}

    def knows(self, token: str) -> bool:
        """Whether this is the token; the time that this takes does not tell how much of it is right."""
        return not self.token or hmac.compare_digest(token.encode(), self.token.encode())

    def refusal(self, headers: Mapping[str, str], token: str, *, websocket: bool) -> str:
        """Why a request is refused, in plain words; empty if it is not.

        Browsers send a websocket's request with the cookies of this page from any page, and say in `Origin` from which.
        A foreign name in `Host` means that someone else's name was made to point to this machine.
        """
        host = headers.get("Host", "")
        if not self.token and _name(f"//{host}") not in self._names:
            return "This page is for this machine only: open it as 127.0.0.1 or localhost."
        if not self.knows(token):
            return "This page needs its token: open the whole address that mnist-tui serve has printed."
        origin = headers.get("Origin")
        if websocket and origin is not None and _place(origin) != host.lower():
            return "Another page may not use this one."
        return ""


def _place(address: str) -> str:
    """The host of an address with its port; empty if there is none."""
    try:
        return urlsplit(address).netloc.lower()
    except ValueError:
        return ""


def _name(address: str) -> str:
    """The host of an address, without its port; empty if there is none."""
    try:
        return (urlsplit(address).hostname or "").lower()
    except ValueError:
        return ""
