"""The fields that a search varies, with their bounds."""

from __future__ import annotations

from msgspec import Struct

from engine.request import RequestError, parameters
from engine.training.requests import Train

DECADE = 10.0
"""The factor between the bounds from which values are drawn evenly in their logarithm."""


class Dimension(Struct, frozen=True):
    """A numeric field of an experiment, and its bounds, which are included."""

    name: str
    low: float
    high: float
    whole: bool
    """Whether it takes only whole numbers."""

    @property
    def logarithmic(self) -> bool:
        """Whether its values are drawn evenly in their logarithm: where the bounds span more than a decade."""
        return self.low > 0 and self.high > DECADE * self.low

    def typed(self, value: float) -> float:
        """`value` as the field takes it: a whole number, or one of three digits, within the bounds."""
        if self.whole:
            return round(value)
        return min(self.high, max(self.low, float(f"{value:.3g}")))

    @property
    def words(self) -> str:
        """The field and its bounds as text: `learning rate 0.0001 to 0.01`."""
        return f"{self.name.replace('_', ' ')} {self.low:g} to {self.high:g}"


def parse_dimension(text: str) -> Dimension:
    """The field and the bounds of `learning-rate=1e-4..1e-2`; raises RequestError where they are invalid."""
    name, equals, bounds = text.partition("=")
    name = name.strip().replace("-", "_")
    numeric = {each.name: each for each in parameters(Train) if each.type in (int, float) and not each.fixed}
    del numeric["seed"], numeric["train_epsilon"]  # the lower it is, the higher the robust accuracy at it
    low, dots, high = bounds.partition("..")
    if not equals or not dots:
        raise RequestError(f"a field to search is FIELD=LOW..HIGH, for example learning-rate=1e-4..1e-2, not {text}")
    if name not in numeric:
        raise RequestError(f"{name.replace('_', ' ')} cannot be searched: choose from {', '.join(sorted(numeric))}")
    parameter = numeric[name]
    least, most = parameter.parse(low), parameter.parse(high)
    if least >= most:
        raise RequestError(f"{parameter.label} is searched from {least:g} to {most:g}: give the lower bound first")
    return Dimension(name, least, most, parameter.type is int)
