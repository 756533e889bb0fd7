"""The request for the benchmark."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from engine.network.requests import Device
from engine.request import Request


class Bench(Request, frozen=True, tag="bench"):
    """Measure this machine: the program beside the notebook's own code, the hardware, and the app while it trains."""

    quick: Annotated[bool, Meta(description="at most a minute instead of five, from fewer rounds on fewer images")] = (
        False
    )
    device: Device = "auto"
    threads: Annotated[int, Meta(ge=0, le=1024, description="number of CPU threads (0: all that are available)")] = 0
