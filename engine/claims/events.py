"""The event of a measured claim."""

from __future__ import annotations

from engine.network.events import NetworkEvent


class ClaimChecked(NetworkEvent, frozen=True):
    """What a claim is about was measured."""

    claim: str
    """Its name, as in the request."""
    values: dict[str, float]
    """The measured values by their names, in the units that the request's class gives in `says`; NaN where there is
    nothing to measure, such as the mistakes of a network that makes none."""
    other: str = ""
    """Name of the network that this one was compared with; empty where it was compared with none."""
