"""A report in the making: its networks, the document, and what one part keeps for later ones."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

from msgspec.structs import replace

from engine.attacks.events import AttackFinished
from engine.attribution.events import ClassOcclusionReady
from engine.event import Event, WorkAdvanced
from engine.figures.drawing.figure import figure_of
from engine.figures.drawing.page import png_of
from engine.figures.requests import ColourMapName
from engine.inspection.events import FiltersShown, SplitEvaluated
from engine.inspection.loaded import LoadedNetwork, load_network
from engine.inspection.requests import LayerName
from engine.network.requests import Inspect, Reading
from engine.report.asking import answered
from engine.report.claims import Claim
from engine.report.document import Document
from engine.report.requests import Report
from engine.request import RequestError
from engine.words import percent

E = TypeVar("E", bound=Event)
Q = TypeVar("Q", bound=Inspect)
Operation = Callable[[Q, Path], Generator[Event, None, None]]


class Subject(NamedTuple):
    """A network of the report."""

    name: str
    request: Inspect
    """A request for it, with the settings for reading its weights file if it is of third parties."""
    label: str
    """Its name in the names of files."""
    loaded: LoadedNetwork

    @property
    def objective(self) -> str | None:
        """What it was trained with; None for a weights file, which does not tell."""
        return None if self.loaded.run is None else self.loaded.run.read_record().request.objective


@dataclass
class Kept:
    """Results for each network that later parts use again."""

    evaluated: list[SplitEvaluated] = field(default_factory=list)
    """On all test images."""
    conv1: list[FiltersShown] = field(default_factory=list)
    white: list[ClassOcclusionReady] = field(default_factory=list)
    """The mean occlusion map with a white patch."""
    noise: list[AttackFinished] = field(default_factory=list)
    """The images from noise."""
    taken: list[dict[str, int]] = field(default_factory=list)
    """How many of these each other network, by its name, classifies as their target class."""


class Draft:
    """A report in the making, section by section."""

    def __init__(self, request: Report, root: Path) -> None:
        """Raises RequestError where a network does not exist, or two have the same name."""
        self.root, self.request = root, request
        opened = [self._load(what) for what in request.what]
        self.names = [loaded.name for _, loaded in opened]
        if twice := [name for name in self.names if self.names.count(name) > 1]:
            raise RequestError(f"{twice[0]} is given twice: name different networks")
        labels = _labels(self.names)
        self.networks = [
            Subject(loaded.name, asked, label, loaded) for (asked, loaded), label in zip(opened, labels, strict=True)
        ]
        self.document = Document(f"A convolutional network on MNIST: {listed(self.names)}")
        self.claims: list[Claim] = []
        self.kept = Kept()
        self.done = self.total = 0

    def _load(self, what: str) -> tuple[Inspect, LoadedNetwork]:
        asked = Inspect(what=what, device=self.request.device)
        network = None
        with contextlib.suppress(RequestError):  # some files can only be read with these settings
            network = load_network(asked, self.root)
        if network is None or network.foreign is not None:
            said = {name: getattr(self.request, name) for name in Reading.__struct_fields__}
            asked = replace(asked, **said)
            network = load_network(asked, self.root)
        return asked, network

    def expect(self, parts: int, *, once: int) -> None:
        """Count `parts` more results for each network, and `once` more for all, as work that is still to do."""
        self.total += parts * len(self.networks) + once

    def ask(self, kind: type[E], work: Operation[Q], request: Q, words: str) -> Generator[Event, None, E]:
        """The event of type `kind` that `work` yields for `request`; reports progress after each of its steps."""
        found = yield from answered(kind, work(request, self.root), words, lambda _: self.advanced(words))
        self.done += 1
        return found

    def advanced(self, words: str) -> WorkAdvanced:
        """How much of the report is done."""
        return WorkAdvanced(words=words, done=self.done, total=self.total)

    def draw(
        self,
        name: str,
        subject: object,
        caption: str,
        *,
        layer: LayerName = "conv1",
        colours: ColourMapName = "gray",
        shared_range: bool = False,
    ) -> None:
        """Add a figure, with its number in the name, so that the files are sorted."""
        number = len(self.document.figures) + 1
        png = png_of(figure_of(subject, layer=layer, colours=colours, shared_range=shared_range))
        self.document.figure(f"{number:02d}-{name}", png, caption)

    def say(self, *claims: Claim) -> None:
        """Add the verdicts on observations."""
        for claim in claims:
            self.claims.append(claim)
            self.document.claim(f"Section {claim.section}: {claim.said}", claim.verdict, claim.evidence)


def _labels(names: list[str]) -> list[str]:
    """The networks' names as they can be in names of files: without `pretrained:`, where they differ without it too."""

    def plain(name: str) -> str:
        return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "network"

    short = [plain(name.rpartition(":")[2]) for name in names]
    return short if len(set(short)) == len(short) else [plain(name) for name in names]


def listed(names: list[str]) -> str:
    """Names as words: `a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def with_interval(share: float, low: float, high: float) -> str:
    """A share from 0 to 1 in percent with its 95 % interval: `99.17 % (98.97 to 99.33)`."""
    return f"{percent(share)} ({100 * low:.2f} to {100 * high:.2f})"
