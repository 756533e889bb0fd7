"""The names of bounds, for requests."""

from typing import Literal

BoundName = Literal["ibp", "crown", "best"]
