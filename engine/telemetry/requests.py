"""The request for the state of the devices."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from engine.request import Request


class WatchDevices(Request, frozen=True, tag="watch-devices"):
    """Take one sample of this machine's devices."""

    processes: Annotated[bool, Meta(description="whether to list the processes on each GPU, which takes longer")] = (
        False
    )
